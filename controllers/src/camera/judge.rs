//! Whether a picture can be shown, and if not, why not (contracts.md 2). Pure: from what MediaMTX says of the path, what
//! the picture itself is, and what the camera answers when it is asked.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use marsad_crds::Reason;
use marsad_runtime::conditions::Status;

use super::prober::{Diagnosis, Inspected};
use crate::fleet::PathSeen;

/// The longest group of pictures that is not a failing: a viewer waits up to one for a first picture (R0-23).
pub(crate) const LONGEST_GOP: Duration = Duration::from_secs(4);

/// Online or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// True, False, or Unknown while it is being found out.
    pub status: Status,
    /// Stable reason.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

impl Verdict {
    fn new(status: impl Into<Status>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            reason,
            message: message.into(),
        }
    }

    /// What the status says from before; none when it does not say, or in words that are not ours.
    pub(crate) fn recorded(online: &Condition) -> Option<Self> {
        let status = match online.status.as_str() {
            "True" => Status::True,
            "False" => Status::False,
            _ => return None,
        };
        let reason = Reason::parse(&online.reason)?;
        Some(Self::new(status, reason, online.message.clone()))
    }

    /// What was found `before`, while this is not found out yet: a new leader has seen no picture itself, and cameras that it takes
    /// over must not blink. What contradicts the path as it is now is not kept.
    pub(crate) fn or_before(self, before: Option<Self>, available: bool) -> Self {
        if self.status != Status::Unknown {
            return self;
        }
        let of_pictures = |verdict: &Self| {
            verdict.status == Status::True || matches!(verdict.reason, Reason::BFrames | Reason::NoVideo)
        };
        before
            .filter(|before| of_pictures(before) == available && before.reason != Reason::Stalled)
            .unwrap_or(self)
    }
}

/// Judges the main path of a camera whose shard answers. `url` is the camera's, without credentials; a camera that is
/// not `live` only has to send video, of whatever kind (contracts.md 2).
pub(crate) fn judge(
    url: &str,
    live: bool,
    path: Option<&PathSeen>,
    inspected: &Inspected,
    diagnosis: &Diagnosis,
) -> Verdict {
    match path {
        Some(path) if path.available && path.flowing => picture(url, live, path, inspected),
        Some(path) if path.available => Verdict::new(
            false,
            Reason::Stalled,
            format!("{url} is connected but sends nothing: look at the camera's encoder and its network"),
        ),
        _ => down(url, diagnosis),
    }
}

fn picture(url: &str, live: bool, path: &PathSeen, inspected: &Inspected) -> Verdict {
    let Some(track) = path.tracks.iter().find(|track| track.is_video()) else {
        return Verdict::new(
            false,
            Reason::NoVideo,
            "the stream has no video track: choose another stream of the camera in spec.stream.url",
        );
    };
    let codec = track.codec.as_str();
    if !live {
        return Verdict::new(
            true,
            Reason::LiveOff,
            "video flows; it is not shown live, since spec.live.mode is Off",
        );
    }
    if codec != "H264" {
        return Verdict::new(
            false,
            Reason::UnsupportedCodec,
            format!(
                "the stream is {codec}, which browsers can't show live: set the camera (or this stream of it) to H.264"
            ),
        );
    }
    match inspected {
        Inspected::Seen(picture) if picture.b_frames => Verdict::new(
            false,
            Reason::BFrames,
            "the stream has B-frames, which WebRTC can't carry: switch them off in the camera, or choose Baseline profile",
        ),
        Inspected::Seen(picture) if picture.gop.is_some_and(|gop| gop > LONGEST_GOP) => Verdict::new(
            true,
            Reason::GopTooLong,
            format!(
                "live, but key frames are more than {} s apart, so a first picture takes that long: set the camera's key frame interval to 1 or 2 s",
                LONGEST_GOP.as_secs()
            ),
        ),
        Inspected::Seen(_) => Verdict::new(true, Reason::Online, "the picture moves"),
        Inspected::Failed(why) => Verdict::new(
            false,
            Reason::NoVideo,
            format!("the stream is connected, but no picture could be read from it: {why}"),
        ),
        Inspected::NotYet => connecting(url),
    }
}

/// One state until the picture has been seen: a status that told each step would be written for each.
fn connecting(url: &str) -> Verdict {
    Verdict::new(
        Status::Unknown,
        Reason::Connecting,
        format!("connecting to {url}"),
    )
}

