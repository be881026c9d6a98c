import { describe, expect, it } from 'vitest';

import { camera } from '../testing/cameras';
import { applyUpdate, type CameraStoreState, createCameraStore } from './camera-store';

const snapshot = (state: CameraStoreState, ...names: string[]) =>
  applyUpdate(state, { type: 'snapshot', seq: 1, cameras: names.map((name) => camera(name)) });
const start = () => snapshot(createCameraStore().getState(), 'b', 'a');

describe('the cameras after a message', () => {
  it('are those of the snapshot, sorted by namespace and name', () => {
    const bus = camera('z', { id: 'bus-z', namespace: 'bus' });
    const state = applyUpdate(start(), { type: 'snapshot', seq: 1, cameras: [camera('c'), bus, camera('a')] });
    expect(state.order).toEqual(['bus-z', 'id-a', 'id-c']);
    expect(state.cameras.has('id-b')).toBe(false);
  });

  it('keep their identity, and so their rows, when a snapshot brings nothing new', () => {
    const before = start();
    const after = snapshot(before, 'a', 'b');
    expect(after.order).toBe(before.order);
    expect(after.cameras.get('id-a')).toBe(before.cameras.get('id-a'));
  });

  it('change one by one', () => {
    const before = start();
    const after = applyUpdate(before, { type: 'camera', seq: 2, camera: camera('a', { state: 'offline' }) });
    expect(after.cameras.get('id-a')?.state).toBe('offline');
    expect(after.cameras.get('id-b')).toBe(before.cameras.get('id-b'));
    expect(after.order).toBe(before.order);
    expect(applyUpdate(after, { type: 'camera', seq: 3, camera: camera('a', { state: 'offline' }) })).toBe(after);
  });

  it('come and go', () => {
    const more = applyUpdate(start(), { type: 'camera', seq: 2, camera: camera('ab') });
    expect(more.order).toEqual(['id-a', 'id-ab', 'id-b']);
    const fewer = applyUpdate(more, { type: 'camera_deleted', seq: 3, id: 'id-a' });
    expect(fewer.order).toEqual(['id-ab', 'id-b']);
    expect(applyUpdate(fewer, { type: 'camera_deleted', seq: 4, id: 'id-a' })).toBe(fewer);
  });
});
