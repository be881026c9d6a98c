//! The process on the host that the node hangs on: when it ends, however it ends, so does the node.

use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::pki::Pki;
use super::plan::{NODE, Phase, Plan, Status, supervisor_lock};
use super::processes::{self, Process};
use super::relay::Relay;
use super::{cgroups, components, network, ranges};
use crate::checkout::{Checkout, Lock, short_hash, write_atomically};

/// util-linux forks at once.
const FORK: Duration = Duration::from_secs(10);

/// How often the supervisor looks whether its checkout is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the node of `checkout` until it is told to end, or the node fails.
pub(crate) fn run(checkout: &Checkout, kubernetes: &Path) -> Result<()> {
    // A session of its own: a Ctrl-C meant for `up` is not meant for the node.
    // Fails only when it leads a group already, which does as well.
    let _ = rustix::process::setsid();
    let _lock = only_one(checkout)?;
    let mut status = Status {
        phase: Phase::Starting {
            step: "addresses".to_owned(),
        },
        supervisor: std::process::id(),
        init: None,
        pid_namespace: None,
        port: None,
        notices: Vec::new(),
    };
    status.save(&checkout.state())?;
    // One thread: `unshare` is to die with it, and the kernel counts the thread that forked as the parent.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(supervise(checkout, kubernetes, &mut status));
    drop(runtime);
    let left = super::reap(checkout);
    if let Err(error) = &outcome
        && checkout.state().exists()
    {
        status.phase = Phase::Failed {
            message: format!("{error:#}"),
        };
        status.save(&checkout.state())?;
    }
    outcome.and(left)
}

/// The lock of this checkout's supervisor. Who asks whether it is held has it for an instant, so one
/// refusal proves nothing.
fn only_one(checkout: &Checkout) -> Result<Lock> {
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        if let Some(lock) = Lock::try_now(&supervisor_lock(checkout))? {
            return Ok(lock);
        }
        if Instant::now() > until {
            bail!("this checkout has a supervisor already");
        }
        thread::sleep(Duration::from_millis(3));
    }
}

async fn supervise(checkout: &Checkout, kubernetes: &Path, status: &mut Status) -> Result<()> {
    let state = checkout.state();
    let relay = Relay::listen().await?;
    status.port = Some(relay.port);
    status.notices.extend(relay.notice());
    // From the look at the routes until our own are there, nobody else may choose.
    let choosing = Lock::wait(&checkout.cache.join("network.lock"), || {})?;
    let plan = plan(checkout, kubernetes)?;
    prepare(&plan)?;
    let (mut node, mut lines) = spawn(&plan)?;
    let init = forked(&mut node)?;
    status.init = Process::now(init);
    status.pid_namespace = processes::pid_namespace(init);
    status.save(&state)?;
    network::connect(&plan, init)?;
    drop(choosing);
    become_ready(&mut node, &mut lines, status, &state).await?;
    let lock = supervisor_lock(checkout);
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = node.wait() => bail!("the node ended: {}", ended?),
        _ = term.recv() => Ok(()),
        () = abandoned(&lock) => Ok(()),
        () = relay.run(checkout.kubeconfig()) => bail!("the relay ended"),
    }
}

fn plan(checkout: &Checkout, kubernetes: &Path) -> Result<Plan> {
    let id = checkout.id();
    let hash = u32::from_str_radix(&short_hash(id.as_bytes(), 8), 16)?;
    let plan = Plan {
        ranges: ranges::choose(hash, &network::taken()?)?,
        id,
        root: checkout.root.clone(),
        cache: checkout.cache.canonicalize()?,
        state: checkout.state(),
        kubernetes: kubernetes.to_path_buf(),
    };
    plan.save()?;
    Ok(plan)
}

fn prepare(plan: &Plan) -> Result<()> {
    components::write_configuration(plan)?;
    let node = plan.ranges.node();
    let server = format!("https://{node}:6443");
    let pki = Pki::create(
        &plan.pki(),
        &server,
        &[node, plan.ranges.kubernetes_service()],
        NODE,
        node,
    )?;
    let admin = std::fs::read_to_string(pki.file("admin.kubeconfig"))?;
    write_atomically(&plan.state.join("kubeconfig"), &admin, 0o600)?;
    cgroups::create(&plan.cgroup())
}

type Reports = Lines<BufReader<ChildStdout>>;

/// `setpriv` ends `unshare` with us, `unshare` ends PID 1 with itself, and the kernel ends every process
/// of the namespace with PID 1: no process of the node can outlive this one.
fn spawn(plan: &Plan) -> Result<(Child, Reports)> {
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--uts",
        "--ipc",
        "--fork",
    ]);
    command.args(["--kill-child=KILL", "--mount-proc", "--propagation", "private"]);
    command
        .arg(std::env::current_exe()?)
        .arg("node-init")
        .arg(&plan.state);
    command
        .current_dir(&plan.state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut node = command
        .spawn()
        .context("cannot start setpriv and unshare: install util-linux")?;
    let lines = BufReader::new(node.stdout.take().context("no pipe to the node")?).lines();
    Ok((node, lines))
}

/// The process that `unshare` forked.
fn forked(node: &mut Child) -> Result<u32> {
    let until = Instant::now() + FORK;
    loop {
        if let Some(status) = node.try_wait()? {
            bail!("unshare: {status}: namespaces need root (the log of the supervisor says more)");
        }
        if let Some(init) = node.id().and_then(processes::child_of) {
            return Ok(init);
        }
        if Instant::now() > until {
            bail!("unshare did not start the node");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Passes the node's reports on until it is ready.
async fn become_ready(
    node: &mut Child,
    lines: &mut Reports,
    status: &mut Status,
    state: &Path,
) -> Result<()> {
    while let Some(line) = lines.next_line().await? {
        let Ok(phase) = serde_json::from_str::<Phase>(&line) else {
            continue;
        };
        if let Phase::Failed { message } = phase {
            bail!("{message}");
        }
        status.phase = phase;
        status.save(state)?;
        if status.phase == Phase::Ready {
            return Ok(());
        }
    }
    let ended = node.wait().await?;
    bail!(
        "the node ended while it started ({ended}); {}",
        crate::command::tail_of(&state.join("log/supervisor.log"))
    )
}

/// Returns when somebody has removed the state folder, without which nobody could run `down` any more. The folder
/// itself is no sign: the kubelet makes it anew.
async fn abandoned(lock: &Path) {
    while lock.exists() {
        tokio::time::sleep(LOOK).await;
    }
}
