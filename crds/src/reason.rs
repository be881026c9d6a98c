//! Stable CamelCase reasons of conditions. People and alerts match on them: never renamed, only added.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a condition has its status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of this page.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it stands in a condition.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

reasons! {
    // Of Ready, SourceResolved and Assigned.
    /// The control plane has done its part.
    Ready,
    /// `spec.suspend` is a wish fulfilled: withdrawn from ingest.
    Suspended,
    /// The annotation `marsad.dev/paused` stops work.
    Paused,
    /// The object that `sourceRef` names is there.
    SourceFound,
    /// The CameraSource named does not exist (yet).
    SourceNotFound,
    /// The CameraSource named is not ready.
    SourceNotReady,
    /// The camera's address is outside what its agency may use.
    SourceNotAllowed,
    /// The IngestPool named does not exist (yet).
    PoolNotFound,
    /// The Secret named does not exist (yet).
    SecretNotFound,
    /// The Secret named is not of the type for camera credentials.
    SecretTypeMismatch,
    /// The Secret named lacks a key, or a value is empty.
    SecretInvalid,
    /// The Secret says that it may not be sent to the camera's host.
    SecretNotForHost,
    /// No shard of the pool can take the camera now.
    NoShardAvailable,
    /// The shard is chosen; its MediaMTX has not taken the path yet.
    PathNotConfigured,
    /// A shard is chosen.
    Assigned,
    /// The shard's MediaMTX has the path.
    Configured,
    /// `deviceId` needs a Milestone source.
    DeviceIdNeedsMilestone,
    /// The agency is not in the StreamQuota.
    AgencyUnknown,
    /// The agency's quota does not admit this namespace.
    NamespaceNotAllowed,
    /// The agency's quota is used up.
    QuotaExceeded,
    /// The claim stands.
    QuotaReserved,
    /// The spec can never work.
    InvalidSpec,
    /// A step failed and is tried again.
    ReconcileFailed,
    /// Work is under way.
    Progressing,

    // Of Online.
    /// Video flows that a browser can show.
    Online,
    /// Video flows; `live.mode: Off` says that nobody may watch it live.
    LiveOff,
    /// The first try is under way.
    Connecting,
    /// The camera's host name does not resolve.
    DnsFailed,
    /// The camera's port refuses connections.
    ConnectionRefused,
    /// The camera does not answer within the time allowed.
    ConnectTimeout,
    /// The network says that there is no way to the camera.
    HostUnreachable,
    /// TLS with the camera failed.
    TlsFailed,
    /// Nobody who is trusted vouches for the camera's certificate.
    CertificateNotTrusted,
    /// The camera sends its visitors to another address, which nobody has judged.
    Redirected,
    /// The camera refuses the user name or password.
    Unauthorized,
    /// The camera has no stream at this path.
    StreamNotFound,
    /// The camera offers no video.
    NoVideo,
    /// The video is not H.264.
    UnsupportedCodec,
    /// The video has B-frames, which WebRTC cannot carry.
    BFrames,
    /// Key frames are further apart than a live view can wait.
    GopTooLong,
    /// The stream is open and no frame comes.
    Stalled,
    /// The camera is not to be had, and nothing finer is known.
    SourceUnreachable,
    /// The shard is lost; the camera is being moved.
    ShardLost,

    // Of Publishing.
    /// LiveKit did not get the camera's track though the forward is on.
    PublishFailed,
    /// The room has the publisher, not its track.
    TrackMissing,
    /// LiveKit does not answer.
    LiveKitUnavailable,

    // Of CameraSource, IngestPool and the later kinds.
    /// The other system answers.
    Reachable,
    /// What should be there is there.
    Synced,
    /// The pods serve.
    Serving,
    /// Too few pods serve.
    PodsNotReady,
    /// A shard is to go, and its cameras are moved first.
    Draining,
    /// Should one shard be lost, its cameras fit into the others.
    Enough,
    /// Should one shard be lost, its cameras do not fit into the others.
    TooLittle,
    /// The object is not in the release's namespace, so it does not count.
    WrongNamespace,
    /// The shards that are there have other volumes for recordings than the spec asks for, and keep them.
    OtherVolumes,
    /// Every gateway pod has the configuration.
    Programmed,
    /// A gateway pod refused an object.
    Rejected,
    /// The job has ended well.
    Complete,
    /// The job has failed.
    Failed,
}

impl Reason {
    /// The reason of a name, when it is one of ours.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<Reason> for &'static str {
    fn from(reason: Reason) -> Self {
        reason.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_one_the_api_takes_and_is_found_by_its_name() {
        for &reason in Reason::ALL {
            let name = reason.as_str();
            assert!(
                name.starts_with(|first: char| first.is_ascii_uppercase()),
                "{name}"
            );
            assert!(
                name.chars().all(|letter| letter.is_ascii_alphanumeric()),
                "{name}"
            );
            assert_eq!(Reason::parse(name), Some(reason));
        }
        assert_eq!(Reason::parse("NoSuchReason"), None);
    }
}
