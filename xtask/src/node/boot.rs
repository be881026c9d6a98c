//! Starts the node's components in order, says how far it is, and starts again what ends later.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client, Config};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::components::{self, CONTAINERD_SOCKET, Component};
use super::plan::{NODE, Phase, Plan};
use crate::command::tail_of;

/// Seconds on an idle machine (testbed.md §1), but this one may be compiling.
const PART: Duration = Duration::from_secs(120);

/// How often a part that starts is asked whether it is ready.
const ASK: Duration = Duration::from_millis(50);

/// Pause before a component that ended after the start is started again.
const AGAIN: Duration = Duration::from_secs(1);

/// The binaries of root that a user's PATH lacks (iptables, runc).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs inside the node until it is killed, or a component does not start.
pub(crate) async fn run(state: &Path) -> Result<()> {
    let plan = Plan::load(state)?;
    let outcome = boot(&plan).await;
    if let Err(error) = &outcome {
        report(&Phase::Failed {
            message: format!("{error:#}"),
        });
    }
    outcome
}

/// The supervisor reads these lines.
fn report(phase: &Phase) {
    if let Ok(line) = serde_json::to_string(phase) {
        println!("{line}");
    }
}

fn step(what: &str) {
    report(&Phase::Starting {
        step: what.to_owned(),
    });
}

async fn boot(plan: &Plan) -> Result<()> {
    let (ended, mut endings) = mpsc::unbounded_channel();
    let mut keeper = Keeper { plan, ended };
    step("etcd, kube-apiserver, containerd");
    for part in components::first(plan) {
        keeper.start(part)?;
    }
    let client = client(plan).await?;
    expect(plan, &mut endings, "kube-apiserver", answers(&client)).await?;
    expect(plan, &mut endings, "containerd", listens()).await?;
    step("kubelet, kube-controller-manager, kube-scheduler, kube-proxy");
    for part in components::second(plan) {
        keeper.start(part)?;
    }
    expect(plan, &mut endings, "kubelet", node_ready(&client)).await?;
    expect(plan, &mut endings, "kube-controller-manager", accounts(&client)).await?;
    report(&Phase::Ready);
    while let Some((part, status)) = endings.recv().await {
        eprintln!("{} {}; starting it again", part.name, how(status));
        sleep(AGAIN).await;
        keeper.start(part)?;
    }
    Ok(())
}

type Ending = (Component, ExitStatus);

struct Keeper<'a> {
    plan: &'a Plan,
    ended: mpsc::UnboundedSender<Ending>,
}

impl Keeper<'_> {
    fn start(&mut self, part: Component) -> Result<()> {
        let mut child = spawn(self.plan, &part)?;
        let ended = self.ended.clone();
        tokio::spawn(async move {
            if let Ok(status) = child.wait().await {
                // Nobody listens any more only when the node is ending.
                let _ = ended.send((part, status));
            }
        });
        Ok(())
    }
}

fn spawn(plan: &Plan, part: &Component) -> Result<Child> {
    let path = plan.log(part.name);
    let log = File::options().create(true).append(true).open(&path);
    let log = log.with_context(|| format!("cannot write {}", path.display()))?;
    let mut command = Command::new(&part.program);
    command
        .args(&part.args)
        .current_dir(&plan.state)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.env_clear().env("PATH", PATH).env("HOME", "/root");
    command
        .spawn()
        .with_context(|| format!("cannot start {} ({})", part.name, part.program.display()))
}

/// Waits for `ready`, but not longer than [`PART`], and not when a component ends meanwhile.
async fn expect(
    plan: &Plan,
    endings: &mut mpsc::UnboundedReceiver<Ending>,
    name: &str,
    ready: impl Future<Output = ()>,
) -> Result<()> {
    tokio::select! {
        outcome = timeout(PART, ready) => match outcome {
            Ok(()) => Ok(()),
            Err(_) => bail!("{name} is not ready after {} s; {}", PART.as_secs(), tail_of(&plan.log(name))),
        },
        Some((part, status)) = endings.recv() => {
            bail!("{} {} while the node started; {}", part.name, how(status), tail_of(&plan.log(part.name)))
        }
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

async fn client(plan: &Plan) -> Result<Client> {
    let file = super::pki::Pki::in_dir(&plan.pki()).file("admin.kubeconfig");
    client_of(&file).await
}

/// A client by a kubeconfig file.
pub(crate) async fn client_of(kubeconfig: &Path) -> Result<Client> {
    let config = kube::config::Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("{} cannot be used", kubeconfig.display()))?;
    let mut config = Config::from_custom_kubeconfig(config, &Default::default()).await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    Ok(Client::try_from(config)?)
}

/// Waits until the API server says that it is ready.
pub(crate) async fn answers(client: &Client) {
    until(|| async {
        let request = http_get("/readyz");
        match request {
            Some(request) => client.request_text(request).await.is_ok(),
            None => false,
        }
    })
    .await;
}

fn http_get(path: &str) -> Option<http::Request<Vec<u8>>> {
    http::Request::get(path).body(Vec::new()).ok()
}

async fn listens() {
    until(|| async { UnixStream::connect(CONTAINERD_SOCKET).await.is_ok() }).await;
}

async fn node_ready(client: &Client) {
    let nodes: Api<Node> = Api::all(client.clone());
    until(|| async {
        let node = nodes.get(NODE).await;
        let conditions = node
            .ok()
            .and_then(|node| node.status)
            .and_then(|status| status.conditions);
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    })
    .await;
}

/// Pods can be created only when the controller-manager has made the namespace's ServiceAccount.
async fn accounts(client: &Client) {
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
        Api::namespaced(client.clone(), "kube-system");
    until(|| async { accounts.get("default").await.is_ok() }).await;
}

async fn until<F: Future<Output = bool>>(mut asked: impl FnMut() -> F) {
    loop {
        // An answer that hangs is no answer.
        if matches!(timeout(Duration::from_secs(2), asked()).await, Ok(true)) {
            return;
        }
        sleep(ASK).await;
    }
}
