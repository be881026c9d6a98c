//! The definitions are upgraded while cameras run: the next release has a field more. Nothing is disturbed, and the new field is kept.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use marsad_crds::{Camera, CustomResourceDefinition};
use marsad_e2e::definition::Definition;
use marsad_e2e::scenario::scenario;
use marsad_e2e::undisturbed::Undisturbed;
use marsad_e2e::{camera, wait};
use serde_json::json;

const UP: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_field_is_added_and_nothing_is_disturbed() -> Result<()> {
    scenario("upgrade", |test| async move {
        test.add("a", json!({"video": "clip"})).await?;
        let before = camera::up(&test.cameras(), "a", UP).await?;
        let calm = Undisturbed::now(&test.cluster, &before).await?;
        let resource = ApiResource::erase::<Camera>(&());
        let cameras: Api<DynamicObject> =
            Api::namespaced_with(test.cluster.client.clone(), &test.namespace, &resource);
        let definition = Definition::of::<Camera>(&test.cluster.client).await?;
        let upgraded = definition
            .with(|definition: &mut CustomResourceDefinition| {
                for version in &mut definition.spec.versions {
                    let schema = version
                        .schema
                        .as_mut()
                        .and_then(|schema| schema.open_api_v3_schema.as_mut());
                    let spec = schema.and_then(|schema| schema.properties.as_mut()?.get_mut("spec"));
                    let fields = spec.and_then(|spec| spec.properties.as_mut()).context("spec")?;
                    fields.insert(
                        "ofTheNextRelease".to_owned(),
                        serde_json::from_value(json!({"type": "string"}))?,
                    );
                }
                Ok(())
            })
            .await?;
        let kept = wait::answer("the new field is kept", UP, async || {
            let edit =
                json!({"spec": {"ofTheNextRelease": "kept", "displayName": {"en": "of the next release"}}});
            let edited = cameras
                .patch("a", &PatchParams::default(), &Patch::Merge(edit))
                .await?;
            let spec = edited.data.get("spec").context("spec")?;
            ensure!(
                spec.get("ofTheNextRelease") == Some(&json!("kept")),
                "it was pruned"
            );
            Ok(())
        })
        .await;
        // The operator of this release looks after an object of the next.
        let answered = camera::edit(&test.cameras(), "a", "edited after it", UP).await;
        let still = cameras.get("a").await;
        upgraded.restore().await?;
        kept?;
        answered?;
        let still = still?;
        let spec = still.data.get("spec").context("spec")?;
        ensure!(
            spec.get("ofTheNextRelease") == Some(&json!("kept")),
            "our writes have lost it"
        );
        let after = camera::up(&test.cameras(), "a", UP).await?;
        calm.still(&test.cluster, &after).await?;
        Ok(())
    })
    .await
}
