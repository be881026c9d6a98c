//! From a click to a picture, and from the camera to the screen: ours ÷ the bare chain, in one run (contracts.md 20).
//!
//! Both chains pull the same simulated cameras at the same time. Tries come in pairs, one of each chain, at the same phase
//! of the camera's GOP (1 s), the phases spread evenly over it; who comes first alternates.

mod chain;

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use marsad_e2e::api::ApiClient;
use marsad_e2e::camera;
use marsad_e2e::page::{Frame, Page};
use marsad_e2e::report::Report;
use marsad_e2e::scenario::{Scenario, scenario};
use marsad_e2e::statistics::{Pair, deal, median_ratio, quantile, ratio_noise};
use reqwest::Method;
use serde_json::{Value, json};

use crate::chain::Chain;

const WATCH: &str = include_str!("ours.js");
/// Turn by turn, so that the linger of each is over when its next turn comes.
const CAMERAS: usize = 8;
/// `STREAM_LINGER` of the local cluster, and a second for the forward to end.
const LINGER: Duration = Duration::from_secs(11);
/// A first frame that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(15);
/// Of the cameras.
const GOP_MS: u32 = 1_000;
/// contracts.md 20.
const AIM: f64 = 1.1;
/// Into how many parts tries are dealt to see their noise.
const PARTS: usize = 10;
/// A ratio's noise must be below a third of its margin (contracts.md 20).
const NOISE: f64 = (AIM - 1.0) / 3.0;

#[derive(Parser)]
struct Options {
    /// A few tries that show that it works: nothing is gated
    #[arg(long)]
    short: bool,
    /// Pairs of tries in a round of first frames
    #[arg(long, default_value_t = 100)]
    tries: u32,
    /// Rounds, at most: there is another while the noise is too high
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    scenario("bench", |test| async move {
        let mut bench = Box::pin(Bench::prepare(test)).await?;
        bench.run(&options).await
    })
    .await
}

struct Bench {
    test: Scenario,
    page: Page,
    chain: Chain,
    cameras: Vec<Watched>,
    clock: Watched,
}

/// A camera in both chains.
struct Watched {
    id: String,
    name: String,
    /// When ours was last left.
    left: Option<Instant>,
}

/// Tries of one kind: the phase of the click, and milliseconds of ours and of the bare chain.
#[derive(Default)]
struct Tries {
    pairs: Vec<(u32, Pair)>,
    failed: u32,
    bare_failed: u32,
}

impl Tries {
    /// In parts, each of which is spread over all phases.
    fn parts(&self) -> Vec<Vec<Pair>> {
        let mut by_phase = self.pairs.clone();
        by_phase.sort_by_key(|(phase, _)| *phase);
        let pairs: Vec<Pair> = by_phase.into_iter().map(|(_, pair)| pair).collect();
        // Ten tries a part, and ten parts: but for a short run, where neither says much.
        deal(&pairs, PARTS.min(pairs.len() / 2))
    }
}

impl Bench {
    async fn prepare(test: Scenario) -> Result<Self> {
        let mut pulled = Vec::new();
        let mut watched = Vec::new();
        for index in 0..=CAMERAS {
            let (name, video) = match index {
                CAMERAS => ("clock".to_owned(), "clock"),
                _ => (format!("cam-{index}"), "clip"),
            };
            test.add(&name, json!({"video": video})).await?;
            let object = camera::up(&test.cameras(), &name, Duration::from_secs(60)).await?;
            let simulated = test.simulated(&name);
            pulled.push((name.clone(), test.sim.url(&simulated)));
            watched.push(Watched {
                id: camera::id(&object)?,
                name,
                left: None,
            });
        }
        let clock = watched.pop().context("a clock")?;
        Ok(Self {
            page: Page::sign_in(&test.cluster).await?,
            chain: Box::pin(Chain::start(&test, &pulled)).await?,
            test,
            cameras: watched,
            clock,
        })
    }

