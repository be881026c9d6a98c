/** Shapes on the wire, as docs/architecture.md writes them ("The API", "Live streams"). */

export type CameraState = 'online' | 'offline' | 'pending' | 'suspended';

export interface Condition {
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message?: string;
}

export interface CameraView {
  /** UUIDv5 of `namespace/name`: the camera in rooms, leases and layouts. */
  id: string;
  namespace: string;
  name: string;
  /** Null until the camera's source is known. */
  agency?: string | null;
  display_name?: { en?: string | null; ar?: string | null } | null;
  state: CameraState;
  online?: Condition | null;
  ready?: Condition | null;
  /** Written by `streams` while somebody watches and the picture does not come; null when there is nothing to say. */
  publishing?: Condition | null;
  shard?: string | null;
  codec?: string | null;
  width?: number | null;
  height?: number | null;
  live_mode?: string | null;
}

export interface User {
  id: string;
  name: string;
}

export interface Grant {
  reservation_id: string;
  camera_id: string;
  room: string;
  identity: string;
  /** Empty when the api role relays LiveKit: then the page's own origin is used. */
  url: string;
  token: string;
  expires_at: string;
  lease: { ttl_seconds: number; heartbeat_interval_seconds: number };
}

/** A camera's last picture, as `streams` keeps it. */
export interface LastFrame {
  /** An MP4 of one frame. */
  picture: Blob;
  /** How old it was when it was sent. */
  ageSeconds: number;
}

export interface WsTicket {
  ticket: string;
  expires_at: string;
}
