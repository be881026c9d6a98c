//! The table of manifests that must be taken or refused: data in `*.yaml` beside this file, read here, judged by plain
//! `cargo test` (`crds/tests/table.rs`) and by a real API server (`e2e/tests/crds.rs`).
//!
//! `set` and `old` are JSON merge patches on `base`. In a text, `{{x*N}}` stands for N times x, and the whole text
//! `{{null}}` for an explicit null. A case with `old` is an update: `base` with `old` is stored, then replaced.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// What must come of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It is taken.
    Accept,
    /// It is refused.
    Reject,
}

/// A row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    requirements: Vec<String>,
    verdict: Verdict,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    says: Option<String>,
    #[serde(default)]
    never: Option<String>,
    #[serde(default)]
    server_only: bool,
    #[serde(default)]
    set: Option<Value>,
    #[serde(default)]
    old: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base: Value,
    cases: Vec<Row>,
}

/// A row, made whole.
#[derive(Debug)]
pub(crate) struct Case {
    /// `Camera: port 99999`.
    pub(crate) title: String,
    /// The kind.
    pub(crate) kind: String,
    /// What must come of it.
    pub(crate) verdict: Verdict,
    /// The field that a refusal must name.
    pub(crate) field: String,
    /// The way out that a refusal must show.
    pub(crate) says: String,
    /// What a refusal must not repeat.
    pub(crate) never: Option<String>,
    /// Only the API server can judge it.
    #[allow(dead_code, reason = "the API server judges every case")]
    pub(crate) server_only: bool,
    /// The manifest.
    pub(crate) object: Value,
    /// What is stored before, of an update.
    pub(crate) old: Option<Value>,
}

impl Case {
    /// Why `refusal`, none when the manifest was taken, is not what the table says; none when it is.
    pub(crate) fn wrong(&self, refusal: Option<&str>) -> Option<String> {
        let title = &self.title;
        match (self.verdict, refusal) {
            (Verdict::Accept, None) => None,
            (Verdict::Accept, Some(refusal)) => Some(format!("{title}: refused: {refusal}")),
            (Verdict::Reject, None) => Some(format!("{title}: taken")),
            (Verdict::Reject, Some(refusal)) => {
                let names = |text: &str| refusal.contains(text);
                if !names(&self.field) {
                    Some(format!("{title}: does not name {}: {refusal}", self.field))
                } else if !names(&self.says) {
                    Some(format!("{title}: does not say {:?}: {refusal}", self.says))
                } else if self.never.as_deref().is_some_and(names) {
                    Some(format!("{title}: repeats a secret: {refusal}"))
                } else {
                    None
                }
            }
        }
    }
}

/// Every case of every kind.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/tests/cases"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap();
    let table: Table =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let kind = table.base["kind"].as_str().unwrap().to_owned();
    let mut rows = table.cases;
    rows.iter_mut()
        .map(|row| {
            assert!(
                !row.requirements.is_empty(),
                "{kind}: {} proves nothing",
                row.name
            );
            assert!(
                row.field.is_some() == (row.verdict == Verdict::Reject),
                "{kind}: {}: a refusal, and only a refusal, names a field",
                row.name
            );
            let patched = |patch: Option<&Value>| {
                let mut object = table.base.clone();
                if let Some(patch) = patch {
                    merge(&mut object, patch);
                }
                expand(&mut object);
                object
            };
            Case {
                title: format!("{kind}: {}", row.name),
                kind: kind.clone(),
                verdict: row.verdict,
                field: row.field.take().unwrap_or_default(),
                says: row.says.take().unwrap_or_default(),
                never: row.never.take(),
                server_only: row.server_only,
                object: patched(row.set.as_ref()),
                old: row.old.is_some().then(|| patched(row.old.as_ref())),
            }
        })
        .collect()
}

/// JSON merge patch, RFC 7396.
fn merge(object: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        object.clone_from(patch);
        return;
    };
    if !object.is_object() {
        *object = Value::Object(serde_json::Map::new());
    }
    let fields = object.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn expand(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(expand),
        Value::Array(items) => items.iter_mut().for_each(expand),
        Value::String(text) if text == "{{null}}" => *value = Value::Null,
        Value::String(text) => {
            if let Some((before, rest)) = text.split_once("{{") {
                let (token, after) = rest.split_once("}}").unwrap();
                let (unit, times) = token.split_once('*').unwrap();
                *text = format!("{before}{}{after}", unit.repeat(times.parse().unwrap()));
            }
        }
        _ => {}
    }
}
