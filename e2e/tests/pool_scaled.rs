//! A pool is scaled and rolled out under its cameras: what must move is made on the other shard before it is broken on its own, and what
//! need not move stays.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use marsad_crds::Camera;
use marsad_e2e::page::{self, Page};
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::{camera, pool, wait};
use serde_json::json;

const UP: Duration = Duration::from_secs(30);
const SCALED: Duration = Duration::from_secs(90);

/// Adds cameras, and waits for their pictures.
async fn cameras(test: &Scenario, pool: &str, names: &[&str]) -> Result<Vec<Camera>> {
    for name in names {
        test.add_to_pool(name, json!({"video": "clip"}), pool).await?;
    }
    let mut all = Vec::new();
    for name in names {
        all.push(camera::up(&test.cameras(), name, UP).await?);
    }
    Ok(all)
}

async fn shards_of(test: &Scenario, cameras: &[Camera]) -> Result<BTreeMap<String, String>> {
    let mut shards = BTreeMap::new();
    for camera in cameras {
        let camera = test.cameras().get(&camera.name_any()).await?;
        let shard = camera::shard(&camera).context("on no shard")?.to_owned();
        shards.insert(camera.name_any(), shard);
    }
    Ok(shards)
}

#[tokio::test]
async fn from_one_to_three_and_back_no_picture_breaks() -> Result<()> {
    scenario("scaled", |test| async move {
        let name = test.pool(1).await?;
        let mut all = cameras(&test, &name, &["a", "b"]).await?;
        let before = shards_of(&test, &all).await?;
        pool::edit(&test.cluster, &name, json!({"replicas": 3})).await?;
        pool::settled(&test.cluster, &name, SCALED).await?;
        all.extend(cameras(&test, &name, &["c", "d", "e", "f", "g", "h"]).await?);
        let spread = shards_of(&test, &all).await?;
        for (camera, shard) in &before {
            ensure!(
                spread.get(camera) == Some(shard),
                "{camera} was moved without need"
            );
        }
        let first = format!("ingest-{name}-0");
        ensure!(
            spread.values().any(|shard| *shard != first),
            "nobody is on the new shards: {spread:?}"
        );

        pool::edit(&test.cluster, &name, json!({"replicas": 1})).await?;
        pool::settled(&test.cluster, &name, SCALED).await?;
        let after = shards_of(&test, &all).await?;
        ensure!(after.values().all(|shard| *shard == first), "{after:?}");
        pool::unbroken(&test.cameras(), &all).await?;
        for ordinal in [1, 2] {
            wait::gone(&test.cluster.pods(), &format!("ingest-{name}-{ordinal}"), SCALED).await?;
        }
        Ok(())
    })
    .await
}

/// Another limit for the engine's memory: each pod is made anew, one after the other, and a viewer goes on seeing.
#[tokio::test]
async fn a_rollout_empties_each_shard_first() -> Result<()> {
    scenario("rolled", |test| async move {
        let name = test.pool(2).await?;
        let all = cameras(&test, &name, &["a", "b", "c", "d"]).await?;
        test.add_to_pool("clock", json!({"video": "clock"}), &name)
            .await?;
        let clock = camera::up(&test.cameras(), "clock", UP).await?;
        let id = camera::id(&clock)?;
        let page = Page::watching(&test.cluster, &id).await?;
        let pods = || async {
            let all = test.cluster.pods_of("mediamtx").await?;
            let prefix = format!("ingest-{name}-");
            let ours = all.into_iter().filter(|pod| pod.name_any().starts_with(&prefix));
            anyhow::Ok(
                ours.filter_map(|pod| Some((pod.name_any(), pod.uid()?)))
                    .collect::<BTreeMap<_, _>>(),
            )
        };
        let old = pods().await?;

        let resources =
            json!({"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "513Mi"}});
        pool::edit(
            &test.cluster,
            &name,
            json!({"mediamtx": {"resources": resources}}),
        )
        .await?;
        wait::answer("every pod is made anew", 2 * SCALED, async || {
            let new = pods().await?;
            ensure!(
                new.len() == old.len() && new.iter().all(|(name, uid)| old.get(name) != Some(uid)),
                "{new:?}"
            );
            Ok(())
        })
        .await?;
        pool::settled(&test.cluster, &name, SCALED).await?;
        pool::unbroken(&test.cameras(), &all).await?;
        pool::unbroken(&test.cameras(), &[clock]).await?;
        page.picture_after(&id, page::now()?, UP).await?;
        Ok(())
    })
    .await
}

/// Nowhere to go: the shard stays, and says how it goes all the same.
#[tokio::test]
async fn a_shard_without_room_elsewhere_stays_until_it_is_forced() -> Result<()> {
    use kube::api::{Patch, PatchParams};
    scenario("stuck", |test| async move {
        let name = test.pool(2).await?;
        pool::edit(&test.cluster, &name, json!({"camerasPerReplica": 2})).await?;
        let all = cameras(&test, &name, &["a", "b", "c"]).await?;
        pool::edit(&test.cluster, &name, json!({"replicas": 1})).await?;
        let pools = pool::pools(&test.cluster);
        let told = wait::object(
            &pools,
            &name,
            "says that it is stuck",
            UP,
            |pool: &marsad_crds::IngestPool| {
                let conditions = pool.status.iter().flat_map(|status| &status.conditions);
                conditions.into_iter().any(|condition| {
                    condition.type_ == "Ready"
                        && condition.reason == "Draining"
                        && condition.message.contains("force-scale-down=true")
                })
            },
        )
        .await?;
        let headroom = told.status.iter().flat_map(|status| &status.conditions);
        ensure!(
            headroom
                .into_iter()
                .any(|condition| condition.type_ == "Headroom" && condition.status == "False"),
            "{:?}",
            told.status
        );
        pool::unbroken(&test.cameras(), &all).await?;
        let force = json!({"metadata": {"annotations": {"marsad.dev/force-scale-down": "true"}}});
        pools
            .patch(&name, &PatchParams::default(), &Patch::Merge(force))
            .await?;
        wait::gone(&test.cluster.pods(), &format!("ingest-{name}-1"), SCALED).await
    })
    .await
}
