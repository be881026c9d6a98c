import { LiveSession, type SessionDeps } from './live-session';

/** The sessions of the cameras on the wall. They live beside React: a re-render never touches a connection. */
export class Sessions {
  readonly #deps: SessionDeps;
  readonly #sessions = new Map<string, LiveSession>();
  #active = false;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
  }

  get(cameraId: string): LiveSession | undefined {
    return this.#sessions.get(cameraId);
  }

  /** One session for each of these cameras and no other; the order does not matter. */
  keep(cameraIds: readonly string[]): void {
    const wanted = new Set(cameraIds);
    for (const [id, session] of this.#sessions) {
      if (wanted.has(id)) continue;
      this.#sessions.delete(id);
      session.stop();
    }
    for (const id of wanted) {
      if (this.#sessions.has(id)) continue;
      const session = new LiveSession(id, this.#deps);
      this.#sessions.set(id, session);
      if (this.#active) session.start();
    }
  }

  /** Starts all: somebody is signed in and the page is shown. */
  resume(): void {
    this.#active = true;
    for (const session of this.#sessions.values()) session.start();
  }

  /** Stops all but remembers them, as `LiveSession.stop` says. */
  pause(how: { leaving?: boolean; keepLease?: boolean }): void {
    this.#active = false;
    for (const session of this.#sessions.values()) session.stop(how);
  }

  cameraChanged(cameraId: string): void {
    this.#sessions.get(cameraId)?.cameraChanged(this.#deps.camera(cameraId));
  }

  watchAgain(): void {
    for (const session of this.#sessions.values()) session.watchAgain();
  }
}
