import { type Api, createApi } from '../api/client';
import { type AuthStore, createAuthStore } from '../auth/auth-store';
import { type CameraStore, createCameraStore } from '../cameras/camera-store';
import { createFilterStore, type FilterStore } from '../cameras/filter-store';
import { Releases } from '../live/releases';
import { type ConnectRoom, RoomPool } from '../live/room-pool';
import { Sessions } from '../live/sessions';
import { createNoticeStore, type NoticeStore } from '../notices/notice-store';
import { UpdatesClient } from '../updates/updates-client';
import { tilesOf } from '../wall/layout';
import { createWallStore, type WallStore } from '../wall/wall-store';

/** What the components work with; everything that outlives a render is here. */
export interface Services {
  auth: AuthStore;
  cameras: CameraStore;
  filter: FilterStore;
  wall: WallStore;
  notices: NoticeStore;
  sessions: Sessions;
  /** What the server kept of a camera's picture. */
  lastFrame: Api['lastFrame'];
}

export interface Outside {
  fetch: typeof fetch;
  openSocket: (url: string) => WebSocket;
  connectRoom: ConnectRoom;
  window: Window;
}

/** Builds the services and wires them; nothing runs until `auth` says that somebody is signed in. */
export function createServices(outside: Outside): Services {
  const { window } = outside;
  const { host, protocol } = window.location;
  const socketOrigin = `${protocol === 'https:' ? 'wss' : 'ws'}://${host}`;

  const api: Api = createApi({ fetch: outside.fetch, onUnauthorized: () => auth.expire() });
  const auth = createAuthStore(api);
  const cameras = createCameraStore();
  const wall = createWallStore();
  const updates = new UpdatesClient({
    api,
    store: cameras,
    open: (ticket) => outside.openSocket(`${socketOrigin}/ws/updates?ticket=${encodeURIComponent(ticket)}`),
  });
  const sessions = new Sessions({
    api,
    pool: new RoomPool(outside.connectRoom),
    releases: new Releases(),
    clientId: randomId(),
    relayUrl: `${socketOrigin}/livekit`,
    camera: (id) => cameras.getState().cameras.get(id),
    visible: () => window.document.visibilityState === 'visible',
  });

  wall.subscribe((now, before) => {
    if (now.slots !== before.slots) sessions.keep(tilesOf(now.slots));
  });
  cameras.subscribe((now, before) => {
    if (now.cameras === before.cameras) return;
    for (const id of tilesOf(wall.getState().slots)) {
      if (now.cameras.get(id) !== before.cameras.get(id)) sessions.cameraChanged(id);
    }
  });
  auth.subscribe((now, before) => {
    if (now.status === before.status) return;
    if (now.status === 'signed-in') {
      // After an expired session the same person finds the wall as it was, somebody else an empty one.
      if (before.user !== null && before.user.id !== now.user?.id) wall.clear();
      updates.start();
      sessions.resume();
    } else if (before.status === 'signed-in') {
      updates.stop();
      sessions.pause({ leaving: now.status === 'signed-out', keepLease: now.status === 'expired' });
      if (now.status === 'signed-out') {
        wall.clear();
        cameras.setState(cameras.getInitialState(), true);
      }
    }
  });

  window.addEventListener('pagehide', () => sessions.pause({ leaving: true }));
  window.addEventListener('pageshow', (event) => {
    // Back from the browser's page cache, where every connection was cut.
    if (!event.persisted || auth.getState().status !== 'signed-in') return;
    updates.stop();
    updates.start();
    sessions.resume();
  });
  window.addEventListener('online', () => updates.hurry());
  window.document.addEventListener('visibilitychange', () => {
    if (window.document.visibilityState !== 'visible') return;
    updates.hurry();
    sessions.watchAgain();
  });

  return {
    auth,
    cameras,
    filter: createFilterStore(),
    wall,
    notices: createNoticeStore(),
    sessions,
    lastFrame: (cameraId) => api.lastFrame(cameraId),
  };
}

/** Not `randomUUID`, which browsers keep from pages on plain http. */
function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
