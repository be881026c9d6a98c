//! What `streams` needs to know of a Camera, and the cache it is read from.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use kube::ResourceExt;
use marsad_crds::{Camera, ConditionType, LiveMode, Reason, camera_id};
use marsad_runtime::conditions;
use marsad_runtime::watch::Watch;
use uuid::Uuid;

/// Where a camera's stream is: a path in the MediaMTX of a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placement {
    /// The pod.
    pub shard: String,
    /// The path.
    pub path: String,
}

/// Why a camera may not be watched, as its condition Online says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offline {
    /// Stable CamelCase reason.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What the camera looks like from outside; when it changes, what could not be published may be worth a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Vec<String>);

/// A camera as `streams` sees it. Cheap to make from the object.
#[derive(Debug, Clone)]
pub struct CameraView {
    /// UUIDv5 of namespace/name.
    pub id: Uuid,
    /// The room it is shown in.
    pub room: String,
    /// Where its stream is; nothing until a shard has it.
    pub placement: Option<Placement>,
    /// When it is published; `Off` also when it is suspended or being deleted.
    pub live: LiveMode,
    /// Nothing when video flows.
    pub offline: Option<Offline>,
    /// Reason and message of the condition Publishing, if it is there.
    pub publishing: Option<(String, String)>,
    /// The object itself.
    pub object: Arc<Camera>,
}

impl CameraView {
    /// The view of an object.
    pub fn new(object: Arc<Camera>) -> Self {
        let id = id_of(&object);
        let status = object.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let ingest = status.and_then(|status| status.ingest.as_ref());
        let room = status.and_then(|status| status.live.as_ref()?.room.clone());
        let placement = ingest.and_then(|ingest| {
            Some(Placement {
                shard: ingest.shard.clone()?,
                path: ingest.path.clone()?,
            })
        });
        let withdrawn = object.spec.suspend || object.metadata.deletion_timestamp.is_some();
        let live = if withdrawn {
            LiveMode::Off
        } else {
            object.spec.live.mode
        };
        let publishing = conditions::find(conditions, ConditionType::Publishing.as_str())
            .map(|condition| (condition.reason.clone(), condition.message.clone()));
        let offline = offline(conditions);
        Self {
            id,
            room: room.unwrap_or_else(|| format!("camera_{id}")),
            placement,
            live,
            offline,
            publishing,
            object,
        }
    }

    /// What a new try at publishing depends on.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut parts = vec![
            self.object.uid().unwrap_or_default(),
            self.object.metadata.generation.unwrap_or_default().to_string(),
            self.offline
                .as_ref()
                .map_or_else(|| "online".to_owned(), |offline| offline.reason.clone()),
        ];
        if let Some(ingest) = self
            .object
            .status
            .as_ref()
            .and_then(|status| status.ingest.as_ref())
        {
            parts.extend(
                [&ingest.shard, &ingest.path, &ingest.codec, &ingest.profile]
                    .map(|part| part.clone().unwrap_or_default()),
            );
            parts.extend([ingest.width, ingest.height].map(|side| side.unwrap_or_default().to_string()));
        }
        Fingerprint(parts)
    }
}

fn offline(conditions: &[marsad_crds::Condition]) -> Option<Offline> {
    match conditions::find(conditions, ConditionType::Online.as_str()) {
        Some(online) if online.status == "True" => None,
        Some(online) => Some(Offline {
            reason: online.reason.clone(),
            message: online.message.clone(),
        }),
        None => Some(Offline {
            reason: Reason::Connecting.as_str().to_owned(),
            message: "no controller has judged the camera yet".to_owned(),
        }),
    }
}

/// The id of an object: both parts are in every object the API server gives out.
pub fn id_of(object: &Camera) -> Uuid {
    camera_id(
        object.namespace().as_deref().unwrap_or_default(),
        &object.name_any(),
    )
}

/// Cameras by id. The ids are derived from names, so an entry is never wrong; whether the camera is there, the watched
/// cache says.
#[derive(Debug, Clone)]
pub struct Cameras {
    watch: Watch<Camera>,
    names: Arc<RwLock<HashMap<Uuid, (String, String)>>>,
}

