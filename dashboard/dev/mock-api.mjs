// The api role's part of docs/architecture.md, from memory, for `npm run dev` without a cluster. Not for production:
// user `admin`, password `admin`.
//
//   PORT (8080)          where it listens
//   CAMERAS (12)         how many cameras there are
//   LIVEKIT_URL          ws:// address of a LiveKit started with `--dev` (key devkey, secret secret); without it
//                        reservations answer 503 LiveKitUnavailable
//   STILL                an MP4 of one frame: the last picture of every camera, three minutes old
//   SHARED_ROOM          the one room of all cameras; without it each has its own
//
// Serves dist/ too, when it was built. /mock/publisher is a page that publishes a moving picture for each camera that
// is online. POST /mock/camera {"id", …} changes a camera, POST /mock/expire ends the session.
import { createHmac, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

import { mockCameras } from './mock-cameras.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const port = Number(process.env.PORT ?? 8080);
const livekitUrl = process.env.LIVEKIT_URL ?? '';
const cameras = new Map(mockCameras(Number(process.env.CAMERAS ?? 12)).map((camera) => [camera.id, camera]));
const sessions = new Set();
const tickets = new Set();
const leases = new Map();
const roomOf = (id) => process.env.SHARED_ROOM ?? `camera_${id}`;
const user = { id: 'admin', name: 'admin' };
let failures = 0;

const updates = new WebSocketServer({ noServer: true });

const problem = (status, code, extra = {}) => ({
  status,
  type: 'application/problem+json',
  body: { type: 'about:blank', title: code, status, code, ...extra },
});
const ok = (body, headers) => ({ status: 200, body, headers });

const signedIn = {
  'POST /api/v1/auth/logout': (_body, session) => {
    sessions.delete(session);
    return { status: 204, headers: { 'Set-Cookie': 'marsad_session=; Path=/; Max-Age=0' } };
  },
  'GET /api/v1/auth/me': () => ok({ user }),
  'POST /api/v1/auth/ws-ticket': () => {
    const ticket = randomUUID();
    tickets.add(ticket);
    return ok({ ticket, expires_at: new Date(Date.now() + 30_000).toISOString() });
  },
  'GET /api/v1/cameras': () => ok({ items: [...cameras.values()], count: cameras.size }),
  'POST /api/v1/stream/live': ({ camera_id: id, client_id: client = 'none' }) => {
    const camera = cameras.get(id);
    if (!camera) return problem(404, 'CameraNotFound');
    if (camera.state !== 'online') return problem(409, 'CameraOffline', { reason: camera.online.reason });
    if (livekitUrl === '') return problem(503, 'LiveKitUnavailable');
    const reservation = `${id}:${client}`;
    leases.set(reservation, Date.now());
    const room = roomOf(id);
    const identity = `admin.${client}`;
    return ok({
      reservation_id: reservation,
      camera_id: id,
      room,
      identity,
      url: livekitUrl,
      token: livekitToken(identity, { room, roomJoin: true, canSubscribe: true, canPublish: false }),
      expires_at: new Date(Date.now() + 600_000).toISOString(),
      lease: { ttl_seconds: 60, heartbeat_interval_seconds: 15 },
    });
  },
  'POST /api/v1/stream/heartbeat': ({ reservation_id: reservation }) =>
    leases.has(reservation)
      ? ok({ reservation_id: reservation, expires_at: new Date(Date.now() + 60_000).toISOString(), ttl_seconds: 60 })
      : problem(404, 'ReservationUnknown'),
  'DELETE /api/v1/stream/live': ({ reservation_id: reservation }) => {
    leases.delete(reservation);
    return { status: 204 };
  },
};

const open = {
  'POST /api/v1/auth/login': ({ username, password }) => {
    if (failures >= 5) return { ...problem(429, 'TooManyAttempts'), headers: { 'Retry-After': '42' } };
    if (username !== 'admin' || password !== 'admin') {
      failures += 1;
      return problem(401, 'Unauthorized');
    }
    failures = 0;
    const session = randomUUID();
    sessions.add(session);
    return ok(
      { token: session, expires_at: new Date(Date.now() + 3_600_000).toISOString(), user },
      { 'Set-Cookie': `marsad_session=${session}; HttpOnly; SameSite=Strict; Path=/` },
    );
  },
  'POST /mock/camera': ({ id, ...change }) => {
    cameras.set(id, { ...cameras.get(id), ...change });
    broadcast({ type: 'camera', camera: cameras.get(id) });
    return { status: 204 };
  },
  'POST /mock/expire': () => {
    sessions.clear();
    for (const socket of updates.clients) socket.close();
    return { status: 204 };
  },
  'GET /mock/leases': () => ok([...leases.keys()]),
  'GET /mock/publish': () =>
    ok(
      [...cameras.values()]
        .filter((camera) => camera.state === 'online' && camera.publishing === null)
        .map(({ id, name }) => {
          const grant = { room: roomOf(id), roomJoin: true, canPublish: true };
          return { name, url: livekitUrl, token: livekitToken(`${id}.1`, grant) };
        }),
    ),
};

function livekitToken(identity, video) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: 'devkey', sub: identity, nbf: now - 5, exp: now + 600, video };
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', 'secret').update(text).digest('base64url')}`;
}

