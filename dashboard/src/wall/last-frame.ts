import type { TileState } from '../live/tile-state';

/** A picture that the server has kept, and when it was taken: `performance.now()`. */
export interface KeptFrame {
  picture: Blob;
  takenAt: number;
}

export interface TileFacts {
  state: TileState;
  /** `performance.now()` of the last frame that this page has shown; null when it has none. */
  pictureStoppedAt: number | null;
  /** Whether the camera is online for the control plane: its picture is kept fresh then. */
  online: boolean;
}

/** Most pictures are live within this: what is asked for meanwhile would only hold them up. */
export const ASK_AFTER_MS = 1_000;
/** `streams` takes a picture a minute of a camera that is online. */
export const ASK_AGAIN_MS = 60_000;

/** How long to wait before the server is asked for its last picture; null: not at all. */
export function askAfter({ state, pictureStoppedAt, online }: TileFacts): number | null {
  if (state === 'live' || state === 'stalled') return null;
  // Of a camera that is away, nobody has a newer picture than the page that watched it.
  if (pictureStoppedAt !== null && !online) return null;
  return state === 'offline' || state === 'failed' ? 0 : ASK_AFTER_MS;
}

/** What is shown under the words of a tile, and when it was taken. `still`: the server's picture, else the page's own. */
export function shownPicture(
  state: TileState,
  pictureStoppedAt: number | null,
  kept: KeptFrame | null,
): { still: Blob | null; takenAt: number | null } {
  if (state === 'live') return { still: null, takenAt: null };
  if (kept !== null && (pictureStoppedAt === null || kept.takenAt > pictureStoppedAt)) {
    return { still: kept.picture, takenAt: kept.takenAt };
  }
  return { still: null, takenAt: pictureStoppedAt };
}
