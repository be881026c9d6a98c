//! The table of states that our objects go through, and what others must conclude of each: data in `*.yaml` beside this
//! file. Judged by our own rules and by those of Flux, Helm and Argo CD (`crds/tests/states.rs`), and held against what
//! the controllers write (`controllers`, tests of each `status.rs`).
//!
//! A state is `base` with `metadata` and `spec` laid over it, field by field, and the status that the other keys tell.

#![allow(dead_code, reason = "each of the tests that share this reads another part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what tests share"
)]

use marsad_crds::kstatus::Verdict;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Who brings an object into a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Writer {
    /// The controller of its kind.
    #[default]
    Controller,
    /// The API server: birth, edits that no controller has seen, deletion.
    Server,
    /// `streams`, which owns condition Publishing.
    Streams,
    /// Nobody: the schema rules it out.
    Nobody,
}

/// The health that Argo CD shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Health {
    /// A sync goes on.
    Healthy,
    /// Nothing is done, since somebody said so.
    Suspended,
    /// A sync waits.
    Progressing,
    /// A sync fails.
    Degraded,
}

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    by: Writer,
    kstatus: Verdict,
    argocd: Health,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    spec: Map<String, Value>,
    /// `status.observedGeneration`; absent: the generation of `base`.
    #[serde(default)]
    observed: Option<i64>,
    /// `Type Status Reason`; absent: no conditions.
    #[serde(default)]
    conditions: Vec<String>,
    #[serde(default)]
    without_status: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base: Value,
    states: Vec<Row>,
}

/// A state, made whole.
#[derive(Debug)]
pub(crate) struct State {
    /// The kind.
    pub(crate) kind: String,
    /// Its name in the table.
    pub(crate) name: String,
    /// Who writes it.
    pub(crate) by: Writer,
    /// What kstatus must say.
    pub(crate) kstatus: Verdict,
    /// What Argo CD must say.
    pub(crate) argocd: Health,
    /// `Type Status Reason` of each condition, in their order.
    pub(crate) conditions: Vec<String>,
    /// The object.
    pub(crate) object: Value,
}

impl State {
    /// `Camera: online`.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.kind, self.name)
    }
}

/// Every state of every kind.
pub(crate) fn all() -> Vec<State> {
    [
        include_str!("camera.yaml"),
        include_str!("camera_source.yaml"),
        include_str!("ingest_pool.yaml"),
    ]
    .into_iter()
    .flat_map(read)
    .collect()
}

/// Holds what a controller writes, by the names of the states, against the table: each is there with the same
/// conditions, in the same order, and the same verdict, and the table has no other that the controller should write.
pub(crate) fn check_written<S: serde::Serialize>(kind: &str, written: &[(&str, i64, S)]) {
    let states: Vec<State> = all()
        .into_iter()
        .filter(|state| state.kind == kind && state.by == Writer::Controller)
        .collect();
    let names = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(
        names(written.iter().map(|(name, ..)| (*name).to_owned()).collect()),
        names(states.iter().map(|state| state.name.clone()).collect()),
        "the states that the controller writes, and those of the table"
    );
    for (name, generation, status) in written {
        let state = states.iter().find(|state| state.name == *name).unwrap();
        let object = json!({"metadata": {"generation": generation}, "status": status});
        let conditions: Vec<String> = object["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|condition| {
                assert_eq!(
                    condition["observedGeneration"],
                    json!(generation),
                    "{}",
                    state.title()
                );
                ["type", "status", "reason"]
                    .map(|key| condition[key].as_str().unwrap())
                    .join(" ")
            })
            .collect();
        assert_eq!(conditions, state.conditions, "{}", state.title());
        assert_eq!(
            marsad_crds::kstatus::of(&object).unwrap(),
            state.kstatus,
            "{}",
            state.title()
        );
    }
}

fn read(text: &str) -> Vec<State> {
    let table: Table = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"));
    let Table { base, states } = table;
    states.into_iter().map(|row| whole(&base, row)).collect()
}

fn whole(base: &Value, row: Row) -> State {
    let mut object = base.clone();
    let observed = row
        .observed
        .unwrap_or_else(|| base["metadata"]["generation"].as_i64().unwrap());
    for (part, fields) in [("metadata", row.metadata), ("spec", row.spec)] {
        object[part].as_object_mut().unwrap().extend(fields);
    }
    let conditions: Vec<Value> = row
        .conditions
        .iter()
        .map(|condition| {
            let words: Vec<&str> = condition.split(' ').collect();
            let [type_, status, reason] = words[..] else {
                panic!("{condition}: not `Type Status Reason`");
            };
            json!({
                "type": type_, "status": status, "reason": reason,
                "message": format!("why {type_} is {status}"),
                "observedGeneration": observed, "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    if !row.without_status {
        object["status"] = json!({"observedGeneration": observed});
        if !conditions.is_empty() {
            object["status"]["conditions"] = Value::Array(conditions);
        }
    }
    State {
        kind: base["kind"].as_str().unwrap().to_owned(),
        name: row.name,
        by: row.by,
        kstatus: row.kstatus,
        argocd: row.argocd,
        conditions: row.conditions,
        object,
    }
}
