//! Types of conditions, and the schema of their list: a map list keyed by `type`, so that two field managers may each
//! own one condition of an object.

use std::fmt;

use schemars::{Schema, SchemaGenerator, json_schema};

/// The type of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// The control plane has done its part for this spec (contracts.md 2). On every kind.
    Ready,
    /// Video flows that a browser can show (contracts.md 2). Camera.
    Online,
    /// Work is under way; there only while true (kstatus).
    Reconciling,
    /// Work cannot go on without a change of the spec; there only while true (kstatus).
    Stalled,
    /// The CameraSource is found and ready. Camera.
    SourceResolved,
    /// A shard is chosen. Camera.
    Assigned,
    /// A watched camera's track does not reach its room; there only while False, written by `streams`. Camera.
    Publishing,
    /// The quota claim stands. Camera.
    QuotaReserved,
    /// The other system answers. CameraSource.
    Reachable,
    /// What should be there is there. CameraSource, IamGroup.
    Synced,
    /// The gateway knows the group. IamGroup.
    GatewaySynced,
    /// Every gateway pod has the configuration. ApiGateway.
    Programmed,
    /// Enough room is left to lose one shard. IngestPool.
    Headroom,
    /// The job has ended well. PlaybackJob.
    Complete,
    /// The job has failed. PlaybackJob.
    Failed,
}

impl ConditionType {
    /// As it stands in the object.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Online => "Online",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::SourceResolved => "SourceResolved",
            Self::Assigned => "Assigned",
            Self::Publishing => "Publishing",
            Self::QuotaReserved => "QuotaReserved",
            Self::Reachable => "Reachable",
            Self::Synced => "Synced",
            Self::GatewaySynced => "GatewaySynced",
            Self::Programmed => "Programmed",
            Self::Headroom => "Headroom",
            Self::Complete => "Complete",
            Self::Failed => "Failed",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<ConditionType> for &'static str {
    fn from(type_: ConditionType) -> Self {
        type_.as_str()
    }
}

/// The schema of `status.conditions`, with the limits of metav1.Condition, which k8s-openapi leaves out.
pub(crate) fn list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "type": "string",
                    "description": "What is judged, in CamelCase.",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
                },
                "status": {
                    "type": "string",
                    "description": "True, False or Unknown.",
                    "enum": ["True", "False", "Unknown"]
                },
                "reason": {
                    "type": "string",
                    "description": "Why, as one stable CamelCase word.",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
                },
                "message": {
                    "type": "string",
                    "description": "For people: the object, the field and the way out.",
                    "maxLength": 32768
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The metadata.generation that was judged.",
                    "minimum": 0
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When the status last flipped."
                }
            }
        }
    })
}
