//! Manifests against schemas, offline: those of our kinds are committed, those of Kubernetes are made from
//! what the API server of the version that we build says of itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::checkout::{Checkout, short_hash};
use crate::light::ApiServer;
use crate::{cluster, command, engines};

/// A few hundred small documents.
const CHECK: Duration = Duration::from_secs(120);

/// Schemas of Kubernetes' kinds, one file a kind, in the cache.
pub(crate) struct Schemas {
    folder: PathBuf,
}

impl Schemas {
    /// Asks the API server once for each version.
    pub(crate) fn make(checkout: &Checkout) -> Result<Self> {
        let folder = checkout.cache.join("schemas").join(engines::KUBERNETES.version);
        if !folder.is_dir() {
            let server = ApiServer::start(checkout)?;
            let mut ask = Command::new(cluster::kubectl(&checkout.cache));
            ask.env("KUBECONFIG", server.kubeconfig())
                .args(["get", "--raw", "/openapi/v2"]);
            let document: Value = serde_json::from_str(&command::output(&mut ask, CHECK)?)?;
            let partial = folder.with_extension("partial");
            fs::create_dir_all(&partial)?;
            for (name, schema) in kinds(&document)? {
                fs::write(partial.join(format!("{name}.json")), schema.to_string())?;
            }
            fs::rename(&partial, &folder)?;
        }
        Ok(Self { folder })
    }

    /// Checks a text of many documents.
    pub(crate) fn check_text(&self, checkout: &Checkout, manifests: &str) -> Result<()> {
        let folder = checkout.root.join("target/conform");
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{}.yaml", short_hash(manifests.as_bytes(), 12)));
        fs::write(&file, manifests)?;
        self.check_files(checkout, &[&file.display().to_string()])
    }

    /// Checks files and folders, as paths from the workspace's root.
    pub(crate) fn check_files(&self, checkout: &Checkout, paths: &[&str]) -> Result<()> {
        let mut conform = Command::new(engines::KUBECONFORM.binary(&checkout.cache, "kubeconform"));
        conform.current_dir(&checkout.root).args(["-strict", "-summary"]);
        for folder in [self.folder.clone(), checkout.root.join("manifests/schemas")] {
            let pattern = format!(
                "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
                folder.display()
            );
            conform.args(["-schema-location", &pattern]);
        }
        // Kinds of an operator that a site may have, of which we have no schema.
        conform.args(["-skip", "ServiceMonitor,PrometheusRule"]);
        command::output(conform.args(paths), CHECK).map(drop)
    }
}

/// From an OpenAPI v2 document to one schema a kind, by the name under which kubeconform looks for it.
fn kinds(document: &Value) -> Result<BTreeMap<String, Value>> {
    let definitions = document
        .get("definitions")
        .and_then(Value::as_object)
        .context("no definitions")?;
    let strict: Map<String, Value> = definitions
        .iter()
        .map(|(name, definition)| (name.clone(), strict(name, definition)))
        .collect();
    let mut found = BTreeMap::new();
    for (name, definition) in definitions {
        let kinds = definition
            .get("x-kubernetes-group-version-kind")
            .and_then(Value::as_array);
        // Options of calls (DeleteOptions …) are listed under every group, and nobody writes them in a file.
        for kind in kinds
            .into_iter()
            .flatten()
            .filter(|_| kinds.is_some_and(|all| all.len() == 1))
        {
            let part = |key: &str| {
                kind.get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_lowercase()
            };
            let (group, version, kind) = (part("group"), part("version"), part("kind"));
            let group = group
                .split('.')
                .next()
                .filter(|group| !group.is_empty())
                .map(|group| format!("-{group}"));
            let mut used = Map::new();
            collect(name, &strict, &mut used);
            let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": used});
            found.insert(format!("{kind}{}-{version}", group.unwrap_or_default()), schema);
        }
    }
    if found.is_empty() {
        bail!("the API server names no kinds");
    }
    Ok(found)
}

/// A definition that takes no unknown field, and numbers where the wire takes them but the document says string.
fn strict(name: &str, definition: &Value) -> Value {
    if name.ends_with(".IntOrString") || name.ends_with(".Quantity") {
        return json!({"type": ["string", "number"]});
    }
    let mut definition = definition.clone();
    if let Some(fields) = definition.as_object_mut()
        && fields.contains_key("properties")
        && !fields.contains_key("additionalProperties")
    {
        fields.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    definition
}

/// The definition and all that it refers to.
fn collect(name: &str, all: &Map<String, Value>, used: &mut Map<String, Value>) {
    if used.contains_key(name) {
        return;
    }
    let Some(definition) = all.get(name) else { return };
    used.insert(name.to_owned(), definition.clone());
    let mut names = Vec::new();
    references(definition, &mut names);
    for name in names {
        collect(&name, all, used);
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            found.extend(
                reference
                    .and_then(|text| text.strip_prefix("#/definitions/"))
                    .map(str::to_owned),
            );
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_its_name_and_what_it_refers_to_and_no_more() {
        let document = json!({"definitions": {
            "x.Deployment": {
                "properties": {"spec": {"$ref": "#/definitions/x.Spec"}},
                "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
            },
            "x.Spec": {"properties": {"port": {"$ref": "#/definitions/util.IntOrString"}}},
            "util.IntOrString": {"type": "string"},
            "x.Pod": {
                "properties": {},
                "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
            },
            "x.Options": {"x-kubernetes-group-version-kind": [
                {"group": "", "version": "v1", "kind": "O"}, {"group": "apps", "version": "v1", "kind": "O"},
            ]},
        }});
        let found = kinds(&document).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["deployment-apps-v1", "pod-v1"]);
        let definitions = &found["deployment-apps-v1"]["definitions"];
        assert_eq!(definitions["x.Spec"]["additionalProperties"], false);
        assert_eq!(
            definitions["util.IntOrString"]["type"],
            json!(["string", "number"])
        );
        assert!(definitions.get("x.Pod").is_none());
    }
}
