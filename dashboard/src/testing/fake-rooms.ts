import type { ConnectRoom, RoomEvents, RoomGrant, VideoSource } from '../live/room-pool';

export function fakeSource(): VideoSource {
  return { attach: () => {}, detach: () => {} };
}

export interface FakeRoom {
  grant: RoomGrant;
  events: RoomEvents;
  closed: boolean;
  join(): Promise<void>;
  refuse(): Promise<void>;
}

/** Rooms that join when the test says so. */
export class FakeRooms {
  readonly opened: FakeRoom[] = [];

  readonly connect: ConnectRoom = (grant, events) =>
    new Promise((resolve, reject) => {
      const room: FakeRoom = {
        grant,
        events,
        closed: false,
        join: async () => {
          resolve({ close: () => (room.closed = true) });
          await flush();
        },
        refuse: async () => {
          reject(new Error('refused'));
          await flush();
        },
      };
      this.opened.push(room);
    });

  get last(): FakeRoom {
    const room = this.opened.at(-1);
    if (!room) throw new Error('no room was opened');
    return room;
  }
}

/** Lets promises that are settled run their continuations; no time passes. */
export async function flush(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
