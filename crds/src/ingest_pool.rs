//! IngestPool: a set of MediaMTX shards.

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{condition, grammar};

/// What a pool should be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "marsad.dev",
    version = "v1alpha1",
    kind = "IngestPool",
    plural = "ingestpools",
    namespaced,
    status = "IngestPoolStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "ipool",
    category = "marsad",
    cel,
    doc = "A set of MediaMTX shards that pull cameras. Counts in the release's namespace only.",
    // Pods are named ingest-{pool}-{n}, and the StatefulSet controller labels them ingest-{pool}-{hash of 10}: a label
    // value has at most 63 characters.
    validation = grammar::name(45),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.replicas", description = "Shards wanted."),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether every shard serves."),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not."),
    printcolumn(name = "Capacity", type_ = "integer", json_path = ".status.capacity", description = "Cameras that the pool can pull."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Per-Replica", type_ = "integer", json_path = ".spec.camerasPerReplica", priority = 1, description = "Cameras that a shard can pull."),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.mediamtx.image", priority = 1, description = "MediaMTX image, when it is not the chart's."),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1, description = "Why it is ready or not, for people.")
)]
#[serde(rename_all = "camelCase")]
pub struct IngestPoolSpec {
    /// Shards, each a pod with a MediaMTX of its own. One more than the cameras need lets a lost one be borne.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: i32,
    /// Cameras that one shard may pull.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 1000))]
    pub cameras_per_replica: i32,
    /// How the shards are run.
    #[serde(default)]
    pub mediamtx: MediaMtxSpec,
}

const fn one() -> i32 {
    1
}

const fn hundred() -> i32 {
    100
}

impl Default for IngestPoolSpec {
    fn default() -> Self {
        Self {
            replicas: one(),
            cameras_per_replica: hundred(),
            mediamtx: MediaMtxSpec::default(),
        }
    }
}

/// The way out for a pool whose volumes should be others: a StatefulSet keeps the claims that it was made with.
const OTHER_POOL: &str = "make another IngestPool, move the cameras to it by spec.poolRef, and delete this one when its recordings are past their retention";

/// How shards are run.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.recordings) == has(oldSelf.recordings)").message(format!("spec.mediamtx.recordings can't be added to a pool or taken from it: {OTHER_POOL}").as_str()).field_path(".recordings"))]
pub struct MediaMtxSpec {
    /// Image of MediaMTX; absent: the chart's, which is the one that is tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Requests and limits of a shard; absent: 4 GiB of memory at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Where recordings are kept: a volume for each shard, which stays when its shard goes. Absent: for the life of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = grammar::immutable("spec.mediamtx.recordings", OTHER_POOL))]
    pub recordings: Option<RecordingsVolume>,
}

/// The volume of a shard's recordings.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RecordingsVolume {
    /// Size of the volume of one shard, as 100Gi; `kubectl marsad capacity` tells it.
    #[schemars(schema_with = "grammar::size")]
    pub size: Quantity,
    /// StorageClass of the volume; absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "grammar::subdomain")]
    pub storage_class_name: Option<String>,
}

/// What a pool is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IngestPoolStatus {
    /// The metadata.generation that this status speaks of; -1: no controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Shards that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Shards that serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// Paths given to the shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<i32>,
    /// Paths that the shards can take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i32>,
    /// Labels of the shards' pods, as a selector: of the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// Ready, Headroom; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
}
