//! What an operator holds in memory with 10,000 cameras, what it writes in a minute in which nothing happens, what that minute costs
//! (contracts.md 20), and how long it takes to answer for itself. Real API server, engines simulated at their HTTP edge, the operator as it is shipped.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use marsad_e2e::edge::{Edge, Operator};
use marsad_e2e::metrics::between;
use marsad_e2e::report::Report;

/// contracts.md 20.
const AIM: f64 = 60.0;
/// R1.1-22.
const HEALTH_AIM: Duration = Duration::from_millis(100);
/// R1.1-23, there for 500 cameras.
const SCRAPE_AIM: Duration = Duration::from_millis(500);
/// Answers that are timed; the slowest counts.
const ASKED: usize = 20;

#[derive(Parser)]
struct Options {
    /// Few cameras and a short quiet: nothing is gated
    #[arg(long)]
    short: bool,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (count, quiet) = if options.short {
        (100, Duration::from_secs(5))
    } else {
        (10_000, Duration::from_secs(60))
    };
    let edge = Edge::start(count).await?;
    let operator = Operator::start().await?;
    let made = edge.make(count, |_| std::future::ready(Ok(())));
    let ready = edge.seen().ready(count, Duration::from_secs(600));
    tokio::try_join!(made, ready)?;
    settled(&operator).await?;

    let (writes, processor) = (operator.writes().await?, operator.usage()?.processor);
    tokio::time::sleep(quiet).await;
    let silent = between(&writes, &operator.writes().await?)?;
    let usage = operator.usage()?;
    let busy = (usage.processor - processor) / quiet.as_secs_f64();
    // MB as contracts.md 20 has it: 10^6 bytes.
    let (resident, most) = (usage.resident / 1e6, usage.most / 1e6);
    let (mut health, mut scrape) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ASKED {
        let (well, told) = operator.answer_times().await?;
        (health, scrape) = (health.max(well), scrape.max(told));
    }

    let mut report = Report::new("memory");
    let name = if options.short { "rss_100" } else { "rss_10000" };
    report.figure(name, Some(resident), "MB")?;
    report.figure("rss_most", Some(most), "MB")?;
    let minute = f64::from(u32::try_from(silent)?) * 60.0 / quiet.as_secs_f64();
    report.figure("writes_quiet_minute", Some(minute), "writes")?;
    report.figure("processor_quiet", Some(busy * 100.0), "% of a core")?;
    report.figure("health_most", Some(health.as_secs_f64() * 1e3), "ms")?;
    report.figure("scrape_most", Some(scrape.as_secs_f64() * 1e3), "ms")?;
    report.figure("cameras", Some(f64::from(u32::try_from(count)?)), "objects")?;
    if resident > AIM {
        report.broken(format!("{name} is {resident:.0} MB, aim ≤ {AIM}"));
    }
    if health > HEALTH_AIM {
        report.broken(format!("health_most is {health:?}, aim < {HEALTH_AIM:?}"));
    }
    if scrape > SCRAPE_AIM {
        report.broken(format!("scrape_most is {scrape:?}, aim < {SCRAPE_AIM:?}"));
    }
    if minute > 0.0 {
        report.broken(format!("writes_quiet_minute is {minute}, aim 0"));
    }
    operator.stop().await?;
    report.finish(!options.short)
}

/// Waits until the operator has written nothing for five seconds: Online comes after Ready.
async fn settled(operator: &Operator) -> Result<()> {
    let mut before = operator.writes().await?;
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = operator.writes().await?;
        if between(&before, &now)? == 0 {
            return Ok(());
        }
        before = now;
    }
}