function broadcast(message) {
  for (const socket of updates.clients) {
    socket.seq += 1;
    socket.send(JSON.stringify({ ...message, seq: socket.seq }));
  }
}

const STILL_ROUTE = /^GET \/api\/v1\/cameras\/[^/]+\/still$/;

async function still() {
  if (!process.env.STILL) return problem(404, 'StillNotAvailable');
  return { status: 200, raw: await readFile(process.env.STILL), type: 'video/mp4', headers: { Age: '181' } };
}

async function answer(request) {
  const { pathname } = new URL(request.url, 'http://mock');
  const route = `${request.method} ${pathname}`;
  let text = '';
  for await (const chunk of request) text += chunk;
  const body = text === '' ? {} : JSON.parse(text);
  if (open[route]) return open[route](body);
  const handler = signedIn[route] ?? (STILL_ROUTE.test(route) ? still : undefined);
  if (handler) {
    const session = /marsad_session=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
    if (!sessions.has(session)) return problem(401, 'Unauthorized');
    if (request.method !== 'GET' && request.headers['x-marsad-request'] !== '1') return problem(403, 'MissingHeader');
    return handler(body, session);
  }
  return file(pathname);
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

async function file(pathname) {
  const path = {
    '/mock/publisher': 'dev/publisher.html',
    '/mock/livekit-client.js': 'node_modules/livekit-client/dist/livekit-client.umd.js',
  }[pathname];
  const tries = path ? [path] : [`dist${normalize(pathname)}`, 'dist/index.html'];
  for (const name of tries) {
    try {
      const raw = await readFile(join(root, name));
      return { status: 200, raw, type: TYPES[extname(name)] ?? 'application/octet-stream' };
    } catch {
      // The next one.
    }
  }
  return problem(404, 'NotFound');
}

const server = createServer((request, response) => {
  answer(request).then(
    ({ status, body, raw, type = 'application/json', headers = {} }) => {
      response.writeHead(status, { 'Content-Type': type, ...headers });
      response.end(raw ?? (body === undefined ? undefined : JSON.stringify(body)));
    },
    (error) => {
      console.error(request.method, request.url, error);
      response.writeHead(500).end();
    },
  );
});

server.on('upgrade', (request, socket, head) => {
  const url = new URL(request.url, 'http://mock');
  if (url.pathname !== '/ws/updates' || !tickets.delete(url.searchParams.get('ticket'))) {
    socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    return;
  }
  updates.handleUpgrade(request, socket, head, (client) => {
    client.seq = 1;
    client.send(JSON.stringify({ type: 'snapshot', seq: 1, cameras: [...cameras.values()] }));
  });
});

server.listen(port, '127.0.0.1', () => console.log(`mock api on http://127.0.0.1:${port}`));
