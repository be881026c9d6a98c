//! A camera is recorded when its spec says so, beginning and ending while its picture goes on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::api::{Patch, PatchParams};
use marsad_crds::ConditionType;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::{camera, shard, wait};
use serde_json::{Value, json};

const UP: Duration = Duration::from_secs(30);
const WITHIN: Duration = Duration::from_secs(20);

async fn segments(test: &Scenario) -> Result<usize> {
    let recordings = shard::ask(test, "a", "recordings/get").await?;
    let list = recordings
        .as_ref()
        .and_then(|found| found.get("segments")?.as_array());
    Ok(list.map_or(0, Vec::len))
}

/// Since when the camera's connection stands.
async fn connected(test: &Scenario) -> Result<Value> {
    let path = shard::ask(test, "a", "paths/get").await?.context("no path")?;
    Ok(path.get("availableTime").cloned().unwrap_or_default())
}

#[tokio::test]
async fn it_begins_and_ends_while_the_picture_goes_on() -> Result<()> {
    scenario("recording", |test| async move {
        test.add("a", json!({"video": "clip"})).await?;
        camera::up(&test.cameras(), "a", UP).await?;
        let since = connected(&test).await?;
        ensure!(since.is_string(), "{since}");
        ensure!(segments(&test).await? == 0);
        let record =
            |yes: bool| Patch::Merge(json!({"spec": {"recording": {"enabled": yes, "retention": "1h"}}}));
        for (yes, files) in [(true, 1), (false, 1), (true, 2)] {
            test.cameras()
                .patch("a", &PatchParams::default(), &record(yes))
                .await?;
            let what = format!("recorded: {yes}, {files} files");
            wait::answer(&what, WITHIN, async || {
                let config = shard::ask(&test, "a", "config/paths/get")
                    .await?
                    .context("no path")?;
                ensure!(
                    config.get("record") == Some(&json!(yes)),
                    "record is {:?}",
                    config.get("record")
                );
                let found = segments(&test).await?;
                ensure!(found == files, "{found} files");
                Ok(())
            })
            .await?;
        }
        ensure!(connected(&test).await? == since, "the picture was interrupted");
        let after = test.cameras().get("a").await?;
        ensure!(
            camera::is(&after, ConditionType::Online, "True"),
            "{:?}",
            after.status
        );
        Ok(())
    })
    .await
}
