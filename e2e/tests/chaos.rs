//! Faults, wishes and edits in a random order, from a seed that is printed and can be given again (R1.1-35). Whatever came: cameras
//! that nobody touched were not written, nothing was restarted, writes stay in proportion, and all come back when the faults are over.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use futures::TryStreamExt as _;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use marsad_crds::{Camera, labels};
use marsad_e2e::camera;
use marsad_e2e::metrics;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::undisturbed::Undisturbed;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

/// What things happen to.
const TROUBLED: usize = 6;
/// What nothing happens to.
const BYSTANDERS: usize = 4;
const UP: Duration = Duration::from_secs(60);
/// Half a minute until an open circuit is tried, a fifth more by chance, one try that fails for what is just over, and the next.
const BACK: Duration = Duration::from_secs(120);
/// Writes that one thing may cause: a try that fails is two (why, and that it is tried again), and a circuit opens after three.
const WRITES_EACH: u64 = 8;
/// Faults of the simulator, each as likely as another; `none` ends the one before.
const FAULTS: [&str; 8] = [
    "none",
    "refuse",
    "hang",
    "drop",
    "unauthorized",
    "not_found",
    "stall",
    "no_video",
];

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    Fault(&'static str),
    /// A person asks for another try.
    Wish,
    /// A person changes what it is called.
    Edit,
    Suspend(bool),
    /// Deleted, and applied again under the same name.
    Replace,
}

impl Event {
    fn random(random: &mut StdRng) -> Self {
        match random.random_range(0..10) {
            0..6 => Self::Fault(FAULTS.choose(random).copied().unwrap_or("none")),
            6 => Self::Wish,
            7 => Self::Edit,
            8 => Self::Suspend(random.random()),
            _ => Self::Replace,
        }
    }

    async fn happens(self, test: &Scenario, name: &str, number: u64) -> Result<()> {
        let merge = async |what| {
            test.cameras()
                .patch(name, &PatchParams::default(), &Patch::Merge(what))
                .await
                .map(drop)
        };
        match self {
            Self::Fault(fault) => test.sim.fault(&test.simulated(name), fault).await?,
            Self::Wish => {
                let wish = number.to_string();
                merge(json!({"metadata": {"annotations": {labels::RECONCILE_REQUESTED_AT: wish}}})).await?;
            }
            Self::Edit => merge(json!({"spec": {"displayName": {"en": format!("Edit {number}")}}})).await?,
            Self::Suspend(suspend) => merge(json!({"spec": {"suspend": suspend}})).await?,
            Self::Replace => {
                test.cameras().delete(name, &DeleteParams::default()).await?;
                test.apply(name, &test.sim.url(&test.simulated(name))).await?;
            }
        }
        Ok(())
    }
}

fn of_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

async fn up(test: &Scenario, names: &[String], within: Duration) -> Result<Vec<Camera>> {
    futures::stream::iter(names)
        .map(async |name| camera::up(&test.cameras(), name, within).await)
        .buffered(names.len())
        .try_collect()
        .await
}

#[tokio::test]
async fn r1_1_35_whatever_happens_to_some_the_others_notice_nothing_and_all_come_back() -> Result<()> {
    let seed = of_environment("MARSAD_SEED").unwrap_or_else(rand::random);
    // `cargo xtask test --soak` lets it last ten minutes.
    let lasts = Duration::from_secs(of_environment("MARSAD_CHAOS_SECONDS").unwrap_or(20));
    eprintln!("MARSAD_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    scenario("chaos", |test| async move {
        let troubled: Vec<String> = (0..TROUBLED).map(|number| format!("troubled-{number}")).collect();
        let bystanders: Vec<String> = (0..BYSTANDERS)
            .map(|number| format!("bystander-{number}"))
            .collect();
        for name in troubled.iter().chain(&bystanders) {
            test.add(name, json!({"video": "clip"})).await?;
        }
        up(&test, &troubled, UP).await?;
        let before = up(&test, &bystanders, UP).await?;
        let first = before.first().ok_or_else(|| anyhow::anyhow!("no bystander"))?;
        let undisturbed = Undisturbed::now(&test.cluster, first).await?;
        let written = metrics::writes(&test.cluster).await?;

        let started = Instant::now();
        let mut things = 0;
        while started.elapsed() < lasts {
            let (name, event) = (
                troubled
                    .choose(&mut random)
                    .ok_or_else(|| anyhow::anyhow!("no camera"))?,
                Event::random(&mut random),
            );
            things += 1;
            eprintln!("{:>5.1} s {name}: {event:?}", started.elapsed().as_secs_f64());
            event.happens(&test, name, things).await?;
            // When the next thing happens is part of what is random; nothing is waited for.
            tokio::time::sleep(Duration::from_millis(random.random_range(0..2000))).await;
        }
        for (name, number) in troubled.iter().zip(things..) {
            Event::Fault("none").happens(&test, name, number).await?;
            Event::Suspend(false).happens(&test, name, number).await?;
        }
        things += 2 * u64::try_from(TROUBLED)?;
        up(&test, &troubled, BACK).await?;

        let writes = metrics::between(&written, &metrics::writes(&test.cluster).await?)?;
        eprintln!("{things} things, {writes} writes");
        ensure!(
            writes <= WRITES_EACH * things,
            "{writes} writes for {things} things"
        );
        for camera in &before {
            let name = camera.name_any();
            let after = test.cameras().get(&name).await?;
            ensure!(
                after.resource_version() == camera.resource_version(),
                "{name} was written"
            );
        }
        undisturbed.still(&test.cluster, first).await
    })
    .await
}
