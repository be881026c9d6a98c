//! Cameras and watch events for tests.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use marsad_crds::{Camera, CameraSpec, Condition};

use super::store::Cameras;

pub(crate) fn camera(namespace: &str, name: &str) -> Camera {
    let mut camera = Camera::new(name, CameraSpec::default());
    camera.metadata.namespace = Some(namespace.to_owned());
    camera
}

pub(crate) fn condition(type_: &str, status: &str, reason: &str) -> Condition {
    Condition {
        type_: type_.into(),
        status: status.into(),
        reason: reason.into(),
        message: format!("message of {type_}"),
        observed_generation: None,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

pub(crate) fn listed(cameras: &Cameras, objects: &[Camera]) {
    cameras.apply(Event::Init);
    for object in objects {
        cameras.apply(Event::InitApply(DeserializeGuard(Ok(object.clone()))));
    }
    cameras.apply(Event::InitDone);
}

pub(crate) fn apply(cameras: &Cameras, object: Camera) {
    cameras.apply(Event::Apply(DeserializeGuard(Ok(object))));
}

pub(crate) fn delete(cameras: &Cameras, object: Camera) {
    cameras.apply(Event::Delete(DeserializeGuard(Ok(object))));
}
