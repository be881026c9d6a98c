//! Whether a source can serve cameras. Pure.

use marsad_crds::{CameraSource, Reason};

/// What a source comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Cameras may use it.
    Serves,
    /// `spec.suspend`: its cameras are withdrawn.
    Suspended,
    /// Not by this version.
    Refused(Reason, String),
}

/// Judges `source`.
pub(crate) fn validate(source: &CameraSource) -> Verdict {
    if source.spec.suspend {
        return Verdict::Suspended;
    }
    if source.spec.milestone.is_some() {
        return Verdict::Refused(
            Reason::SourceNotReady,
            "spec.milestone is not served by this version of the operator: use spec.rtsp with the cameras' own addresses"
                .to_owned(),
        );
    }
    Verdict::Serves
}
