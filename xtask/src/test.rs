//! `cargo xtask test`: every check and every test, in the order of what fails soonest, each stage with its time.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::checkout::Checkout;
use crate::{command, engines, generate, packages, up};

/// No stage of the whole run takes longer on two cores, cold.
const STAGE: Duration = Duration::from_secs(60 * 60);

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub(crate) struct Extent {
    /// Only what needs no engine and no cluster
    #[arg(long)]
    fast: bool,
}

/// Times of the stages so far.
#[derive(Default)]
struct Stages {
    done: Vec<(&'static str, Duration)>,
}

impl Stages {
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n=== {name}");
        let started = Instant::now();
        let result = work().with_context(|| format!("stage {name}"));
        self.done.push((name, started.elapsed()));
        if result.is_err() {
            self.print();
        }
        result
    }

    fn print(&self) {
        println!("\n=== times");
        for (name, took) in &self.done {
            println!("{:>8.1} s  {name}", took.as_secs_f32());
        }
        let total: Duration = self.done.iter().map(|(_, took)| *took).sum();
        println!("{:>8.1} s  in all", total.as_secs_f32());
    }
}

/// Runs the tests.
///
/// # Errors
/// The first stage that fails. The cluster is ended in any case.
pub(crate) fn run(checkout: &Checkout, extent: Extent) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("format", || cargo(checkout, &["fmt", "--all", "--check"]))?;
    stages.run("generated files", || generate::run(true))?;
    if !extent.fast {
        stages.run("packages", || packages::ensure(checkout))?;
    }
    stages.run("lints", || {
        cargo(checkout, &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])
    })?;
    stages.run("unit tests", || cargo(checkout, &["test", "--quiet"]))?;
    stages.run("dashboard", || dashboard(&checkout.root))?;
    if extent.fast {
        stages.print();
        return Ok(());
    }
    stages.run("engines", || engines::ensure(checkout, &engines::ALL))?;
    stages.run("engine tests", || {
        let folder = engines_in_one_folder(checkout)?;
        let mut test = cargo_command(checkout, &["test", "--quiet", "--", "--ignored", "--test-threads=2"]);
        command::shown(test.env("MARSAD_ENGINES", folder.path()), STAGE)
    })?;
    stages.run("chart tests", || {
        let mut test = e2e(checkout, &["chart"]);
        let helm = engines::HELM.binary(&checkout.cache, "helm");
        let kubeconform = engines::KUBECONFORM.binary(&checkout.cache, "kubeconform");
        command::shown(test.env("HELM", helm).env("KUBECONFORM", kubeconform), STAGE)
    })?;
    stages.run("cluster", || up::up(checkout))?;
    let tested = stages.run("end-to-end tests", || end_to_end(checkout));
    stages.run("down", || up::down(checkout))?;
    tested?;
    stages.print();
    Ok(())
}

/// Tests against the cluster that `up` has brought up, one file after the other: some of them kill what all of them use.
fn end_to_end(checkout: &Checkout) -> Result<()> {
    let login = up::login(checkout)?;
    let names = tests_of(checkout)?;
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != "chart").collect();
    let mut test = e2e(checkout, &names);
    test.env("KUBECONFIG", checkout.kubeconfig())
        .env("MARSAD_URL", up::url(checkout)?)
        .env("MARSAD_LOGIN", login)
        .env("HELM", engines::HELM.binary(&checkout.cache, "helm"));
    command::shown(&mut test, STAGE)
}

/// The test files of `e2e/tests`, without their endings.
fn tests_of(checkout: &Checkout) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(checkout.root.join("e2e/tests"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    if names.is_empty() {
        bail!("no test in e2e/tests");
    }
    Ok(names)
}

fn e2e(checkout: &Checkout, names: &[&str]) -> Command {
    let mut args = vec!["test", "--quiet", "--package", "marsad-e2e", "--no-fail-fast"];
    for name in names {
        args.extend(["--test", name]);
    }
    args.extend(["--", "--test-threads=1"]);
    cargo_command(checkout, &args)
}

/// The engines' tests want one folder with all binaries.
fn engines_in_one_folder(checkout: &Checkout) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for (engine, name) in [(engines::MEDIAMTX, "mediamtx"), (engines::LIVEKIT, "livekit-server")] {
        std::os::unix::fs::symlink(engine.binary(&checkout.cache, name), folder.path().join(name))?;
    }
    Ok(folder)
}

fn dashboard(root: &Path) -> Result<()> {
    let folder = root.join("dashboard");
    for args in [&["ci", "--no-audit", "--no-fund"][..], &["run", "lint"], &["test"], &["run", "build"]] {
        command::shown(Command::new("npm").args(args).current_dir(&folder), STAGE)?;
    }
    Ok(())
}

fn cargo(checkout: &Checkout, args: &[&str]) -> Result<()> {
    command::shown(&mut cargo_command(checkout, args), STAGE)
}

fn cargo_command(checkout: &Checkout, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(&checkout.root);
    command
}
