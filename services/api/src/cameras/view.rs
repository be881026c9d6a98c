//! One camera as a page sees it: a pure function of the object.

use marsad_crds::{Camera, Condition, ConditionType, LiveMode, LocalizedText, camera_id};
use serde::Serialize;

/// What a list shows at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Video flows.
    Online,
    /// It does not; `online` says why.
    Offline,
    /// No controller has judged the camera yet.
    Pending,
    /// Withdrawn by `spec.suspend`.
    Suspended,
}

/// A condition without its times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// True, False or Unknown.
    pub status: String,
    /// Stable CamelCase word.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// A name in both languages; one that is absent falls back to the other, then to the object's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DisplayName {
    /// English.
    pub en: String,
    /// Arabic.
    pub ar: String,
}

/// A camera as `GET /api/v1/cameras` and `/ws/updates` show it (docs/architecture.md, The API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CameraView {
    /// UUIDv5 of `namespace/name`.
    pub id: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whose it is; absent until the source is known.
    pub agency: Option<String>,
    /// What people call it.
    pub display_name: DisplayName,
    /// At a glance.
    pub state: State,
    /// Condition Online.
    pub online: Judgement,
    /// Condition Ready.
    pub ready: Judgement,
    /// Condition Publishing; absent when there is nothing to say.
    pub publishing: Option<Judgement>,
    /// The pod that pulls it.
    pub shard: Option<String>,
    /// Codec of the video.
    pub codec: Option<String>,
    /// Pixels.
    pub width: Option<i32>,
    /// Pixels.
    pub height: Option<i32>,
    /// OnDemand, Always or Off.
    pub live_mode: LiveMode,
}

/// The view of a camera.
pub fn view(camera: &Camera) -> CameraView {
    let namespace = camera.metadata.namespace.clone().unwrap_or_default();
    let name = camera.metadata.name.clone().unwrap_or_default();
    let status = camera.status.as_ref();
    let conditions = status
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let ingest = status.and_then(|status| status.ingest.as_ref());
    let online = judgement(conditions, ConditionType::Online);
    let judged = status
        .and_then(|status| status.observed_generation)
        .is_some_and(|generation| generation >= 0);
    CameraView {
        id: camera_id(&namespace, &name).to_string(),
        agency: status.and_then(|status| status.agency.clone()),
        display_name: display_name(camera.spec.display_name.as_ref(), &name),
        state: match &online {
            _ if camera.spec.suspend => State::Suspended,
            Some(online) if online.status == "True" => State::Online,
            Some(_) => State::Offline,
            None if judged => State::Offline,
            None => State::Pending,
        },
        online: online.unwrap_or_else(unjudged),
        ready: judgement(conditions, ConditionType::Ready).unwrap_or_else(unjudged),
        publishing: judgement(conditions, ConditionType::Publishing),
        shard: ingest.and_then(|ingest| ingest.shard.clone()),
        codec: ingest.and_then(|ingest| ingest.codec.clone()),
        width: ingest.and_then(|ingest| ingest.width),
        height: ingest.and_then(|ingest| ingest.height),
        live_mode: camera.spec.live.mode,
        namespace,
        name,
    }
}

fn judgement(conditions: &[Condition], type_: ConditionType) -> Option<Judgement> {
    let condition = conditions
        .iter()
        .find(|condition| condition.type_ == type_.as_str())?;
    Some(Judgement {
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    })
}

fn unjudged() -> Judgement {
    Judgement {
        status: "Unknown".into(),
        reason: "Pending".into(),
        message: String::new(),
    }
}

