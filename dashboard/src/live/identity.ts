/**
 * A publisher's identity in a room is `{camera id}.{epoch}` (docs/contracts.md 10): tiles are keyed by the
 * camera id in it, never by the room, as cameras may share rooms.
 */
export interface PublisherIdentity {
  cameraId: string;
  /** Grows each time a camera changes its publisher; 0 when the identity has none. */
  epoch: number;
}

export function parseIdentity(identity: string): PublisherIdentity {
  const dot = identity.indexOf('.');
  if (dot < 0) return { cameraId: identity, epoch: 0 };
  const epoch = Number(identity.slice(dot + 1));
  return { cameraId: identity.slice(0, dot), epoch: Number.isFinite(epoch) ? epoch : 0 };
}