    async fn run(&mut self, options: &Options) -> Result<()> {
        let (tries, rounds) = if options.short {
            (4, 1)
        } else {
            (options.tries, options.rounds)
        };
        // What is loaded once a page (code, decoder) is not of a first frame.
        let (ours, bare) = self.pair(0, 0, false).await?;
        ours.context("the first try of all")?;
        bare.context("the first try of all")?;

        let mut report = Report::new("live");
        let off = self.first_frames(tries, rounds, false).await?;
        report_first_frames(&mut report, "first_frame", &off)?;

        let holder = Holder::of(&self.test, &self.cameras, &self.chain).await?;
        let on = self.first_frames(tries, rounds, true).await?;
        report_first_frames(&mut report, "first_frame_on", &on)?;
        holder.release().await?;

        let ages = self
            .glass_to_glass(if options.short { 2..=2 } else { 6..=60 })
            .await?;
        let (ours, bare): (Vec<f64>, Vec<f64>) = ages.iter().flatten().copied().unzip();
        report.figure("glass_to_glass_p50", quantile(&ours, 0.5), "ms")?;
        report.figure("glass_to_glass_p95", quantile(&ours, 0.95), "ms")?;
        report.figure("bare_glass_to_glass_p50", quantile(&bare, 0.5), "ms")?;
        report.figure("bare_glass_to_glass_p95", quantile(&bare, 0.95), "ms")?;
        gate(&mut report, "glass_to_glass", &ages)?;
        report.finish(!options.short)
    }

    async fn first_frames(&mut self, tries: u32, rounds: u32, on: bool) -> Result<Tries> {
        let mut done = Tries::default();
        for round in 0..rounds {
            for turn in 0..tries {
                let index = usize::try_from(turn)? % self.cameras.len();
                // The golden ratio's steps: spread evenly, and neighbours in time are far apart in phase.
                let phase = (f64::from(round * tries + turn) * 0.618_034).fract() * f64::from(GOP_MS);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 999")]
                let phase = phase as u32;
                match self.pair(index, phase, on).await? {
                    (Ok(ours), Ok(bare)) => done.pairs.push((phase, (ours, bare))),
                    (ours, bare) => {
                        done.failed += u32::from(ours.is_err());
                        done.bare_failed += u32::from(bare.is_err());
                        for error in [ours.err(), bare.err()].into_iter().flatten() {
                            eprintln!("try {turn}: {error:#}");
                        }
                    }
                }
            }
            let noise = ratio_noise(&done.parts());
            eprintln!("{} pairs, noise {noise:.3?}", done.pairs.len());
            if noise.is_some_and(|noise| noise < NOISE) {
                break;
            }
        }
        Ok(done)
    }

    /// One try of each chain.
    async fn pair(&mut self, index: usize, phase: u32, on: bool) -> Result<(Result<f64>, Result<f64>)> {
        let name = self.cameras.get(index).context("no such camera")?.name.clone();
        Ok(if phase.is_multiple_of(2) {
            let ours = self.ours(index, phase, on).await;
            (ours, self.bare(&name, phase, on).await)
        } else {
            let bare = self.bare(&name, phase, on).await;
            (self.ours(index, phase, on).await, bare)
        })
    }

    async fn bare(&mut self, name: &str, phase: u32, on: bool) -> Result<f64> {
        if on {
            self.chain.first_frame_on(name, phase, WITHIN).await
        } else {
            self.chain.first_frame(name, phase, WITHIN).await
        }
    }

    async fn ours(&mut self, index: usize, phase: u32, on: bool) -> Result<f64> {
        let camera = self.cameras.get_mut(index).context("no such camera")?;
        if let (false, Some(left)) = (on, camera.left) {
            tokio::time::sleep(LINGER.saturating_sub(left.elapsed())).await;
        }
        let arguments = vec![
            json!(phase),
            json!(camera.id),
            json!(u64::try_from(WITHIN.as_millis())?),
        ];
        let answer = self.page.browser().run_async(WATCH, arguments).await?;
        self.page.close(&camera.id).await?;
        camera.left = Some(Instant::now());
        took(&answer).context("ours")
    }

    /// Ages of frames, from the encoder to the screen, round by round: a pair is a frame of each chain. Each round joins
    /// anew, because how much a browser holds back is settled by the first packets it sees: many short rounds say more than few long
    /// ones.
    async fn glass_to_glass(&mut self, rounds: RangeInclusive<usize>) -> Result<Vec<Vec<Pair>>> {
        const FRAMES: usize = 125;
        let within = Duration::from_secs(15);
        let mut all = Vec::new();
        let (id, name) = (self.clock.id.clone(), self.clock.name.clone());
        self.chain.publish(&name, Some(&name)).await?;
        for round in 1..=*rounds.end() {
            self.page.open(&id, Duration::from_secs(10)).await?;
            self.page.tile_is(&id, "live", Duration::from_secs(20)).await?;
            let ours = ages(&self.page.frames(&id, FRAMES, within).await?)?;
            self.page.close(&id).await?;
            let bare = ages(&self.chain.frames(&name, FRAMES, within).await?)?;
            all.push(ours.into_iter().zip(bare).collect());
            let noise = ratio_noise(&all);
            eprintln!("{round} rounds, noise {noise:.3?}");
            if round >= *rounds.start() && noise.is_some_and(|noise| noise < NOISE) {
                break;
            }
        }
        self.chain.publish(&name, None).await?;
        Ok(all)
    }
}

