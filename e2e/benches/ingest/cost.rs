//! What a path, a Mbit/s, a recording and a forward to LiveKit cost a shard. One shard for each, looked at in the same windows: what
//! disturbs one disturbs all.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use futures::TryStreamExt as _;
use futures::future::try_join_all;
use kube::ResourceExt as _;
use marsad_crds::{CameraRecording, ConditionType, LiveMode, NameRef};
use marsad_e2e::camera::camera;
use marsad_e2e::process;
use marsad_e2e::report::Report;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::statistics::median;
use marsad_e2e::wait;
use rustix::process::Pid;
use serde_json::json;

/// Windows of a look.
const WINDOWS: u32 = 6;

/// A shard and what its cameras do.
struct Arm {
    name: &'static str,
    /// The simulator's name of what they show; none: there are no cameras.
    video: Option<&'static str>,
    recorded: bool,
    /// Sent to LiveKit all the time.
    forwarded: bool,
}

const fn arm(name: &'static str, video: Option<&'static str>, recorded: bool, forwarded: bool) -> Arm {
    Arm {
        name,
        video,
        recorded,
        forwarded,
    }
}

/// `low` is about 1 Mbit/s, `high` about 4.
static ARMS: [Arm; 7] = [
    arm("empty", None, false, false),
    arm("low", Some("clip"), false, false),
    arm("high", Some("heavy"), false, false),
    arm("low_recorded", Some("clip"), true, false),
    arm("high_recorded", Some("heavy"), true, false),
    arm("low_forwarded", Some("clip"), false, true),
    arm("high_forwarded", Some("heavy"), false, true),
];

/// What a shard has used so far, and uses now.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    /// Seconds of processor time.
    processor: f64,
    /// MiB.
    resident: f64,
    /// Mbit that came.
    received: f64,
    /// Mbit that went.
    sent: f64,
}

/// Puts `NAME_cpu` (% of a core), `NAME_rss` (MiB) and `NAME_mbit` (Mbit/s on the wire), for each of `count` cameras and less the empty
/// shard, into the report, and `empty_cpu` and `empty_rss` of that.
///
/// # Errors
/// When the cameras do not come up, or a shard can't be seen.
pub(crate) async fn measure(report: &mut Report, count: u32, look: Duration) -> Result<()> {
    scenario("cost", |test| async move {
        let pools: Vec<String> = try_join_all(ARMS.iter().map(|arm| pool(&test, arm))).await?;
        for (arm, pool) in ARMS.iter().zip(&pools) {
            cameras(&test, arm, pool, count).await?;
        }
        let with_cameras = ARMS.iter().filter(|arm| arm.video.is_some()).count();
        let all = u32::try_from(with_cameras)? * count;
        crate::all(&crate::watched(&test), all, ConditionType::Online).await?;
        let shards: Vec<Vec<Pid>> = try_join_all(pools.iter().map(|pool| processes(&test, pool))).await?;
        for (arm, shard) in ARMS.iter().zip(&shards).filter(|(arm, _)| arm.forwarded) {
            forwarding(arm, shard).await?;
        }

        let mut samples = vec![Vec::new(); ARMS.len()];
        for window in 0..=WINDOWS {
            if window > 0 {
                tokio::time::sleep(look / WINDOWS).await;
            }
            for (samples, shard) in samples.iter_mut().zip(&shards) {
                samples.push(sample(shard)?);
            }
        }
        let used: Vec<Used> = samples
            .iter()
            .map(|samples| Used::between(samples))
            .collect::<Option<_>>()
            .context("no window")?;
        put(report, &used, f64::from(count))
    })
    .await
}

fn put(report: &mut Report, used: &[Used], count: f64) -> Result<()> {
    let empty = used.first().context("the empty shard")?;
    report.figure("empty_cpu", Some(empty.cores * 100.0), "% of a core")?;
    report.figure("empty_rss", Some(empty.resident), "MiB")?;
    for (arm, used) in ARMS.iter().zip(used).skip(1) {
        let cpu = (used.cores - empty.cores) / count * 100.0;
        report.figure(&format!("{}_cpu", arm.name), Some(cpu), "% of a core")?;
        let resident = (used.resident - empty.resident) / count;
        report.figure(&format!("{}_rss", arm.name), Some(resident), "MiB")?;
        report.figure(
            &format!("{}_mbit", arm.name),
            Some(used.received / count),
            "Mbit/s",
        )?;
    }
    Ok(())
}

