//! The seam between demand and what carries a camera into its room. One participant a camera, whoever publishes
//! (design.md §5): today MediaMTX's own forward ([`forward`]), later our publisher or a LiveKit ingress.

pub mod forward;

use futures::future::BoxFuture;
use marsad_crds::Reason;
use uuid::Uuid;

use crate::camera::Placement;
use crate::standing::{Published, Shard};
use crate::track_watch::{Source, Trouble};

/// Why a camera could not be published, or its publisher not be asked.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no such shard, or it does not answer.
    #[error("shard {0} does not answer")]
    Silent(String),
    /// The shard has no such path (yet): the camera controller puts it there.
    #[error("shard {shard} does not have path {path} yet")]
    PathMissing {
        /// The shard.
        shard: String,
        /// The path.
        path: String,
    },
    /// The shard said no.
    #[error("shard {shard} refuses: {message}")]
    Refused {
        /// The shard.
        shard: String,
        /// Its words.
        message: String,
    },
    /// A token could not be made.
    #[error("can't make a publisher's token: {0}")]
    Token(String),
    /// It took too long.
    #[error("no answer within the deadline")]
    Deadline,
}

impl PublishError {
    /// What viewers are told when it lasts.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Silent(_) | Self::Deadline => {
                Trouble::new(Reason::ShardLost, "the camera's shard does not answer")
            }
            Self::PathMissing { .. } => Trouble::new(
                Reason::PathNotConfigured,
                "the camera's shard does not have its path yet",
            ),
            Self::Refused { .. } => Trouble::new(Reason::PublishFailed, self.to_string()),
            Self::Token(_) => Trouble::new(
                Reason::PublishFailed,
                "the publisher's token can't be made; check the LiveKit key",
            ),
        }
    }

    /// Label of metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Silent(_) => "silent",
            Self::PathMissing { .. } => "path_missing",
            Self::Refused { .. } => "refused",
            Self::Token(_) => "token",
            Self::Deadline => "deadline",
        }
    }
}

/// Carries cameras into rooms. Every call is idempotent, and compares before it writes.
pub trait Publisher: Send + Sync + 'static {
    /// What is known of a shard, at once.
    fn shard(&self, shard: &str) -> Shard;

    /// Sees to it that `camera` is published into `room`, and by nobody else from this placement. A publication that
    /// is there already and good for long is adopted, unless `fresh`.
    fn ensure<'a>(
        &'a self,
        camera: Uuid,
        placement: &'a Placement,
        room: &'a str,
        fresh: bool,
    ) -> BoxFuture<'a, Result<Published, PublishError>>;

    /// Ends it. No path or no publication is success.
    fn remove<'a>(&'a self, placement: &'a Placement) -> BoxFuture<'a, Result<(), PublishError>>;

    /// What the publisher says of itself.
    fn status<'a>(&'a self, placement: &'a Placement) -> BoxFuture<'a, Source>;

    /// Everything we publish at present, shard by shard; a shard that does not answer is left out.
    fn all(&self) -> BoxFuture<'_, Vec<(String, Vec<Placement>)>>;
}
