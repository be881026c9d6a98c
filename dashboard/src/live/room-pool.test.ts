import { describe, expect, it, vi } from 'vitest';

import { fakeSource, FakeRooms, flush } from '../testing/fake-rooms';
import { parseIdentity } from './identity';
import { RoomPool } from './room-pool';

const grant = (room: string) => ({ room, url: 'ws://livekit', token: 'token' });
const listener = () => ({ joined: vi.fn(), source: vi.fn(), closed: vi.fn() });

describe('the identity of a publisher', () => {
  it.each([
    ['cam', 'cam', 0],
    ['cam.7', 'cam', 7],
    ['cam.7.x', 'cam', 0],
    ['cam.', 'cam', 0],
  ])('%s', (identity, cameraId, epoch) => {
    expect(parseIdentity(identity)).toEqual({ cameraId, epoch });
  });
});

describe('a pool of rooms', () => {
  it('opens one connection for all cameras of a room, and closes it with the last of them', async () => {
    const rooms = new FakeRooms();
    const pool = new RoomPool(rooms.connect);
    const a = listener();
    const b = listener();
    const refA = pool.acquire(grant('shared'), 'a', a);
    const refB = pool.acquire(grant('shared'), 'b', b);
    expect(rooms.opened).toHaveLength(1);
    await rooms.last.join();
    expect(a.joined).toHaveBeenCalledOnce();
    expect(b.joined).toHaveBeenCalledOnce();
    refA.release();
    expect(rooms.last.closed).toBe(false);
    refB.release();
    expect(rooms.last.closed).toBe(true);
    expect(pool.size).toBe(0);
    refB.release();
  });

  it('hands each camera its own track, by the identity and not by the room', async () => {
    const rooms = new FakeRooms();
    const pool = new RoomPool(rooms.connect);
    const a = listener();
    const b = listener();
    pool.acquire(grant('shared'), 'a', a);
    pool.acquire(grant('shared'), 'b', b);
    await rooms.last.join();
    const source = fakeSource();
    rooms.last.events.trackAdded('b.1', source);
    expect(a.source).not.toHaveBeenCalled();
    expect(b.source).toHaveBeenLastCalledWith(source);
    rooms.last.events.trackRemoved(source);
    expect(b.source).toHaveBeenLastCalledWith(null);
  });

  it('shows the newest epoch of a camera that moves, and keeps it when the old one leaves', async () => {
    const rooms = new FakeRooms();
    const a = listener();
    new RoomPool(rooms.connect).acquire(grant('room'), 'a', a);
    await rooms.last.join();
    const [old, fresh] = [fakeSource(), fakeSource()];
    rooms.last.events.trackAdded('a.10', fresh);
    rooms.last.events.trackAdded('a.9', old);
    expect(a.source).toHaveBeenCalledTimes(1);
    rooms.last.events.trackRemoved(old);
    expect(a.source).toHaveBeenCalledTimes(1);
    expect(a.source).toHaveBeenLastCalledWith(fresh);
  });

  it('gives a late camera of an open room what is there already, but not before it holds the reference', async () => {
    const rooms = new FakeRooms();
    const pool = new RoomPool(rooms.connect);
    pool.acquire(grant('shared'), 'a', listener());
    await rooms.last.join();
    const source = fakeSource();
    rooms.last.events.trackAdded('b.1', source);
    const b = listener();
    pool.acquire(grant('shared'), 'b', b);
    expect(b.joined).not.toHaveBeenCalled();
    await flush();
    expect(b.joined).toHaveBeenCalledOnce();
    expect(b.source).toHaveBeenCalledWith(source);
  });

  it('tells everybody once when a room is lost, and opens a new one for the next', async () => {
    const rooms = new FakeRooms();
    const pool = new RoomPool(rooms.connect);
    const a = listener();
    const b = listener();
    pool.acquire(grant('shared'), 'a', a);
    pool.acquire(grant('shared'), 'b', b);
    await rooms.last.join();
    rooms.last.events.trackAdded('a.1', fakeSource());
    rooms.last.events.closed();
    rooms.last.events.closed();
    expect(a.source).toHaveBeenLastCalledWith(null);
    expect(a.closed).toHaveBeenCalledOnce();
    expect(b.closed).toHaveBeenCalledOnce();
    pool.acquire(grant('shared'), 'a', a);
    expect(rooms.opened).toHaveLength(2);
  });

  it('says that a room which cannot be joined is closed', async () => {
    const rooms = new FakeRooms();
    const a = listener();
    const pool = new RoomPool(rooms.connect);
    pool.acquire(grant('room'), 'a', a);
    await rooms.last.refuse();
    expect(a.joined).not.toHaveBeenCalled();
    expect(a.closed).toHaveBeenCalledOnce();
    expect(pool.size).toBe(0);
  });

  it('closes a room that is joined only after everybody has left', async () => {
    const rooms = new FakeRooms();
    const a = listener();
    new RoomPool(rooms.connect).acquire(grant('room'), 'a', a).release();
    await rooms.last.join();
    expect(rooms.last.closed).toBe(true);
    expect(a.joined).not.toHaveBeenCalled();
  });
});
