import type { CameraView, Condition } from '../api/types';

/** What a tile shows. `offline`: the camera is away. `failed`: it is there, and its picture cannot be shown. */
export type TileState = 'connecting' | 'waiting' | 'live' | 'stalled' | 'offline' | 'failed';

export interface Shown {
  state: TileState;
  /** A reason of the catalogue; null while nothing is wrong. */
  reason: string | null;
}

/** Why a session is out of its room. */
export interface Failure {
  state: 'offline' | 'failed';
  reason: string;
}

export interface Facts {
  failure: Failure | null;
  /** When the room was joined, null when outside (milliseconds of one clock, as the next ones). */
  joinedAt: number | null;
  hasSource: boolean;
  /** Last frame since this source came, null when none has. */
  lastFrameAt: number | null;
  /** When frames could be counted again: a hidden page gets none. */
  watchedSince: number;
  camera: CameraView | undefined;
}

/** No new frame for so long and the picture is not live (the picture check of the issue; design.md §1). */
export const STALLED_AFTER_MS = 3_000;
/** `streams` says within 3 s when a track is missing; this is for when it does not. */
export const TRACK_MISSING_AFTER_MS = 10_000;

/**
 * What to show. A moving picture is the truth and wins over every report; a picture that does not move is
 * never called live, whatever is reported.
 */
export function tileState(facts: Facts, now: number): Shown {
  const { failure, joinedAt, hasSource, lastFrameAt, watchedSince, camera } = facts;
  if (hasSource && lastFrameAt !== null && now - Math.max(lastFrameAt, watchedSince) < STALLED_AFTER_MS) {
    return { state: 'live', reason: null };
  }
  const reported = reportedFailure(camera);
  // Why a camera is away may change after the reservation was refused; other failures are this page's own.
  if (failure) return failure.state === 'offline' ? (reported ?? failure) : failure;
  if (reported) return reported;
  if (lastFrameAt !== null) return { state: 'stalled', reason: 'Stalled' };
  if (hasSource) return { state: 'waiting', reason: null };
  if (joinedAt !== null && now - joinedAt >= TRACK_MISSING_AFTER_MS) {
    return { state: 'failed', reason: 'TrackMissing' };
  }
  return { state: 'connecting', reason: null };
}

/** What the control plane says is wrong with a camera's picture. */
export function reportedFailure(camera: CameraView | undefined): Failure | null {
  if (!camera) return null;
  if (camera.state === 'suspended') return { state: 'offline', reason: 'Suspended' };
  if (camera.state === 'offline') {
    return { state: 'offline', reason: judged(camera.online) ?? judged(camera.ready) ?? camera.online?.reason ?? 'SourceUnreachable' };
  }
  // Not judged yet: what holds it back may be known.
  const held = camera.state === 'pending' ? judged(camera.ready) : null;
  if (held !== null) return { state: 'offline', reason: held };
  if (camera.publishing?.status === 'False') return { state: 'failed', reason: camera.publishing.reason };
  return null;
}

function judged(condition: Condition | null | undefined): string | null {
  return condition?.status === 'False' ? condition.reason : null;
}
