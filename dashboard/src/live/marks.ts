/** User Timing marks that `cargo xtask bench live` reads: from a click to the first frame of its tile. */

const click = (cameraId: string) => `marsad:click:${cameraId}`;
const firstFrame = (cameraId: string) => `marsad:first-frame:${cameraId}`;

export function markClick(cameraId: string): void {
  performance.clearMarks(click(cameraId));
  performance.clearMarks(firstFrame(cameraId));
  performance.mark(click(cameraId));
}

/** Only the first frame after a click counts, not those of later reconnects. */
export function markFirstFrame(cameraId: string): void {
  if (performance.getEntriesByName(firstFrame(cameraId)).length === 0) performance.mark(firstFrame(cameraId));
}
