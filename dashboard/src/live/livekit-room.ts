import { type RemoteTrack, type RemoteVideoTrack, Room, RoomEvent, Track } from 'livekit-client';

import type { ConnectRoom } from './room-pool';

/**
 * livekit-client heals a short interruption by itself; after these delays (milliseconds) it gives up and the
 * sessions reserve anew, because a LiveKit that was restarted knows neither the room nor its publishers.
 */
const OWN_RECONNECTS = [0, 300, 1_000];

/** Joins a room of LiveKit as a viewer: every track is subscribed, video tracks are handed on. */
export const connectRoom: ConnectRoom = async (grant, events) => {
  const room = new Room({
    adaptiveStream: false,
    dynacast: false,
    reconnectPolicy: { nextRetryDelayInMs: ({ retryCount }) => OWN_RECONNECTS[retryCount] ?? null },
  });
  room.on(RoomEvent.TrackSubscribed, (track, _publication, participant) => {
    if (isVideo(track)) events.trackAdded(participant.identity, track);
  });
  room.on(RoomEvent.TrackUnsubscribed, (track) => {
    if (isVideo(track)) events.trackRemoved(track);
  });
  const lost = () => events.closed();
  room.on(RoomEvent.Disconnected, lost);
  try {
    // Retries are the session's: each with a fresh reservation.
    await room.connect(grant.url, grant.token, { autoSubscribe: true, maxRetries: 0 });
  } catch (error) {
    room.removeAllListeners();
    void room.disconnect();
    throw error;
  }
  return {
    close() {
      room.removeAllListeners();
      void room.disconnect();
    },
  };
};

function isVideo(track: RemoteTrack): track is RemoteVideoTrack {
  return track.kind === Track.Kind.Video;
}
