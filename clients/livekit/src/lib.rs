//! Client of LiveKit: rooms, participants, and the tokens that let people and publishers in.
//!
//! A thin typed layer over `livekit-api`, whose types change with every release: nothing of it shows through.
//! No token, key or TURN password is printed or kept.

mod client;
mod error;
mod room;
mod tokens;

pub use client::Client;
pub use error::Error;
pub use room::{Participant, ParticipantState, Permission, Room, RoomOptions, Track, TrackSource};
pub use tokens::{TokenError, Tokens};
