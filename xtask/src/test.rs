//! `cargo xtask test`: every tier of tests, cheapest first. `.ci/run` is this and nothing else.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::checkout::{Checkout, Profile, remove_if_there};
use crate::images::valkey;
use crate::light::ApiServer;
use crate::{cluster, command, conform, engines, generate, install, node, packages, person, up};

/// For one tier, compilation included.
const TIER: Duration = Duration::from_secs(40 * 60);

/// The chart is rendered with these as well as with its defaults.
const VALUES: [&[&str]; 4] = [
    &[],
    &["-f", "deploy/local/values.yaml"],
    &["-f", "e2e/tests/chart/everything.yaml"],
    &[
        "--set",
        "livekit.media.mode=LoadBalancer,livekit.media.address=192.0.2.7",
    ],
];

type Tier = (&'static str, fn(&Checkout) -> Result<()>);

/// Without a cluster.
const FAST: [Tier; 8] = [
    ("format", format),
    ("lints", lints),
    ("generated", generated),
    ("unit", unit),
    ("definitions", definitions),
    ("chart", chart),
    ("dashboard", dashboard),
    ("engines", with_engines),
];

/// On the local cluster.
const WHOLE: [Tier; 2] = [("e2e", end_to_end), ("benchmarks", benchmarks)];

/// What takes long: without a cluster, and on it.
const SOAK: [Tier; 2] = [("soak", soak), ("chaos", chaos)];

/// How far a run goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Without a cluster.
    Fast,
    /// What CI runs.
    Whole,
    /// The long forms too.
    Soak,
}

/// Names of all tiers, in their order.
pub(crate) fn names() -> Vec<&'static str> {
    FAST.iter()
        .chain(&WHOLE)
        .chain(&SOAK)
        .map(|(name, _)| *name)
        .collect()
}

/// Runs all tiers within `reach`, or those of `only`, also after one has failed, and says at the end which did.
pub(crate) fn run(checkout: &Checkout, reach: Reach, only: &[String]) -> Result<()> {
    let named = !only.is_empty();
    let whole = WHOLE.iter().filter(|_| named || reach != Reach::Fast);
    let soak = SOAK.iter().filter(|_| named || reach == Reach::Soak);
    let tiers = FAST.iter().chain(whole).chain(soak);
    let tiers = tiers.filter(|(name, _)| only.is_empty() || only.iter().any(|one| one == name));
    let mut lines = Vec::new();
    let mut failed = 0;
    for (name, tier) in tiers {
        eprintln!("── {name}");
        let started = Instant::now();
        let outcome = tier(checkout);
        let took = started.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => lines.push(format!("✓ {name} ({took:.0} s)")),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                lines.push(format!("✗ {name} ({took:.0} s)"));
                failed += 1;
            }
        }
    }
    eprintln!("── {}", lines.join("\n   "));
    if failed > 0 {
        bail!("{failed} of {} tiers failed", lines.len());
    }
    Ok(())
}

/// cargo in the workspace, as a person would start it.
pub(crate) fn cargo(checkout: &Checkout, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(&checkout.root)
        .args(args)
        .env_remove("CARGO_MANIFEST_DIR");
    command
}

fn format(checkout: &Checkout) -> Result<()> {
    command::shown(&mut cargo(checkout, &["fmt", "--all", "--check"]), TIER)
}

fn lints(checkout: &Checkout) -> Result<()> {
    let clippy = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    command::shown(&mut cargo(checkout, &clippy), TIER)
}

fn generated(_: &Checkout) -> Result<()> {
    generate::run(true)
}

fn unit(checkout: &Checkout) -> Result<()> {
    command::shown(&mut cargo(checkout, &["test", "--quiet", "--no-fail-fast"]), TIER)
}

fn definitions(checkout: &Checkout) -> Result<()> {
    let server = ApiServer::start(checkout)?;
    let mut test = cargo(
        checkout,
        &["test", "--quiet", "-p", "marsad-e2e", "--test", "crds"],
    );
    command::shown(test.env("KUBECONFIG", server.kubeconfig()), TIER)
}

