import { afterEach, beforeEach, describe, expect, it, type Mock, vi } from 'vitest';

import type { LiveApi } from '../api/client';
import { ApiError, NetworkError } from '../api/problem';
import type { CameraView, Grant } from '../api/types';
import { camera } from '../testing/cameras';
import { fakeSource, FakeRooms, flush } from '../testing/fake-rooms';
import { LiveSession } from './live-session';
import { Releases } from './releases';
import { RoomPool } from './room-pool';

const ID = 'id-a';

let rooms: FakeRooms;
let api: { [K in keyof LiveApi]: Mock<LiveApi[K]> };
let view: CameraView | undefined;
let visible: boolean;
let releases: Releases;
let grants: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] });
  vi.spyOn(Math, 'random').mockReturnValue(1);
  rooms = new FakeRooms();
  releases = new Releases();
  view = camera('a');
  visible = true;
  grants = 0;
  api = {
    reserve: vi.fn<LiveApi['reserve']>(() => Promise.resolve(nextGrant())),
    heartbeat: vi.fn<LiveApi['heartbeat']>(() => Promise.resolve()),
    release: vi.fn<LiveApi['release']>(() => Promise.resolve()),
  };
});

afterEach(() => {
  vi.useRealTimers();
});

function nextGrant(): Grant {
  grants += 1;
  return {
    reservation_id: `r${grants}`,
    camera_id: ID,
    room: `camera_${ID}`,
    identity: 'admin.x',
    url: '',
    token: `t${grants}`,
    expires_at: '2026-11-25T00:00:00Z',
    lease: { ttl_seconds: 60, heartbeat_interval_seconds: 15 },
  };
}

function session(): LiveSession {
  return new LiveSession(ID, {
    api,
    pool: new RoomPool(rooms.connect),
    releases,
    clientId: 'x',
    relayUrl: 'ws://page/livekit',
    camera: () => view,
    visible: () => visible,
  });
}

async function joined(): Promise<LiveSession> {
  const started = session();
  started.start();
  await flush();
  await rooms.last.join();
  return started;
}

async function live(): Promise<LiveSession> {
  const started = await joined();
  frames(started);
  return started;
}

/** A new track with its first frame. */
function frames(of: LiveSession) {
  const source = fakeSource();
  rooms.last.events.trackAdded(`${ID}.1`, source);
  of.frame(source);
  return source;
}

/** Frames as long as timers run. */
function keepMoving(tile: LiveSession): void {
  setInterval(() => {
    const { source } = tile.view.getState();
    if (source) tile.frame(source);
  }, 1_000);
}

const problem = (status: number, code: string, extra = {}) => new ApiError(status, { code, ...extra }, null);
const stateOf = (of: LiveSession) => of.view.getState().state;
const reasonOf = (of: LiveSession) => of.view.getState().reason;
const pass = async (milliseconds: number) => {
  await vi.advanceTimersByTimeAsync(milliseconds);
  await flush();
};

describe('the way to a picture', () => {
  it('goes from connecting over waiting to live, through this page’s origin when the grant names no address', async () => {
    const tile = session();
    expect(stateOf(tile)).toBe('connecting');
    tile.start();
    await flush();
    expect(api.reserve).toHaveBeenCalledWith(ID, 'x');
    expect(rooms.last.grant).toEqual({ room: `camera_${ID}`, url: 'ws://page/livekit', token: 't1' });
    await rooms.last.join();
    expect(stateOf(tile)).toBe('connecting');
    const source = fakeSource();
    rooms.last.events.trackAdded(`${ID}.1`, source);
    expect(stateOf(tile)).toBe('waiting');
    expect(tile.view.getState().source).toBe(source);
    tile.frame(source);
    expect(stateOf(tile)).toBe('live');
  });

  it('does not take a late frame of an old track for one of the new', async () => {
    const tile = await live();
    const old = tile.view.getState().source!;
    rooms.last.events.trackAdded(`${ID}.2`, fakeSource());
    expect(stateOf(tile)).toBe('waiting');
    tile.frame(old);
    expect(stateOf(tile)).toBe('waiting');
  });
});