/// A pool with one shard.
async fn pool(test: &Scenario, arm: &Arm) -> Result<String> {
    let name = format!("{}-{}", test.namespace, arm.name.replace('_', "-"));
    crate::pool_of(test, &name, 1).await
}

async fn cameras(test: &Scenario, arm: &Arm, pool: &str, count: u32) -> Result<()> {
    let Some(video) = arm.video else {
        return Ok(());
    };
    let make = |number: u32| async move {
        let name = format!("{}-{number}", arm.name.replace('_', "-"));
        test.simulate(&name, json!({"video": video})).await?;
        let mut camera = camera(&name, &test.sim.url(&test.simulated(&name)));
        camera.spec.pool_ref = Some(NameRef {
            name: pool.to_owned(),
        });
        if arm.forwarded {
            camera.spec.live.mode = LiveMode::Always;
        }
        camera.spec.recording = arm.recorded.then(|| CameraRecording {
            enabled: true,
            retention: "1h".to_owned(),
        });
        test.create(camera).await
    };
    futures::stream::iter(0..count)
        .map(make)
        .buffer_unordered(crate::CONCURRENCY)
        .try_collect()
        .await
}

/// Waits until what comes goes on to LiveKit.
async fn forwarding(arm: &Arm, shard: &[Pid]) -> Result<()> {
    let what = format!("the cameras of {} to be sent to LiveKit", arm.name);
    wait::answer(&what, Duration::from_secs(120), async || {
        let before = sample(shard)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = sample(shard)?;
        let (received, sent) = (after.received - before.received, after.sent - before.sent);
        anyhow::ensure!(sent > 0.8 * received, "{sent:.1} Mbit of {received:.1} were");
        Ok(())
    })
    .await
}

/// Those of the pool's only shard.
async fn processes(test: &Scenario, pool: &str) -> Result<Vec<Pid>> {
    let wanted = format!("ingest-{pool}-0");
    let pods = test.cluster.pods_of("mediamtx").await?;
    let pod = pods.iter().find(|pod| pod.name_any() == wanted);
    process::of_pod(
        &pod.and_then(kube::ResourceExt::uid)
            .with_context(|| format!("no pod {wanted}"))?,
    )
}

fn sample(shard: &[Pid]) -> Result<Sample> {
    let mut sum = Sample {
        at: Instant::now(),
        processor: 0.0,
        resident: 0.0,
        received: 0.0,
        sent: 0.0,
    };
    for pid in shard {
        let used = process::usage(*pid)?;
        sum.processor += used.processor;
        sum.resident += used.resident / (1024.0 * 1024.0);
        // All of a pod see the same network.
        let (received, sent) = process::network(*pid)?;
        (sum.received, sum.sent) = (received * 8.0 / 1e6, sent * 8.0 / 1e6);
    }
    Ok(sum)
}

/// What a shard used in the middle window.
struct Used {
    cores: f64,
    /// MiB.
    resident: f64,
    /// Mbit/s.
    received: f64,
}

impl Used {
    fn between(samples: &[Sample]) -> Option<Self> {
        let rate = |of: fn(&Sample) -> f64| -> Option<f64> {
            let windows: Vec<f64> = samples
                .iter()
                .zip(samples.iter().skip(1))
                .map(|(before, after)| (of(after) - of(before)) / (after.at - before.at).as_secs_f64())
                .collect();
            median(&windows)
        };
        let resident: Vec<f64> = samples.iter().map(|sample| sample.resident).collect();
        Some(Self {
            cores: rate(|sample| sample.processor)?,
            resident: median(&resident)?,
            received: rate(|sample| sample.received)?,
        })
    }
}