/// Milliseconds in the answer of a try's script.
fn took(answer: &Value) -> Result<f64> {
    answer
        .get("took")
        .and_then(Value::as_f64)
        .with_context(|| answer.to_string())
}

/// Ages in milliseconds; the first second, in which the browser's buffer settles, is left out.
fn ages(frames: &[Frame]) -> Result<Vec<f64>> {
    let settled = frames.get(25..).context("less than a second of frames")?;
    let ages: Vec<i64> = settled.iter().filter_map(Frame::age).collect();
    ensure!(
        ages.len() * 10 >= settled.len() * 9,
        "{} of {} clocks were read",
        ages.len(),
        settled.len()
    );
    ages.into_iter()
        .map(|age| Ok(f64::from(i32::try_from(age)?)))
        .collect()
}

fn report_first_frames(report: &mut Report, name: &str, tries: &Tries) -> Result<()> {
    let (ours, bare): (Vec<f64>, Vec<f64>) = tries.pairs.iter().map(|(_, pair)| *pair).unzip();
    for (chain, values) in [("", &ours), ("bare_", &bare)] {
        for (which, share) in [("p50", 0.5), ("p95", 0.95)] {
            report.figure(&format!("{chain}{name}_{which}"), quantile(values, share), "ms")?;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let pairs = tries.pairs.len() as f64;
    report.figure(&format!("{name}_pairs"), Some(pairs), "tries")?;
    report.figure(&format!("{name}_failed"), Some(tries.failed.into()), "tries")?;
    report.figure(
        &format!("bare_{name}_failed"),
        Some(tries.bare_failed.into()),
        "tries",
    )?;
    gate(report, name, &tries.parts())?;
    if tries.failed > 0 {
        report.broken(format!("{name}: {} of our tries failed", tries.failed));
    }
    Ok(())
}

fn gate(report: &mut Report, name: &str, parts: &[Vec<Pair>]) -> Result<()> {
    let ratio = report.figure(
        &format!("{name}_ratio"),
        median_ratio(&parts.concat()),
        "ours/bare",
    )?;
    let noise = report.figure(&format!("{name}_ratio_noise"), ratio_noise(parts), "ours/bare")?;
    if ratio > AIM {
        report.broken(format!("{name}_ratio is {ratio:.3}, aim ≤ {AIM}"));
    }
    if noise > NOISE {
        report.broken(format!(
            "{name}_ratio has a noise of {noise:.3}, aim ≤ {NOISE:.3}"
        ));
    }
    Ok(())
}

/// Somebody else who watches every camera in both chains.
struct Holder {
    beats: tokio::task::JoinHandle<Result<()>>,
    api: ApiClient,
    reservations: Vec<Value>,
}

impl Holder {
    async fn of(test: &Scenario, cameras: &[Watched], chain: &Chain) -> Result<Self> {
        let api = ApiClient::sign_in(&test.cluster).await?;
        let mut reservations = Vec::new();
        for camera in cameras {
            let body = json!({"camera_id": camera.id, "client_id": "bench-holder"});
            let answer = api.send(Method::POST, "/api/v1/stream/live", Some(body)).await?;
            let answer: Value = answer.error_for_status()?.json().await?;
            let id = answer.get("reservation_id").context("reservation_id")?;
            reservations.push(json!({"reservation_id": id}));
            chain.publish(&camera.name, Some(&camera.name)).await?;
        }
        let (beating, bodies) = (ApiClient::sign_in(&test.cluster).await?, reservations.clone());
        let beats = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(15));
            loop {
                ticks.tick().await;
                for body in &bodies {
                    let beat = beating.send(Method::POST, "/api/v1/stream/heartbeat", Some(body.clone()));
                    beat.await?.error_for_status()?;
                }
            }
        });
        Ok(Self {
            beats,
            api,
            reservations,
        })
    }

    async fn release(self) -> Result<()> {
        if self.beats.is_finished() {
            self.beats.await??;
            anyhow::bail!("the holder's heartbeats ended");
        }
        self.beats.abort();
        for body in self.reservations {
            self.api
                .send(Method::DELETE, "/api/v1/stream/live", Some(body))
                .await?
                .error_for_status()?;
        }
        Ok(())
    }
}
