//! What kstatus makes of an object: Flux and Helm 4 wait by its verdict. Written from its rules, not from its code, so that the
//! two can be held against each other: on the table of states (`crds/tests/health`) and on every version of every
//! object of the end-to-end tests (`e2e/src/kstatus.rs`).

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::{Condition, ConditionType};

/// What one may conclude of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Verdict {
    /// It is as its spec says.
    Current,
    /// It is on its way there.
    InProgress,
    /// It will not get there without a change of the spec.
    Failed,
    /// It is being deleted.
    Terminating,
}

impl Verdict {
    /// As kstatus writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The verdict on an object with this `metadata.generation`, `status.observedGeneration` and `status.conditions`, which
/// is `deleting` when it has a deletion timestamp. Deletion comes first, then a generation that is not observed; then whichever
/// of Reconciling and Stalled is True and stands first; then Ready. What has none of them is Current: so it is
/// that an object without a status counts as done, and why ours are born with one (contracts.md 1).
pub fn verdict(
    generation: Option<i64>,
    observed: Option<i64>,
    conditions: &[Condition],
    deleting: bool,
) -> Verdict {
    if deleting {
        return Verdict::Terminating;
    }
    if observed.is_some() && generation.is_some() && observed != generation {
        return Verdict::InProgress;
    }
    let is = |condition: &Condition, type_: ConditionType| condition.type_ == type_.as_str();
    let under_way = conditions
        .iter()
        .filter(|condition| condition.status == "True")
        .find_map(|condition| {
            if is(condition, ConditionType::Reconciling) {
                Some(Verdict::InProgress)
            } else if is(condition, ConditionType::Stalled) {
                Some(Verdict::Failed)
            } else {
                None
            }
        });
    under_way.unwrap_or_else(|| {
        match conditions
            .iter()
            .find(|condition| is(condition, ConditionType::Ready))
        {
            Some(ready) if ready.status != "True" => Verdict::InProgress,
            _ => Verdict::Current,
        }
    })
}

/// The verdict on an object of any kind, as the API server gives it.
///
/// # Errors
/// When a field that counts is of another type than it should be.
pub fn of(object: &Value) -> Result<Verdict, serde_json::Error> {
    let object = Object::deserialize(object)?;
    let status = object.status.unwrap_or_default();
    Ok(verdict(
        object.metadata.generation,
        status.observed_generation,
        &status.conditions,
        object.metadata.deletion_timestamp.is_some(),
    ))
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    generation: Option<i64>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    observed_generation: Option<i64>,
    #[serde(default)]
    conditions: Vec<Condition>,
}
