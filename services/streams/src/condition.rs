//! Condition Publishing of a Camera: the one thing `streams` writes (contracts.md 3). There only while it is False.

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use marsad_crds::{Camera, Condition, ConditionType, labels};
use marsad_runtime::conditions::{self, Wanted};
use marsad_runtime::status::{self, StatusError};
use serde::{Deserialize, Serialize};

use crate::camera::CameraView;
use crate::track_watch::Trouble;

/// Says on a Camera why watchers do not see it.
pub trait Conditions: Send + Sync + 'static {
    /// Publishing is False for this reason; nothing: the condition is taken away.
    fn say<'a>(
        &'a self,
        camera: &'a CameraView,
        trouble: Option<&'a Trouble>,
    ) -> BoxFuture<'a, Result<(), StatusError>>;
}

/// What field manager `marsad/streams` owns of a Camera's status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Owned {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Condition>,
}

impl Owned {
    /// What is there now.
    pub fn of(camera: &Camera) -> Self {
        let all = camera
            .status
            .as_ref()
            .map_or(&[][..], |status| &status.conditions);
        Self {
            conditions: conditions::find(all, ConditionType::Publishing.as_str())
                .cloned()
                .into_iter()
                .collect(),
        }
    }

    /// What should be there.
    pub fn wanted(&self, camera: &Camera, trouble: Option<&Trouble>, now: Timestamp) -> Self {
        let wanted = trouble.map(|trouble| {
            Wanted::new(
                ConditionType::Publishing.as_str(),
                false,
                trouble.reason.as_str(),
                trouble.message.clone(),
            )
        });
        let wanted = wanted.into_iter().collect();
        Self {
            conditions: conditions::settle(&self.conditions, wanted, camera.metadata.generation, now),
        }
    }
}

/// Writes to the API server, by server-side apply.
#[derive(Clone)]
pub struct KubeConditions {
    client: Client,
}

impl KubeConditions {
    /// With this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Conditions for KubeConditions {
    fn say<'a>(
        &'a self,
        camera: &'a CameraView,
        trouble: Option<&'a Trouble>,
    ) -> BoxFuture<'a, Result<(), StatusError>> {
        Box::pin(async move {
            let object = camera.object.as_ref();
            let api: Api<Camera> =
                Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
            let current = Owned::of(object);
            let wanted = current.wanted(object, trouble, Timestamp::now());
            status::apply(&api, object, labels::MANAGER_STREAMS, Some(&current), &wanted)
                .await
                .map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::tests::online_on;
    use marsad_crds::Reason;

    #[test]
    fn c3_one_condition_and_nothing_else_is_owned() {
        let camera = online_on("a", "s0");
        let none = Owned::of(&camera);
        assert_eq!(none, Owned::default());
        let trouble = Trouble::new(Reason::BFrames, "no");
        let said = none.wanted(&camera, Some(&trouble), Timestamp::UNIX_EPOCH);
        let text = serde_json::to_value(&said).unwrap();
        assert_eq!(text["conditions"][0]["type"], "Publishing");
        assert_eq!(text["conditions"][0]["status"], "False");
        assert_eq!(text["conditions"][0]["reason"], "BFrames");
        assert_eq!(text["conditions"][0]["observedGeneration"], 1);
        // Its end is an apply that owns nothing.
        assert_eq!(
            serde_json::to_string(&said.wanted(&camera, None, Timestamp::UNIX_EPOCH)).unwrap(),
            "{}"
        );
    }
}
