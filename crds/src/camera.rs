//! Camera: one camera, pulled into a shard and shown live.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::{LocalizedText, NameRef, SecretRef, yes};
use crate::{condition, grammar};

/// What a camera should be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "marsad.dev",
    version = "v1alpha1",
    kind = "Camera",
    plural = "cameras",
    namespaced,
    status = "CameraStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "cam",
    category = "marsad",
    cel,
    doc = "A camera: pulled by RTSP into a shard of an IngestPool, shown live in a browser when somebody watches.",
    validation = grammar::name(63),
    selectable = ".spec.sourceRef.name",
    selectable = ".spec.suspend",
    selectable = ".status.agency",
    selectable = ".status.id",
    selectable = ".status.ingest.shard",
    printcolumn(name = "Online", type_ = "string", json_path = ".status.conditions[?(@.type==\"Online\")].status", description = "Whether video flows that a browser can show."),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Online\")].reason", description = "Why it is online or not."),
    printcolumn(name = "Agency", type_ = "string", json_path = ".status.agency", description = "The agency that owns the camera."),
    printcolumn(name = "Shard", type_ = "string", json_path = ".status.ingest.shard", description = "The ingest pod that pulls the camera."),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the control plane has done its part."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.sourceRef.name", priority = 1, description = "The CameraSource."),
    printcolumn(name = "Codec", type_ = "string", json_path = ".status.ingest.codec", priority = 1, description = "The codec of the video."),
    printcolumn(name = "Height", type_ = "integer", json_path = ".status.ingest.height", priority = 1, description = "Lines of the picture."),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Online\")].message", priority = 1, description = "Why it is online or not, for people.")
)]
#[serde(rename_all = "camelCase")]
pub struct CameraSpec {
    /// The CameraSource in the same namespace that the camera belongs to; it decides the agency. Immutable. The camera is
    /// admitted before its source exists, and waits for it.
    #[x_kube(validation = grammar::immutable("spec.sourceRef", "delete the Camera and make it anew with the other source"))]
    pub source_ref: NameRef,
    /// What people call the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<LocalizedText>,
    /// Where the camera stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Box<CameraLocation>>,
    /// Where its video comes from.
    pub stream: CameraStream,
    /// How it is shown live.
    #[serde(default)]
    pub live: CameraLive,
    /// How it is recorded; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<CameraRecording>,
    /// How it is moved; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ptz: Option<CameraPtz>,
    /// The IngestPool, in the release's namespace, whose shards may pull the camera; absent: the pool named default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_ref: Option<NameRef>,
    /// True withdraws the camera from ingest and keeps the object.
    #[serde(default)]
    pub suspend: bool,
}

/// Where a camera stands.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.latitude) == has(self.longitude)").message("spec.location needs latitude and longitude together: give both or neither"))]
pub struct CameraLocation {
    /// Degrees north of the equator, -90 to 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -90, max = 90))]
    pub latitude: Option<f64>,
    /// Degrees east of Greenwich, -180 to 180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -180, max = 180))]
    pub longitude: Option<f64>,
    /// The place in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<LocalizedText>,
}

/// Where a camera's video comes from: an address, or a device of Milestone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = grammar::rtsp_shape("spec.stream.url"),
    validation = grammar::no_userinfo("spec.stream.url", grammar::CAMERA_SECRET),
    validation = grammar::no_credential_parameter("spec.stream.url", grammar::CAMERA_SECRET),
    validation = grammar::port("spec.stream.url"),
    validation = grammar::rtsp_shape("spec.stream.substreamUrl"),
    validation = grammar::no_userinfo("spec.stream.substreamUrl", grammar::CAMERA_SECRET),
    validation = grammar::no_credential_parameter("spec.stream.substreamUrl", grammar::CAMERA_SECRET),
    validation = grammar::port("spec.stream.substreamUrl"),
    validation = Rule::new("has(self.url) != has(self.deviceId)").message("spec.stream needs exactly one of url and deviceId: url for a source of kind rtsp, deviceId for a source of kind milestone"),
    validation = Rule::new("!has(self.substreamUrl) || has(self.url)").message("spec.stream.substreamUrl goes with url only: Milestone offers the substreams of a deviceId itself; remove substreamUrl").field_path(".substreamUrl"),
    validation = Rule::new("!has(self.tls) || (has(self.url) && self.url.startsWith('rtsps://')) || (has(self.substreamUrl) && self.substreamUrl.startsWith('rtsps://'))").message("spec.stream.tls goes with an rtsps:// address only: change the address or remove tls").field_path(".tls")
)]
pub struct CameraStream {
    /// Address of the main stream, rtsp:// or rtsps://, with its port; never with a credential. Either this or deviceId.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "grammar::address")]
    pub url: Option<String>,
    /// How the certificate of an rtsps camera is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Box<CameraTls>>,
    /// Address of a low-rate stream, used by walls. It is a second permanent pull from the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "grammar::address")]
    pub substream_url: Option<String>,
    /// GUID of the device in Milestone. Either this or url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "grammar::guid")]
    pub device_id: Option<String>,
    /// Secret of type marsad.dev/camera-credentials with the keys username and password; absent: the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,
    /// How RTP travels: TCP, UDP or Automatic; absent: as the source says, else TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

/// How the certificate of an rtsps camera is judged.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CameraTls {
    /// Secret with the certificate authority under the key ca.crt.
    pub ca_secret_ref: SecretRef,
}

