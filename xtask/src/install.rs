//! Marsad into a cluster, by its own chart.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::checkout::{Checkout, short_hash};
use crate::cluster::Cluster;
use crate::node::Plan;
use crate::progress::Step;
use crate::{command, engines, images, person};

/// Namespace of the release; its name is `marsad` (docs/architecture.md).
pub(crate) const NAMESPACE: &str = "marsad-system";
const RELEASE: &str = "marsad";

/// A cold build of the workspace.
const CARGO: Duration = Duration::from_secs(45 * 60);
const NPM: Duration = Duration::from_secs(20 * 60);

/// For pods to be up, on a machine that may be compiling.
const READY: Duration = Duration::from_secs(300);

/// Builds the binaries and the page that go into images.
pub(crate) fn build(checkout: &Checkout) -> Result<()> {
    dashboard(checkout)?;
    let step = Step::start("marsad and marsad-sim");
    let mut build = crate::test::cargo(
        checkout,
        &["build", "--quiet", "-p", "marsad-cli", "-p", "marsad-sim"],
    );
    build.args(checkout.profile.flag());
    command::output(&mut build, CARGO)?;
    step.done();
    Ok(())
}

/// `npm ci && npm run build`, when sources changed.
pub(crate) fn dashboard(checkout: &Checkout) -> Result<()> {
    let folder = checkout.root.join("dashboard");
    let dist = folder.join("dist");
    let mut sources = Vec::new();
    for name in [
        "src",
        "public",
        "index.html",
        "package.json",
        "package-lock.json",
        "vite.config.ts",
        "tsconfig.json",
    ] {
        list(&folder.join(name), &mut sources)?;
    }
    sources.sort();
    let mut all = Vec::new();
    for path in &sources {
        all.extend_from_slice(path.strip_prefix(&folder)?.as_os_str().as_encoded_bytes());
        all.extend(std::fs::read(path)?);
    }
    let version = short_hash(&all, 16);
    // Beside the page, not in it: everything in `dist` is served.
    let built = folder.join("node_modules/.marsad-built");
    if dist.join("index.html").exists() && std::fs::read_to_string(&built).is_ok_and(|of| of == version) {
        return Ok(());
    }
    let npm = command::find_program("npm").context("npm is not installed: Node 20 or later")?;
    let step = Step::start("dashboard");
    let lock = std::fs::read(folder.join("package-lock.json"))?;
    let (installed, wanted) = (
        folder.join("node_modules/.marsad-installed"),
        short_hash(&lock, 16),
    );
    if !std::fs::read_to_string(&installed).is_ok_and(|of| of == wanted) {
        step.at("npm ci");
        command::output(
            Command::new(&npm)
                .current_dir(&folder)
                .args(["ci", "--no-audit", "--no-fund"]),
            NPM,
        )?;
        std::fs::write(&installed, wanted)?;
    }
    step.at("npm run build");
    command::output(
        Command::new(&npm).current_dir(&folder).args(["run", "build"]),
        NPM,
    )?;
    std::fs::write(&built, version)?;
    step.done();
    Ok(())
}

/// All files at or below a path; a path that is not there has none.
fn list(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        found.push(path.to_path_buf());
    } else if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            list(&entry?.path(), found)?;
        }
    }
    Ok(())
}

/// The simulator, the release and its first user, in the local cluster.
pub(crate) fn local(checkout: &Checkout) -> Result<()> {
    let cluster = Cluster::local(checkout);
    let changed = images::load(checkout, &images::ALL)?;
    let sim = "deploy/local/sim.yaml";
    if present(checkout, sim) {
        let step = Step::start("simulator");
        cluster.apply_file(&checkout.root.join(sim))?;
        if changed.contains(&images::SIM.name) {
            cluster.ask(&["-n", "marsad-sim", "rollout", "restart", "deployment/camera-sim"])?;
        }
        cluster.rolled_out("marsad-sim", "deployment/camera-sim")?;
        step.done();
    }
    if !present(checkout, "charts/marsad") {
        return Ok(());
    }
    let step = Step::start("release marsad");
    let namespace =
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    cluster.apply_values("namespace", &[namespace])?;
    person::ensure_admin(checkout, NAMESPACE)?;
    let values = checkout.root.join("deploy/local/values.yaml");
    let before = workloads(&cluster)?;
    helm(
        checkout,
        &cluster,
        &["-f".to_owned(), values.display().to_string()],
    )?;
    if !before.is_empty() && changed.iter().any(|name| *name != images::SIM.name) {
        // The tag is the same, so that the pods' template does not tell the new image from the old one.
        cluster.ask(&["-n", NAMESPACE, "rollout", "restart", "deployments,statefulsets"])?;
    }
    for workload in workloads(&cluster)? {
        step.at(&workload);
        cluster.rolled_out(NAMESPACE, &workload)?;
    }
    step.done();
    Ok(())
}

