//! Kinds of marsad.dev, their conditions, reasons and CEL rules. Types and pure functions; no client, no I/O.
//!
//! One module a kind; everything is re-exported flat. [`all`] gives the definitions as they are installed: what kube
//! derives, finished by [`schema`].

#![allow(
    unreachable_pub,
    reason = "KubeSchema copies each public struct into a function body, with the span of the original"
)]

pub mod api_gateway;
pub mod camera;
pub mod camera_source;
pub mod condition;
pub mod grammar;
pub mod iam_group;
pub mod id;
pub mod ingest_pool;
pub mod kstatus;
pub mod labels;
pub mod playback_job;
pub mod reason;
pub mod refs;
pub mod schema;
pub mod stream_quota;

pub use api_gateway::*;
pub use camera::*;
pub use camera_source::*;
pub use condition::ConditionType;
pub use iam_group::*;
pub use id::camera_id;
pub use ingest_pool::*;
pub use playback_job::*;
pub use reason::Reason;
pub use refs::*;
pub use stream_quota::*;

pub use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use kube::CustomResourceExt;

/// Every kind's definition as it is installed, in the order of design.md §4.
pub fn all() -> Vec<CustomResourceDefinition> {
    [
        Camera::crd(),
        CameraSource::crd(),
        StreamQuota::crd(),
        PlaybackJob::crd(),
        IamGroup::crd(),
        IngestPool::crd(),
        ApiGateway::crd(),
    ]
    .into_iter()
    .map(schema::finish)
    .collect()
}
