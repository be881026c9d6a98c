//! Recordings are on a volume of the shard that made them: they outlive its pod, stay when their camera moves, and keep a shard that a
//! smaller pool does not want until somebody knowingly lets it go; and then the volume stays.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use marsad_crds::{Camera, IngestPool};
use marsad_e2e::camera::{self, is_up, shard};
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::{pool, shard as shards, wait};
use serde_json::{Value, json};

const UP: Duration = Duration::from_secs(30);
const WITHIN: Duration = Duration::from_secs(60);

/// One pool of the test, whose camera is `a`.
struct Pool {
    test: Scenario,
    name: String,
}

impl Pool {
    fn shard(&self, ordinal: u8) -> String {
        format!("ingest-{}-{ordinal}", self.name)
    }

    async fn ask(&self, shard: &str, what: &str) -> Result<Option<Value>> {
        let path = format!("{}/a/main", self.test.namespace);
        shards::ask_one(&self.test, &self.name, shard, what, &path).await
    }

    /// Beginnings of the files that `shard` has of the camera, the first one first.
    async fn files(&self, shard: &str) -> Result<Vec<Value>> {
        let found = self.ask(shard, "recordings/get").await?;
        let segments = found.as_ref().and_then(|found| found.get("segments")?.as_array());
        Ok(segments.cloned().unwrap_or_default())
    }

    /// Waits until `shard` has the files of `before`, first of all, and `more` than those at least.
    async fn has(&self, shard: &str, before: &[Value], more: usize) -> Result<Vec<Value>> {
        let what = format!("{shard} has {before:?} and {more} more");
        wait::answer(&what, WITHIN, async || {
            let files = self.files(shard).await?;
            ensure!(
                files.starts_with(before) && files.len() >= before.len() + more,
                "{files:?}"
            );
            Ok(files)
        })
        .await
    }

    /// Waits until the camera is on the air from `ordinal`.
    async fn is_on(&self, ordinal: u8) -> Result<Camera> {
        let wanted = self.shard(ordinal);
        let there = |camera: &Camera| is_up(camera) && shard(camera) == Some(&wanted);
        wait::object(&self.test.cameras(), "a", "up on the shard", WITHIN, there).await
    }

    /// Waits until the path of the camera is at rest on `shard`, with the camera's retention.
    async fn rests(&self, shard: &str) -> Result<()> {
        wait::answer(&format!("the path is at rest on {shard}"), WITHIN, async || {
            let config = self.ask(shard, "config/paths/get").await?.context("no path")?;
            for (field, value) in [
                ("source", json!("publisher")),
                ("record", json!(false)),
                ("recordDeleteAfter", json!("2h0m0s")),
            ] {
                let has = config.get(field);
                ensure!(has == Some(&value), "{field} is {has:?}");
            }
            Ok(())
        })
        .await
    }

    async fn annotate(&self, force: Option<&str>) -> Result<()> {
        let patch = json!({"metadata": {"annotations": {"marsad.dev/force-scale-down": force}}});
        pool::pools(&self.test.cluster)
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }
}

async fn recorded(test: Scenario) -> Result<Pool> {
    let spec = json!({"replicas": 1, "mediamtx": {
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "recordings": {"size": "256Mi"}}});
    let name = test.pool_of(&test.namespace, spec).await?;
    test.add_to_pool("a", json!({"video": "clip"}), &name).await?;
    camera::up(&test.cameras(), "a", UP).await?;
    let record = json!({"spec": {"recording": {"enabled": true, "retention": "2h"}}});
    test.cameras()
        .patch("a", &PatchParams::default(), &Patch::Merge(record))
        .await?;
    Ok(Pool { test, name })
}

#[tokio::test]
async fn they_outlive_pods_stay_when_a_camera_moves_and_keep_a_shard_that_is_to_go() -> Result<()> {
    scenario("volumes", |test| async move {
        let pool = recorded(test).await?;
        let (first, second) = (pool.shard(0), pool.shard(1));
        let cluster = pool.test.cluster.clone();
        let made = pool.has(&first, &[], 1).await?;

        // The only shard's pod is killed: the next one of that name has its recordings, and goes on.
        cluster.kill(&first).await?;
        let made = pool.has(&first, &made, 1).await?;

        // With another shard there, the camera moves to it; its past stays, also when the first shard's pod comes back.
        pool::edit(&cluster, &pool.name, json!({"replicas": 2})).await?;
        pool::settled(&cluster, &pool.name, WITHIN).await?;
        cluster.kill(&first).await?;
        pool.is_on(1).await?;
        let made = pool.has(&first, &made, 0).await?;
        pool.rests(&first).await?;
        let moved = pool.has(&second, &[], 1).await?;

        // The second shard is to go: the camera leaves it, its recordings keep it.
        pool::edit(&cluster, &pool.name, json!({"replicas": 1})).await?;
        pool.is_on(0).await?;
        let waits = |found: &IngestPool| {
            let conditions = found.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|condition| {
                condition.type_ == "Ready"
                    && condition.reason == "Draining"
                    && condition
                        .message
                        .contains(&format!("{second}: stays for its recordings until 2"))
                    && condition.message.contains("force-scale-down=true")
            })
        };
        let pools = pool::pools(&cluster);
        wait::object(&pools, &pool.name, "says until when a shard stays", WITHIN, waits).await?;
        pool.has(&first, &made, 1).await?;
        pool.rests(&second).await?;
        pool.has(&second, &moved, 0).await?;

        // It is let go, and its volume stays.
        pool.annotate(Some("true")).await?;
        wait::gone(&cluster.pods(), &second, WITHIN).await?;
        pool::settled(&cluster, &pool.name, WITHIN).await?;
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let claim = claims.get(&format!("recordings-{second}")).await?;
        ensure!(
            claim.metadata.deletion_timestamp.is_none(),
            "{}",
            claim.name_any()
        );

        // The pool grows again: what was recorded there is there.
        pool.annotate(None).await?;
        pool::edit(&cluster, &pool.name, json!({"replicas": 2})).await?;
        pool.has(&second, &moved, 0).await?;
        pool.rests(&second).await
    })
    .await
}
