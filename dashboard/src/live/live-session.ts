import { createStore, type StoreApi } from 'zustand/vanilla';

import type { LiveApi } from '../api/client';
import { ApiError } from '../api/problem';
import type { CameraView, Grant } from '../api/types';
import { Backoff, jittered } from '../time/backoff';
import { reserveFailure } from './failure';
import { markFirstFrame } from './marks';
import type { Releases } from './releases';
import type { RoomPool, RoomRef, VideoSource } from './room-pool';
import { type Facts, type Shown, tileState } from './tile-state';

export interface SessionDeps {
  api: LiveApi;
  pool: RoomPool;
  releases: Releases;
  /** One a page load: two tabs of one person are two viewers. */
  clientId: string;
  /** Where LiveKit answers when a grant does not say: this origin, relayed by the api role. */
  relayUrl: string;
  camera: (id: string) => CameraView | undefined;
  /** False while the page is hidden, when browsers present no frames. */
  visible: () => boolean;
}

export interface SessionView extends Shown {
  source: VideoSource | null;
  /** `performance.now()` of the last frame, when the picture has stopped; null while it moves or never came. */
  pictureStoppedAt: number | null;
}

const CONNECTING: SessionView = { state: 'connecting', reason: null, source: null, pictureStoppedAt: null };

const TICK_MS = 500;
/** A picture stopped for so long, with nothing reported to be wrong: leave the room and begin anew. */
const RESTART_AFTER_MS = 20_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10_000;
/** Retry of what only a change of the camera can mend; the change itself is told by `cameraChanged`. */
const SLOW_RETRY_MS = 30_000;

type Timer = ReturnType<typeof setTimeout>;

/**
 * One tile's hold on one camera: reserve, join, watch the frames, renew, release. It never gives up by
 * itself; only `stop` ends it.
 */
export class LiveSession {
  readonly cameraId: string;
  readonly view: StoreApi<SessionView> = createStore<SessionView>(() => CONNECTING);
  readonly #deps: SessionDeps;
  readonly #backoff = new Backoff(RETRY_MIN_MS, RETRY_MAX_MS);
  readonly #facts: Facts;
  #running = false;
  /** Grows with each attempt; what an older attempt still brings is thrown away. */
  #attempt = 0;
  #reserving: Promise<Grant> | null = null;
  #grant: Grant | null = null;
  #leaseGoodUntil = 0;
  #ref: RoomRef | null = null;
  #source: VideoSource | null = null;
  /** Of any source: the picture that the tile still holds may be older than the one being waited for. */
  #lastPictureAt: number | null = null;
  #troubleSince: number | null = null;
  #tick: Timer | null = null;
  #beat: Timer | null = null;
  #retry: Timer | null = null;

