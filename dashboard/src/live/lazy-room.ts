import type { ConnectRoom } from './room-pool';

/**
 * `connectRoom`, with livekit-client, half of the page's weight, fetched beside the first paint: it is there
 * long before the first click on a camera. A fetch that failed is tried again by the next join.
 */
export function connectRoomWhenLoaded(): ConnectRoom {
  const load = () => import('./livekit-room');
  let loading = load();
  loading.catch(() => undefined);
  return async (grant, events) => {
    let loaded;
    try {
      loaded = await loading;
    } catch {
      loading = load();
      loaded = await loading;
    }
    return loaded.connectRoom(grant, events);
  };
}
