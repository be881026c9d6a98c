//! The operator that leads is killed, or stopped and woken (contracts.md 13).

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::LogParams;
use marsad_e2e::leader::{leader, leader_and_standby};
use marsad_e2e::process::{self, Stopped};
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::{camera, restarts, wait};
use rustix::process::Signal;
use serde_json::json;

const UP: Duration = Duration::from_secs(30);
/// The benchmark `failover` says how long it takes; here it must only come.
const TAKEN_OVER: Duration = Duration::from_secs(20);

/// One after the other: both need the only operators there are.
#[tokio::test]
async fn killed_and_stopped_leaders_are_replaced() -> Result<()> {
    scenario("leader", |test| async move {
        test.add("watched", json!({"video": "clip"})).await?;
        let before = camera::up(&test.cameras(), "watched", UP).await?;
        killed(&test).await?;
        stopped(&test).await?;
        let after = test.cameras().get("watched").await?;
        assert!(camera::is_up(&after));
        assert_eq!(
            camera::online_since(&after),
            camera::online_since(&before),
            "its picture was disturbed"
        );
        Ok(())
    })
    .await
}

async fn killed(test: &Scenario) -> Result<()> {
    let dead = leader_and_standby(&test.cluster, UP).await?;
    process::signal(&dead.pod.uid().context("uid")?, Signal::KILL)?;
    camera::edit(&test.cameras(), "watched", "after the kill", TAKEN_OVER).await?;
    ensure!(
        leader(&test.cluster).await?.identity != dead.identity,
        "the dead one leads"
    );
    Ok(())
}

async fn stopped(test: &Scenario) -> Result<()> {
    let old = leader_and_standby(&test.cluster, UP).await?;
    let pod = old.pod.name_any();
    let restarts = restarts::of(&old.pod);
    let stopped = Stopped::stop(&old.pod.uid().context("uid")?)?;
    camera::edit(&test.cameras(), "watched", "while it is stopped", TAKEN_OVER).await?;
    let new = leader(&test.cluster).await?;
    ensure!(new.identity != old.identity, "the stopped one leads");
    drop(stopped);
    // It finds out by itself, stays as it is, and stands by.
    wait::answer("the old leader is fenced", TAKEN_OVER, async || {
        let recent = LogParams {
            since_seconds: Some(60),
            ..LogParams::default()
        };
        let log = test.cluster.pods().logs(&pod, &recent).await?;
        ensure!(log.contains("\"fenced\""), "it has not noticed");
        Ok(())
    })
    .await?;
    let still = leader_and_standby(&test.cluster, UP).await?;
    assert_eq!(still.identity, new.identity, "it took the lead back");
    assert_eq!(
        restarts::of(&test.cluster.pods().get(&pod).await?),
        restarts,
        "it was restarted"
    );
    Ok(())
}