fn chart(checkout: &Checkout) -> Result<()> {
    engines::ensure(checkout, &[engines::HELM, engines::KUBECONFORM])?;
    let helm = engines::HELM.binary(&checkout.cache, "helm");
    let folder = checkout.root.join("charts/marsad");
    command::shown(Command::new(&helm).arg("lint").arg("--strict").arg(&folder), TIER)?;
    let mut test = cargo(
        checkout,
        &["test", "--quiet", "-p", "marsad-e2e", "--test", "chart"],
    );
    command::shown(test.env("HELM", &helm), TIER)?;
    let schemas = conform::Schemas::make(checkout)?;
    for values in VALUES {
        let mut render = Command::new(&helm);
        render
            .current_dir(&checkout.root)
            .args(["template", "marsad"])
            .arg(&folder);
        render.args(["--namespace", install::NAMESPACE]).args(values);
        let manifests = command::output(&mut render, TIER)?;
        schemas
            .check_text(checkout, &manifests)
            .with_context(|| format!("the chart with {values:?}"))?;
    }
    schemas.check_files(
        checkout,
        &["examples", "deploy/local/sim.yaml", "charts/marsad/files/argocd"],
    )
}

fn dashboard(checkout: &Checkout) -> Result<()> {
    install::dashboard(checkout)?;
    let npm = command::find_program("npm").context("npm is not installed: Node 20 or later")?;
    for script in ["lint", "test"] {
        let mut run = Command::new(&npm);
        command::shown(
            run.current_dir(checkout.root.join("dashboard"))
                .args(["run", "--silent", script]),
            TIER,
        )?;
    }
    Ok(())
}

fn with_engines(checkout: &Checkout) -> Result<()> {
    packages::for_clips(checkout)?;
    let folder = engine_folder(checkout)?;
    let mut test = cargo(checkout, &["test", "--quiet", "--no-fail-fast"]);
    for package in [
        "marsad-crds",
        "marsad-ledger",
        "marsad-mediamtx",
        "marsad-livekit",
        "marsad-rtsp",
        "marsad-streams",
    ] {
        test.args(["-p", package]);
    }
    // Long forms are the soak's.
    test.args(["--", "--ignored", "--skip", "_soak"]);
    command::shown(test.env("MARSAD_ENGINES", folder), TIER)
}

fn soak(checkout: &Checkout) -> Result<()> {
    alerts(checkout)?;
    let long = ["test", "--quiet", "-p", "marsad-runtime", "--", "--ignored"];
    command::shown(&mut cargo(checkout, &long), TIER)?;
    let histories = [
        "test",
        "--quiet",
        "-p",
        "marsad-ledger",
        "--",
        "--ignored",
        "_soak",
    ];
    command::shown(
        cargo(checkout, &histories).env("MARSAD_ENGINES", engine_folder(checkout)?),
        TIER,
    )
}

/// The chart's alerts, played through by Prometheus' own tool.
fn alerts(checkout: &Checkout) -> Result<()> {
    engines::ensure(checkout, &[engines::PROMTOOL])?;
    let promtool = engines::PROMTOOL.binary(&checkout.cache, "promtool");
    for args in [
        [
            "check",
            "rules",
            "--lint=all",
            "--lint-fatal",
            "charts/marsad/files/alerts.yaml",
        ]
        .as_slice(),
        &["test", "rules", "charts/marsad/tests/alerts_test.yaml"],
    ] {
        command::shown(
            Command::new(&promtool).current_dir(&checkout.root).args(args),
            TIER,
        )?;
    }
    Ok(())
}

/// A folder with MediaMTX, LiveKit, Valkey and kstatus by their names: what `MARSAD_ENGINES` means to tests.
fn engine_folder(checkout: &Checkout) -> Result<PathBuf> {
    engines::ensure(checkout, &[engines::MEDIAMTX, engines::LIVEKIT])?;
    let folder = checkout.root.join("target/engines");
    std::fs::create_dir_all(&folder)?;
    for (engine, binary) in [
        (engines::MEDIAMTX, "mediamtx"),
        (engines::LIVEKIT, "livekit-server"),
    ] {
        let link = folder.join(binary);
        remove_if_there(&link)?;
        std::os::unix::fs::symlink(engine.binary(&checkout.cache, binary), &link)?;
    }
    valkey::link(checkout, &folder)?;
    engines::kstatus(checkout, &folder)?;
    Ok(folder)
}

