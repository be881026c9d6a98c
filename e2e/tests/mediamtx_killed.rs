//! A shard's pod is killed (contracts.md 12).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use marsad_crds::Camera;
use marsad_e2e::camera::{self, is_up, shard};
use marsad_e2e::cluster::is_ready;
use marsad_e2e::page::{self, Page};
use marsad_e2e::scenario::scenario;
use marsad_e2e::wait;
use serde_json::json;

const UP: Duration = Duration::from_secs(30);
/// With others left, its cameras are Online elsewhere.
const MOVED: Duration = Duration::from_secs(10);
/// The only one: after its replacement is Ready.
const RETURNED: Duration = Duration::from_secs(15);
/// In every case, from the kill.
const ALL: Duration = Duration::from_secs(30);

#[tokio::test]
async fn one_of_two_shards_its_cameras_move() -> Result<()> {
    scenario("shards", |test| async move {
        let pool = test.pool(2).await?;
        for name in ["a", "b", "c", "d"] {
            test.add_to_pool(name, json!({"video": "clip"}), &pool).await?;
        }
        let mut victims = Vec::new();
        let mut others = Vec::new();
        let dead = format!("ingest-{pool}-0");
        for name in ["a", "b", "c", "d"] {
            let camera = camera::up(&test.cameras(), name, UP).await?;
            if shard(&camera) == Some(&dead) {
                victims.push(name);
            } else {
                others.push(camera);
            }
        }
        if victims.is_empty() {
            // Rendezvous hashing may put four cameras on one side, once in sixteen runs: then that side is killed.
            anyhow::ensure!(!others.is_empty(), "no camera is anywhere");
        }
        let dead = if victims.is_empty() {
            format!("ingest-{pool}-1")
        } else {
            dead
        };
        let (victims, others): (Vec<&str>, Vec<Camera>) = if victims.is_empty() {
            (vec!["a", "b", "c", "d"], vec![])
        } else {
            (victims, others)
        };
        let killed = Instant::now();
        test.cluster.kill(&dead).await?;
        for name in victims {
            let left = MOVED.saturating_sub(killed.elapsed());
            let moved = |camera: &Camera| is_up(camera) && shard(camera).is_some_and(|shard| shard != dead);
            wait::object(&test.cameras(), name, "Online on the other shard", left, moved).await?;
        }
        for before in others {
            let after = test.cameras().get(&before.name_any()).await?;
            assert_eq!(
                shard(&after),
                shard(&before),
                "a camera of the other shard was moved"
            );
            assert!(is_up(&after), "a camera of the other shard was disturbed");
        }
        Ok(())
    })
    .await
}

/// No status has to flip for this: the proof is a picture whose clock is later than the kill.
#[tokio::test]
async fn the_only_shard_a_viewer_sees_the_picture_again() -> Result<()> {
    scenario("shard", |test| async move {
        let pool = test.pool(1).await?;
        test.add_to_pool("clock", json!({"video": "clock"}), &pool)
            .await?;
        let id = camera::id(&camera::up(&test.cameras(), "clock", UP).await?)?;
        let page = Page::watching(&test.cluster, &id).await?;

        let pod = format!("ingest-{pool}-0");
        let killed = Instant::now();
        let dead = test.cluster.kill(&pod).await?;
        let replaced = wait::object(&test.cluster.pods(), &pod, "replaced and Ready", ALL, |pod| {
            pod.uid().as_deref() != Some(dead.as_str()) && is_ready(pod)
        })
        .await?;
        let ready = Instant::now();
        let since = replaced
            .creation_timestamp()
            .context("creation")?
            .0
            .as_millisecond();
        let within = RETURNED.min(ALL.saturating_sub(killed.elapsed()));
        // Frames from before may still stand in the browser: later than the new pod is later than the kill.
        page.picture_after(
            &id,
            u64::try_from(since)?.min(page::now()?),
            within + Duration::from_secs(5),
        )
        .await?;
        camera::up(
            &test.cameras(),
            "clock",
            RETURNED
                .saturating_sub(ready.elapsed())
                .max(Duration::from_secs(1)),
        )
        .await?;
        Ok(())
    })
    .await
}
