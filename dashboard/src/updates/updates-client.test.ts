import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ApiError, NetworkError } from '../api/problem';
import { type CameraStore, createCameraStore } from '../cameras/camera-store';
import { camera } from '../testing/cameras';
import { UpdatesClient } from './updates-client';

class FakeSocket {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  closed = false;

  constructor(readonly ticket: string) {}

  say(message: object | string): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  close(): void {
    this.closed = true;
  }
}

let store: CameraStore;
let sockets: FakeSocket[];
let tickets: number;
const api = {
  wsTicket: vi.fn(() => Promise.resolve({ ticket: `t${(tickets += 1)}`, expires_at: '' })),
  cameras: vi.fn(() => Promise.resolve([camera('http')])),
};

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(1);
  store = createCameraStore();
  sockets = [];
  tickets = 0;
  api.wsTicket.mockClear();
  api.cameras.mockClear();
});

afterEach(() => {
  vi.useRealTimers();
});

async function started() {
  const client = new UpdatesClient({
    api,
    store,
    open: (ticket) => {
      const socket = new FakeSocket(ticket);
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
  });
  client.start();
  await vi.advanceTimersByTimeAsync(0);
  return client;
}

const last = () => sockets.at(-1)!;
const snapshot = (seq: number, ...names: string[]) => ({ type: 'snapshot', seq, cameras: names.map((name) => camera(name)) });
const link = () => store.getState().link;
const order = () => store.getState().order;

describe('live updates', () => {
  it('begin with a ticket and a snapshot and go on change by change', async () => {
    await started();
    expect(last().ticket).toBe('t1');
    expect(link()).toBe('loading');
    last().say(snapshot(7, 'a'));
    last().say({ type: 'camera', seq: 8, camera: camera('b') });
    last().say({ type: 'of a newer server', seq: 9 });
    last().say({ type: 'camera_deleted', seq: 10, id: 'id-a' });
    expect(link()).toBe('open');
    expect(order()).toEqual(['id-b']);
  });

  it('take a fresh snapshot at any time', async () => {
    await started();
    last().say(snapshot(1, 'a'));
    last().say(snapshot(90, 'b'));
    last().say({ type: 'camera', seq: 91, camera: camera('c') });
    expect(order()).toEqual(['id-b', 'id-c']);
    expect(sockets).toHaveLength(1);
  });

  it.each<[string, object | string]>([
    ['a gap', { type: 'camera', seq: 3, camera: camera('b') }],
    ['a repetition', { type: 'camera', seq: 1, camera: camera('b') }],
    ['no message', 'hello'],
    ['a message without a number', { type: 'camera', camera: camera('b') }],
  ])('connect anew after %s, with a new ticket', async (_what, message) => {
    await started();
    last().say(snapshot(1, 'a'));
    last().say(message);
    expect(sockets[0]?.closed).toBe(true);
    expect(link()).toBe('lost');
    await vi.advanceTimersByTimeAsync(500);
    expect(last().ticket).toBe('t2');
    last().say(snapshot(1, 'a', 'b'));
    expect(link()).toBe('open');
  });

  it('come back later and later while the server is away, and show the list by HTTP meanwhile', async () => {
    await started();
    last().say(snapshot(1, 'a'));
    api.wsTicket.mockRejectedValueOnce(new NetworkError('away')).mockRejectedValueOnce(new NetworkError('away'));
    last().onclose?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(link()).toBe('lost');
    expect(order()).toEqual(['id-http']);
    await vi.advanceTimersByTimeAsync(500);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_999);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(sockets).toHaveLength(2);
  });

  it('do not wait for their turn when the network is back', async () => {
    const client = await started();
    api.wsTicket.mockRejectedValueOnce(new NetworkError('away'));
    last().onclose?.();
    client.hurry();
    client.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(sockets.filter((socket) => !socket.closed && socket.onmessage !== null)).toHaveLength(1);
  });

  it('give up a connection that brings no snapshot', async () => {
    await started();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sockets[0]?.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(500);
    expect(sockets).toHaveLength(2);
  });

  it('end when nobody is signed in any more', async () => {
    await started();
    api.wsTicket.mockRejectedValueOnce(new ApiError(401, {}, null));
    last().onclose?.();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(sockets).toHaveLength(1);
  });

  it('end with stop', async () => {
    const client = await started();
    client.stop();
    expect(last().closed).toBe(true);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(sockets).toHaveLength(1);
  });
});
