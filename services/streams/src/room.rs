//! The seam to LiveKit's rooms: opening, looking, evicting, letting a viewer in.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::track_watch::Room;

/// A viewer's token lives this long; the connection it opened lives on (LiveKit renews its own).
pub const TICKET_LIFE: Duration = Duration::from_secs(600);

/// LiveKit does not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// It does not answer.
    #[error("LiveKit does not answer: {0}")]
    Unavailable(String),
    /// A token could not be made.
    #[error("can't make a token: {0}")]
    Token(String),
}

/// What lets a viewer into a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// LiveKit's token. Never logged.
    pub token: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Rooms of LiveKit.
pub trait Rooms: Send + Sync + 'static {
    /// Names of all rooms that are there.
    fn all(&self) -> BoxFuture<'_, Result<Vec<String>, RoomError>>;

    /// Makes the room if it is not there: a viewer may be quicker than the publisher.
    fn open<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Result<(), RoomError>>;

    /// Who is in the room.
    fn look<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Room>;

    /// Removes a participant; one that is not there is success.
    fn evict<'a>(&'a self, room: &'a str, identity: &'a str) -> BoxFuture<'a, Result<(), RoomError>>;

    /// A ticket for a viewer: that room, subscribe only.
    ///
    /// # Errors
    /// When the token can't be signed.
    fn admit(&self, room: &str, identity: &str, name: &str) -> Result<Ticket, RoomError>;
}
