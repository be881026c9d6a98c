import { describe, expect, it, vi } from 'vitest';

import { createApi } from './client';
import { ApiError, NetworkError } from './problem';

function answering(status: number, body?: unknown, headers: Record<string, string> = {}) {
  const onUnauthorized = vi.fn();
  const fetch = vi.fn<typeof globalThis.fetch>(() =>
    Promise.resolve(new Response(body === undefined ? null : JSON.stringify(body), { status, headers })),
  );
  const api = createApi({ fetch, onUnauthorized });
  const sent = () => ({ path: fetch.mock.calls[0]![0], init: fetch.mock.calls[0]![1]! });
  return { api, sent, onUnauthorized };
}

describe('the api client', () => {
  it('marks every request that changes something, as the cookie alone is not enough', async () => {
    const { api, sent } = answering(204);
    await api.release('r1', true);
    expect(sent().path).toBe('/api/v1/stream/live');
    expect(sent().init).toMatchObject({ method: 'DELETE', keepalive: true, credentials: 'same-origin' });
    expect(sent().init.headers).toMatchObject({ 'X-Marsad-Request': '1' });
    expect(sent().init.body).toBe('{"reservation_id":"r1"}');
  });

  it('does not mark reads', async () => {
    const { api, sent } = answering(200, { items: [], count: 0 });
    await api.cameras();
    expect(sent().init.headers).not.toHaveProperty('X-Marsad-Request');
  });

  it('makes an error of a problem document', async () => {
    const { api } = answering(409, { code: 'CameraOffline', reason: 'DnsFailed', detail: 'down', request_id: 7 });
    const error = await api.reserve('c', 'x').catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 409, code: 'CameraOffline', message: 'down', problem: { reason: 'DnsFailed' } });
    expect((error as ApiError).problem).not.toHaveProperty('request_id');
  });

  it('makes an error of any other answer', async () => {
    const { api } = answering(502, undefined, { 'Retry-After': '7' });
    await expect(api.reserve('c', 'x')).rejects.toMatchObject({ status: 502, code: '', retryAfterSeconds: 7 });
  });

  it('gives the last picture with its age, or none (R1.1-11)', async () => {
    const picture = new Response(new Uint8Array([0, 1, 2]), { headers: { Age: '181', 'Content-Type': 'video/mp4' } });
    const fetch = vi.fn<typeof globalThis.fetch>(() => Promise.resolve(picture));
    const api = createApi({ fetch, onUnauthorized: () => {} });
    const frame = await api.lastFrame('a/b');
    expect(fetch.mock.calls[0]![0]).toBe('/api/v1/cameras/a%2Fb/still');
    expect(frame).toMatchObject({ ageSeconds: 181, picture: { size: 3, type: 'video/mp4' } });
    expect(await answering(404, { code: 'StillNotAvailable' }).api.lastFrame('c')).toBeNull();
    expect(await answering(409, { code: 'LiveOff' }).api.lastFrame('c')).toBeNull();
    await expect(answering(503).api.lastFrame('c')).rejects.toThrow(ApiError);
  });

  it('says when the session has ended, but not when signing in fails', async () => {
    const ended = answering(401);
    await expect(ended.api.cameras()).rejects.toThrow(ApiError);
    expect(ended.onUnauthorized).toHaveBeenCalledOnce();
    const wrong = answering(401);
    await expect(wrong.api.login('a', 'b')).rejects.toThrow(ApiError);
    expect(wrong.onUnauthorized).not.toHaveBeenCalled();
  });

  it('tells no answer from a bad one', async () => {
    const api = createApi({ fetch: () => Promise.reject(new TypeError('failed')), onUnauthorized: () => {} });
    await expect(api.me()).rejects.toThrow(NetworkError);
    const { api: cut } = answering(200);
    await expect(cut.me()).rejects.toThrow(NetworkError);
  });
});