fn end_to_end(checkout: &Checkout) -> Result<()> {
    packages::for_browser(checkout)?;
    // One at a time: some of them kill what others watch.
    on_local_cluster(checkout, &["--no-fail-fast", "--", "--test-threads=1"], &[])
}

/// Ten minutes of random faults (R1.1-35), another order each time.
fn chaos(checkout: &Checkout) -> Result<()> {
    let only = ["--test", "chaos", "--", "--nocapture"];
    on_local_cluster(checkout, &only, &[("MARSAD_CHAOS_SECONDS", "600")])
}

/// Tests of `e2e` that `args` select, on the local cluster, which is brought up.
fn on_local_cluster(checkout: &Checkout, args: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let kstatus = engines::kstatus(checkout, &checkout.root.join("target/engines"))?;
    up::up(checkout)?;
    let mut test = cargo(checkout, &["test", "--quiet", "-p", "marsad-e2e"]);
    test.args(args)
        .env("MARSAD_KSTATUS", kstatus)
        .envs(environment.iter().copied());
    command::shown(on_cluster(checkout, &mut test)?, TIER)
}

/// Benchmarks of the control loop, whose engines are simulated: they have an API server and nothing else.
const ON_API_SERVER: [&str; 3] = ["edit-latency", "memory", "reconcile"];

/// `cargo xtask bench NAME`: benchmark `e2e/benches/NAME` on the local cluster, both as they are shipped.
pub(crate) fn bench(checkout: &Checkout, name: &str, args: &[String]) -> Result<()> {
    let all = benchmark_names(checkout)?;
    if !all.iter().any(|one| one == name) {
        bail!("there is no benchmark {name}; there are: {}", all.join(", "));
    }
    let checkout = checkout.with_profile(Profile::Release);
    let mut bench = cargo(
        &checkout,
        &["bench", "--quiet", "-p", "marsad-e2e", "--bench", name, "--"],
    );
    measure(&checkout, name, bench.args(args))
}

/// The short form of every benchmark: that it measures at all. Built as the tests are.
fn benchmarks(checkout: &Checkout) -> Result<()> {
    for name in benchmark_names(checkout)? {
        let mut bench = cargo(
            checkout,
            &[
                "test",
                "--quiet",
                "-p",
                "marsad-e2e",
                "--bench",
                &name,
                "--",
                "--short",
            ],
        );
        measure(checkout, &name, &mut bench)?;
    }
    Ok(())
}

fn measure(checkout: &Checkout, name: &str, bench: &mut Command) -> Result<()> {
    bench.env("MARSAD_BENCH", checkout.root.join("target/bench"));
    if ON_API_SERVER.contains(&name) {
        install::build(checkout)?;
        let server = ApiServer::start(checkout)?;
        bench
            .env("RUST_LIB_BACKTRACE", "0")
            .env("KUBECONFIG", server.kubeconfig())
            .env("MARSAD_BINARY", checkout.binaries().join("marsad"));
        return command::shown(bench, TIER);
    }
    packages::for_browser(checkout)?;
    up::up(checkout)?;
    command::shown(on_cluster(checkout, bench)?, TIER)
}

/// The folders of `e2e/benches`, in the order of their names.
fn benchmark_names(checkout: &Checkout) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(checkout.root.join("e2e/benches"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// What `e2e` reads (its lib.rs says what).
fn on_cluster<'a>(checkout: &Checkout, command: &'a mut Command) -> Result<&'a mut Command> {
    node::required(checkout)?;
    engines::ensure(checkout, &[engines::HELM])?;
    Ok(command
        // A failure says where it is by its words; sixty frames of a runtime hide them.
        .env("RUST_LIB_BACKTRACE", "0")
        .env("MARSAD_XTASK", std::env::current_exe()?)
        .env("KUBECONFIG", checkout.kubeconfig())
        .env("MARSAD_URL", up::url(checkout)?)
        .env("MARSAD_LOGIN", person::login(checkout)?)
        .env("HELM", engines::HELM.binary(&checkout.cache, "helm"))
        .env("KUBECTL", cluster::kubectl(&checkout.cache)))
}
