//! The manifests that people copy: complete, and each applied.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::api::DynamicObject;
use kube::{Api, ResourceExt as _};
use marsad_crds::{Camera, StreamQuota};
use marsad_e2e::camera;
use marsad_e2e::cluster::Cluster;
use marsad_e2e::helm::checkout;
use marsad_e2e::manifests;
use serde::de::DeserializeOwned;

fn all() -> Result<Vec<DynamicObject>> {
    let mut objects = Vec::new();
    for file in manifests::files(&checkout().join("examples"))? {
        objects.extend(manifests::objects(&file)?);
    }
    // What `kubectl apply -f examples/platform` does first.
    objects.sort_by_key(|object| kind(object) != "Namespace");
    Ok(objects)
}

fn kind(object: &DynamicObject) -> &str {
    object
        .types
        .as_ref()
        .map(|types| types.kind.as_str())
        .unwrap_or_default()
}

fn of<K: DeserializeOwned>(wanted: &str) -> Result<Vec<K>> {
    let found = all()?.into_iter().filter(|object| kind(object) == wanted);
    found
        .map(|object| Ok(serde_json::from_value(serde_json::to_value(object)?)?))
        .collect()
}

/// Twelve cameras over four agencies, named in both languages, and a quota that adds up (R0-06, R0-07, R0-08).
#[test]
fn they_are_twelve_cameras_of_four_agencies() -> Result<()> {
    let cameras: Vec<Camera> = of("Camera")?;
    assert_eq!(cameras.len(), 12);
    let mut counts = BTreeMap::new();
    for camera in &cameras {
        *counts.entry(camera.namespace().unwrap_or_default()).or_insert(0) += 1;
        let name = camera.spec.display_name.clone().unwrap_or_default();
        assert!(
            name.en.is_some_and(|text| !text.is_empty()),
            "{}",
            camera.name_any()
        );
        assert!(
            name.ar.is_some_and(|text| !text.is_empty()),
            "{}",
            camera.name_any()
        );
    }
    assert_eq!(counts.len(), 4, "{counts:?}");

    let quotas: Vec<StreamQuota> = of("StreamQuota")?;
    let spec = &quotas.first().context("no StreamQuota")?.spec;
    let limits: Vec<(String, i32, i32)> = spec
        .agencies
        .iter()
        .map(|agency| (agency.effective_code(), agency.cameras, agency.streams))
        .collect();
    let wanted = [("DUBAI_POLICE", 50), ("METRO", 30), ("BUS", 20), ("OTHER", 400)];
    assert_eq!(
        limits,
        wanted.map(|(code, limit)| (code.to_owned(), limit, limit))
    );
    assert_eq!((spec.total.cameras, spec.total.streams), (500, 500));
    Ok(())
}

/// Every file says something to the reader who copies it, or is the same as one that does.
#[test]
fn what_they_refer_to_is_there() -> Result<()> {
    let objects = all()?;
    let there: BTreeSet<String> = objects
        .iter()
        .map(|object| {
            format!(
                "{}/{}/{}",
                kind(object),
                object.namespace().unwrap_or_default(),
                object.name_any()
            )
        })
        .collect();
    for camera in of::<Camera>("Camera")? {
        let namespace = camera.namespace().unwrap_or_default();
        let source = format!("CameraSource/{namespace}/{}", camera.spec.source_ref.name);
        assert!(there.contains(&source), "{}: {source}", camera.name_any());
        if let Some(secret) = &camera.spec.stream.credentials_secret_ref {
            assert!(
                there.contains(&format!("Secret/{namespace}/{}", secret.name)),
                "{}",
                camera.name_any()
            );
            assert!(
                there
                    .iter()
                    .any(|id| id.starts_with(&format!("RoleBinding/{namespace}/"))),
                "{namespace}"
            );
        }
    }
    for namespace in objects
        .iter()
        .filter_map(|object| object.namespace())
        .filter(|name| name != "marsad-system")
    {
        assert!(there.contains(&format!("Namespace//{namespace}")), "{namespace}");
    }
    Ok(())
}

/// The API server takes them, unknown fields refused; every camera is shown.
#[tokio::test]
async fn they_are_applied_and_come_online() -> Result<()> {
    let cluster = Cluster::from_env().await?;
    manifests::apply(&cluster.client, &all()?, false).await?;
    for example in of::<Camera>("Camera")? {
        let namespace = example.namespace().context("namespace")?;
        let cameras: Api<Camera> = Api::namespaced(cluster.client.clone(), &namespace);
        camera::up(&cameras, &example.name_any(), Duration::from_secs(60)).await?;
    }
    Ok(())
}
