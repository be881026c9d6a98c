//! LiveKit goes and comes back: viewers get pictures again without loading the page again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use marsad_e2e::camera;
use marsad_e2e::cluster::is_ready;
use marsad_e2e::page::Page;
use marsad_e2e::scenario::scenario;
use marsad_e2e::wait;
use serde_json::json;

/// From LiveKit's return to the picture: the browser's reconnect, and the camera published anew.
const PICTURE: Duration = Duration::from_secs(45);

/// `grace`: none is as the kubelet does it on a rollout, 0 is a crash.
async fn restarts(name: &str, grace: Option<u32>) -> Result<()> {
    scenario(name, |test| async move {
        test.add("clock", json!({"video": "clock"})).await?;
        let id = camera::id(&camera::up(&test.cameras(), "clock", Duration::from_secs(30)).await?)?;
        let page = Page::sign_in(&test.cluster).await?;
        page.browser().run("window.e2eLoaded = true;", vec![]).await?;
        page.open(&id, Duration::from_secs(10)).await?;
        page.tile_is(&id, "live", Duration::from_secs(20)).await?;

        let pods = test.cluster.pods_of("livekit").await?;
        let dead: Vec<String> = pods.iter().map(|pod| pod.name_any()).collect();
        for pod in &dead {
            let parameters = DeleteParams {
                grace_period_seconds: grace,
                ..Default::default()
            };
            test.cluster.pods().delete(pod, &parameters).await?;
        }
        wait::answer("LiveKit is back", Duration::from_secs(60), async || {
            let pods = test.cluster.pods_of("livekit").await?;
            let back = pods
                .iter()
                .any(|pod| is_ready(pod) && !dead.contains(&pod.name_any()));
            back.then_some(()).context("no other pod is Ready")
        })
        .await?;
        let back = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        page.picture_after(&id, back, PICTURE).await?;
        page.tile_is(&id, "live", Duration::from_secs(10)).await?;
        let same = page
            .browser()
            .run("return window.e2eLoaded === true;", vec![])
            .await?;
        assert_eq!(same, json!(true), "the page was loaded again");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn by_a_rollout_and_by_a_crash() -> Result<()> {
    restarts("rollout", None).await?;
    restarts("crash", Some(0)).await
}
