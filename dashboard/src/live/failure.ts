import { ApiError } from '../api/problem';
import type { Failure } from './tile-state';

export interface ReserveFailure extends Failure {
  /** `never`: only a person can help. `camera`: slowly, and at once when the camera changes. `soon`: with backoff. */
  retry: 'never' | 'camera' | 'soon';
  retryAfterSeconds: number | null;
}

/** What a failed reservation means for its tile. */
export function reserveFailure(error: unknown): ReserveFailure {
  if (!(error instanceof ApiError)) return failed('Unreachable', 'soon', null);
  switch (error.code) {
    case 'CameraOffline':
      return { state: 'offline', reason: error.problem.reason ?? 'SourceUnreachable', retry: 'camera', retryAfterSeconds: null };
    case 'LiveOff':
      return { state: 'offline', reason: 'LiveOff', retry: 'camera', retryAfterSeconds: null };
    case 'CameraNotFound':
      return failed('CameraNotFound', 'camera', null);
    case 'AgencyUnknown':
      return failed('AgencyUnknown', 'camera', null);
    case 'LiveKitUnavailable':
      return failed('LiveKitUnavailable', 'soon', error.retryAfterSeconds);
    // What differs among these is for whoever reads the answer; a viewer waits a few seconds either way.
    case 'LedgerUnavailable':
    case 'LedgerRecovering':
    case 'LimitsNotInForce':
      return failed('LedgerUnavailable', 'soon', error.retryAfterSeconds);
  }
  switch (error.status) {
    case 401:
      return failed('SignedOut', 'never', null);
    case 403:
      return failed('Forbidden', 'camera', null);
    case 429:
      return failed('LimitReached', 'soon', error.retryAfterSeconds);
    default:
      return failed('ServerError', 'soon', error.retryAfterSeconds);
  }
}

function failed(reason: string, retry: ReserveFailure['retry'], retryAfterSeconds: number | null): ReserveFailure {
  return { state: 'failed', reason, retry, retryAfterSeconds };
}
