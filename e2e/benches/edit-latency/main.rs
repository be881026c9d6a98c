//! How long a person's edit waits for its answer while 10,000 cameras start cold (contracts.md 20). Real API server, engines
//! simulated at their HTTP edge, the operator as it is shipped.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use kube::api::{Patch, PatchParams};
use marsad_e2e::edge::{Edge, Operator};
use marsad_e2e::report::Report;
use marsad_e2e::statistics::quantile;
use serde_json::json;

/// contracts.md 20.
const AIM: f64 = 500.0;
/// Between two edits: a busy team.
const EVERY: Duration = Duration::from_millis(100);
/// An edit that is not answered within this time is not answered.
const ANSWERED: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Options {
    /// Few cameras: nothing is gated
    #[arg(long)]
    short: bool,
    /// Cameras that start, when it is not a short run
    #[arg(long, default_value_t = 10_000)]
    cameras: usize,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let count = if options.short { 400 } else { options.cameras };
    let edge = Edge::start(count).await?;
    edge.make(count, |_| std::future::ready(Ok(()))).await?;
    let operator = Operator::start().await?;
    // It leads: the first camera is Ready.
    edge.seen().ready(1, Duration::from_secs(60)).await?;
    let started = Instant::now();
    let mut edits: Vec<(String, i64, Instant)> = Vec::new();
    // What the API server itself takes for an edit, and to tell another client of it, with all that goes on beside.
    let mut taken = Vec::new();
    let mut ticks = tokio::time::interval(EVERY);
    while edge.seen().count() < count {
        ticks.tick().await;
        ensure!(
            started.elapsed() < Duration::from_secs(600),
            "{} are Ready",
            edge.seen().count()
        );
        // From all over the backlog, by a step that has no divisor in common with it.
        let name = format!("cam-{:05}", (edits.len() * 7_919 + 17) % count);
        let edit = json!({"spec": {"displayName": {"en": format!("edit {}", edits.len())}}});
        let at = Instant::now();
        let edited = edge
            .cameras()
            .patch(&name, &PatchParams::default(), &Patch::Merge(edit))
            .await?;
        taken.push(at.elapsed().as_secs_f64() * 1000.0);
        edits.push((name, edited.metadata.generation.context("generation")?, at));
    }
    let start = started.elapsed().as_secs_f64();
    let (mut took, mut told) = (Vec::new(), Vec::new());
    for (name, generation, at) in &edits {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let answered = loop {
            looks.tick().await;
            if let Some(answered) = edge.seen().observed(name, *generation) {
                break answered;
            }
            ensure!(at.elapsed() < ANSWERED, "the edit of {name} is not answered");
        };
        let since = |then: Instant| then.duration_since(*at).as_secs_f64() * 1000.0;
        took.push(since(answered));
        told.extend(edge.seen().told(name, *generation).map(since));
    }
    let mut report = Report::new("edit-latency");
    report.figure("edit_to_status_p50", quantile(&took, 0.5), "ms")?;
    let slow = report.figure("edit_to_status_p99", quantile(&took, 0.99), "ms")?;
    report.figure("edit_taken_p50", quantile(&taken, 0.5), "ms")?;
    report.figure("edit_taken_p99", quantile(&taken, 0.99), "ms")?;
    report.figure("edit_told_p50", quantile(&told, 0.5), "ms")?;
    report.figure("edit_told_p99", quantile(&told, 0.99), "ms")?;
    report.figure("edits", Some(f64::from(u32::try_from(took.len())?)), "edits")?;
    report.figure("cold_start", Some(start), "s")?;
    if slow >= AIM {
        report.broken(format!("edit_to_status_p99 is {slow:.0} ms, aim < {AIM}"));
    }
    operator.stop().await?;
    report.finish(!options.short)
}
