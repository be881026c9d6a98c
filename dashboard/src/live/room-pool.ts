import { parseIdentity } from './identity';

/** A track that can be shown in video elements (livekit-client's RemoteVideoTrack, or a double in tests). */
export interface VideoSource {
  attach(element: HTMLVideoElement): void;
  detach(element: HTMLVideoElement): void;
}

export interface RoomConnection {
  /** Leaves the room; no event follows. */
  close(): void;
}

export interface RoomEvents {
  trackAdded(identity: string, source: VideoSource): void;
  trackRemoved(source: VideoSource): void;
  /** The connection is gone for good; livekit-client has given up. */
  closed(): void;
}

export interface RoomGrant {
  room: string;
  url: string;
  token: string;
}

/** Resolves when joined, rejects when the room cannot be joined. */
export type ConnectRoom = (grant: RoomGrant, events: RoomEvents) => Promise<RoomConnection>;

export interface RoomListener {
  joined(): void;
  /** The newest picture of the camera, or null when its publisher has left. */
  source(source: VideoSource | null): void;
  /** The room could not be joined or was lost; the reference is void. */
  closed(): void;
}

export interface RoomRef {
  readonly room: string;
  release(): void;
}

interface Track {
  cameraId: string;
  epoch: number;
  source: VideoSource;
}

/** One connection per room name, shared by all tiles whose cameras are in it, closed with the last of them. */
export class RoomPool {
  readonly #connect: ConnectRoom;
  readonly #rooms = new Map<string, SharedRoom>();

  constructor(connect: ConnectRoom) {
    this.#connect = connect;
  }

  /** How many rooms are open or being joined. */
  get size(): number {
    return this.#rooms.size;
  }

  acquire(grant: RoomGrant, cameraId: string, listener: RoomListener): RoomRef {
    let room = this.#rooms.get(grant.room);
    if (!room) {
      const forget = (gone: SharedRoom) => {
        if (this.#rooms.get(grant.room) === gone) this.#rooms.delete(grant.room);
      };
      room = new SharedRoom(forget);
      this.#rooms.set(grant.room, room);
      room.open(this.#connect, grant);
    }
    return room.add(grant.room, cameraId, listener);
  }
}

interface Member {
  cameraId: string;
  listener: RoomListener;
  shown: VideoSource | null;
}

class SharedRoom implements RoomEvents {
  readonly #forget: (room: SharedRoom) => void;
  readonly #members = new Set<Member>();
  #tracks: Track[] = [];
  #connection: RoomConnection | null = null;
  #ended = false;

  constructor(forget: (room: SharedRoom) => void) {
    this.#forget = forget;
  }

  open(connect: ConnectRoom, grant: RoomGrant): void {
    connect(grant, this).then(
      (connection) => {
        if (this.#ended) {
          connection.close();
          return;
        }
        this.#connection = connection;
        for (const member of [...this.#members]) member.listener.joined();
      },
      () => this.closed(),
    );
  }

  add(room: string, cameraId: string, listener: RoomListener): RoomRef {
    const member: Member = { cameraId, listener, shown: null };
    this.#members.add(member);
    // Not before the caller holds the reference.
    if (this.#connection) {
      queueMicrotask(() => {
        if (!this.#members.has(member)) return;
        listener.joined();
        this.#show(member);
      });
    }
    return { room, release: () => this.#remove(member) };
  }

  trackAdded(identity: string, source: VideoSource): void {
    const { cameraId, epoch } = parseIdentity(identity);
    this.#tracks.push({ cameraId, epoch, source });
    this.#showCamera(cameraId);
  }

  trackRemoved(source: VideoSource): void {
    const gone = this.#tracks.find((track) => track.source === source);
    if (!gone) return;
    this.#tracks = this.#tracks.filter((track) => track !== gone);
    this.#showCamera(gone.cameraId);
  }

  closed(): void {
    if (this.#ended) return;
    this.#end();
    const members = [...this.#members];
    this.#members.clear();
    for (const member of members) {
      if (member.shown) member.listener.source(null);
      member.listener.closed();
    }
  }

  #remove(member: Member): void {
    if (!this.#members.delete(member) || this.#members.size > 0 || this.#ended) return;
    this.#end();
    this.#connection?.close();
  }

  #end(): void {
    this.#ended = true;
    this.#tracks = [];
    this.#forget(this);
  }

  #showCamera(cameraId: string): void {
    for (const member of [...this.#members]) {
      if (member.cameraId === cameraId) this.#show(member);
    }
  }

  /** A camera that moves has two publishers for a moment: the newest epoch is the picture. */
  #show(member: Member): void {
    let newest: Track | null = null;
    for (const track of this.#tracks) {
      if (track.cameraId === member.cameraId && (!newest || track.epoch >= newest.epoch)) newest = track;
    }
    const source = newest?.source ?? null;
    if (source === member.shown) return;
    member.shown = source;
    member.listener.source(source);
  }
}
