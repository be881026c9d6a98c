//! What our roles write to the API server: for a Camera made, edited and deleted, and in a minute in which nothing happens, with
//! cameras that fail among them (contracts.md 3, 20). The user's own writes and Leases are not counted.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use kube::api::DeleteParams;
use marsad_crds::Reason;
use marsad_e2e::metrics::{Writes, between, writes};
use marsad_e2e::report::Report;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::{camera, wait};
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(60);
/// After the last object is as it should be: what is still written then is counted with it.
const SETTLED: Duration = Duration::from_secs(5);
/// Three tries of 11 s and the pauses between them.
const OPENS: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Options {
    /// Few cameras and a short quiet: nothing is gated
    #[arg(long)]
    short: bool,
    /// Cameras
    #[arg(long, default_value_t = 40)]
    cameras: u32,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (count, quiet) = if options.short {
        (4, Duration::from_secs(10))
    } else {
        (options.cameras, Duration::from_secs(60))
    };
    scenario("writes", |test| async move {
        let names: Vec<String> = (0..count).map(|index| format!("cam-{index}")).collect();
        let mut counter = Counter {
            last: writes(&test.cluster).await?,
            objects: count.into(),
        };
        let mut report = Report::new("writes");

        for name in &names {
            test.add(name, json!({"video": "clip"})).await?;
        }
        for name in &names {
            camera::up(&test.cameras(), name, WITHIN).await?;
        }
        let created = counter.each(&test).await?;
        gate(&mut report, "writes_per_create", created, 2.0)?;

        for name in &names {
            camera::edit(&test.cameras(), name, "edited", WITHIN).await?;
        }
        let edits = counter.each(&test).await?;
        gate(&mut report, "writes_per_edit", edits, 2.0)?;

        failing(&test).await?;
        counter.each(&test).await?;
        tokio::time::sleep(quiet).await;
        let (silent, objects) = (counter.since(&test).await?, counter.objects);
        gate(
            &mut report,
            "writes_quiet_minute",
            silent * 60.0 / quiet.as_secs_f64(),
            0.0,
        )?;

        for name in &names {
            test.cameras().delete(name, &DeleteParams::default()).await?;
        }
        for name in &names {
            wait::gone(&test.cameras(), name, WITHIN).await?;
        }
        let deleted = counter.each(&test).await?;
        gate(&mut report, "writes_per_delete", deleted, 1.0)?;
        report.figure("cameras", Some(objects), "objects")?;
        report.finish(!options.short)
    })
    .await
}

struct Counter {
    last: Writes,
    objects: f64,
}

impl Counter {
    /// Writes since the last look.
    async fn since(&mut self, test: &Scenario) -> Result<f64> {
        let now = writes(&test.cluster).await?;
        let before = std::mem::replace(&mut self.last, now);
        let count = between(&before, &self.last)?;
        Ok(f64::from(u32::try_from(count)?))
    }

    /// Writes since the last look, for each object, when what is under way has ended.
    async fn each(&mut self, test: &Scenario) -> Result<f64> {
        tokio::time::sleep(SETTLED).await;
        Ok(self.since(test).await? / self.objects)
    }
}

/// Adds a figure; `aim` is contracts.md 20's.
fn gate(report: &mut Report, figure: &str, value: f64, aim: f64) -> Result<()> {
    report.figure(figure, Some(value), "writes")?;
    if value > aim {
        report.broken(format!("{figure} is {value:.2}, aim ≤ {aim}"));
    }
    Ok(())
}

/// Cameras that are down in several ways, and stay so.
async fn failing(test: &Scenario) -> Result<()> {
    for (name, fault, reason) in [
        ("not-found", "not_found", Reason::StreamNotFound),
        ("unauthorized", "unauthorized", Reason::Unauthorized),
        ("hangs", "hang", Reason::ConnectTimeout),
    ] {
        test.add(name, json!({"video": "clip"})).await?;
        test.sim.fault(&test.simulated(name), fault).await?;
        camera::down(&test.cameras(), name, reason, WITHIN).await?;
    }
    // The last that changes of a camera that stays down (contracts.md 3).
    for name in ["not-found", "unauthorized", "hangs"] {
        camera::given_up(&test.cameras(), name, OPENS).await?;
    }
    Ok(())
}
