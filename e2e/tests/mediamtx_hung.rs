//! A shard's MediaMTX hangs, and another is out of memory.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use marsad_crds::Camera;
use marsad_e2e::process::{MemoryLimit, Stopped};
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::{camera, restarts, wait};
use serde_json::json;

const UP: Duration = Duration::from_secs(30);
/// It is lost after five seconds of silence; the poll that finds it silent may itself take as long as an answer may.
const MOVED: Duration = Duration::from_secs(20);
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The cameras of a pool of two shards, by the shard they are on.
async fn two_shards(test: &Scenario) -> Result<(String, Vec<Camera>)> {
    let pool = test.pool(2).await?;
    for name in NAMES {
        test.add_to_pool(name, json!({"video": "clip"}), &pool).await?;
    }
    let mut cameras = Vec::new();
    for name in NAMES {
        cameras.push(camera::up(&test.cameras(), name, UP).await?);
    }
    let shard = camera::shard(cameras.first().context("a camera")?).context("its shard")?;
    Ok((shard.to_owned(), cameras))
}

/// It neither answers nor ends (SIGSTOP). Its cameras are shown by the other shard, and when it wakes, it gives up what is no longer its own.
#[tokio::test]
async fn one_that_hangs_gives_its_cameras_away_and_takes_none_back() -> Result<()> {
    scenario("hung", |test| async move {
        let (hung, cameras) = two_shards(&test).await?;
        let uid = test.cluster.pods().get(&hung).await?.uid().context("uid")?;
        let stopped = Stopped::stop(&uid)?;
        let mut moved = BTreeSet::new();
        for before in cameras
            .iter()
            .filter(|camera| camera::shard(camera) == Some(&hung))
        {
            let name = before.name_any();
            let elsewhere = |camera: &Camera| {
                camera::is_up(camera) && camera::shard(camera).is_some_and(|shard| shard != hung)
            };
            wait::object(
                &test.cameras(),
                &name,
                "Online on the other shard",
                MOVED,
                elsewhere,
            )
            .await?;
            moved.insert(name);
        }
        drop(stopped);
        // What it still has of them is removed: a camera is pulled once.
        wait::answer("its old paths are gone", UP, async || {
            let lines = test.cluster.log_lines("operator", 120).await?;
            let removed: BTreeSet<&String> = moved
                .iter()
                .filter(|name| {
                    let path = format!("{}/{name}/main", test.namespace);
                    lines.iter().any(|line| {
                        line.contains("\"path_removed\"") && line.contains(&hung) && line.contains(&path)
                    })
                })
                .collect();
            // One that the kubelet has restarted meanwhile has lost them all.
            let restarts = restarts::of(&test.cluster.pods().get(&hung).await?);
            ensure!(
                restarts > 0 || removed.len() == moved.len(),
                "{removed:?} of {moved:?} were removed"
            );
            Ok(())
        })
        .await?;
        for name in NAMES {
            let after = camera::up(&test.cameras(), name, UP).await?;
            ensure!(
                camera::shard(&after) != Some(&hung),
                "{name} went back, which interrupts its picture"
            );
        }
        Ok(())
    })
    .await
}

/// The kernel kills it for its memory: the container begins anew in the same pod, with nothing configured, and gets its cameras again.
#[tokio::test]
async fn one_that_is_out_of_memory_comes_back_with_its_cameras() -> Result<()> {
    scenario("memory", |test| async move {
        let pool = test.pool(1).await?;
        test.add_to_pool("first", json!({"video": "clip"}), &pool).await?;
        camera::up(&test.cameras(), "first", UP).await?;
        let pod = format!("ingest-{pool}-0");
        let before = test.cluster.pods().get(&pod).await?;
        let limit = MemoryLimit::barely(&before.uid().context("uid")?)?;
        for name in ["second", "third", "fourth", "fifth"] {
            test.add_to_pool(name, json!({"video": "clip"}), &pool).await?;
        }
        let killed = wait::object(
            &test.cluster.pods(),
            &pod,
            "killed for its memory and started again",
            UP,
            |pod| restarts::after(pod, "OOMKilled"),
        )
        .await;
        drop(limit);
        ensure!(killed?.uid() == before.uid(), "the pod was replaced");
        for name in ["first", "second", "third", "fourth", "fifth"] {
            camera::up(&test.cameras(), name, Duration::from_secs(60)).await?;
        }
        Ok(())
    })
    .await
}
