/**
 * Releases under way, by camera. A reservation is idempotent by user, camera and client: a tile that is removed
 * and added again at once must not reserve before the old lease is gone, or the late DELETE takes the new one.
 */
export class Releases {
  readonly #pending = new Map<string, Promise<void>>();

  track(cameraId: string, release: Promise<unknown>): void {
    const earlier = this.#pending.get(cameraId) ?? Promise.resolve();
    const done = Promise.allSettled([earlier, release]).then(() => {
      if (this.#pending.get(cameraId) === done) this.#pending.delete(cameraId);
    });
    this.#pending.set(cameraId, done);
  }

  /** Undefined when nothing is under way, so that a first click does not wait a turn. */
  settled(cameraId: string): Promise<void> | undefined {
    return this.#pending.get(cameraId);
  }
}