fn down(url: &str, diagnosis: &Diagnosis) -> Verdict {
    match diagnosis {
        Diagnosis::NotYet => connecting(url),
        Diagnosis::Fine => Verdict::new(
            false,
            Reason::Connecting,
            format!("{url} answers, but its stream has not started"),
        ),
        Diagnosis::Failed(reason, message) => Verdict::new(false, *reason, message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::fixtures::{path_seen, stalled};
    use crate::camera::prober::Picture;

    const URL: &str = "rtsp://10.1.2.3:554/main";

    fn seen(b_frames: bool, gop: u64) -> Inspected {
        Inspected::Seen(Picture {
            b_frames,
            gop: Some(Duration::from_secs(gop)),
        })
    }

    #[test]
    fn every_state_has_its_reason() {
        let refused = Diagnosis::Failed(Reason::ConnectionRefused, "refused".into());
        let table: Vec<(Option<PathSeen>, Inspected, Diagnosis, Status, Reason)> = vec![
            (
                Some(path_seen(&["H264"])),
                seen(false, 1),
                Diagnosis::NotYet,
                Status::True,
                Reason::Online,
            ),
            (
                Some(path_seen(&["H264"])),
                seen(true, 1),
                Diagnosis::NotYet,
                Status::False,
                Reason::BFrames,
            ),
            (
                Some(path_seen(&["H264"])),
                seen(false, 10),
                Diagnosis::NotYet,
                Status::True,
                Reason::GopTooLong,
            ),
            (
                Some(path_seen(&["H264"])),
                Inspected::NotYet,
                Diagnosis::NotYet,
                Status::Unknown,
                Reason::Connecting,
            ),
            (
                Some(path_seen(&["H265"])),
                Inspected::NotYet,
                Diagnosis::NotYet,
                Status::False,
                Reason::UnsupportedCodec,
            ),
            (
                Some(path_seen(&["MPEG-4 Audio"])),
                Inspected::NotYet,
                Diagnosis::NotYet,
                Status::False,
                Reason::NoVideo,
            ),
            (
                Some(stalled()),
                seen(false, 1),
                Diagnosis::NotYet,
                Status::False,
                Reason::Stalled,
            ),
            (
                None,
                seen(false, 1),
                Diagnosis::NotYet,
                Status::Unknown,
                Reason::Connecting,
            ),
            (
                None,
                Inspected::NotYet,
                refused,
                Status::False,
                Reason::ConnectionRefused,
            ),
            (
                None,
                Inspected::NotYet,
                Diagnosis::Fine,
                Status::False,
                Reason::Connecting,
            ),
        ];
        for (path, inspected, diagnosis, status, reason) in table {
            let verdict = judge(URL, true, path.as_ref(), &inspected, &diagnosis);
            assert_eq!(
                (verdict.status, verdict.reason),
                (status, reason),
                "{path:?} {inspected:?} {diagnosis:?}"
            );
        }
    }

    #[test]
    fn a_camera_that_is_not_shown_may_send_what_it_likes() {
        let verdict = judge(
            URL,
            false,
            Some(&path_seen(&["H265"])),
            &Inspected::NotYet,
            &Diagnosis::NotYet,
        );
        assert_eq!((verdict.status, verdict.reason), (Status::True, Reason::LiveOff));
    }

    #[test]
    fn what_a_new_leader_takes_over_does_not_blink() {
        let verdict = |status: Status, reason| Verdict::new(status, reason, "from before");
        let unknown = || verdict(Status::Unknown, Reason::Connecting);
        // (before, available, kept)
        for (before, available, kept) in [
            (verdict(Status::True, Reason::Online), true, true),
            (verdict(Status::True, Reason::GopTooLong), true, true),
            (verdict(Status::False, Reason::BFrames), true, true),
            (verdict(Status::False, Reason::Unauthorized), false, true),
            (verdict(Status::True, Reason::Online), false, false),
            (verdict(Status::False, Reason::Unauthorized), true, false),
            (verdict(Status::False, Reason::BFrames), false, false),
            (verdict(Status::False, Reason::Stalled), false, false),
        ] {
            let wanted = if kept { before.clone() } else { unknown() };
            assert_eq!(unknown().or_before(Some(before), available), wanted);
        }
        let found = verdict(Status::False, Reason::BFrames);
        let before = verdict(Status::True, Reason::Online);
        assert_eq!(
            found.clone().or_before(Some(before), true),
            found,
            "what is known counts"
        );
    }

    #[test]
    fn a_diagnosis_from_before_never_outlives_the_picture() {
        let refused = Diagnosis::Failed(Reason::ConnectionRefused, "refused".into());
        assert_eq!(
            judge(URL, true, Some(&path_seen(&["H264"])), &seen(false, 1), &refused).reason,
            Reason::Online
        );
    }
}
