import type { Api } from '../api/client';
import { ApiError } from '../api/problem';
import { applyUpdate, type CameraStore } from '../cameras/camera-store';
import { Backoff } from '../time/backoff';
import { parseUpdate } from './messages';

export interface UpdatesDeps {
  api: Pick<Api, 'wsTicket' | 'cameras'>;
  store: CameraStore;
  /** Opens a WebSocket to `/ws/updates` with this ticket. */
  open: (ticket: string) => WebSocket;
}

/** A snapshot that does not come is a connection that does not work. */
const SNAPSHOT_WITHIN_MS = 10_000;

/**
 * Keeps the camera store as the server has it: ticket, socket, snapshot, then each change in order. A gap in
 * `seq` means that something was missed, so the connection is made anew, which brings a snapshot.
 */
export class UpdatesClient {
  readonly #deps: UpdatesDeps;
  readonly #backoff = new Backoff(500, 15_000);
  #run = 0;
  #running = false;
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #lastSeq: number | null = null;

  constructor(deps: UpdatesDeps) {
    this.#deps = deps;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#connect();
  }

  stop(): void {
    this.#running = false;
    this.#drop();
  }

  /** The network is back: no reason to wait for the next try. */
  hurry(): void {
    if (!this.#running || this.#deps.store.getState().link === 'open') return;
    this.#backoff.reset();
    void this.#connect();
  }

  async #connect(): Promise<void> {
    this.#drop();
    const run = this.#run;
    try {
      const { ticket } = await this.#deps.api.wsTicket();
      if (run !== this.#run) return;
      this.#listen(run, this.#deps.open(ticket));
    } catch (error) {
      if (run === this.#run) this.#lost(error);
    }
  }

  #listen(run: number, socket: WebSocket): void {
    this.#socket = socket;
    this.#lastSeq = null;
    this.#timer = setTimeout(() => this.#lost(), SNAPSHOT_WITHIN_MS);
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (run === this.#run) this.#receive(event.data);
    };
    // An error is always followed by close.
    socket.onclose = () => {
      if (run === this.#run) this.#lost();
    };
  }

  #receive(data: unknown): void {
    let parsed;
    try {
      parsed = parseUpdate(String(data));
    } catch {
      this.#lost();
      return;
    }
    const { seq, message } = parsed;
    const isSnapshot = message?.type === 'snapshot';
    if (!isSnapshot && (this.#lastSeq === null || seq !== this.#lastSeq + 1)) {
      this.#lost();
      return;
    }
    this.#lastSeq = seq;
    if (isSnapshot) {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#backoff.reset();
    }
    if (message) this.#deps.store.setState((state) => ({ ...applyUpdate(state, message), link: 'open' }));
  }

  #lost(error?: unknown): void {
    this.#drop();
    this.#deps.store.setState((state) => (state.link === 'open' ? { link: 'lost' } : {}));
    if (error instanceof ApiError && error.status === 401) return;
    const run = this.#run;
    this.#timer = setTimeout(() => void this.#connect(), this.#backoff.next());
    // Where WebSockets do not pass, the list by HTTP is late, but it is a list.
    this.#deps.api.cameras().then(
      (cameras) => {
        if (run !== this.#run) return;
        this.#deps.store.setState((state) => ({
          ...applyUpdate(state, { type: 'snapshot', seq: 0, cameras }),
          link: 'lost',
        }));
      },
      () => {
        if (run === this.#run) this.#deps.store.setState({ link: 'lost' });
      },
    );
  }

  #drop(): void {
    this.#run += 1;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
      socket.close();
    }
  }
}