describe('a picture that does not move', () => {
  it('is stalled after 3 s, says since when, and is live again with the next frame', async () => {
    const tile = await live();
    const source = tile.view.getState().source!;
    const at = performance.now();
    await pass(2_500);
    expect(stateOf(tile)).toBe('live');
    await pass(500);
    expect(stateOf(tile)).toBe('stalled');
    expect(tile.view.getState().pictureStoppedAt).toBe(at);
    tile.frame(source);
    expect(stateOf(tile)).toBe('live');
    expect(tile.view.getState().pictureStoppedAt).toBeNull();
  });

  it('is not judged while the page is hidden, nor at once when it is shown', async () => {
    const tile = await live();
    visible = false;
    await pass(60_000);
    expect(stateOf(tile)).toBe('live');
    visible = true;
    tile.watchAgain();
    await pass(2_500);
    expect(stateOf(tile)).toBe('live');
    await pass(1_000);
    expect(stateOf(tile)).toBe('stalled');
  });

  it('leaves the room and begins anew when nothing explains it', async () => {
    const tile = await live();
    await pass(24_000);
    expect(rooms.opened).toHaveLength(2);
    expect(rooms.opened[0]?.closed).toBe(true);
    await rooms.last.join();
    frames(tile);
    expect(stateOf(tile)).toBe('live');
  });

  it('stays in the room when the camera is known to be down, and names the reason', async () => {
    const tile = await live();
    view = camera('a', { state: 'offline', online: { status: 'False', reason: 'ConnectTimeout' } });
    await pass(3_000);
    tile.cameraChanged(view);
    expect([stateOf(tile), reasonOf(tile)]).toEqual(['offline', 'ConnectTimeout']);
    await pass(120_000);
    expect(rooms.opened).toHaveLength(1);
    tile.cameraChanged(camera('a'));
    frames(tile);
    expect(stateOf(tile)).toBe('live');
  });
});

describe('the lease', () => {
  it('is renewed every heartbeat interval', async () => {
    keepMoving(await live());
    await pass(45_000);
    expect(api.heartbeat.mock.calls).toEqual([['r1'], ['r1'], ['r1']]);
  });

  it('is asked for anew when the server does not know it, without leaving the room', async () => {
    const tile = await live();
    api.heartbeat.mockRejectedValueOnce(problem(404, 'ReservationUnknown'));
    keepMoving(tile);
    await pass(15_000);
    expect(api.reserve).toHaveBeenCalledTimes(2);
    expect(rooms.opened).toHaveLength(1);
    expect(stateOf(tile)).toBe('live');
    await pass(15_000);
    expect(api.heartbeat).toHaveBeenLastCalledWith('r2');
  });

  it('survives heartbeats that are lost, and is asked for anew once it must have run out', async () => {
    keepMoving(await live());
    api.heartbeat.mockRejectedValue(new NetworkError('away'));
    await pass(59_000);
    expect(api.reserve).toHaveBeenCalledTimes(1);
    await pass(16_500);
    expect(api.reserve.mock.calls.length).toBeGreaterThan(1);
  });

  it('is given back when the tile goes, and the room is left', async () => {
    const tile = await live();
    tile.stop();
    expect(api.release).toHaveBeenCalledWith('r1', false);
    expect(rooms.last.closed).toBe(true);
    await pass(60_000);
    expect(api.heartbeat).not.toHaveBeenCalled();
  });

  it('is given back by a request that outlives the page', async () => {
    (await live()).stop({ leaving: true });
    expect(api.release).toHaveBeenCalledWith('r1', true);
  });

  it('is given back also when it is granted after the tile is gone', async () => {
    let grantIt: (grant: Grant) => void = () => {};
    api.reserve.mockReturnValueOnce(new Promise((resolve) => (grantIt = resolve)));
    const tile = session();
    tile.start();
    tile.stop();
    grantIt(nextGrant());
    await flush();
    expect(api.release).toHaveBeenCalledWith('r1', false);
    expect(rooms.opened).toHaveLength(0);
  });

  it('of the same camera is not asked for before the old one is given back', async () => {
    let released: () => void = () => {};
    api.release.mockReturnValueOnce(new Promise((resolve) => (released = resolve)));
    (await live()).stop();
    const again = session();
    again.start();
    await flush();
    expect(api.reserve).toHaveBeenCalledTimes(1);
    released();
    await flush();
    expect(api.reserve).toHaveBeenCalledTimes(2);
  });
});

