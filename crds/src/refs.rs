//! Small shapes that several kinds share.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::grammar;

/// Another of our objects, by name, in the same namespace (or in the release's, for pools).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct NameRef {
    /// Name of the object: a DNS label, at most 63 characters.
    #[schemars(schema_with = "grammar::label")]
    pub name: String,
}

/// A Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(schema_with = "grammar::subdomain")]
    pub name: String,
}

/// A text in the languages of the dashboard. One that is absent falls back to the other, then to the object's name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LocalizedText {
    /// English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub en: Option<String>,
    /// Arabic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub ar: Option<String>,
}

impl From<&str> for NameRef {
    fn from(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
}

impl From<&str> for SecretRef {
    fn from(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }
}

/// Turn of work that waits for a worker.
///
/// Low, Normal, High or Urgent.
#[derive(
    schemars::JsonSchema,
    Serialize,
    Deserialize,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
)]
pub enum Priority {
    #[allow(missing_docs)]
    Low,
    #[default]
    #[allow(missing_docs)]
    Normal,
    #[allow(missing_docs)]
    High,
    #[allow(missing_docs)]
    Urgent,
}

pub(crate) const fn yes() -> bool {
    true
}
