//! The source's status. Pure; the clock is given.

use jiff::Timestamp;
use marsad_crds::{CameraSource, CameraSourceStatus, ConditionType as Type, Reason};
use marsad_runtime::conditions::{Wanted, settle};

use super::validate::Verdict;

/// The status to write. A plain RTSP source has nothing to reach or to discover: Ready says it all.
pub(crate) fn status(source: &CameraSource, verdict: &Verdict, now: Timestamp) -> CameraSourceStatus {
    let ready = |status: bool, reason: Reason, message: &str| {
        Wanted::new(Type::Ready.as_str(), status, reason.as_str(), message)
    };
    let wanted = match verdict {
        Verdict::Serves => vec![ready(true, Reason::Ready, "cameras may use it")],
        Verdict::Suspended => {
            vec![ready(
                true,
                Reason::Suspended,
                "suspended, and its cameras with it: set spec.suspend to false to start them again",
            )]
        }
        Verdict::Refused(reason, message) => vec![
            ready(false, *reason, message),
            Wanted::new(Type::Stalled.as_str(), true, reason.as_str(), message.clone()),
        ],
    };
    let before = source
        .status
        .as_ref()
        .map_or(&[][..], |status| status.conditions.as_slice());
    CameraSourceStatus {
        observed_generation: source.metadata.generation,
        cameras: None,
        conditions: settle(before, wanted, source.metadata.generation, now),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::camera::fixtures::milestone;
    use crate::camera_source::validate::validate;
    use crate::health::check_written;
    use marsad_crds::{CameraSourceSpec, RtspSource};

    fn source(spec: CameraSourceSpec) -> CameraSource {
        let mut source = CameraSource::new(
            "hq",
            CameraSourceSpec {
                agency: "police".into(),
                ..spec
            },
        );
        source.metadata.generation = Some(1);
        source
    }

    /// contracts.md 2: what each state is to Flux, Helm and Argo CD is said in the table (`crds/tests/health`).
    #[test]
    fn the_table_of_states_is_what_is_written() {
        let rtsp = || CameraSourceSpec {
            rtsp: Some(RtspSource::default()),
            ..CameraSourceSpec::default()
        };
        let states = [
            ("serves", rtsp()),
            (
                "suspended",
                CameraSourceSpec {
                    suspend: true,
                    ..rtsp()
                },
            ),
            (
                "of a kind that is not served",
                CameraSourceSpec {
                    milestone: Some(milestone()),
                    ..CameraSourceSpec::default()
                },
            ),
        ];
        let mut rows = BTreeSet::new();
        let written = states.map(|(name, spec)| {
            let source = source(spec);
            let verdict = validate(&source);
            // A new verdict does not compile until it has its rows.
            rows.insert(match &verdict {
                Verdict::Serves => "serves",
                Verdict::Suspended => "suspended",
                Verdict::Refused(..) => "refused",
            });
            (name, 1, status(&source, &verdict, Timestamp::UNIX_EPOCH))
        });
        assert_eq!(rows.len(), 3, "a verdict has no state in the table: {rows:?}");
        check_written("CameraSource", &written);
    }
}
