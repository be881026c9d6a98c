//! YAML files as `kubectl apply` takes them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::discovery::{Discovery, Scope};
use kube::{Api, Client};

/// The files of a folder and of those below it, in order of their names; the folder's own first.
///
/// # Errors
/// When one can't be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    folders.sort();
    for folder in folders {
        found.extend(files(&folder)?);
    }
    Ok(found)
}

/// The objects of a file.
///
/// # Errors
/// When it is not YAML of Kubernetes objects.
pub fn objects(file: &Path) -> Result<Vec<DynamicObject>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_saphyr::from_multiple(&text).with_context(|| file.display().to_string())
}

/// Applies objects by server-side apply, as a person would, unknown fields refused; `dry` only asks.
///
/// # Errors
/// The first refusal, with the object.
pub async fn apply(client: &Client, objects: &[DynamicObject], dry: bool) -> Result<()> {
    let discovery = Discovery::new(client.clone()).run().await?;
    for object in objects {
        let types = object.types.clone().context("an object without kind")?;
        let kind = kube::core::GroupVersionKind::try_from(&types)?;
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let what = format!("{}/{name}", types.kind);
        let (resource, capabilities) = discovery
            .resolve_gvk(&kind)
            .with_context(|| format!("{what}: kind unknown"))?;
        let api: Api<DynamicObject> = match (&capabilities.scope, &object.metadata.namespace) {
            (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
            (Scope::Namespaced, None) => anyhow::bail!("{what}: no namespace"),
        };
        let mut parameters = PatchParams::apply("e2e").force().validation_strict();
        parameters.dry_run = dry;
        api.patch(name, &parameters, &Patch::Apply(object))
            .await
            .with_context(|| what)?;
    }
    Ok(())
}
