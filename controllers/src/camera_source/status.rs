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
    use super::*;
    use crate::camera_source::validate::validate;
    use marsad_crds::{CameraSourceSpec, MilestoneSource, RtspSource};
    use marsad_runtime::conditions::is_true;

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

    fn milestone() -> MilestoneSource {
        MilestoneSource {
            url: "https://milestone.rta.ae".into(),
            credentials_secret_ref: "milestone".into(),
            ca_secret_ref: None,
            sync_interval: "10m".into(),
            batch_size: 50,
            camera_selector: None,
        }
    }

    #[test]
    fn the_table_of_states() {
        let rtsp = || CameraSourceSpec {
            rtsp: Some(RtspSource::default()),
            ..CameraSourceSpec::default()
        };
        let table = [
            (rtsp(), true, false),
            (
                CameraSourceSpec {
                    suspend: true,
                    ..rtsp()
                },
                true,
                false,
            ),
            (
                CameraSourceSpec {
                    milestone: Some(milestone()),
                    ..CameraSourceSpec::default()
                },
                false,
                true,
            ),
        ];
        for (spec, ready, stalled) in table {
            let source = source(spec);
            let status = status(&source, &validate(&source), Timestamp::UNIX_EPOCH);
            assert_eq!(is_true(&status.conditions, "Ready"), ready, "{:?}", source.spec);
            assert_eq!(
                is_true(&status.conditions, "Stalled"),
                stalled,
                "{:?}",
                source.spec
            );
            assert_eq!(status.observed_generation, Some(1));
        }
    }
}
