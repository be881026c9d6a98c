import { createStore, type StoreApi } from 'zustand/vanilla';

import type { CameraView } from '../api/types';
import type { UpdateMessage } from '../updates/messages';

/** `loading` until the first list; `lost`: the list is shown, and may be old. */
export type Link = 'loading' | 'open' | 'lost';

export interface CameraStoreState {
  cameras: ReadonlyMap<string, CameraView>;
  /** Ids sorted by namespace and name; the same array while no camera comes or goes. */
  order: readonly string[];
  link: Link;
}

export type CameraStore = StoreApi<CameraStoreState>;

export function createCameraStore(): CameraStore {
  return createStore<CameraStoreState>(() => ({ cameras: new Map(), order: [], link: 'loading' }));
}

/** The cameras after a message; pure. Objects that did not change keep their identity, so rows do not render. */
export function applyUpdate(state: CameraStoreState, message: UpdateMessage): CameraStoreState {
  switch (message.type) {
    case 'snapshot': {
      const cameras = new Map<string, CameraView>();
      for (const camera of message.cameras) {
        const known = state.cameras.get(camera.id);
        cameras.set(camera.id, known && same(known, camera) ? known : camera);
      }
      return { ...state, cameras, order: sorted(cameras, state.order) };
    }
    case 'camera': {
      const known = state.cameras.get(message.camera.id);
      if (known && same(known, message.camera)) return state;
      const cameras = new Map(state.cameras).set(message.camera.id, message.camera);
      return { ...state, cameras, order: known ? state.order : sorted(cameras, state.order) };
    }
    case 'camera_deleted': {
      if (!state.cameras.has(message.id)) return state;
      const cameras = new Map(state.cameras);
      cameras.delete(message.id);
      return { ...state, cameras, order: state.order.filter((id) => id !== message.id) };
    }
  }
}

function same(a: CameraView, b: CameraView): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function sorted(cameras: ReadonlyMap<string, CameraView>, before: readonly string[]): readonly string[] {
  const order = [...cameras.values()]
    .sort((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name))
    .map((camera) => camera.id);
  return order.length === before.length && order.every((id, i) => id === before[i]) ? before : order;
}

/** Names are DNS labels: code-unit order is the order of the API. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
