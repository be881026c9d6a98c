//! The capacity calculator's two files: what was measured, and the page of the book.

mod figures;
mod page;

use std::fs;

use anyhow::{Context, Result};
use marsad_capacity::Measured;

pub(crate) use self::page::page;

use self::figures::{Figures, Provenance};
use crate::checkout::Checkout;
use crate::engines;

/// `cargo xtask capacity`: the coefficients of `capacity/measured.json` that the benchmark `ingest` measures, from its last run.
///
/// # Errors
/// When it was not run in full on this checkout, or the file can't be written.
pub(crate) fn run(checkout: &Checkout) -> Result<()> {
    let of_bench = checkout.root.join("target/bench/ingest.json");
    let run_it = || format!("{}: run `cargo xtask bench ingest` first", of_bench.display());
    let figures =
        Figures::parse(&fs::read_to_string(&of_bench).with_context(run_it)?).with_context(run_it)?;
    let made = fs::metadata(&of_bench)?.modified()?;
    let provenance = Provenance {
        date: jiff::Timestamp::try_from(made)?.strftime("%Y-%m-%d").to_string(),
        machine: machine()?,
        engine: format!("MediaMTX {}", engines::MEDIAMTX.version.trim_start_matches('v')),
    };
    let file = checkout.root.join("capacity/measured.json");
    let committed =
        Measured::parse(&fs::read_to_string(&file)?).with_context(|| file.display().to_string())?;
    let measured = figures.measured(committed, &provenance)?;
    let text = format!("{}\n", serde_json::to_string_pretty(&measured)?);
    fs::write(&file, text).with_context(|| file.display().to_string())?;
    eprintln!(
        "{}: now `cargo xtask generate`, for the tables of docs/capacity.md",
        file.display()
    );
    Ok(())
}

/// Processors and memory of this machine, as a reader of the figures needs them.
fn machine() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("processors of an unknown model", |(_, model)| model.trim());
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kibibytes: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))
        .context("MemTotal")?
        .parse()?;
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "{cores} × {model}, {} GiB, cameras, shards and LiveKit on one node",
        kibibytes >> 20
    ))
}