fn workloads(cluster: &Cluster) -> Result<Vec<String>> {
    let names = cluster.ask(&["-n", NAMESPACE, "get", "deployments,statefulsets", "-o", "name"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

fn helm(checkout: &Checkout, cluster: &Cluster, more: &[String]) -> Result<String> {
    let mut helm = cluster.helm();
    helm.args(["upgrade", "--install", RELEASE])
        .arg(checkout.root.join("charts/marsad"));
    helm.args(["--namespace", NAMESPACE, "--create-namespace"])
        .args(more);
    command::output(&mut helm, READY)
}

/// The examples, and the wait until their cameras work.
pub(crate) fn examples(checkout: &Checkout) -> Result<()> {
    if !present(checkout, "examples") {
        return Ok(());
    }
    let cluster = Cluster::local(checkout);
    let step = Step::start("examples");
    cluster.ask(&[
        "wait",
        "--for=condition=Established",
        "crd",
        "-l",
        "app.kubernetes.io/part-of=marsad",
        "--timeout=30s",
    ])?;
    // Namespaces first: kubectl applies in the order of names.
    cluster.apply_file(&checkout.root.join("examples/platform"))?;
    allow_simulator(checkout, &cluster)?;
    cluster.apply_file(&checkout.root.join("examples"))?;
    let timeout = format!("--timeout={}s", READY.as_secs());
    for condition in ["Ready", "Online"] {
        step.at(&format!("cameras {condition}"));
        let wait = [
            "wait",
            &format!("--for=condition={condition}"),
            "cameras",
            "--all",
            "-A",
            &timeout,
        ];
        command::output(cluster.kubectl().args(wait), READY + Duration::from_secs(30)).with_context(
            || {
                let cameras = cluster.ask(&["get", "cameras", "-A"]).unwrap_or_default();
                format!(
                    "not every camera is {condition}:\n{cameras}{}",
                    cluster.why(NAMESPACE)
                )
            },
        )?;
    }
    let cameras = cluster
        .ask(&["get", "cameras", "-A", "-o", "name"])?
        .lines()
        .count();
    step.done_as(&format!("{cameras} cameras are online"));
    Ok(())
}

/// The camera simulator is a pod behind a Service, where no camera is looked for unless the agency's quota says so
/// (contracts.md 9). What differs from cluster to cluster is not in the examples.
fn allow_simulator(checkout: &Checkout, cluster: &Cluster) -> Result<()> {
    let ranges = Plan::load(&checkout.state())?.ranges;
    let inside = [ranges.services().to_string(), ranges.node_pods().to_string()];
    let names = cluster.ask(&[
        "get",
        "streamquota",
        "default",
        "-o",
        "jsonpath={.spec.agencies[*].name}",
    ])?;
    let agencies: Vec<_> = names
        .split_whitespace()
        .map(|name| serde_json::json!({"name": name, "sourceCIDRs": inside}))
        .collect();
    let part = serde_json::json!({
        "apiVersion": "marsad.dev/v1alpha1",
        "kind": "StreamQuota",
        "metadata": {"name": "default"},
        "spec": {"agencies": agencies},
    });
    cluster.apply_part("xtask-simulator", part)
}

fn present(checkout: &Checkout, path: &str) -> bool {
    let there = checkout.root.join(path).exists();
    if !there {
        eprintln!("! {path} is not there yet: this step is left out");
    }
    there
}

/// Images to a registry and the release into the current context of the person's kubeconfig.
pub(crate) fn current(checkout: &Checkout, registry: &str, more: &[String]) -> Result<()> {
    let cluster = Cluster::current(checkout);
    let context = cluster
        .ask(&["config", "current-context"])
        .context("kubectl has no current context")?;
    build(checkout)?;
    engines::ensure(checkout, &[engines::MEDIAMTX, engines::LIVEKIT])?;
    let mut values = vec!["--set".to_owned(), format!("images.registry={registry}")];
    for (number, image) in images::RELEASE.iter().enumerate() {
        let step = Step::start(format!(
            "push {}/{}: {}",
            number + 1,
            images::RELEASE.len(),
            image.name
        ));
        let tag = push(checkout, image, registry)?;
        step.done_as(&tag);
        values.push("--set-string".to_owned());
        values.push(format!(
            "images.{name}.repository={name},images.{name}.tag={tag}",
            name = image.name
        ));
    }
    let step = Step::start(format!("release {RELEASE} into context {}", context.trim()));
    values.extend_from_slice(more);
    let notes = helm(checkout, &cluster, &values)?;
    step.done();
    println!("{notes}");
    Ok(())
}

/// Builds an image from its Dockerfile with buildah or docker, and pushes it under a tag that is its content's.
fn push(checkout: &Checkout, image: &images::Image, registry: &str) -> Result<String> {
    let tag = images::tag(checkout, image)?;
    let context = images::stage_one(checkout, image)?;
    let dockerfile = checkout
        .root
        .join("deploy/images")
        .join(format!("{}.Dockerfile", image.name));
    let name = format!("{}/{}:{tag}", registry.trim_end_matches('/'), image.name);
    let (program, build): (_, &[&str]) =
        match (command::find_program("buildah"), command::find_program("docker")) {
            (Some(buildah), _) => (buildah, &["bud", "--isolation", "chroot"]),
            (None, Some(docker)) => (docker, &["build"]),
            (None, None) => {
                bail!("images are pushed with buildah or docker: install one (`apt-get install buildah`)")
            }
        };
    let mut make = Command::new(&program);
    make.args(build)
        .arg("-f")
        .arg(&dockerfile)
        .args(["-t", &name])
        .arg(&context);
    command::output(&mut make, READY)?;
    command::output(Command::new(&program).args(["push", &name]), READY)?;
    Ok(tag)
}
