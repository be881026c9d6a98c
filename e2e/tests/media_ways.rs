//! The ways by which pictures reach browsers outside the pod network. HostNetwork is what every other test uses;
//! LoadBalancer needs a cloud.

use std::time::Duration;

use anyhow::Result;
use marsad_e2e::camera;
use marsad_e2e::cluster::Cluster;
use marsad_e2e::helm::{Helm, chart_dir};
use marsad_e2e::page::{self, Page};
use marsad_e2e::scenario::scenario;
use serde_json::json;

/// Sets LiveKit's media mode and waits until its pod serves.
fn media(helm: &Helm, cluster: &Cluster, mode: &str) -> Result<()> {
    let chart = chart_dir();
    helm.check(&[
        "upgrade",
        "marsad",
        &chart.to_string_lossy(),
        "--namespace",
        &cluster.namespace,
        "--reuse-values",
        "--set",
        &format!("livekit.media.mode={mode}"),
        "--wait",
        "--timeout",
        "3m",
    ])
    .map(drop)
}

#[tokio::test]
async fn by_node_port_to_a_browser_outside_the_pod_network() -> Result<()> {
    scenario("nodeport", |test| async move {
        let helm = Helm::from_env()?;
        test.add("clock", json!({"video": "clock"})).await?;
        let id = camera::id(&camera::up(&test.cameras(), "clock", Duration::from_secs(30)).await?)?;
        let watched = async {
            media(&helm, &test.cluster, "NodePort")?;
            let since = page::now()?;
            let page = Page::sign_in(&test.cluster).await?;
            page.open(&id, Duration::from_secs(10)).await?;
            page.picture_after(&id, since, Duration::from_secs(30)).await
        }
        .await;
        media(&helm, &test.cluster, "HostNetwork")?;
        watched.map(drop)
    })
    .await
}