describe('a LiveKit that restarts', () => {
  it('is joined again with new reservations, later and later, until the picture is back', async () => {
    const tile = await live();
    rooms.last.events.closed();
    expect(stateOf(tile)).toBe('connecting');
    expect(tile.view.getState().pictureStoppedAt).not.toBeNull();
    await pass(500);
    expect(api.reserve).toHaveBeenCalledTimes(2);
    await rooms.last.refuse();
    expect([stateOf(tile), reasonOf(tile)]).toEqual(['failed', 'LiveKitUnavailable']);
    await pass(999);
    expect(api.reserve).toHaveBeenCalledTimes(2);
    api.reserve.mockRejectedValueOnce(problem(503, 'LiveKitUnavailable'));
    await pass(1);
    expect(reasonOf(tile)).toBe('LiveKitUnavailable');
    await pass(2_000);
    expect(rooms.last.grant.token).toBe('t3');
    await rooms.last.join();
    frames(tile);
    expect(stateOf(tile)).toBe('live');
  });
});

describe('a reservation that is refused', () => {
  it.each([
    [problem(409, 'CameraOffline', { reason: 'DnsFailed' }), 'offline', 'DnsFailed'],
    [problem(409, 'CameraOffline'), 'offline', 'SourceUnreachable'],
    [problem(409, 'LiveOff'), 'offline', 'LiveOff'],
    [problem(404, 'CameraNotFound'), 'failed', 'CameraNotFound'],
    [problem(403, 'Forbidden'), 'failed', 'Forbidden'],
    [problem(429, 'LimitReached'), 'failed', 'LimitReached'],
    [problem(503, 'LedgerUnavailable'), 'failed', 'LedgerUnavailable'],
    [problem(503, 'LedgerRecovering'), 'failed', 'LedgerUnavailable'],
    [problem(409, 'AgencyUnknown'), 'failed', 'AgencyUnknown'],
    [problem(503, 'LiveKitUnavailable'), 'failed', 'LiveKitUnavailable'],
    [problem(500, ''), 'failed', 'ServerError'],
    [new NetworkError('away'), 'failed', 'Unreachable'],
  ])('%s', async (error, state, reason) => {
    view = undefined;
    api.reserve.mockRejectedValueOnce(error);
    const tile = session();
    tile.start();
    await flush();
    expect([stateOf(tile), reasonOf(tile)]).toEqual([state, reason]);
    await pass(30_000);
    expect(rooms.opened).toHaveLength(1);
  });

  it('for an offline camera is tried again at once when the camera is back', async () => {
    view = camera('a', { state: 'offline', online: { status: 'False', reason: 'DnsFailed' } });
    api.reserve.mockRejectedValueOnce(problem(409, 'CameraOffline', { reason: 'DnsFailed' }));
    const tile = session();
    tile.start();
    await flush();
    await pass(5_000);
    expect(api.reserve).toHaveBeenCalledTimes(1);
    tile.cameraChanged(camera('a'));
    await pass(0);
    expect(api.reserve).toHaveBeenCalledTimes(2);
  });

  it('waits as long as the server says', async () => {
    api.reserve.mockRejectedValueOnce(new ApiError(429, {}, 20));
    session().start();
    await flush();
    await pass(19_999);
    expect(api.reserve).toHaveBeenCalledTimes(1);
    await pass(1);
    expect(api.reserve).toHaveBeenCalledTimes(2);
  });

  it('for want of a session is not tried again', async () => {
    api.reserve.mockRejectedValueOnce(problem(401, 'Unauthorized'));
    const tile = session();
    tile.start();
    await flush();
    await pass(300_000);
    expect(api.reserve).toHaveBeenCalledTimes(1);
    expect(reasonOf(tile)).toBe('SignedOut');
  });
});
