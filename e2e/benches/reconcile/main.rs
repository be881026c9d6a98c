//! Cameras applied to all of them Ready, against the same objects made and their status written once by a bare client (contracts.md
//! 20). Real API server, engines simulated at their HTTP edge, the operator as it is shipped.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use marsad_e2e::edge::{Edge, Operator, written_once};
use marsad_e2e::report::Report;
use marsad_e2e::statistics::{Pair, median, median_ratio};

/// contracts.md 20.
const AIM: f64 = 1.5;

#[derive(Parser)]
struct Options {
    /// Few cameras, once: nothing is gated
    #[arg(long)]
    short: bool,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    // (name, cameras, rounds)
    let sizes: &[(&str, usize, usize)] = if options.short {
        &[("ready_100", 100, 1)]
    } else {
        &[("ready_1000", 1_000, 5), ("ready_10000", 10_000, 1)]
    };
    let most = sizes.iter().map(|(_, count, _)| *count).max().unwrap_or(0);
    let edge = Edge::start(most).await?;
    let mut report = Report::new("reconcile");
    for (name, count, rounds) in sizes {
        let mut pairs: Vec<Pair> = Vec::new();
        for round in 0..*rounds {
            let ours = ours(&edge, *count).await?;
            let bare = bare(&edge, *count).await?;
            eprintln!("{name} {}/{rounds}: {ours:.1} s, bare {bare:.1} s", round + 1);
            pairs.push((ours, bare));
        }
        let column = |of: fn(&Pair) -> f64| median(&pairs.iter().map(of).collect::<Vec<_>>());
        report.figure(&format!("{name}_s"), column(|pair| pair.0), "s")?;
        report.figure(&format!("{name}_bare_s"), column(|pair| pair.1), "s")?;
        let ratio = report.figure(&format!("{name}_ratio"), median_ratio(&pairs), "ratio")?;
        if ratio > AIM {
            report.broken(format!("{name}_ratio is {ratio:.2}, aim ≤ {AIM}"));
        }
    }
    report.finish(!options.short)
}

/// Seconds from the first create to the last Ready, with an operator that leads before.
async fn ours(edge: &Edge, count: usize) -> Result<f64> {
    let operator = leading(edge).await?;
    let started = Instant::now();
    let made = edge.make(count, |_| std::future::ready(Ok(())));
    let ready = edge.seen().ready(count, Duration::from_secs(600));
    tokio::try_join!(made, ready)?;
    let took = started.elapsed().as_secs_f64();
    edge.clear(true).await?;
    operator.stop().await?;
    Ok(took)
}

/// An operator that has brought a camera to Ready: it leads, and its shards answer.
async fn leading(edge: &Edge) -> Result<Operator> {
    let operator = Operator::start().await?;
    edge.make(1, |_| std::future::ready(Ok(()))).await?;
    edge.seen().ready(1, Duration::from_secs(60)).await?;
    edge.clear(true).await?;
    Ok(operator)
}

/// The same objects by a client that knows what to write; nobody else is there.
async fn bare(edge: &Edge, count: usize) -> Result<f64> {
    let cameras = edge.cameras();
    let started = Instant::now();
    let made = edge.make(count, |camera| {
        let cameras = cameras.clone();
        async move { written_once(&cameras, &camera).await }
    });
    let ready = edge.seen().ready(count, Duration::from_secs(600));
    tokio::try_join!(made, ready)?;
    let took = started.elapsed().as_secs_f64();
    edge.clear(false).await?;
    Ok(took)
}
