//! PlaybackJob: a stretch of recordings to watch or to take away.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::{NameRef, Priority};
use crate::{condition, grammar};

/// What should be played. Immutable.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "marsad.dev",
    version = "v1alpha1",
    kind = "PlaybackJob",
    plural = "playbackjobs",
    namespaced,
    status = "PlaybackJobStatus",
    derive = "PartialEq",
    shortname = "pbj",
    category = "marsad",
    cel,
    doc = "A stretch of a camera's recordings, to watch (Direct, Transcode) or to take away (Export).",
    validation = grammar::name(63),
    selectable = ".spec.cameraRef.name",
    selectable = ".spec.priority",
    selectable = ".status.state",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "How far it is."),
    printcolumn(name = "Camera", type_ = "string", json_path = ".spec.cameraRef.name", description = "The camera."),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", description = "How it is delivered."),
    printcolumn(name = "Start", type_ = "string", json_path = ".spec.start", description = "Beginning of the stretch."),
    printcolumn(name = "End", type_ = "string", json_path = ".spec.end", description = "End of the stretch."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Format", type_ = "string", json_path = ".spec.format", priority = 1, description = "HLS, DASH or MP4."),
    printcolumn(name = "Priority", type_ = "string", json_path = ".spec.priority", priority = 1, description = "Its turn."),
    printcolumn(name = "Requested-By", type_ = "string", json_path = ".spec.requestedBy", priority = 1, description = "Who asked for it."),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1, description = "Why it is ready or not, for people.")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("spec is immutable: make another PlaybackJob"),
    validation = Rule::new("self.end > self.start").message("spec.end must be after spec.start: swap them or move one").field_path(".end"),
    validation = Rule::new("self.end <= self.start || self.end - self.start <= duration('24h')").message("spec.end is more than 24 h after spec.start: ask for at most 24 h, in several jobs if need be").field_path(".end"),
    validation = Rule::new("self.mode == 'Export' || !has(self.format) || self.format != 'MP4'").message("spec.format of mode Direct or Transcode must be HLS or DASH: for one MP4 file set mode: Export").field_path(".format"),
    validation = Rule::new("self.mode != 'Export' || !has(self.format) || self.format == 'MP4'").message("spec.format of mode Export must be MP4: for HLS or DASH set mode: Direct or Transcode").field_path(".format"),
    validation = Rule::new("self.mode == 'Transcode' || !has(self.renditions) || size(self.renditions) == 0").message("spec.renditions go with mode: Transcode only: Direct and Export keep the recorded picture; remove renditions or change the mode").field_path(".renditions")
)]
pub struct PlaybackJobSpec {
    /// The Camera in the same namespace.
    pub camera_ref: NameRef,
    /// Beginning of the stretch, as 2026-11-22T08:00:00Z. In the future: the job fails.
    pub start: Time,
    /// End of the stretch: after start, at most 24 h.
    pub end: Time,
    /// Direct delivers the recordings by byte range without a job, Transcode a ladder made by a job, Export one file.
    #[serde(default)]
    pub mode: PlaybackMode,
    /// HLS or DASH for Direct and Transcode, MP4 for Export; absent: HLS, for Export MP4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<PlaybackFormat>,
    /// The ladder of Transcode; none: the default ladder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub renditions: Vec<Rendition>,
    /// Its turn among jobs that wait: Low, Normal, High or Urgent.
    #[serde(default)]
    pub priority: Priority,
    /// Id of the user who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub requested_by: Option<String>,
    /// Seconds after its end until the object is deleted.
    #[serde(default = "one_hour")]
    #[schemars(range(min = 0, max = 2_592_000))]
    pub ttl_seconds_after_finished: i32,
}

const fn one_hour() -> i32 {
    3600
}

impl PlaybackJobSpec {
    /// The format as given, else the one of the mode.
    pub fn effective_format(&self) -> PlaybackFormat {
        self.format.unwrap_or(match self.mode {
            PlaybackMode::Direct | PlaybackMode::Transcode => PlaybackFormat::Hls,
            PlaybackMode::Export => PlaybackFormat::Mp4,
        })
    }
}

/// How recordings are delivered: Direct (byte ranges, no job), Transcode (a ladder), Export (one file).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlaybackMode {
    /// Byte ranges, no job.
    #[default]
    Direct,
    /// A ladder made by a job.
    Transcode,
    /// One file made by a job.
    Export,
}

/// The container: HLS, DASH or MP4.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlaybackFormat {
    /// HTTP Live Streaming.
    #[default]
    #[serde(rename = "HLS")]
    Hls,
    /// MPEG-DASH.
    #[serde(rename = "DASH")]
    Dash,
    /// One MP4 file.
    #[serde(rename = "MP4")]
    Mp4,
}

/// A step of the ladder.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Rendition {
    /// Its name, a DNS label: 720p.
    #[schemars(schema_with = "grammar::label")]
    pub name: String,
    /// Lines of the picture, 144 to 2160.
    #[schemars(range(min = 144, max = 2160))]
    pub height: i32,
    /// Bit rate of the video, as 2M or 800k.
    #[schemars(schema_with = "grammar::bitrate")]
    pub bitrate: String,
}

/// What a job is. Never with a signed address (contracts.md 8).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PlaybackJobStatus {
    /// The metadata.generation that this status speaks of; -1: no controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How far it is: Queued, Preparing, Ready, Failed or Expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PlaybackState>,
    /// The Job that works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_ref: Option<NameRef>,
    /// Stretches without recordings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub gaps: Vec<Gap>,
    /// Size of what is ready, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Ready, Complete, Failed; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
}

/// How far a job is: Queued, Preparing, Ready, Failed or Expired.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlaybackState {
    /// It waits for its turn.
    #[default]
    Queued,
    /// It is being made.
    Preparing,
    /// It can be watched or fetched.
    Ready,
    /// It cannot be made.
    Failed,
    /// Its time is over.
    Expired,
}

/// A stretch without recordings.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// Its beginning.
    pub start: Time,
    /// Its end.
    pub end: Time,
}