fn display_name(given: Option<&LocalizedText>, name: &str) -> DisplayName {
    let text = |value: Option<&String>| value.filter(|text| !text.trim().is_empty()).cloned();
    let (en, ar) = (
        text(given.and_then(|text| text.en.as_ref())),
        text(given.and_then(|text| text.ar.as_ref())),
    );
    DisplayName {
        en: en
            .clone()
            .or_else(|| ar.clone())
            .unwrap_or_else(|| name.to_owned()),
        ar: ar.or(en).unwrap_or_else(|| name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::testing::{camera, condition};
    use marsad_crds::{CameraIngestStatus, CameraStatus};
    use serde_json::json;

    fn with(suspend: bool, observed: Option<i64>, conditions: Vec<Condition>) -> Camera {
        let mut camera = camera("police", "szr-12");
        camera.spec.suspend = suspend;
        camera.status = Some(CameraStatus {
            observed_generation: observed,
            conditions,
            ..CameraStatus::default()
        });
        camera
    }

    #[test]
    fn states() {
        let online = |status| vec![condition("Online", status, "Reason")];
        for (what, camera, state) in [
            ("no status", camera("police", "szr-12"), State::Pending),
            ("born unseen", with(false, Some(-1), vec![]), State::Pending),
            ("online", with(false, Some(1), online("True")), State::Online),
            ("offline", with(false, Some(1), online("False")), State::Offline),
            (
                "not known to be online",
                with(false, Some(1), online("Unknown")),
                State::Offline,
            ),
            (
                "judged, with nothing to say of video",
                with(false, Some(1), vec![]),
                State::Offline,
            ),
            (
                "suspended",
                with(true, Some(1), online("False")),
                State::Suspended,
            ),
            (
                "being suspended",
                with(true, Some(1), online("True")),
                State::Suspended,
            ),
            ("suspended at birth", with(true, None, vec![]), State::Suspended),
        ] {
            assert_eq!(view(&camera).state, state, "{what}");
        }
    }

    #[test]
    fn names_fall_back_to_the_other_language_then_to_the_object() {
        let text = |en: Option<&str>, ar: Option<&str>| LocalizedText {
            en: en.map(Into::into),
            ar: ar.map(Into::into),
        };
        for (given, en, ar) in [
            (None, "szr-12", "szr-12"),
            (Some(text(None, None)), "szr-12", "szr-12"),
            (Some(text(Some("Exit 12"), None)), "Exit 12", "Exit 12"),
            (Some(text(Some(" "), Some("مخرج ١٢"))), "مخرج ١٢", "مخرج ١٢"),
            (Some(text(Some("Exit 12"), Some("مخرج ١٢"))), "Exit 12", "مخرج ١٢"),
        ] {
            let shown = display_name(given.as_ref(), "szr-12");
            assert_eq!((shown.en.as_str(), shown.ar.as_str()), (en, ar));
        }
    }

    #[test]
    fn the_shape_is_the_documented_one() {
        let mut camera = with(
            false,
            Some(3),
            vec![
                condition("Ready", "True", "Ready"),
                condition("Online", "True", "Online"),
                condition("Publishing", "False", "UnsupportedCodec"),
            ],
        );
        camera.spec.display_name = Some(LocalizedText {
            en: Some("Exit 12".into()),
            ar: Some("مخرج ١٢".into()),
        });
        if let Some(status) = &mut camera.status {
            status.agency = Some("police".into());
            status.ingest = Some(CameraIngestStatus {
                shard: Some("ingest-default-0".into()),
                codec: Some("H264".into()),
                width: Some(1280),
                height: Some(720),
                ..CameraIngestStatus::default()
            });
        }
        let shown = serde_json::to_value(view(&camera)).unwrap();
        assert_eq!(
            shown,
            json!({
                "id": camera_id("police", "szr-12").to_string(), "namespace": "police", "name": "szr-12", "agency": "police",
                "display_name": {"en": "Exit 12", "ar": "مخرج ١٢"},
                "state": "online",
                "online": {"status": "True", "reason": "Online", "message": "message of Online"},
                "ready": {"status": "True", "reason": "Ready", "message": "message of Ready"},
                "publishing": {"status": "False", "reason": "UnsupportedCodec", "message": "message of Publishing"},
                "shard": "ingest-default-0", "codec": "H264", "width": 1280, "height": 720, "live_mode": "OnDemand",
            })
        );
        let bare = serde_json::to_value(view(&super::super::testing::camera("police", "szr-12"))).unwrap();
        for absent in ["agency", "publishing", "shard", "codec", "width", "height"] {
            assert!(
                bare[absent].is_null() && bare.as_object().unwrap().contains_key(absent),
                "{absent}"
            );
        }
        assert_eq!(
            bare["online"],
            json!({"status": "Unknown", "reason": "Pending", "message": ""})
        );
    }
}
