import { expect, it, vi } from 'vitest';

import type { LiveApi } from '../api/client';
import { FakeRooms, flush } from '../testing/fake-rooms';
import { Releases } from './releases';
import { RoomPool } from './room-pool';
import { Sessions } from './sessions';

function sessions() {
  const api = {
    reserve: vi.fn<LiveApi['reserve']>((id) =>
      Promise.resolve({
        reservation_id: `r-${id}`, camera_id: id, room: `camera_${id}`, identity: 'u', url: 'ws://livekit', token: 't',
        expires_at: '', lease: { ttl_seconds: 60, heartbeat_interval_seconds: 15 },
      }),
    ),
    heartbeat: vi.fn<LiveApi['heartbeat']>(() => Promise.resolve()),
    release: vi.fn<LiveApi['release']>(() => Promise.resolve()),
  };
  const rooms = new FakeRooms();
  const all = new Sessions({
    api, pool: new RoomPool(rooms.connect), releases: new Releases(), clientId: 'x', relayUrl: '',
    camera: () => undefined, visible: () => true,
  });
  return { all, api, rooms };
}

it('keeps one session a camera and gives back the leases of those that go', async () => {
  const { all, api } = sessions();
  all.resume();
  all.keep(['a', 'b']);
  const kept = all.get('b');
  await flush();
  all.keep(['b', 'c']);
  await flush();
  expect(all.get('b')).toBe(kept);
  expect(api.reserve.mock.calls.map(([id]) => id)).toEqual(['a', 'b', 'c']);
  expect(api.release.mock.calls).toEqual([['r-a', false]]);
  all.pause({ leaving: true });
});

it('starts nothing before somebody is signed in, and gives everything back when the page goes', async () => {
  const { all, api, rooms } = sessions();
  all.keep(['a']);
  await flush();
  expect(api.reserve).not.toHaveBeenCalled();
  all.resume();
  await flush();
  all.pause({ leaving: true });
  expect(api.release).toHaveBeenCalledWith('r-a', true);
  all.resume();
  await flush();
  expect(rooms.opened).toHaveLength(2);
  all.pause({ keepLease: true });
  expect(api.release).toHaveBeenCalledTimes(1);
});
