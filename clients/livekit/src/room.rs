//! Rooms and who is in them, as LiveKit lists them.

use livekit_api::services::room::CreateRoomOptions;
use std::time::Duration;

/// A room, without its TURN password, which LiveKit lists in clear text (research/whip-lab.md §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// LiveKit's id of this life of the room.
    pub sid: String,
    /// Its name.
    pub name: String,
    /// Participants; lags a few seconds.
    pub participants: u32,
    /// Publishers among them; lags a few seconds.
    pub publishers: u32,
    /// Whatever its maker wrote.
    pub metadata: String,
}

/// How a room ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomOptions {
    /// How long it waits for a first participant; `None`: as LiveKit is configured (300 s).
    pub empty_timeout: Option<Duration>,
    /// How long it stays after the last one left; `None`: as LiveKit is configured (20 s).
    pub departure_timeout: Option<Duration>,
}

impl From<RoomOptions> for CreateRoomOptions {
    fn from(options: RoomOptions) -> Self {
        // Zero means the server's own; whole seconds on the wire.
        let seconds =
            |time: Option<Duration>| time.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
        Self {
            empty_timeout: seconds(options.empty_timeout),
            departure_timeout: seconds(options.departure_timeout),
            ..Self::default()
        }
    }
}

/// Somebody in a room: a viewer or a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// LiveKit's id of this session; new with each.
    pub sid: String,
    /// As the token said; unique in the room: a second session of an identity ends the first.
    pub identity: String,
    /// As the token said.
    pub name: String,
    /// It has a connection to publish with. True for a publisher that may not publish, too: look at `tracks`.
    pub is_publisher: bool,
    /// How far its connection is.
    pub state: ParticipantState,
    /// When it came, in seconds since 1970.
    pub joined_at: i64,
    /// What the token lets it do.
    pub permission: Permission,
    /// What it publishes.
    pub tracks: Vec<Track>,
}

/// How far a participant's connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParticipantState {
    /// Signalling only.
    Joining,
    /// Its offer has come.
    Joined,
    /// Media can flow.
    Active,
    /// Gone.
    Disconnected,
}

/// What a participant may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permission {
    /// See and hear others.
    pub subscribe: bool,
    /// Publish tracks.
    pub publish: bool,
    /// Send data.
    pub publish_data: bool,
    /// Which sources it may publish; empty: any.
    pub publish_sources: Vec<TrackSource>,
    /// Change its own metadata.
    pub update_metadata: bool,
}

/// A track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// LiveKit's id of it; new with each session.
    pub sid: String,
    /// Such as `video/H264`. H.265 is listed and forwarded, and no browser without it shows a frame
    /// (research/whip-lab.md §2e).
    pub mime_type: String,
    /// What it shows.
    pub source: TrackSource,
    /// Whether it is muted: viewers get nothing of it.
    pub muted: bool,
    /// Pixels; 0 for tracks that came over WHIP: MediaMTX knows the size.
    pub width: u32,
    /// Pixels; 0 for tracks that came over WHIP.
    pub height: u32,
}

impl Track {
    /// Whether it is a picture.
    pub fn is_video(&self) -> bool {
        self.mime_type
            .get(..6)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("video/"))
    }
}

/// What a track shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackSource {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
    /// A screen.
    ScreenShare,
    /// Its sound.
    ScreenShareAudio,
    /// Not said.
    Unknown,
}

impl TrackSource {
    /// From LiveKit's name of it.
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "CAMERA" => Self::Camera,
            "MICROPHONE" => Self::Microphone,
            "SCREEN_SHARE" => Self::ScreenShare,
            "SCREEN_SHARE_AUDIO" => Self::ScreenShareAudio,
            _ => Self::Unknown,
        }
    }
}

impl ParticipantState {
    /// From LiveKit's name of it.
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "ACTIVE" => Self::Active,
            "JOINED" => Self::Joined,
            "DISCONNECTED" => Self::Disconnected,
            _ => Self::Joining,
        }
    }
}
