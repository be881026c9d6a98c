import type { CameraView } from '../api/types';

/** Messages of `/ws/updates` (docs/architecture.md, "The API"). */
export type UpdateMessage =
  | { type: 'snapshot'; seq: number; cameras: CameraView[] }
  | { type: 'camera'; seq: number; camera: CameraView }
  | { type: 'camera_deleted'; seq: number; id: string };

/** `null`: a type this page does not know, which a newer server may send; only its `seq` counts. */
export interface Parsed {
  seq: number;
  message: UpdateMessage | null;
}

/** Throws on what is no message at all. */
export function parseUpdate(text: string): Parsed {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value) || typeof value.seq !== 'number') throw new TypeError('update without seq');
  const { type, seq } = value;
  if (type === 'snapshot' && Array.isArray(value.cameras)) {
    return { seq, message: { type, seq, cameras: value.cameras as CameraView[] } };
  }
  if (type === 'camera' && isRecord(value.camera)) {
    return { seq, message: { type, seq, camera: value.camera as unknown as CameraView } };
  }
  if (type === 'camera_deleted' && typeof value.id === 'string') {
    return { seq, message: { type, seq, id: value.id } };
  }
  return { seq, message: null };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
