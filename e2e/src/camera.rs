//! Cameras as tests make and read them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{Patch, PatchParams};
use marsad_crds::{Camera, CameraSpec, CameraStream, Circuit, ConditionType, LocalizedText, NameRef, Reason};
use serde_json::json;

use crate::wait;

/// Source of every camera that tests make, one in each test's namespace.
pub const SOURCE: &str = "e2e";

/// A camera at an address.
pub fn camera(name: &str, url: &str) -> Camera {
    Camera::new(
        name,
        CameraSpec {
            source_ref: NameRef {
                name: SOURCE.to_owned(),
            },
            display_name: Some(LocalizedText {
                en: Some(format!("Test {name}")),
                ar: Some(format!("اختبار {name}")),
            }),
            stream: CameraStream {
                url: Some(url.to_owned()),
                ..Default::default()
            },
            ..Default::default()
        },
    )
}

/// A condition of a camera.
pub fn condition(camera: &Camera, kind: ConditionType) -> Option<&Condition> {
    camera
        .status
        .as_ref()?
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_str())
}

/// Whether a condition has this status for the spec as it is now.
pub fn is(camera: &Camera, kind: ConditionType, status: &str) -> bool {
    let current = camera
        .status
        .as_ref()
        .and_then(|status| status.observed_generation)
        == camera.metadata.generation;
    current && condition(camera, kind).is_some_and(|condition| condition.status == status)
}

/// Since when Online is as it is: another time is a picture that was disturbed.
pub fn online_since(camera: &Camera) -> Option<String> {
    let online = condition(camera, ConditionType::Online)?;
    Some(online.last_transition_time.0.to_string())
}

/// The shard that it is on.
pub fn shard(camera: &Camera) -> Option<&str> {
    camera.status.as_ref()?.ingest.as_ref()?.shard.as_deref()
}

/// Ready and Online.
pub fn is_up(camera: &Camera) -> bool {
    is(camera, ConditionType::Ready, "True") && is(camera, ConditionType::Online, "True")
}

/// The id by which the page knows a camera.
///
/// # Errors
/// When no controller has seen it.
pub fn id(camera: &Camera) -> Result<String> {
    camera
        .status
        .as_ref()
        .and_then(|status| status.id.clone())
        .context("the camera has no status.id")
}

/// Waits until the camera is Ready and Online.
///
/// # Errors
/// After `within`.
pub async fn up(cameras: &Api<Camera>, name: &str, within: Duration) -> Result<Camera> {
    wait::object(cameras, name, "Ready and Online are True", within, is_up).await
}

/// Edits the camera, which a controller must answer with a write, and waits for that.
///
/// # Errors
/// When the API server refuses the edit, or after `within`.
pub async fn edit(cameras: &Api<Camera>, name: &str, display_name: &str, within: Duration) -> Result<Camera> {
    let edit = json!({"spec": {"displayName": {"en": display_name}}});
    let edited = cameras
        .patch(name, &PatchParams::default(), &Patch::Merge(edit))
        .await?;
    let generation = edited.metadata.generation.context("generation")?;
    wait::object(
        cameras,
        name,
        "its controller has seen the edit",
        within,
        |camera| {
            camera
                .status
                .as_ref()
                .and_then(|status| status.observed_generation)
                == Some(generation)
        },
    )
    .await
}

/// Waits until the camera is tried seldom (R1.1-08).
///
/// # Errors
/// After `within`.
pub async fn given_up(cameras: &Api<Camera>, name: &str, within: Duration) -> Result<Camera> {
    wait::object(cameras, name, "its circuit is Open", within, |camera| {
        circuit(camera) == Some(Circuit::Open)
    })
    .await
}

/// Whether the camera is tried seldom; none before it is tried at all.
pub fn circuit(camera: &Camera) -> Option<Circuit> {
    camera.status.as_ref()?.ingest.as_ref()?.circuit
}

/// Waits until the camera is held back, neither Ready nor Online, for `reason`.
///
/// # Errors
/// After `within`, with what it is instead.
pub async fn held(cameras: &Api<Camera>, name: &str, reason: Reason, within: Duration) -> Result<Camera> {
    let what = format!("Ready and Online are False because of {reason}");
    wait::object(cameras, name, &what, within, |camera| {
        [ConditionType::Ready, ConditionType::Online].iter().all(|&kind| {
            is(camera, kind, "False")
                && condition(camera, kind).is_some_and(|found| found.reason == reason.as_str())
        })
    })
    .await
}

/// Waits until the camera is Ready and not Online, for `reason`.
///
/// # Errors
/// After `within`, with the reason that it gives instead.
pub async fn down(cameras: &Api<Camera>, name: &str, reason: Reason, within: Duration) -> Result<Camera> {
    let what = format!("Online is False because of {reason}");
    let found = wait::object(cameras, name, &what, within, |camera| {
        is(camera, ConditionType::Online, "False")
            && condition(camera, ConditionType::Online).is_some_and(|online| online.reason == reason.as_str())
    })
    .await?;
    // contracts.md 2: a dead camera must not hold up a sync of 500.
    if !is(&found, ConditionType::Ready, "True") {
        bail!(
            "{name} is down for {reason}, and Ready is {:?}",
            condition(&found, ConditionType::Ready)
        );
    }
    Ok(found)
}
