//! The node's containerd is killed and comes back: the containers go on without it, and nothing is moved.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use marsad_e2e::page::{self, Page};
use marsad_e2e::process::Component;
use marsad_e2e::scenario::scenario;
use marsad_e2e::undisturbed::Undisturbed;
use marsad_e2e::{camera, wait};
use rustix::process::Signal;
use serde_json::json;

const UP: Duration = Duration::from_secs(30);
const BACK: Duration = Duration::from_secs(60);

#[tokio::test]
async fn nothing_is_moved_or_restarted() -> Result<()> {
    scenario("containerd", |test| async move {
        test.add("clock", json!({"video": "clock"})).await?;
        let before = camera::up(&test.cameras(), "clock", UP).await?;
        let id = camera::id(&before)?;
        let page = Page::watching(&test.cluster, &id).await?;
        let calm = Undisturbed::now(&test.cluster, &before).await?;

        let runtime = Component::find("containerd")?;
        runtime.signal(Signal::KILL)?;
        let killed = page::now()?;
        page.picture_after(&id, killed, Duration::from_secs(5))
            .await
            .context("while containerd is away")?;
        wait::answer("containerd is back", BACK, async || {
            ensure!(Component::find("containerd")? != runtime, "the old one");
            Ok(())
        })
        .await?;
        // A pod that is made then runs: the kubelet has found it again.
        let pool = test.pool(1).await?;
        test.add_to_pool("after", json!({"video": "clip"}), &pool).await?;
        camera::up(&test.cameras(), "after", UP).await?;

        let after = test.cameras().get("clock").await?;
        assert!(camera::is_up(&after));
        assert_eq!(camera::shard(&after), camera::shard(&before), "it was moved");
        calm.still(&test.cluster, &after).await?;
        Ok(())
    })
    .await
}
