//! CameraSource: where an agency's cameras come from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::camera::Transport;
use crate::refs::SecretRef;
use crate::{condition, grammar};

/// What a source should be: plain RTSP cameras, or a Milestone server; exactly one.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "marsad.dev",
    version = "v1alpha1",
    kind = "CameraSource",
    plural = "camerasources",
    namespaced,
    status = "CameraSourceStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "camsrc",
    category = "marsad",
    cel,
    doc = "Where an agency's cameras come from: plain RTSP, or a Milestone server whose cameras are discovered.",
    validation = grammar::name(63),
    selectable = ".spec.agency",
    printcolumn(name = "Agency", type_ = "string", json_path = ".spec.agency", description = "The agency that owns the cameras."),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether cameras may use the source."),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not."),
    printcolumn(name = "Managed", type_ = "integer", json_path = ".status.cameras.managed", description = "Cameras that discovery keeps."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1, description = "Whether the source is withdrawn."),
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.milestone.url", priority = 1, description = "The Milestone server."),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1, description = "Why it is ready or not, for people.")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.rtsp) != has(self.milestone)").message("spec needs exactly one of rtsp and milestone: rtsp: {} for plain cameras, milestone for a Milestone server"))]
pub struct CameraSourceSpec {
    /// The agency that owns the cameras: a DNS label, one of the StreamQuota's agencies. Immutable.
    #[schemars(schema_with = "grammar::label")]
    #[x_kube(validation = grammar::immutable("spec.agency", "delete the CameraSource and make it anew for the other agency"))]
    pub agency: String,
    /// Plain cameras, each with its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtsp: Option<RtspSource>,
    /// A Milestone server, whose cameras are discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<MilestoneSource>,
    /// True withdraws every camera of the source from ingest.
    #[serde(default)]
    pub suspend: bool,
}

/// What plain cameras have in common.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RtspSource {
    /// Secret of type marsad.dev/camera-credentials for cameras that name none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,
    /// How RTP travels unless a camera says otherwise: TCP, UDP or Automatic.
    #[serde(default)]
    pub transport: Transport,
}

/// A Milestone server.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = grammar::http_shape("spec.milestone.url"),
    validation = grammar::no_userinfo("spec.milestone.url", grammar::CAMERA_SECRET),
    validation = grammar::no_credential_parameter("spec.milestone.url", grammar::CAMERA_SECRET),
    validation = grammar::port("spec.milestone.url"),
)]
pub struct MilestoneSource {
    /// Address of the management server, http:// or https://.
    #[schemars(schema_with = "grammar::address")]
    pub url: String,
    /// Secret of type marsad.dev/camera-credentials with the service account.
    pub credentials_secret_ref: SecretRef,
    /// Secret with the certificate authority of the server under the key ca.crt; absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
    /// Time between two full passes of discovery; changes in between come by events.
    #[serde(default = "ten_minutes")]
    #[schemars(schema_with = "grammar::duration")]
    pub sync_interval: String,
    /// Cameras asked for in one request, 1 to 500.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 500))]
    pub batch_size: i32,
    /// Which cameras of the server become Camera objects; absent: every enabled one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera_selector: Option<MilestoneCameraSelector>,
}

fn ten_minutes() -> String {
    "10m".to_owned()
}

const fn fifty() -> i32 {
    50
}

/// Which cameras of a Milestone server are taken. Every part given must hold.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MilestoneCameraSelector {
    /// Names of recording servers; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub recording_servers: Vec<String>,
    /// Names of camera groups; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub groups: Vec<String>,
    /// Whether cameras that are disabled in Milestone are taken too.
    #[serde(default)]
    pub include_disabled: bool,
}

/// What a source is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CameraSourceStatus {
    /// The metadata.generation that this status speaks of; -1: no controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What discovery found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cameras: Option<DiscoveredCameras>,
    /// Ready, Reachable, Synced; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
}

/// What discovery found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredCameras {
    /// Cameras that the server has and the selector takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovered: Option<i32>,
    /// Camera objects that discovery keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<i32>,
}
