//! StreamQuota: how many cameras and live streams each agency may have. One object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::LocalizedText;
use crate::{condition, grammar};

/// What may be used.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "marsad.dev",
    version = "v1alpha1",
    kind = "StreamQuota",
    plural = "streamquotas",
    status = "StreamQuotaStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "squota",
    category = "marsad",
    cel,
    doc = "How many cameras and live streams each agency may have. There is one, named default.",
    validation = Rule::new("self.metadata.name == 'default'").message("metadata.name must be default: there is one StreamQuota; add the agency to the one named default"),
    printcolumn(name = "Cameras", type_ = "integer", json_path = ".spec.total.cameras", description = "Cameras of all agencies at most."),
    printcolumn(name = "Streams", type_ = "integer", json_path = ".spec.total.streams", description = "Live streams of all agencies at most."),
    printcolumn(name = "Enforcement", type_ = "string", json_path = ".spec.enforcement", description = "What happens beyond."),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the limits stand."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Overcommit", type_ = "boolean", json_path = ".spec.overcommit", priority = 1, description = "Whether the agencies' sum may be above the total."),
    printcolumn(name = "Agencies", type_ = "string", json_path = ".spec.agencies[*].name", priority = 1, description = "The agencies."),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1, description = "Why it is ready or not, for people.")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.overcommit || self.agencies.map(a, a.cameras).sum() <= self.total.cameras").message("the sum of spec.agencies[].cameras is above spec.total.cameras: lower an agency, raise the total, or set spec.overcommit: true").field_path(".agencies"),
    validation = Rule::new("self.overcommit || self.agencies.map(a, a.streams).sum() <= self.total.streams").message("the sum of spec.agencies[].streams is above spec.total.streams: lower an agency, raise the total, or set spec.overcommit: true").field_path(".agencies")
)]
pub struct StreamQuotaSpec {
    /// What all agencies together may have.
    pub total: QuotaTotal,
    /// True lets the agencies' limits add up to more than the total; the total still holds.
    #[serde(default)]
    pub overcommit: bool,
    /// The agencies, by name.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, (has(a.code) ? a.code : a.name.upperAscii().replace('-', '_')) == (has(b.code) ? b.code : b.name.upperAscii().replace('-', '_'))))").message("spec.agencies[].code must be unique, also when it is made from the name (upper-cased, '_' for '-'): give one of the two agencies another code"))]
    pub agencies: Vec<AgencyQuota>,
    /// Enforce refuses what is beyond, Warn lets it in and says so.
    #[serde(default)]
    pub enforcement: Enforcement,
}

/// What all agencies together may have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct QuotaTotal {
    /// Cameras declared.
    #[schemars(range(min = 0, max = 100_000))]
    pub cameras: i32,
    /// Live streams at a time.
    #[schemars(range(min = 0, max = 100_000))]
    pub streams: i32,
}

/// What one agency may have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.code) ? self.code : self.name.upperAscii().replace('-', '_')) == (has(oldSelf.code) ? oldSelf.code : oldSelf.name.upperAscii().replace('-', '_'))").message("spec.agencies[].code is immutable: leases and metrics carry it; add an agency with the new code, move its sources, then remove this one"))]
pub struct AgencyQuota {
    /// Name of the agency in Kubernetes: a DNS label.
    #[schemars(schema_with = "grammar::label")]
    pub name: String,
    /// Its code in the REST API, in Valkey and in metrics; absent: the name upper-cased, '_' for '-'. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "grammar::code")]
    pub code: Option<String>,
    /// What people call the agency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<LocalizedText>,
    /// Cameras that it may declare.
    #[schemars(range(min = 0, max = 100_000))]
    pub cameras: i32,
    /// Live streams that may be watched at a time.
    #[schemars(range(min = 0, max = 100_000))]
    pub streams: i32,
    /// Namespaces whose sources may name this agency: absent, none; {}, every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Address ranges where its cameras may be; none: anywhere. Loopback, link-local, pods and Services are refused either way,
    /// unless a range within theirs is listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "sourceCIDRs")]
    #[schemars(schema_with = "grammar::cidrs")]
    pub source_cidrs: Vec<String>,
}

impl AgencyQuota {
    /// The code of the agency: as given, else made from the name (contracts.md 4).
    pub fn effective_code(&self) -> String {
        self.code.clone().unwrap_or_else(|| agency_code(&self.name))
    }
}

/// The code that an agency has when its quota gives it none: `DUBAI_POLICE` for `dubai-police` (contracts.md 4).
pub fn agency_code(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// What happens beyond a limit: Enforce refuses, Warn lets in and says so.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Enforcement {
    /// Refuse.
    #[default]
    Enforce,
    /// Let in, and say so.
    Warn,
}

/// What is used.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StreamQuotaStatus {
    /// The metadata.generation that this status speaks of; -1: no controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The agencies, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub agencies: Vec<AgencyUsage>,
    /// Ready; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
}

/// What one agency uses.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AgencyUsage {
    /// Name of the agency.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its cameras.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cameras: Option<CameraUsage>,
    /// The limit on live streams that stands in Valkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams_limit_applied: Option<i32>,
}

/// How many cameras are claimed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CameraUsage {
    /// Claims that stand.
    pub used: i32,
    /// Claims that wait to be confirmed.
    #[serde(default)]
    pub pending: i32,
    /// The limit.
    pub limit: i32,
}
