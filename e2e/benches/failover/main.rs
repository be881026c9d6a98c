//! The operator that leads is killed with SIGKILL: how long until the next one writes (contracts.md 13, 20).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use kube::ResourceExt as _;
use marsad_e2e::leader::leader_and_standby;
use marsad_e2e::report::Report;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::statistics::quantile;
use marsad_e2e::{camera, process};
use rustix::process::Signal;
use serde_json::json;

/// contracts.md 20.
const AIM: f64 = 5.0;
/// A container that was killed again and again waits up to minutes for its restart; a pod that is deleted comes at once.
const BACK: Duration = Duration::from_secs(60);
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Options {
    /// Two kills that show that it works: nothing is gated
    #[arg(long)]
    short: bool,
    /// Kills
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let kills = if options.short { 2 } else { options.kills };
    scenario("failover", |test| async move {
        test.add("written", json!({"video": "clip"})).await?;
        camera::up(&test.cameras(), "written", WITHIN).await?;
        let mut took = Vec::new();
        for turn in 0..kills {
            took.push(failover(&test, turn).await?);
        }
        let mut report = Report::new("failover");
        report.figure("first_write_p50", quantile(&took, 0.5), "s")?;
        let worst = report.figure("first_write_s", quantile(&took, 1.0), "s")?;
        report.figure("kills", Some(kills.into()), "kills")?;
        if worst >= AIM {
            report.broken(format!("first_write_s is {worst:.1}, aim < {AIM}"));
        }
        report.finish(!options.short)
    })
    .await
}

/// Seconds from a kill to the first write of the next leader: a change waits for it from the moment of the kill.
async fn failover(test: &Scenario, turn: u32) -> Result<f64> {
    let leader = leader_and_standby(&test.cluster, BACK).await?;
    let killed = Instant::now();
    process::signal(&leader.pod.uid().context("uid")?, Signal::KILL)?;
    camera::edit(&test.cameras(), "written", &format!("kill {turn}"), WITHIN).await?;
    let took = killed.elapsed().as_secs_f64();
    test.cluster.kill(&leader.pod.name_any()).await?;
    eprintln!("{took:.2} s");
    Ok(took)
}
