import { cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { act } from 'react';
import { I18nextProvider } from 'react-i18next';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { CameraView } from '../api/types';
import { startI18n } from '../i18n/i18n';
import { camera } from '../testing/cameras';
import { FakeRooms, flush } from '../testing/fake-rooms';
import { App } from './App';
import { ServicesProvider } from './context';
import { createServices } from './services';

// happy-dom has neither.
HTMLVideoElement.prototype.requestVideoFrameCallback = () => 1;
HTMLVideoElement.prototype.cancelVideoFrameCallback = () => {};

type Answer = [status: number, body?: unknown];

class FakeServer {
  readonly requests: string[] = [];
  answers: Record<string, Answer> = {
    'GET /api/v1/auth/me': [401, { code: 'Unauthorized' }],
    'POST /api/v1/auth/login': [200, { token: 't', user: { id: 'u1', name: 'مشغّل' } }],
    'POST /api/v1/auth/logout': [204],
    'POST /api/v1/auth/ws-ticket': [200, { ticket: 'one', expires_at: '' }],
    'POST /api/v1/stream/live': [409, { code: 'CameraOffline', reason: 'ConnectionRefused' }],
    'DELETE /api/v1/stream/live': [204],
  };

  /** Age in seconds of the last picture of a camera. */
  stills: Record<string, number> = {};

  readonly fetch: typeof fetch = (input, init) => {
    const route = `${init?.method} ${input as string}`;
    this.requests.push(route);
    const age = this.stills[/^GET \/api\/v1\/cameras\/(.*)\/still$/.exec(route)?.[1] ?? ''];
    if (age !== undefined) return Promise.resolve(new Response(new Blob(['mp4']), { headers: { Age: String(age) } }));
    const [status, body] = this.answers[route] ?? [404];
    return Promise.resolve(new Response(body === undefined ? null : JSON.stringify(body), { status }));
  };
}

let server: FakeServer;
let socket: WebSocket;
let rooms: FakeRooms;

beforeEach(() => {
  localStorage.clear();
  server = new FakeServer();
  rooms = new FakeRooms();
  socket = { close: () => {} } as unknown as WebSocket;
});

afterEach(cleanup);

async function open(language: 'ar' | 'en' = 'ar') {
  const services = createServices({
    fetch: server.fetch, openSocket: () => socket, connectRoom: rooms.connect, window,
  });
  await services.auth.restore();
  render(
    <I18nextProvider i18n={startI18n(language)}>
      <ServicesProvider value={services}>
        <App />
      </ServicesProvider>
    </I18nextProvider>,
  );
  return services;
}

async function signIn() {
  fireEvent.change(document.querySelector('#username')!, { target: { value: 'admin' } });
  fireEvent.change(document.querySelector('#password')!, { target: { value: 'secret' } });
  await act(async () => {
    fireEvent.submit(document.querySelector('form')!);
    await flush();
  });
}

async function push(...cameras: CameraView[]) {
  await act(async () => {
    socket.onmessage?.({ data: JSON.stringify({ type: 'snapshot', seq: 1, cameras }) } as MessageEvent);
    await flush();
  });
}

async function choose(id: string) {
  const row = document.querySelector(`[data-testid=camera-row][data-camera-id=${id}]`)!;
  await act(async () => {
    fireEvent.click(within(row as HTMLElement).getByRole('button'));
    await flush();
  });
}

/** Lets time pass; `performance.now()` goes with it. */
async function pass(milliseconds: number) {
  await act(async () => {
    await vi.advanceTimersByTimeAsync(milliseconds);
    await flush();
  });
}

const tiles = () => screen.queryAllByTestId('tile');

describe('signing in', () => {
  it('is asked for before anything else, and opens the console', async () => {
    await open();
    expect(screen.queryByTestId('camera-row')).toBeNull();
    expect(server.requests).toEqual(['GET /api/v1/auth/me']);
    await signIn();
    await push(camera('a'));
    expect(screen.getAllByTestId('camera-row')).toHaveLength(1);
  });

  it('says in the reader’s language what is wrong', async () => {
    server.answers['POST /api/v1/auth/login'] = [401, { code: 'Unauthorized' }];
    await open('en');
    await signIn();
    expect(screen.getByRole('alert').textContent).toBe('The user name or the password is wrong.');
    expect(screen.queryByTestId('camera-row')).toBeNull();
  });

  it('is not needed with a cookie that is still good', async () => {
    server.answers['GET /api/v1/auth/me'] = [200, { user: { id: 'u1', name: 'x' } }];
    await open();
    expect(document.querySelector('#username')).toBeNull();
  });

  it('is asked for again when the session ends, and the same person finds the same wall', async () => {
    const services = await open();
    await signIn();
    await push(camera('a'));
    await choose('id-a');
    await act(async () => {
      services.auth.expire();
      await flush();
    });
    expect(tiles()).toHaveLength(0);
    await signIn();
    expect(tiles()).toHaveLength(1);
  });

  it('as somebody else shows an empty wall', async () => {
    const services = await open();
    await signIn();
    await push(camera('a'));
    await choose('id-a');
    await act(async () => {
      services.auth.expire();
      await flush();
    });
    server.answers['POST /api/v1/auth/login'] = [200, { token: 't', user: { id: 'u2', name: 'y' } }];
    await signIn();
    expect(tiles()).toHaveLength(0);
  });
});

describe('the wall', () => {
  it('shows a camera chosen in the list once, says why it is dead, and lets it go', async () => {
    await open('en');
    await signIn();
    await push(camera('a', { state: 'offline', online: { status: 'False', reason: 'ConnectionRefused' } }));
    expect(screen.getByTestId('camera-row').dataset.state).toBe('offline');
    await choose('id-a');
    await choose('id-a');
    expect(tiles()).toHaveLength(1);
    const tile = tiles()[0]!;
    expect(tile.dataset).toMatchObject({ cameraId: 'id-a', state: 'offline', reason: 'ConnectionRefused' });
    expect(tile.querySelector('video')).not.toBeNull();
    expect(tile.textContent).toContain('The camera refuses the connection');
    await act(async () => {
      fireEvent.keyDown(tile, { key: 'Delete' });
      await flush();
    });
    expect(tiles()).toHaveLength(0);
  });

  it('shows a dead camera’s last picture and how old it is, in both languages (R1.1-11)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
    try {
      server.stills['id-a'] = 181;
      await open('ar');
      await signIn();
      await push(camera('a', { state: 'offline', online: { status: 'False', reason: 'ConnectionRefused' } }));
      await choose('id-a');
      await pass(0);
      const still = within(tiles()[0]!).getByTestId<HTMLVideoElement>('tile-still');
      expect(still.src).toMatch(/^blob:/);
      expect(tiles()[0]!.textContent).toContain('آخر صورة قبل ٣ دقائق');
      expect(tiles()[0]!.textContent).toContain('الكاميرا ترفض الاتصال');
      // The age goes on without asking again.
      await pass(60_000);
      expect(tiles()[0]!.textContent).toContain('آخر صورة قبل ٤ دقائق');
      expect(server.requests.filter((route) => route.endsWith('/still'))).toHaveLength(1);
      await act(async () => {
        fireEvent.click(screen.getByText('English'));
        await flush();
      });
      expect(tiles()[0]!.textContent).toMatch(/Last picture 4 min\.? ago/);
      expect(within(tiles()[0]!).getByTestId('tile-still')).toBe(still);
    } finally {
      vi.useRealTimers();
    }
  });

  it('shows no picture where the server has none', async () => {
    await open('en');
    await signIn();
    await push(camera('a', { state: 'offline', online: { status: 'False', reason: 'ConnectionRefused' } }));
    await choose('id-a');
    expect(within(tiles()[0]!).queryByTestId('tile-still')).toBeNull();
    expect(tiles()[0]!.textContent).not.toContain('Last picture');
  });

  it('follows the news of a camera', async () => {
    await open('ar');
    await signIn();
    await push(camera('a'));
    await choose('id-a');
    await push(camera('a', { state: 'offline', online: { status: 'False', reason: 'Unauthorized' } }));
    expect(tiles()[0]!.dataset.reason).toBe('Unauthorized');
    await push(camera('a', { state: 'suspended' }));
    expect(tiles()[0]!.textContent).toContain('الكاميرا موقوفة');
    expect(screen.getByTestId('camera-row').textContent).toContain('موقوفة');
  });

  it('maximises a tile with Enter and restores it with Escape', async () => {
    await open();
    await signIn();
    await push(camera('a'), camera('b'));
    await choose('id-a');
    await choose('id-b');
    fireEvent.keyDown(tiles()[0]!, { key: 'Enter' });
    expect(tiles().map((tile) => tile.dataset.maximised)).toEqual(['true', 'false']);
    expect(tiles()[1]!.hasAttribute('inert')).toBe(true);
    fireEvent.keyDown(document, { key: 'Escape' });
    expect(tiles().map((tile) => tile.dataset.maximised)).toEqual(['false', 'false']);
  });

  it('goes on when the language is switched', async () => {
    await open();
    await signIn();
    await push(camera('a'));
    await choose('id-a');
    const video = document.querySelector('video');
    await act(async () => {
      fireEvent.click(screen.getByText('English'));
      await flush();
    });
    expect(document.documentElement.dir).toBe('ltr');
    expect(document.querySelector('video')).toBe(video);
    expect(within(tiles()[0]!).getAllByText('Camera a')).not.toHaveLength(0);
  });

  it('gives its leases back when somebody signs out', async () => {
    server.answers['POST /api/v1/stream/live'] = [200, {
      reservation_id: 'r1', camera_id: 'id-a', room: 'x', identity: 'u', url: 'ws://x', token: 't', expires_at: '',
      lease: { ttl_seconds: 60, heartbeat_interval_seconds: 15 },
    }];
    await open('en');
    await signIn();
    await push(camera('a'));
    await choose('id-a');
    await act(async () => {
      fireEvent.click(screen.getByLabelText('Sign out'));
      await flush();
    });
    const release = server.requests.indexOf('DELETE /api/v1/stream/live');
    expect(release).toBeGreaterThan(0);
    expect(server.requests.indexOf('POST /api/v1/auth/logout')).toBeGreaterThan(release);
    expect(document.querySelector('#username')).not.toBeNull();
  });
});

it('tells apart a list that is empty, filtered away or not to be had', async () => {
  await open('en');
  await signIn();
  expect(screen.getByText('Loading the cameras…')).toBeTruthy();
  await push();
  expect(screen.getByText('There are no cameras yet.')).toBeTruthy();
  await push(camera('a'));
  fireEvent.change(screen.getByLabelText('Search by name or agency'), { target: { value: 'zzz' } });
  expect(screen.getByText('No camera matches.')).toBeTruthy();
  fireEvent.click(screen.getByText('Show all cameras'));
  expect(screen.getAllByTestId('camera-row')).toHaveLength(1);
});

it('offers another try when the server cannot be reached', async () => {
  const answer = vi.spyOn(server, 'fetch').mockRejectedValueOnce(new TypeError('failed'));
  const services = createServices({ fetch: server.fetch, openSocket: () => socket, connectRoom: rooms.connect, window });
  await services.auth.restore();
  expect(services.auth.getState().status).toBe('unreachable');
  answer.mockRestore();
  await services.auth.restore();
  expect(services.auth.getState().status).toBe('signed-out');
});
