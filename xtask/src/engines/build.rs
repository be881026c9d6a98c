//! One function a recipe. All builds are static (`CGO_ENABLED=0`), without paths of this machine
//! (`-trimpath`) and without symbols.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::BUILD;
use crate::checkout::Checkout;
use crate::command;

/// The hls.js that MediaMTX v1.20.1 embeds.
const HLS_JS: &str = "1.7.0";

const KUBERNETES_COMMANDS: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
];

fn go() -> Result<Command> {
    let program = command::find_program("go")
        .or_else(|| Some(PathBuf::from("/usr/local/go/bin/go")).filter(|go| go.is_file()))
        .context("Go is not installed: https://go.dev/doc/install")?;
    let mut command = Command::new(program);
    command
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-trimpath -buildvcs=false")
        .env("GOWORK", "off");
    Ok(command)
}

/// The six programs of Kubernetes. Without a version they call themselves v0.0.0, and Helm refuses charts
/// that ask for a later one.
pub(crate) fn kubernetes(checkout: &Checkout, version: &str, out: &Path, log: &Path) -> Result<()> {
    let flags = ["component-base", "client-go/pkg"].map(|package| {
        let (major, minor) = version
            .trim_start_matches('v')
            .split_once('.')
            .unwrap_or_default();
        let minor = minor.split('.').next().unwrap_or_default();
        [
            ("gitVersion", version),
            ("gitMajor", major),
            ("gitMinor", minor),
            ("gitTreeState", "archive"),
        ]
        .map(|(name, value)| format!("-X k8s.io/{package}/version.{name}={value}"))
        .join(" ")
    });
    let flags = format!("-s -w {}", flags.join(" "));
    let packages = KUBERNETES_COMMANDS.map(|name| format!("k8s.io/kubernetes/cmd/{name}"));
    let mut command = go()?;
    command.current_dir(checkout.root.join("xtask/engines/kubernetes"));
    command
        .args(["build", "-ldflags", &flags, "-o"])
        .arg(out)
        .args(packages);
    command::logged(&mut command, log, BUILD)
}

/// A program whose module has no replacements.
pub(crate) fn go_install(package: &str, version: &str, tags: &str, out: &Path, log: &Path) -> Result<()> {
    let mut command = go()?;
    command
        .env("GOBIN", out)
        .args(["install", "-ldflags", "-s -w", "-tags", tags])
        .arg(format!("{package}@{version}"));
    command::logged(&mut command, log, BUILD)
}

/// The program of a module of ours, whose go.mod and go.sum fix every version.
pub(crate) fn go_module(source: &Path, program: &Path, log: &Path) -> Result<()> {
    let mut command = go()?;
    command
        .current_dir(source)
        .args(["build", "-ldflags", "-s -w", "-o"])
        .arg(program)
        .arg(".");
    command::logged(&mut command, log, BUILD)
}

/// MediaMTX: the module, its version file, and hls.js from npm.
pub(crate) fn mediamtx(version: &str, workshop: &Path, out: &Path, log: &Path) -> Result<()> {
    let source = workshop.join("source");
    let mut download = go()?;
    download.args([
        "mod",
        "download",
        "-json",
        &format!("github.com/bluenviron/mediamtx@{version}"),
    ]);
    let answer: serde_json::Value =
        serde_json::from_str(&command::output(&mut download, BUILD)?).context("go mod download")?;
    let module = answer
        .get("Dir")
        .and_then(|dir| dir.as_str())
        .context("the module has no folder")?;
    copy_writable(Path::new(module), &source)?;
    fs::write(source.join("internal/core/VERSION"), version)?;
    fs::copy(hls_js(workshop)?, source.join("internal/servers/hls/hls.min.js"))?;
    let mut command = go()?;
    command
        .current_dir(&source)
        .args(["build", "-ldflags", "-s -w", "-o"])
        .arg(out.join("mediamtx"))
        .arg(".");
    command::logged(&mut command, log, BUILD)
}

fn hls_js(workshop: &Path) -> Result<PathBuf> {
    let npm = command::find_program("npm").context("npm is not installed: Node 20 or later")?;
    let pack = Duration::from_secs(300);
    let package = format!("hls.js@{HLS_JS}");
    command::output(
        Command::new(npm)
            .current_dir(workshop)
            .args(["pack", "--silent", &package]),
        pack,
    )?;
    let archive = format!("hls.js-{HLS_JS}.tgz");
    let mut unpack = Command::new("tar");
    unpack
        .current_dir(workshop)
        .args(["xzf", &archive, "package/dist/hls.min.js"]);
    command::output(&mut unpack, pack)?;
    Ok(workshop.join("package/dist/hls.min.js"))
}

/// The module cache is read-only, file by file.
fn copy_writable(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_writable(&source, &target)?;
        } else if kind.is_file() {
            fs::write(&target, fs::read(&source)?)?;
        } else {
            bail!("{} is neither file nor folder", source.display());
        }
    }
    Ok(())
}