  constructor(cameraId: string, deps: SessionDeps) {
    this.cameraId = cameraId;
    this.#deps = deps;
    this.#facts = {
      failure: null,
      joinedAt: null,
      hasSource: false,
      lastFrameAt: null,
      watchedSince: 0,
      camera: deps.camera(cameraId),
    };
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
    void this.#connect();
  }

  /**
   * Leaves the room and gives the lease back. `leaving`: the page goes away, so the request must outlive it.
   * `keepLease`: nobody is signed in to give it back; it runs out by itself.
   */
  stop({ leaving = false, keepLease = false } = {}): void {
    if (!this.#running) return;
    this.#running = false;
    this.#attempt += 1;
    for (const timer of [this.#tick, this.#beat, this.#retry]) if (timer !== null) clearTimeout(timer);
    this.#leaveRoom();
    const release = (grant: Grant) =>
      keepLease ? Promise.resolve() : this.#deps.api.release(grant.reservation_id, leaving);
    if (this.#grant) this.#deps.releases.track(this.cameraId, release(this.#grant));
    // A reservation that is still on its way is given back when it arrives.
    if (this.#reserving) this.#deps.releases.track(this.cameraId, this.#reserving.then(release));
    this.#grant = null;
    this.#reserving = null;
    this.#facts.failure = null;
    this.#lastPictureAt = null;
    this.view.setState(CONNECTING, true);
  }

  /** A frame of `source` was presented. */
  frame(source: VideoSource): void {
    if (!this.#running || source !== this.#source) return;
    if (this.#facts.lastFrameAt === null) markFirstFrame(this.cameraId);
    this.#facts.lastFrameAt = this.#lastPictureAt = performance.now();
    if (this.view.getState().state !== 'live') {
      this.#backoff.reset();
      this.#publish();
    }
  }

  /** The page is visible again: what it did not see while hidden is no stall. */
  watchAgain(): void {
    this.#facts.watchedSince = performance.now();
  }

  /** News of this camera from the updates. */
  cameraChanged(camera: CameraView | undefined): void {
    const before = this.#facts.camera;
    this.#facts.camera = camera;
    if (!this.#running) return;
    const mended =
      camera !== undefined &&
      (before === undefined || before.live_mode !== camera.live_mode ||
        (before.state !== camera.state && camera.state === 'online'));
    if (mended && this.#retry !== null && this.#facts.failure !== null) this.#retryIn(0);
    this.#publish();
  }

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    const { api, releases, clientId, relayUrl, pool } = this.#deps;
    let grant: Grant;
    try {
      const earlier = releases.settled(this.cameraId);
      if (earlier) await earlier;
      if (attempt !== this.#attempt) return;
      this.#reserving = api.reserve(this.cameraId, clientId);
      grant = await this.#reserving;
    } catch (error) {
      if (attempt === this.#attempt) this.#reserveFailed(error);
      return;
    }
    if (attempt !== this.#attempt) return;
    this.#reserving = null;
    this.#granted(grant);
    // A renewed lease on a room that we are in changes nothing in it.
    if (this.#ref?.room === grant.room) {
      this.#facts.failure = null;
      this.#publish();
      return;
    }
    this.#leaveRoom();
    const url = grant.url === '' ? relayUrl : grant.url;
    this.#ref = pool.acquire({ room: grant.room, url, token: grant.token }, this.cameraId, {
      joined: () => {
        this.#facts.joinedAt = performance.now();
        this.#facts.failure = null;
        this.#publish();
      },
      source: (source) => this.#sourceChanged(source),
      closed: () => this.#roomClosed(),
    });
    this.#publish();
  }

  #granted(grant: Grant): void {
    this.#grant = grant;
    if (this.#beat !== null) clearInterval(this.#beat);
    this.#leaseGoodUntil = performance.now() + grant.lease.ttl_seconds * 1_000;
    this.#beat = setInterval(() => void this.#heartbeat(), Math.max(1, grant.lease.heartbeat_interval_seconds) * 1_000);
  }

  async #heartbeat(): Promise<void> {
    const grant = this.#grant;
    if (!grant) return;
    try {
      await this.#deps.api.heartbeat(grant.reservation_id);
      if (this.#grant === grant) this.#leaseGoodUntil = performance.now() + grant.lease.ttl_seconds * 1_000;
    } catch (error) {
      if (this.#grant !== grant) return;
      const unknown = error instanceof ApiError && error.status === 404;
      if (unknown || performance.now() > this.#leaseGoodUntil) this.#leaseLost();
    }
  }

  /** The room may still be ours: it is kept until it closes by itself, and a new lease is asked for. */
  #leaseLost(): void {
    this.#dropGrant();
    void this.#connect();
  }

  #reserveFailed(error: unknown): void {
    this.#reserving = null;
    const failure = reserveFailure(error);
    this.#facts.failure = { state: failure.state, reason: failure.reason };
    if (failure.retry === 'camera') this.#retryIn(jittered(SLOW_RETRY_MS));
    if (failure.retry === 'soon') {
      this.#retryIn(Math.max(this.#backoff.next(), (failure.retryAfterSeconds ?? 0) * 1_000));
    }
    this.#publish();
  }

  #roomClosed(): void {
    const wasJoined = this.#facts.joinedAt !== null;
    this.#ref = null;
    this.#outsideRoom();
    // The first loss is shown as connecting: most are mended by the first new reservation.
    this.#facts.failure = wasJoined ? null : { state: 'failed', reason: 'LiveKitUnavailable' };
    this.#retryIn(this.#backoff.next());
    this.#publish();
  }

  #retryIn(delay: number): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#connect(), delay);
  }

  #sourceChanged(source: VideoSource | null): void {
    this.#source = source;
    this.#facts.hasSource = source !== null;
    // A new track must show a frame of its own; a picture whose track has left has stalled.
    if (source !== null) this.#facts.lastFrameAt = null;
    this.#publish();
  }

  #onTick(): void {
    const now = performance.now();
    if (!this.#deps.visible()) {
      this.watchAgain();
      this.#troubleSince = null;
      return;
    }
    this.#publish();
    const { state, reason } = this.view.getState();
    const unexplained = state === 'stalled' || state === 'waiting' || reason === 'TrackMissing';
    this.#troubleSince = unexplained && this.#facts.joinedAt !== null ? (this.#troubleSince ?? now) : null;
    if (this.#troubleSince !== null && now - this.#troubleSince > RESTART_AFTER_MS) {
      this.#leaveRoom();
      void this.#connect();
    }
  }

  #leaveRoom(): void {
    this.#ref?.release();
    this.#ref = null;
    this.#outsideRoom();
  }

  #outsideRoom(): void {
    this.#source = null;
    this.#facts.hasSource = false;
    this.#facts.lastFrameAt = null;
    this.#facts.joinedAt = null;
    this.#troubleSince = null;
  }

  #dropGrant(): void {
    this.#grant = null;
    if (this.#beat !== null) clearInterval(this.#beat);
    this.#beat = null;
  }

  #publish(): void {
    if (!this.#running) return;
    const shown = tileState(this.#facts, performance.now());
    const before = this.view.getState();
    const stopped = shown.state === 'live' ? null : this.#lastPictureAt;
    if (
      before.state === shown.state && before.reason === shown.reason &&
      before.source === this.#source && before.pictureStoppedAt === stopped
    ) return;
    this.view.setState({ ...shown, source: this.#source, pictureStoppedAt: stopped }, true);
  }
}
