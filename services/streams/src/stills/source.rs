//! Where pictures come from: the MediaMTX of a camera's shard, which has the stream already.

use std::time::Duration;

use futures::future::BoxFuture;
use marsad_rtsp::{Failure, KeyFrame, key_frame};

use crate::camera::Placement;
use crate::shards::Shards;

/// Longest wait for a key frame: cameras whose key frames are further apart are not online.
const LONGEST: Duration = Duration::from_secs(12);

/// Why a picture could not be had.
#[derive(Debug, thiserror::Error)]
pub enum StillError {
    /// The shard is not known, silent, or its reader's password is.
    #[error("the shard does not answer")]
    ShardAway,
    /// The stream was not to be had.
    #[error("no key frame: {0}")]
    Stream(#[from] Failure),
    /// The picture would need too much of the memory that all share.
    #[error("the picture has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Of its slices.
        bytes: usize,
        /// The most that is kept of one picture.
        limit: usize,
    },
    /// The parameter sets are none.
    #[error("no MP4 can be made of the picture: {0}")]
    Mp4(#[from] mp4_atom::Error),
    /// A defect of ours.
    #[error("the read panicked")]
    Panicked,
}

impl StillError {
    /// For metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::ShardAway => "shard_away",
            Self::Stream(failure) => match failure {
                Failure::Dns { .. }
                | Failure::Refused
                | Failure::ConnectTimeout
                | Failure::Unreachable { .. }
                | Failure::Closed
                | Failure::Tls { .. }
                | Failure::Certificate { .. } => "connection",
                Failure::Timeout => "timeout",
                Failure::Unauthorized => "unauthorized",
                Failure::NotFound => "not_found",
                Failure::NoVideo | Failure::UnsupportedCodec { .. } => "codec",
                Failure::NoFrames => "no_key_frame",
                Failure::Status { .. }
                | Failure::Redirected
                | Failure::Url { .. }
                | Failure::Protocol { .. } => "protocol",
            },
            Self::TooLarge { .. } => "too_large",
            Self::Mp4(_) => "mp4",
            Self::Panicked => "panic",
        }
    }
}

/// Gives key frames.
pub trait KeyFrames: Send + Sync + 'static {
    /// The next key frame of the stream at `placement`. Ends by itself in bounded time.
    fn read<'a>(&'a self, placement: &'a Placement) -> BoxFuture<'a, Result<KeyFrame, StillError>>;
}

impl KeyFrames for Shards {
    fn read<'a>(&'a self, placement: &'a Placement) -> BoxFuture<'a, Result<KeyFrame, StillError>> {
        Box::pin(async move {
            let rtsp = self.rtsp(&placement.shard).ok_or(StillError::ShardAway)?;
            let url = format!("{}/{}", rtsp.base, placement.path);
            Ok(key_frame(&url, Some(&rtsp.reader), LONGEST).await?)
        })
    }
}
