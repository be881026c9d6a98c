//! Is the picture there? While somebody watches, the camera's track is looked for in LiveKit, for MediaMTX says
//! `forwarding` when nothing comes through: with H.265, with a wrong grant, and for 31 s after LiveKit died
//! (research/whip-lab.md §2). Pure: what was seen goes in, a judgement comes out.

use std::time::Duration;

use marsad_crds::Reason;
use uuid::Uuid;

/// A fresh publisher has its track in the room 29 ms after the patch (whip-lab.md §2d); after this the viewer is told.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// When the first look is taken after a patch.
pub const FIRST_LOOK: Duration = Duration::from_millis(400);
/// Between looks while the picture is awaited or something is wrong.
pub const WAITING_LOOK: Duration = Duration::from_secs(1);
/// Between looks while all is well.
pub const STEADY_LOOK: Duration = Duration::from_millis(2_500);
/// A publisher that is not in the room gets a new token this long after the last one, doubling to [`SLOWEST_REFRESH`].
const FIRST_REFRESH: Duration = Duration::from_secs(1);
const SLOWEST_REFRESH: Duration = Duration::from_secs(30);

/// A participant's video track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// As LiveKit lists it: `video/H264`.
    pub mime: String,
    /// Muted by somebody: the picture stops for all.
    pub muted: bool,
}

/// A participant of the camera's room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// `{camera id}.{epoch}` for publishers.
    pub identity: String,
    /// Its video tracks.
    pub tracks: Vec<Track>,
}

/// What LiveKit answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// These are in the room.
    Participants(Vec<Participant>),
    /// Nothing listens there.
    Refused,
    /// No answer in time, or one that makes no sense.
    NoAnswer,
}

/// What the publisher says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is at it (or believes so).
    Forwarding,
    /// The camera sends nothing to publish.
    Idle,
    /// It failed, with MediaMTX's words.
    Failed(String),
    /// There is no forward on the path.
    Absent,
    /// It could not be asked.
    Unknown,
}

/// Why the picture does not reach the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Reason of condition Publishing.
    pub reason: Reason,
    /// For people; no secret, no number that moves.
    pub message: String,
}

impl Trouble {
    /// A trouble with its words.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// What is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The picture is in the room.
    Publishing,
    /// Not yet, and it is too early to complain.
    Waiting,
    /// Something is wrong.
    Trouble(Trouble),
}

/// What is to be done with the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Leave it.
    Leave,
    /// Give it a new token: it dials at once.
    Refresh,
    /// Take it away until the camera changes: its tries disturb the room and cannot succeed.
    Withdraw,
}

/// The outcome of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What is to be said.
    pub verdict: Verdict,
    /// What is to be done.
    pub action: Action,
}

/// What is known at a look besides the room.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The publisher's identity.
    pub identity: &'a str,
    /// Since the publisher's token was last set.
    pub since_ensured: Duration,
    /// Since the picture was last there, or the viewer began to wait.
    pub unproven_for: Duration,
    /// Tokens given in a row without success.
    pub refreshes: u32,
}

/// Judges the room alone; nothing when the publisher has to be asked too.
pub fn judge_room(room: &Room, look: Look<'_>) -> Option<Judgement> {
    let participants = match room {
        Room::Participants(participants) => participants,
        Room::Refused => {
            return Some(say(Trouble::new(
                Reason::LiveKitUnavailable,
                "LiveKit refuses connections",
            )));
        }
        Room::NoAnswer => {
            return Some(patiently(
                look,
                Trouble::new(Reason::LiveKitUnavailable, "LiveKit does not answer"),
            ));
        }
    };
    let publisher = participants
        .iter()
        .find(|participant| participant.identity == look.identity)?;
    if publisher
        .tracks
        .iter()
        .any(|track| is_h264(&track.mime) && !track.muted)
    {
        return Some(Judgement {
            verdict: Verdict::Publishing,
            action: Action::Leave,
        });
    }
    if publisher.tracks.iter().any(|track| is_h264(&track.mime)) {
        return Some(say(Trouble::new(
            Reason::TrackMissing,
            "the camera's track is muted in LiveKit; it comes back with a new session of the publisher",
        )));
    }
    let other = publisher.tracks.first()?;
    let codec = other.mime.strip_prefix("video/").unwrap_or(&other.mime);
    Some(say(Trouble::new(
        Reason::UnsupportedCodec,
        format!("the camera sends {codec}, which browsers do not play live; set it to H.264"),
    )))
}

