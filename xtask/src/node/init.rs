//! PID 1 of the node: prepares the namespaces, starts the components' keeper, and buries orphans.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{WaitOptions, wait};

use super::plan::{NODE_INTERFACE, Plan};
use crate::command;

/// The supervisor plugs the cable in at once.
const CABLE: Duration = Duration::from_secs(20);

/// Folders that components write to whatever they are told (the kubelet's device plugins, its links in
/// /var/log/containers, locks of iptables): the node gets empty ones of its own.
const HIDDEN: [&str; 3] = ["/run", "/var/log", "/var/lib"];

/// Where a hidden folder can still be seen by whoever prepares the node.
const BEHIND: &str = "/run/marsad/behind";

/// Runs as PID 1; returns when the components' keeper has ended, which ends the whole node.
pub(crate) fn run(state: &Path) -> Result<()> {
    let plan = Plan::load(state)?;
    for dir in HIDDEN {
        hide(Path::new(dir), &[&plan.root, &plan.cache])?;
    }
    fs::create_dir_all("/run/marsad")?;
    wait_for_cable()?;
    super::network::configure_node(&plan)?;
    // Our own file by this name, even when cargo has meanwhile written a new one in its place.
    let keeper = Command::new("/proc/self/exe")
        .arg("node-boot")
        .arg(state)
        .current_dir(state)
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start the keeper of the components")?;
    bury_until(keeper.id())
}

fn wait_for_cable() -> Result<()> {
    let until = Instant::now() + CABLE;
    let cable = format!("{NODE_INTERFACE}:");
    // Not /sys/class/net: /sys is still the host's, as a new one would lack the cgroups (testbed.md §9).
    while !fs::read_to_string("/proc/net/dev")?.contains(&cable) {
        if Instant::now() > until {
            bail!("the supervisor did not connect the node's network");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Puts an empty folder over `dir`, but keeps `kept` visible if they lie in it (a checkout below
/// /var/lib is usual on build machines).
fn hide(dir: &Path, kept: &[&Path]) -> Result<()> {
    let dir = dir
        .canonicalize()
        .with_context(|| format!("no folder {}", dir.display()))?;
    let kept: Vec<&Path> = kept
        .iter()
        .copied()
        .filter(|path| path.starts_with(&dir))
        .collect();
    let behind = PathBuf::from(BEHIND);
    if !kept.is_empty() {
        fs::create_dir_all(&behind)?;
        mount(&["--bind", &text(&dir), BEHIND])?;
    }
    mount(&["-t", "tmpfs", "-o", "mode=755", "marsad", &text(&dir)])?;
    for path in &kept {
        let place = behind.join(path.strip_prefix(&dir)?);
        fs::create_dir_all(path)?;
        mount(&["--bind", &text(&place), &text(path)])?;
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn mount(args: &[&str]) -> Result<()> {
    // --no-mtab: the table in /run/mount would be written on the host, before /run is hidden.
    command::output(
        Command::new("mount").arg("--no-mtab").args(args),
        Duration::from_secs(10),
    )
    .map(drop)
}

/// Waits for children, ours and those left behind by others, until `keeper` is among the dead.
fn bury_until(keeper: u32) -> Result<()> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if u32::try_from(pid.as_raw_nonzero().get()) == Ok(keeper) => {
                match status.exit_status() {
                    Some(0) => return Ok(()),
                    _ => bail!("the keeper of the components ended: {status:?}"),
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("waiting for the node's processes"),
        }
    }
}
