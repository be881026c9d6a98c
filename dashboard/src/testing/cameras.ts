import type { CameraView } from '../api/types';

/** A camera that is online, with what a test changes. */
export function camera(name: string, changes: Partial<CameraView> = {}): CameraView {
  return {
    id: `id-${name}`,
    namespace: 'police',
    name,
    agency: 'police',
    display_name: { en: `Camera ${name}`, ar: `كاميرا ${name}` },
    state: 'online',
    online: { status: 'True', reason: 'Online' },
    publishing: null,
    live_mode: 'OnDemand',
    ...changes,
  };
}
