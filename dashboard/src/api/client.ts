import { ApiError, NetworkError, problemOf } from './problem';
import type { CameraView, Grant, LastFrame, User, WsTicket } from './types';

export interface LiveApi {
  reserve(cameraId: string, clientId: string): Promise<Grant>;
  heartbeat(reservationId: string): Promise<void>;
  /** `leaving`: the page is going away, the request must outlive it. */
  release(reservationId: string, leaving?: boolean): Promise<void>;
}

export interface Api extends LiveApi {
  login(username: string, password: string): Promise<User>;
  logout(): Promise<void>;
  me(): Promise<User>;
  wsTicket(): Promise<WsTicket>;
  cameras(): Promise<CameraView[]>;
  /** Null when there is none, or none that may be seen. */
  lastFrame(cameraId: string): Promise<LastFrame | null>;
}

interface Options {
  fetch: typeof fetch;
  /** Called on 401 of any call but sign-in itself: the session has ended. */
  onUnauthorized: () => void;
}

/** Longer than any answer of a healthy server; a request without an end would hold its tile for ever. */
const TIMEOUT_MS = 10_000;

/** The client of the api role. The session is the HttpOnly cookie; no token is ever in script's hands. */
export function createApi({ fetch, onUnauthorized }: Options): Api {
  async function call(
    method: string,
    path: string,
    body?: unknown,
    init?: { keepalive?: boolean; anonymous?: boolean },
  ): Promise<Response> {
    const headers: Record<string, string> = { Accept: 'application/json' };
    // A form on another site cannot set this header (docs/architecture.md, "Tokens of people").
    if (method !== 'GET') headers['X-Marsad-Request'] = '1';
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response: Response;
    try {
      response = await fetch(path, {
        method,
        headers,
        credentials: 'same-origin',
        keepalive: init?.keepalive ?? false,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(init?.keepalive ? {} : { signal: AbortSignal.timeout(TIMEOUT_MS) }),
      });
    } catch (cause) {
      throw new NetworkError(`${method} ${path}`, { cause });
    }
    if (response.ok) return response;
    const error = await problemOf(response);
    if (error.status === 401 && !init?.anonymous) onUnauthorized();
    throw error;
  }

  async function json<T>(response: Promise<Response>): Promise<T> {
    const answer = await response;
    try {
      return (await answer.json()) as T;
    } catch (cause) {
      throw new NetworkError('answer cut short', { cause });
    }
  }

  return {
    async login(username, password) {
      const answer = call('POST', '/api/v1/auth/login', { username, password }, { anonymous: true });
      return (await json<{ user: User }>(answer)).user;
    },
    async logout() {
      await call('POST', '/api/v1/auth/logout', undefined, { anonymous: true });
    },
    async me() {
      return (await json<{ user: User }>(call('GET', '/api/v1/auth/me', undefined, { anonymous: true }))).user;
    },
    wsTicket: () => json<WsTicket>(call('POST', '/api/v1/auth/ws-ticket')),
    async cameras() {
      return (await json<{ items: CameraView[] }>(call('GET', '/api/v1/cameras'))).items;
    },
    async lastFrame(cameraId) {
      try {
        const answer = await call('GET', `/api/v1/cameras/${encodeURIComponent(cameraId)}/still`);
        return { picture: await answer.blob(), ageSeconds: Number(answer.headers.get('Age') ?? 0) };
      } catch (error) {
        if (error instanceof ApiError && (error.status === 404 || error.status === 409)) return null;
        throw error;
      }
    },
    reserve: (cameraId, clientId) =>
      json<Grant>(call('POST', '/api/v1/stream/live', { camera_id: cameraId, client_id: clientId })),
    async heartbeat(reservationId) {
      await call('POST', '/api/v1/stream/heartbeat', { reservation_id: reservationId });
    },
    async release(reservationId, leaving = false) {
      await call('DELETE', '/api/v1/stream/live', { reservation_id: reservationId }, { keepalive: leaving });
    },
  };
}
