//! The circuit of a camera on a real cluster: when it is tried, what that writes, and how it ends (R1.1-03, R1.1-08, C-17).

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use marsad_crds::{Camera, Circuit, Reason, labels};
use marsad_e2e::camera;
use marsad_e2e::metrics;
use marsad_e2e::scenario::scenario;
use serde_json::json;

const UP: Duration = Duration::from_secs(30);
/// Three tries and the pauses between them; a try of a camera that refuses takes three seconds, and a poll.
const OPENS: Duration = Duration::from_secs(40);
/// Three connections that end after seconds.
const FLAPS: Duration = Duration::from_secs(60);

/// Versions of a Camera's status that were written while `body` ran.
async fn versions(cameras: Api<Camera>, name: &str, body: impl Future<Output = Result<()>>) -> Result<usize> {
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let seen = watcher(cameras, only)
        .applied_objects()
        .map_ok(|camera| camera.resource_version().unwrap_or_default());
    let mut seen = std::pin::pin!(seen);
    let mut body = std::pin::pin!(body);
    let mut versions = std::collections::BTreeSet::new();
    loop {
        tokio::select! {
            version = seen.next() => {
                versions.insert(version.context("the watch ended")??);
            }
            done = &mut body => {
                done?;
                return Ok(versions.len());
            }
        }
    }
}

/// A wish is granted at once: nobody has to wait out the half minute.
#[tokio::test]
async fn r1_1_08_it_opens_and_a_wish_closes_it() -> Result<()> {
    scenario("circuit", |test| async move {
        test.add("a", json!({"video": "clip"})).await?;
        let up = camera::up(&test.cameras(), "a", UP).await?;
        ensure!(camera::circuit(&up) == Some(Circuit::Closed), "{:?}", up.status);
        let attempts = metrics::sum(&test.cluster, "operator", "mediamtx_reconnect_attempts_total").await?;
        test.sim.fault(&test.simulated("a"), "not_found").await?;
        camera::down(&test.cameras(), "a", Reason::StreamNotFound, UP).await?;
        camera::given_up(&test.cameras(), "a", OPENS).await?;
        let tried = metrics::sum(&test.cluster, "operator", "mediamtx_reconnect_attempts_total").await?;
        ensure!(tried >= attempts + 2.0, "{attempts} to {tried}");
        test.sim.fault(&test.simulated("a"), "none").await?;
        let wish = json!({"metadata": {"annotations": {labels::RECONCILE_REQUESTED_AT: "now"}}});
        test.cameras()
            .patch("a", &PatchParams::default(), &Patch::Merge(wish))
            .await?;
        // Less than what is left of the half minute.
        let back = camera::up(&test.cameras(), "a", Duration::from_secs(15)).await?;
        ensure!(
            camera::circuit(&back) == Some(Circuit::Closed),
            "{:?}",
            back.status
        );
        Ok(())
    })
    .await
}

/// A camera that accepts and hangs up after seconds, again and again, costs a bounded number of writes: its circuit opens, too.
#[tokio::test]
async fn a_flapping_camera_is_no_hot_loop() -> Result<()> {
    scenario("flapping", |test| async move {
        test.add("a", json!({"video": "clip"})).await?;
        camera::up(&test.cameras(), "a", UP).await?;
        let flap = async {
            test.sim.fault(&test.simulated("a"), "drop").await?;
            camera::given_up(&test.cameras(), "a", FLAPS).await?;
            Ok(())
        };
        let written = Box::pin(versions(test.cameras(), "a", flap)).await?;
        // Three connections, each of them at most Unknown, True, Unknown, False.
        ensure!(written <= 12, "{written} versions");
        test.sim.fault(&test.simulated("a"), "none").await?;
        camera::up(&test.cameras(), "a", Duration::from_secs(60)).await?;
        Ok(())
    })
    .await
}
