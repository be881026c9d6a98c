//! Rendered objects and how to find them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use marsad_e2e::helm::{Helm, checkout};
use serde_json::Value;

/// One way to install, by name.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) objects: Vec<Value>,
}

/// The ways that together take every branch of the templates.
pub(crate) fn variants() -> Result<Vec<Variant>> {
    let helm = Helm::from_env()?;
    let local = checkout().join("deploy/local/values.yaml");
    let everything = checkout().join("e2e/tests/chart/everything.yaml");
    let text = |path: &std::path::Path| path.to_str().map(str::to_owned).context("path");
    let (local, everything) = (text(&local)?, text(&everything)?);
    let arguments: [(&'static str, Vec<&str>); 5] = [
        ("default", vec![]),
        ("local", vec!["-f", &local]),
        ("everything", vec!["-f", &everything]),
        (
            "load balancer",
            vec![
                "--set",
                "livekit.media.mode=LoadBalancer,livekit.media.address=192.0.2.7",
            ],
        ),
        (
            "host network with redis",
            vec!["--set", "livekit.redis.enabled=true"],
        ),
    ];
    arguments
        .into_iter()
        .map(|(name, arguments)| {
            Ok(Variant {
                name,
                objects: helm.template(&arguments)?,
            })
        })
        .collect()
}

/// A text at a JSON pointer; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A list at a JSON pointer; empty when there is none.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// `Kind/name`.
pub(crate) fn id(object: &Value) -> String {
    format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name"))
}

impl Variant {
    pub(crate) fn kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects
            .iter()
            .filter(move |object| text(object, "/kind") == kind)
    }

    /// Deployments and StatefulSets.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Value> {
        self.kind("Deployment").chain(self.kind("StatefulSet"))
    }

    pub(crate) fn find(&self, wanted: &str) -> Result<&Value> {
        self.objects
            .iter()
            .find(|object| id(object) == wanted)
            .with_context(|| format!("{}: no {wanted}", self.name))
    }

    pub(crate) fn ids(&self) -> BTreeSet<String> {
        self.objects.iter().map(id).collect()
    }
}

/// Whether every label of `selector` is among `labels`.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}

/// The value of a container's environment variable.
pub(crate) fn env<'a>(container: &'a Value, name: &str) -> Option<&'a Value> {
    list(container, "/env")
        .iter()
        .find(|variable| text(variable, "/name") == name)
}
