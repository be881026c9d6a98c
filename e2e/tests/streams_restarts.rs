//! The `streams` role forgets who watches: viewers keep or get back their pictures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use marsad_e2e::camera;
use marsad_e2e::cluster::is_ready;
use marsad_e2e::page::Page;
use marsad_e2e::scenario::scenario;
use marsad_e2e::wait;
use serde_json::json;

/// The linger after which a forward that nobody is known to watch ends, and a heartbeat interval after that.
const FORGOTTEN: Duration = Duration::from_secs(40);

#[tokio::test]
async fn a_viewer_keeps_the_picture() -> Result<()> {
    scenario("streams", |test| async move {
        test.add("clock", json!({"video": "clock"})).await?;
        let id = camera::id(&camera::up(&test.cameras(), "clock", Duration::from_secs(30)).await?)?;
        let page = Page::watching(&test.cluster, &id).await?;
        let dead: Vec<String> = test
            .cluster
            .pods_of("streams")
            .await?
            .iter()
            .map(|pod| pod.name_any())
            .collect();
        for pod in &dead {
            test.cluster.kill(pod).await?;
        }
        wait::answer("streams is back", Duration::from_secs(30), async || {
            let pods = test.cluster.pods_of("streams").await?;
            let back = pods
                .iter()
                .any(|pod| is_ready(pod) && !dead.contains(&pod.name_any()));
            back.then_some(()).context("no other pod is Ready")
        })
        .await?;
        // Whatever it has forgotten has had its effect by then.
        let later = SystemTime::now().duration_since(UNIX_EPOCH)? + FORGOTTEN;
        page.picture_after(
            &id,
            u64::try_from(later.as_millis())?,
            FORGOTTEN + Duration::from_secs(30),
        )
        .await?;
        Ok(())
    })
    .await
}
