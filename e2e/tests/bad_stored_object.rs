//! An object is stored that our types can't read, from a time when its definition was looser: it is reported by name, and all
//! others are looked after as before.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use marsad_crds::{Camera, CustomResourceDefinition};
use marsad_e2e::definition::Definition;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::undisturbed::Undisturbed;
use marsad_e2e::{camera, wait};
use serde_json::json;

const UP: Duration = Duration::from_secs(30);

/// Stores one while the definition takes anything.
async fn store(test: &Scenario) -> Result<Api<DynamicObject>> {
    let resource = ApiResource::erase::<Camera>(&());
    let cameras: Api<DynamicObject> =
        Api::namespaced_with(test.cluster.client.clone(), &test.namespace, &resource);
    let bad: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "marsad.dev/v1alpha1", "kind": "Camera", "metadata": {"name": "bad"},
        "spec": {"sourceRef": "a word, where an object is wanted", "stream": 7},
    }))?;
    let definition = Definition::of::<Camera>(&test.cluster.client).await?;
    let loosened = definition
        .with(|definition: &mut CustomResourceDefinition| {
            for version in &mut definition.spec.versions {
                version.schema = serde_json::from_value(json!({
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }))?;
                // They must be fields that the schema has.
                version.selectable_fields = None;
            }
            Ok(())
        })
        .await?;
    // What is changed in a definition is served a moment later.
    let stored = wait::answer("the loose definition is served", UP, async || {
        Ok(cameras.create(&PostParams::default(), &bad).await?)
    })
    .await;
    loosened.restore().await?;
    stored?;
    Ok(cameras)
}

#[tokio::test]
async fn it_is_named_and_the_others_are_looked_after() -> Result<()> {
    scenario("unreadable", |test| async move {
        test.add("good", json!({"video": "clip"})).await?;
        let before = camera::up(&test.cameras(), "good", UP).await?;
        let calm = Undisturbed::now(&test.cluster, &before).await?;
        let cameras = store(&test).await?;
        let namespace = test.namespace.clone();
        wait::answer("the operator names it", UP, async || {
            let lines = test.cluster.log_lines("operator", 60).await?;
            let named = lines.iter().any(|line| {
                line.contains("\"object_unreadable\"")
                    && line.contains(&namespace)
                    && line.contains("\"bad\"")
            });
            ensure!(named, "no line names it");
            Ok(())
        })
        .await?;
        camera::edit(&test.cameras(), "good", "edited beside it", UP).await?;
        test.add("late", json!({"video": "clip"})).await?;
        camera::up(&test.cameras(), "late", UP).await?;
        let after = test.cameras().get("good").await?;
        calm.still(&test.cluster, &after).await?;
        cameras
            .delete("bad", &DeleteParams::default())
            .await
            .context("it can be deleted")?;
        Ok(())
    })
    .await
}
