//! The local cluster: one node from plain binaries, in namespaces of its own (testbed.md §12).
//!
//! `supervisor` (host) → `unshare` → `init` (PID 1) → `boot` → components. Ending the first ends all.

mod boot;
mod cgroups;
pub(crate) mod components;
mod init;
mod network;
pub(crate) mod pki;
pub(crate) mod plan;
mod processes;
pub(crate) mod ranges;
mod relay;
mod supervisor;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub(crate) use self::boot::{answers, client_of};
pub(crate) use self::plan::{Phase, Plan, Status};
use crate::checkout::{Checkout, Lock};
use crate::command::tail_of;
use crate::progress::Step;

/// For a whole start, on a machine that may be compiling.
const START: Duration = Duration::from_secs(300);

/// For everything to be gone after the kill.
const END: Duration = Duration::from_secs(30);

/// The part of a process of the node that this command is; hidden subcommands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Role {
    /// Keeps the node of a checkout (on the host).
    #[command(name = "node-supervisor", hide = true)]
    Supervisor {
        /// The checkout.
        root: PathBuf,
        /// Folder of the Kubernetes binaries.
        kubernetes: PathBuf,
    },
    /// PID 1 of the node.
    #[command(name = "node-init", hide = true)]
    Init {
        /// State folder.
        state: PathBuf,
    },
    /// Keeper of the components, in the node.
    #[command(name = "node-boot", hide = true)]
    Boot {
        /// State folder.
        state: PathBuf,
    },
}

impl Role {
    /// Plays the part.
    pub(crate) fn play(self) -> Result<()> {
        match self {
            Self::Supervisor { root, kubernetes } => supervisor::run(&Checkout::at(&root)?, &kubernetes),
            Self::Init { state } => init::run(&state),
            Self::Boot { state } => tokio::runtime::Runtime::new()?.block_on(boot::run(&state)),
        }
    }
}

/// Holds off another `up` or `down` of the same checkout.
pub(crate) fn lock(checkout: &Checkout) -> Result<Lock> {
    Lock::wait(&checkout.state().join("up.lock"), || {
        eprintln!("… waiting for another `cargo xtask` of this checkout");
    })
}

/// The status of the node, if it is ready.
pub(crate) fn running(checkout: &Checkout) -> Option<Status> {
    Lock::held(&plan::supervisor_lock(checkout))
        .then(|| Status::load(&checkout.state()))
        .flatten()
        .filter(|status| status.phase == Phase::Ready)
}

/// As [`running`], or an error that says how to get there.
pub(crate) fn required(checkout: &Checkout) -> Result<Status> {
    running(checkout).context("no local cluster is running in this checkout: `cargo xtask up`")
}

/// Starts the node unless it runs, and waits until it is Ready. The caller holds [`lock`].
pub(crate) fn start(checkout: &Checkout, kubernetes: &Path) -> Result<Status> {
    if let Some(status) = running(checkout) {
        return Ok(status);
    }
    let step = Step::start("node");
    if !Lock::held(&plan::supervisor_lock(checkout)) {
        require_root()?;
        reap(checkout).context("what an earlier node left cannot be removed")?;
        wipe(checkout)?;
        let mut supervisor = detach(checkout, kubernetes)?;
        let until = Instant::now() + Duration::from_secs(20);
        while !Lock::held(&plan::supervisor_lock(checkout)) {
            if supervisor.try_wait()?.is_some() || Instant::now() > until {
                return Err(ended(checkout));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
    let status = wait_ready(checkout, &step)?;
    for notice in &status.notices {
        eprintln!("! {notice}");
    }
    step.done_as("Ready");
    Ok(status)
}

fn require_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    bail!("the local cluster needs root for namespaces and mounts: run `sudo -E cargo xtask up`");
}

fn detach(checkout: &Checkout, kubernetes: &Path) -> Result<std::process::Child> {
    let log = checkout.log("supervisor");
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir)?;
    }
    let log = File::create(log)?;
    Command::new(std::env::current_exe()?)
        .arg("node-supervisor")
        .arg(&checkout.root)
        .arg(kubernetes)
        .env("MARSAD_CACHE", &checkout.cache)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the supervisor of the node")
}

fn wait_ready(checkout: &Checkout, step: &Step) -> Result<Status> {
    let until = Instant::now() + START;
    loop {
        match Status::load(&checkout.state()) {
            Some(status) => match &status.phase {
                Phase::Ready => return Ok(status),
                Phase::Starting { step: at } => step.at(at),
                Phase::Failed { message } => bail!("the node did not start: {message}"),
            },
            None => step.at("supervisor"),
        }
        if !Lock::held(&plan::supervisor_lock(checkout)) {
            return Err(ended(checkout));
        }
        if Instant::now() > until {
            bail!(
                "the node is not Ready after {} s; logs are in {}",
                START.as_secs(),
                checkout.state().join("log").display()
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn ended(checkout: &Checkout) -> anyhow::Error {
    match Status::load(&checkout.state()).map(|status| status.phase) {
        Some(Phase::Failed { message }) => anyhow::anyhow!("the node did not start: {message}"),
        _ => anyhow::anyhow!(
            "the supervisor of the node ended; {}",
            tail_of(&checkout.log("supervisor"))
        ),
    }
}

/// A program to be run inside the node's namespaces.
pub(crate) fn inside(checkout: &Checkout, program: &str) -> Result<Command> {
    let init = required(checkout)?.init.context("a node without PID 1")?;
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        &init.pid.to_string(),
        "--mount",
        "--net",
        "--pid",
        "--",
        program,
    ]);
    Ok(command)
}

/// Ends the node and removes everything that is not cache.
pub(crate) fn down(checkout: &Checkout) -> Result<()> {
    if !checkout.state().exists() {
        // Even then: a state folder removed by hand takes its supervisor a moment to notice.
        return reap(checkout);
    }
    let _lock = lock(checkout)?;
    let supervisor = plan::supervisor_lock(checkout);
    let until = Instant::now() + END;
    // The one kill. The supervisor writes its number as soon as it has its lock.
    while Lock::held(&supervisor) {
        if let Some(status) = Status::load(&checkout.state()) {
            processes::kill(status.supervisor);
        }
        if Instant::now() > until {
            bail!("the supervisor of the node does not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
    reap(checkout)?;
    fs::remove_dir_all(checkout.state()).context("the state folder cannot be removed")
}

/// Removes what outlives a supervisor: cgroups always; processes and interface only for the instant
/// that the kernel takes to end the namespaces.
fn reap(checkout: &Checkout) -> Result<()> {
    if let Some(Status {
        init: Some(init),
        pid_namespace: Some(namespace),
        ..
    }) = Status::load(&checkout.state())
        && init.lives()
    {
        processes::end_namespace(&namespace, END)?;
    }
    network::disconnect(&plan::host_interface(&checkout.id()))?;
    cgroups::remove(&plan::cgroup(&checkout.id()), END)
}

/// Empties the state folder but for the locks: a new node is a new cluster.
fn wipe(checkout: &Checkout) -> Result<()> {
    for entry in fs::read_dir(checkout.state())? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if path.extension().is_none_or(|kind| kind != "lock") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