impl Cameras {
    /// Over a watch of all namespaces; ids come to be known by [`Cameras::learn`].
    pub fn new(watch: Watch<Camera>) -> Self {
        Self {
            watch,
            names: Arc::default(),
        }
    }

    /// The watch below.
    pub fn watch(&self) -> &Watch<Camera> {
        &self.watch
    }

    /// Whether the first list is complete. Until then nothing may be concluded from absence.
    pub fn is_ready(&self) -> bool {
        self.watch.is_ready()
    }

    /// Notes the name behind an id and gives the id.
    pub fn learn(&self, object: &Camera) -> Uuid {
        let id = id_of(object);
        let name = (object.namespace().unwrap_or_default(), object.name_any());
        self.names
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, name);
        id
    }

    /// Forgets an id that stands for nothing any more.
    pub fn forget(&self, id: Uuid) {
        self.names
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    /// The camera of an id, if it is there.
    pub fn get(&self, id: Uuid) -> Option<CameraView> {
        let (namespace, name) = self
            .names
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()?;
        self.watch.get(Some(&namespace), &name).map(CameraView::new)
    }

    /// The camera whose main or sub stream a MediaMTX path carries: `{namespace}/{name}/main`.
    pub fn by_path(&self, path: &str) -> Option<CameraView> {
        let mut parts = path.split('/');
        let (namespace, name) = (parts.next()?, parts.next()?);
        self.watch.get(Some(namespace), name).map(CameraView::new)
    }

    /// Every camera that is there.
    pub fn all(&self) -> Vec<CameraView> {
        self.watch
            .store()
            .state()
            .into_iter()
            .map(CameraView::new)
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn camera(name: &str, status: &serde_json::Value) -> Camera {
        serde_json::from_value(json!({
            "apiVersion": "marsad.dev/v1alpha1", "kind": "Camera",
            "metadata": {"namespace": "police", "name": name, "uid": format!("uid-{name}"), "generation": 1},
            "spec": {"sourceRef": {"name": "hq"}, "stream": {"url": "rtsp://10.0.0.1:554/main"}},
            "status": status,
        }))
        .unwrap()
    }

    pub(crate) fn online_on(name: &str, shard: &str) -> Camera {
        camera(
            name,
            &json!({
                "agency": "police",
                "ingest": {"pool": "default", "shard": shard, "path": format!("police/{name}/main"), "codec": "H264"},
                "conditions": [condition("Online", "True", "Online", "")],
            }),
        )
    }

    pub(crate) fn condition(type_: &str, status: &str, reason: &str, message: &str) -> serde_json::Value {
        json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-23T00:00:00Z"})
    }

    #[test]
    fn an_unseen_camera_is_offline_and_nowhere() {
        let view = CameraView::new(Arc::new(camera("a", &json!({"observedGeneration": -1}))));
        assert_eq!(view.offline.unwrap().reason, "Connecting");
        assert_eq!(view.placement, None);
        assert_eq!(view.room, format!("camera_{}", view.id));
    }

    #[test]
    fn the_reason_of_online_is_kept_and_the_sticky_room_used() {
        let view = CameraView::new(Arc::new(camera(
            "a",
            &json!({
                "live": {"room": "shared-1"},
                "conditions": [condition("Online", "False", "ConnectionRefused", "refused")],
            }),
        )));
        assert_eq!(view.offline.unwrap().reason, "ConnectionRefused");
        assert_eq!(view.room, "shared-1");
    }

    #[test]
    fn a_suspended_camera_is_not_live() {
        let mut object = online_on("a", "ingest-default-0");
        object.spec.suspend = true;
        assert_eq!(CameraView::new(Arc::new(object)).live, LiveMode::Off);
    }

    #[test]
    fn the_condition_of_streams_does_not_change_the_fingerprint() {
        let before = online_on("a", "ingest-default-0");
        let mut after = before.clone();
        let publishing = serde_json::from_value(condition("Publishing", "False", "BFrames", "")).unwrap();
        after.status.as_mut().unwrap().conditions.push(publishing);
        let print = |object: &Camera| CameraView::new(Arc::new(object.clone())).fingerprint();
        assert_eq!(print(&before), print(&after));
        after.status.as_mut().unwrap().ingest.as_mut().unwrap().profile = Some("Baseline".into());
        assert_ne!(print(&before), print(&after));
    }
}