/// Judges a room without the camera's track by what the publisher says of itself.
pub fn judge(room: &Room, source: &Source, look: Look<'_>) -> Judgement {
    if let Some(judgement) = judge_room(room, look) {
        return judgement;
    }
    let joined =
        matches!(room, Room::Participants(all) if all.iter().any(|one| one.identity == look.identity));
    match source {
        Source::Failed(error) if error.contains("B-frames") => Judgement {
            verdict: Verdict::Trouble(Trouble::new(
                Reason::BFrames,
                "the camera sends H.264 with B-frames, which WebRTC cannot carry; switch B-frames off or use profile Baseline",
            )),
            action: Action::Withdraw,
        },
        Source::Failed(error) => refresh(
            look,
            Trouble::new(
                Reason::PublishFailed,
                format!("MediaMTX can't publish: {}", stable(error)),
            ),
        ),
        Source::Idle => patiently(
            look,
            Trouble::new(Reason::SourceUnreachable, "the camera sends nothing to its shard"),
        ),
        Source::Forwarding if joined => refresh(
            look,
            Trouble::new(
                Reason::TrackMissing,
                "the camera's publisher is in the room without a video track",
            ),
        ),
        Source::Forwarding => refresh(
            look,
            Trouble::new(
                Reason::TrackMissing,
                "MediaMTX publishes, and LiveKit does not have the camera",
            ),
        ),
        Source::Absent => refresh(
            look,
            Trouble::new(Reason::PublishFailed, "the path on the shard has no forward"),
        ),
        Source::Unknown => patiently(
            look,
            Trouble::new(Reason::ShardLost, "the camera's shard does not answer"),
        ),
    }
}

/// Publishers of this camera in the room that are not the present one: of a shard's former life, or of a former shard.
pub fn former<'a>(participants: &'a [Participant], camera: Uuid, present: &str) -> Vec<&'a str> {
    let prefix = format!("{camera}.");
    participants
        .iter()
        .map(|participant| participant.identity.as_str())
        .filter(|identity| identity.starts_with(&prefix) && *identity != present)
        .collect()
}

fn is_h264(mime: &str) -> bool {
    mime.eq_ignore_ascii_case("video/h264")
}

fn say(trouble: Trouble) -> Judgement {
    Judgement {
        verdict: Verdict::Trouble(trouble),
        action: Action::Leave,
    }
}

fn patiently(look: Look<'_>, trouble: Trouble) -> Judgement {
    let verdict = if look.unproven_for < PATIENCE {
        Verdict::Waiting
    } else {
        Verdict::Trouble(trouble)
    };
    Judgement {
        verdict,
        action: Action::Leave,
    }
}

fn refresh(look: Look<'_>, trouble: Trouble) -> Judgement {
    let due = FIRST_REFRESH
        .saturating_mul(1_u32 << look.refreshes.min(10))
        .min(SLOWEST_REFRESH);
    let action = if look.since_ensured < due {
        Action::Leave
    } else {
        Action::Refresh
    };
    Judgement {
        action,
        ..patiently(look, trouble)
    }
}

/// MediaMTX's words without what changes from try to try (addresses of an ephemeral port) and at a bounded length.
fn stable(error: &str) -> String {
    let words = error
        .split_whitespace()
        .map(|word| if word.contains("->") { "…" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

#[cfg(test)]
#[path = "track_watch_tests.rs"]
mod tests;