/// How RTP travels: TCP (in the RTSP connection), UDP, or Automatic (UDP first).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Interleaved in the RTSP connection.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// Datagrams.
    #[serde(rename = "UDP")]
    Udp,
    /// Datagrams first, then TCP.
    Automatic,
}

/// How a camera is shown live.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CameraLive {
    /// OnDemand publishes while somebody watches, Always at all times, Off never.
    #[serde(default)]
    pub mode: LiveMode,
    /// What publishes: Forward is MediaMTX itself, Native our publisher, Ingress a LiveKit ingress; Auto takes the best that works.
    #[serde(default)]
    pub publisher: Publisher,
}

/// When a camera is published: OnDemand (while somebody watches), Always, Off.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LiveMode {
    /// While somebody watches.
    #[default]
    OnDemand,
    /// At all times.
    Always,
    /// Never; it is ingested (and recorded) only.
    Off,
}

/// What publishes a camera: Auto, Native, Forward, Ingress.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Publisher {
    /// The best that works.
    #[default]
    Auto,
    /// Our publisher beside MediaMTX.
    Native,
    /// MediaMTX's own forward.
    Forward,
    /// A LiveKit ingress.
    Ingress,
}

/// How a camera is recorded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
// MediaMTX refuses a path whose recordings would be removed before their file is full.
#[x_kube(validation = Rule::new("duration(self.retention) >= duration('1h')").message("spec.recording.retention must be at least 1h: a recording is kept in files of an hour, and each is removed as a whole").field_path(".retention"))]
pub struct CameraRecording {
    /// False stops recording and keeps what is there until its retention is over.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How long a recording is kept, as 72h.
    #[serde(default = "three_days")]
    #[schemars(schema_with = "grammar::duration")]
    pub retention: String,
}

fn three_days() -> String {
    "72h".to_owned()
}

impl Default for CameraRecording {
    fn default() -> Self {
        Self {
            enabled: true,
            retention: three_days(),
        }
    }
}

/// How a camera is moved.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CameraPtz {
    /// Whether people with the permission may pan, tilt and zoom.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl Default for CameraPtz {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// What a camera is. Without counters or clocks (contracts.md 3).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CameraStatus {
    /// The metadata.generation that this status speaks of; -1: no controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Id of the camera in REST, rooms and leases: UUIDv5 of namespace/name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub id: Option<String>,
    /// The agency that owns the camera, as its source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub agency: Option<String>,
    /// Where and what is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<CameraIngestStatus>,
    /// Where it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<CameraLiveStatus>,
    /// Ready, Online, SourceResolved, Assigned, QuotaReserved, Publishing; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
}

/// Where and what is pulled from a camera.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CameraIngestStatus {
    /// The IngestPool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub pool: Option<String>,
    /// The pod that pulls the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub shard: Option<String>,
    /// The path in the pod's MediaMTX: namespace/name/main.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 160))]
    pub path: Option<String>,
    /// Codec of the video, as MediaMTX names it: H264.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub codec: Option<String>,
    /// Width of the picture in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i32>,
    /// Height of the picture in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i32>,
    /// Profile of the codec: Baseline, Main, High.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub profile: Option<String>,
    /// Why no video comes; absent while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<CameraFailure>>,
    /// Open: the camera failed so often that it is tried seldom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<Circuit>,
}

/// Why no video comes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CameraFailure {
    /// One stable CamelCase word, as in condition Online.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// For people: what failed and what to do.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Since when it fails for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// Whether a camera is tried at its usual pace (Closed) or seldom (Open).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Circuit {
    /// At the usual pace.
    #[default]
    Closed,
    /// Seldom, after failures in a row.
    Open,
}

/// Where a camera is shown.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CameraLiveStatus {
    /// The LiveKit room; sticky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub room: Option<String>,
}
