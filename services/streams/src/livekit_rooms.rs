//! Rooms of a real LiveKit.

use futures::future::BoxFuture;
use jiff::Timestamp;
use marsad_livekit::{Client, Error, RoomOptions, Tokens};

use crate::room::{RoomError, Rooms, TICKET_LIFE, Ticket};
use crate::track_watch::{Participant, Room, Track};

/// LiveKit's API and the tokens it takes.
#[derive(Debug, Clone)]
pub struct LiveKitRooms {
    client: Client,
    tokens: Tokens,
}

impl LiveKitRooms {
    /// Over this client and key.
    pub fn new(client: Client, tokens: Tokens) -> Self {
        Self { client, tokens }
    }
}

fn unavailable(error: &Error) -> RoomError {
    RoomError::Unavailable(error.to_string())
}

impl Rooms for LiveKitRooms {
    fn all(&self) -> BoxFuture<'_, Result<Vec<String>, RoomError>> {
        Box::pin(async move {
            let rooms = self.client.list_rooms().await;
            let rooms = rooms.map_err(|error| unavailable(&error))?;
            Ok(rooms.into_iter().map(|room| room.name).collect())
        })
    }

    fn open<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Result<(), RoomError>> {
        Box::pin(async move {
            self.client
                .create_room(room, RoomOptions::default())
                .await
                .map_err(|error| unavailable(&error))
        })
    }

    fn look<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Room> {
        Box::pin(async move {
            match self.client.list_participants(room).await {
                Ok(participants) => Room::Participants(participants.into_iter().map(seen).collect()),
                Err(Error::ConnectionRefused) => Room::Refused,
                Err(error) => {
                    tracing::warn!(room, error = &error as &dyn std::error::Error, "room_not_seen");
                    Room::NoAnswer
                }
            }
        })
    }

    fn evict<'a>(&'a self, room: &'a str, identity: &'a str) -> BoxFuture<'a, Result<(), RoomError>> {
        Box::pin(async move {
            self.client
                .remove_participant(room, identity)
                .await
                .map_err(|error| unavailable(&error))
        })
    }

    fn admit(&self, room: &str, identity: &str, name: &str) -> Result<Ticket, RoomError> {
        let token = self.tokens.viewer(room, identity, name, TICKET_LIFE, None);
        let token = token.map_err(|error| RoomError::Token(error.to_string()))?;
        Ok(Ticket {
            token,
            expires_at: Timestamp::now() + TICKET_LIFE,
        })
    }
}

fn seen(participant: marsad_livekit::Participant) -> Participant {
    let videos = participant
        .tracks
        .into_iter()
        .filter(marsad_livekit::Track::is_video);
    let tracks = videos
        .map(|track| Track {
            mime: track.mime_type,
            muted: track.muted,
        })
        .collect();
    Participant {
        identity: participant.identity,
        tracks,
    }
}
