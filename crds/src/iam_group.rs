//! IamGroup: who may see and do what.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::{LocalizedText, Priority};
use crate::{condition, grammar};

/// What a group should be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "marsad.dev",
    version = "v1alpha1",
    kind = "IamGroup",
    plural = "iamgroups",
    status = "IamGroupStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "iamg",
    category = "marsad",
    cel,
    doc = "A group of people: whose cameras they see and what they may do.",
    validation = grammar::name(63),
    printcolumn(name = "Agencies", type_ = "string", json_path = ".spec.agencies", description = "Whose cameras its members see."),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members", description = "How many people."),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether it stands everywhere."),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready or not."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Permissions", type_ = "string", json_path = ".spec.permissions", priority = 1, description = "What its members may do."),
    printcolumn(name = "Membership", type_ = "string", json_path = ".spec.membership", priority = 1, description = "Whether the list of members is exact."),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1, description = "Why it is ready or not, for people.")
)]
#[serde(rename_all = "camelCase")]
pub struct IamGroupSpec {
    /// What people call the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<LocalizedText>,
    /// Agencies whose cameras its members see.
    #[schemars(schema_with = "grammar::labels")]
    pub agencies: Vec<String>,
    /// Narrows the cameras further, by labels; absent: all of the agencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera_selector: Option<LabelSelector>,
    /// What its members may do with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub permissions: Vec<Permission>,
    /// People named here; what the list means, membership says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["externalId"]))]
    pub members: Vec<GroupMember>,
    /// Exact: the members are these and nobody else. Additive: these, and those that people add in the dashboard.
    #[serde(default)]
    pub membership: Membership,
    /// Limits of each member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<GroupLimits>,
    /// Turn of its members' jobs: Low, Normal, High or Urgent.
    #[serde(default)]
    pub priority: Priority,
}

/// What somebody may do: LiveView, Playback, Ptz, Export, ManageCameras, ManageUsers, Audit.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Watch live.
    LiveView,
    /// Watch recordings.
    Playback,
    /// Pan, tilt and zoom.
    Ptz,
    /// Take recordings away.
    Export,
    /// Make, change and delete cameras.
    ManageCameras,
    /// Make, change and delete users.
    ManageUsers,
    /// Read who did what.
    Audit,
}

/// A person of a group.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GroupMember {
    /// The person's id at the identity provider.
    #[schemars(length(min = 1, max = 256))]
    pub external_id: String,
}

/// What the list of members means: Exact (these and nobody else) or Additive.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Membership {
    /// These, and those that people add.
    #[default]
    Additive,
    /// These and nobody else.
    Exact,
}

/// Limits of each member of a group.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GroupLimits {
    /// Live streams that a member may watch at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub concurrent_streams: Option<i32>,
}

/// What a group is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IamGroupStatus {
    /// The metadata.generation that this status speaks of; -1: no controller has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many people are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<i32>,
    /// Ready, Synced, GatewaySynced; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::list")]
    pub conditions: Vec<Condition>,
}
