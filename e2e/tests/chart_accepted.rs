//! The API server's own word on the rendered chart: no unknown field, nothing of a wrong type.

use anyhow::{Context as _, Result};
use kube::api::DynamicObject;
use marsad_e2e::cluster::Cluster;
use marsad_e2e::helm::{Helm, checkout};
use marsad_e2e::manifests;
use serde_json::Value;

/// Kinds of the Prometheus operator, which the cluster under test does not have.
const WITHOUT_MONITORING: &str = "serviceMonitor.enabled=false,monitoring.prometheusRule.enabled=false";

#[tokio::test]
async fn every_object_is_taken_strictly() -> Result<()> {
    let cluster = Cluster::from_env().await?;
    let helm = Helm::from_env()?;
    let everything = checkout().join("e2e/tests/chart/everything.yaml");
    let everything = everything.to_str().context("path")?;
    let balancer = "livekit.media.mode=LoadBalancer,livekit.media.address=192.0.2.7";
    let variants: [&[&str]; 3] = [
        &[],
        &["-f", everything, "--set", WITHOUT_MONITORING],
        &["--set", balancer],
    ];
    for variant in variants {
        let objects = helm.template(variant)?;
        // A dry run needs the namespaces, and a Role's rules are checked against the caller's: the administrator's.
        let objects = objects
            .into_iter()
            .filter(|object| object["kind"] != "CustomResourceDefinition")
            .map(elsewhere);
        let objects: Vec<DynamicObject> = objects.map(serde_json::from_value).collect::<Result<_, _>>()?;
        manifests::apply(&cluster.client, &objects, true)
            .await
            .with_context(|| format!("{variant:?}"))?;
    }
    Ok(())
}

/// Puts everything into a namespace that is there and has nothing of these names: applied over the release, lists would be
/// merged with its own.
fn elsewhere(mut object: Value) -> Value {
    if let Some(namespace) = object.pointer_mut("/metadata/namespace") {
        *namespace = "default".into();
    }
    object
}
