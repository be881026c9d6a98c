//! Real RTSP cameras from the simulator through real MediaMTX: what one costs, how long all take to come, and whether those that
//! fail disturb the others (contracts.md 20). What the capacity calculator counts with comes from here.

mod cost;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Api, ResourceExt as _};
use marsad_crds::{Camera, Circuit, ConditionType};
use marsad_e2e::camera;
use marsad_e2e::process;
use marsad_e2e::report::Report;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::wait;
use marsad_runtime::watch::Watch;
use serde_json::json;

/// Cameras of a shard.
const PER_SHARD: u32 = 100;
/// Requests at a time while cameras are made.
const CONCURRENCY: usize = 8;

#[derive(Parser)]
struct Options {
    /// Few cameras and a short look: nothing is gated
    #[arg(long)]
    short: bool,
    /// Cameras
    #[arg(long, default_value_t = 500)]
    cameras: u32,
    /// Cameras of each shard whose costs are compared
    #[arg(long, default_value_t = 20)]
    compared: u32,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    // A camera that hangs costs the most: three tries of eleven seconds until its circuit is open.
    let (count, look, fault) = if options.short {
        (10, Duration::from_secs(5), "not_found")
    } else {
        (options.cameras, Duration::from_secs(60), "hang")
    };
    let mut report = Report::new("ingest");
    // `cargo xtask capacity` takes its coefficients from the full form only.
    report.figure("full", Some(f64::from(u8::from(!options.short))), "of 1")?;
    cost::measure(
        &mut report,
        if options.short { 2 } else { options.compared },
        look,
    )
    .await?;
    scenario("ingest", |test| async move {
        let pool = pool_of(&test, &test.namespace, count.div_ceil(PER_SHARD) + 1).await?;
        let cameras = watched(&test);
        let names: Vec<String> = (0..count).map(|number| format!("cam-{number:03}")).collect();
        report.figure("cameras", Some(count.into()), "cameras")?;

        let started = Instant::now();
        futures::stream::iter(&names)
            .map(|name| test.add_to_pool(name, json!({"video": "clip"}), &pool))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<Vec<()>>()
            .await?;
        report.figure("made_s", Some(started.elapsed().as_secs_f64()), "s")?;
        all(&cameras, count, ConditionType::Ready).await?;
        report.figure("ready_500_s", Some(started.elapsed().as_secs_f64()), "s")?;
        all(&cameras, count, ConditionType::Online).await?;
        report.figure("online_500_s", Some(started.elapsed().as_secs_f64()), "s")?;

        let before = usage(&test, &pool).await?;
        let looked = Instant::now();
        tokio::time::sleep(look).await;
        let after = usage(&test, &pool).await?;
        let cores = (after.processor - before.processor) / looked.elapsed().as_secs_f64();
        report.figure(
            "cpu_per_camera",
            Some(cores * 100.0 / f64::from(count)),
            "% of a core",
        )?;
        report.figure("rss_per_camera", Some(after.resident / f64::from(count)), "MiB")?;

        let disturbed = disturbed(&test, &cameras, &names, fault, look).await?;
        report.figure("disturbed", Some(disturbed), "cameras")?;
        if disturbed > 0.0 {
            report.broken(format!("{disturbed} cameras were disturbed by others, aim 0"));
        }
        report.finish(!options.short)
    })
    .await
}

/// A pool whose shards ask for little, so that all of them find room on one node of two cores, and have no limit: one of processors would
/// be measured instead of the cost. With a tenth of this a shard got its turn after all others, and did not answer for seconds.
async fn pool_of(test: &Scenario, name: &str, replicas: u32) -> Result<String> {
    let requests = json!({"cpu": "100m", "memory": "64Mi"});
    let spec = json!({"replicas": replicas, "mediamtx": {"resources": {"requests": requests}}});
    test.pool_of(name, spec).await
}

/// The cameras of the test, as they change: to list five hundred several times a second takes the API server a core.
fn watched(test: &Scenario) -> Watch<Camera> {
    let all: Api<DeserializeGuard<Camera>> = Api::namespaced(test.cluster.client.clone(), &test.namespace);
    let (cameras, feed) = Watch::new(all, watcher::Config::default());
    tokio::spawn(feed);
    cameras
}

/// Waits until `kind` is True for all cameras.
async fn all(cameras: &Watch<Camera>, count: u32, kind: ConditionType) -> Result<()> {
    wait::answer("all cameras to be up", Duration::from_secs(900), async || {
        let cameras = cameras.store().state();
        let up = cameras.iter().filter(|one| camera::is(one, kind, "True")).count();
        anyhow::ensure!(u32::try_from(up)? == count, "{up} of {count} are");
        Ok(())
    })
    .await
}

struct Usage {
    /// Seconds of processor time.
    processor: f64,
    /// MiB.
    resident: f64,
}

/// What the pool's MediaMTX use, all together.
async fn usage(test: &Scenario, pool: &str) -> Result<Usage> {
    let mut sum = Usage {
        processor: 0.0,
        resident: 0.0,
    };
    for pod in test.cluster.pods_of("mediamtx").await? {
        if !pod.name_any().starts_with(&format!("ingest-{pool}-")) {
            continue;
        }
        for pid in process::of_pod(&pod.uid().context("uid")?)? {
            let used = process::usage(pid)?;
            sum.processor += used.processor;
            sum.resident += used.resident / (1024.0 * 1024.0);
        }
    }
    Ok(sum)
}

/// Lets every tenth camera fail until its circuit is open, and `look` longer; how many of the others have lost their picture meanwhile.
/// One that is moved to an emptier shard has not: it is made there before it is broken here.
async fn disturbed(
    test: &Scenario,
    cameras: &Watch<Camera>,
    names: &[String],
    fault: &str,
    look: Duration,
) -> Result<f64> {
    let dead = |number: usize| number.is_multiple_of(10);
    let pictures = || -> BTreeMap<String, String> {
        let healthy = names.iter().enumerate().filter(|(number, _)| !dead(*number));
        let healthy: Vec<&String> = healthy.map(|(_, name)| name).collect();
        let of = |one: &Camera| (one.name_any(), camera::online_since(one).unwrap_or_default());
        let cameras = cameras.store().state();
        let cameras = cameras.iter().map(|one| of(one));
        cameras.filter(|(name, _)| healthy.contains(&name)).collect()
    };
    let before = pictures();
    for (_, name) in names.iter().enumerate().filter(|(number, _)| dead(*number)) {
        test.sim.fault(&test.simulated(name), fault).await?;
    }
    wait::answer("the circuits to open", Duration::from_secs(180), async || {
        let cameras = cameras.store().state();
        let open = cameras
            .iter()
            .filter(|one| camera::circuit(one) == Some(Circuit::Open));
        let open = open.count();
        anyhow::ensure!(open == names.len().div_ceil(10), "{open} are open");
        Ok(())
    })
    .await?;
    tokio::time::sleep(look).await;
    let after = pictures();
    let changed = before
        .iter()
        .filter(|(name, since)| after.get(*name) != Some(since));
    Ok(f64::from(u32::try_from(changed.count())?))
}
