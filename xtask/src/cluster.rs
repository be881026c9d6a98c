//! A cluster as a person has it: kubectl, helm, and the wish that what was applied is so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::checkout::{Checkout, write_atomically};
use crate::command;
use crate::engines;
use crate::images;
use crate::node::{self, Plan};
use crate::progress::Step;

/// One call of kubectl that does not wait for anything.
const CALL: Duration = Duration::from_secs(60);

/// A started pod on a machine that may be compiling.
const ROLLOUT: Duration = Duration::from_secs(180);

/// Where kubectl and helm go.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    cache: PathBuf,
    /// None: whatever the person's own kubectl is pointed at.
    kubeconfig: Option<PathBuf>,
}

impl Cluster {
    /// The cluster of this checkout.
    pub(crate) fn local(checkout: &Checkout) -> Self {
        Self {
            cache: checkout.cache.clone(),
            kubeconfig: Some(checkout.kubeconfig()),
        }
    }

    /// The current context of the person's kubeconfig.
    pub(crate) fn current(checkout: &Checkout) -> Self {
        Self {
            cache: checkout.cache.clone(),
            kubeconfig: None,
        }
    }

    /// kubectl, pointed at this cluster.
    pub(crate) fn kubectl(&self) -> Command {
        self.program(kubectl(&self.cache))
    }

    /// helm, pointed at this cluster.
    pub(crate) fn helm(&self) -> Command {
        self.program(engines::HELM.binary(&self.cache, "helm"))
    }

    fn program(&self, path: PathBuf) -> Command {
        let mut command = Command::new(path);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
            // The node is on this machine; a proxy would not find it.
            for name in [
                "HTTPS_PROXY",
                "https_proxy",
                "HTTP_PROXY",
                "http_proxy",
                "ALL_PROXY",
                "all_proxy",
            ] {
                command.env_remove(name);
            }
        }
        command
    }

    /// What kubectl answers.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<String> {
        command::output(self.kubectl().args(args), CALL)
    }

    /// Server-side apply of a file, or of a folder and all below it.
    pub(crate) fn apply_file(&self, path: &Path) -> Result<()> {
        self.apply(path, &["--field-manager=xtask"])
    }

    fn apply(&self, path: &Path, more: &[&str]) -> Result<()> {
        let path = path.display().to_string();
        let args = ["apply", "--server-side", "--force-conflicts", "-R", "-f", &path];
        command::output(self.kubectl().args(args).args(more), CALL).map(drop)
    }

    /// Server-side apply of objects made here, by way of a file that only we can read: a Secret may be among them.
    pub(crate) fn apply_values(&self, name: &str, objects: &[serde_json::Value]) -> Result<()> {
        self.apply_objects(name, objects, &["--field-manager=xtask"])
    }

    /// Server-side apply of some fields of an object that is another's, under the field manager `manager`: a part is not valid by
    /// itself, so that the API server judges what it makes of the whole.
    pub(crate) fn apply_part(&self, manager: &str, object: serde_json::Value) -> Result<()> {
        let manager = format!("--field-manager={manager}");
        self.apply_objects("part", &[object], &[&manager, "--validate=false"])
    }

    fn apply_objects(&self, name: &str, objects: &[serde_json::Value], more: &[&str]) -> Result<()> {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let dir = tempfile::tempdir()?;
        let file = dir.path().join(format!("{name}.json"));
        write_atomically(&file, &list.to_string(), 0o600)?;
        self.apply(&file, more)
    }

    /// Waits until a workload has rolled out.
    pub(crate) fn rolled_out(&self, namespace: &str, workload: &str) -> Result<()> {
        let timeout = format!("--timeout={}s", ROLLOUT.as_secs());
        let args = ["-n", namespace, "rollout", "status", workload, &timeout];
        command::output(self.kubectl().args(args), ROLLOUT + CALL)
            .map(drop)
            .with_context(|| self.why(namespace))
    }

    /// Pods that do not run and the last events: what somebody would look at first.
    pub(crate) fn why(&self, namespace: &str) -> String {
        let pods = self
            .ask(&["-n", namespace, "get", "pods", "-o", "wide"])
            .unwrap_or_default();
        let events = self
            .ask(&[
                "-n",
                namespace,
                "get",
                "events",
                "--sort-by=.lastTimestamp",
                "--field-selector=type!=Normal",
            ])
            .unwrap_or_default();
        format!(
            "in namespace {namespace}:\n{pods}{}",
            command::last_lines(&events, 12)
        )
    }
}

/// The kubectl that we build.
pub(crate) fn kubectl(cache: &Path) -> PathBuf {
    engines::KUBERNETES.binary(cache, "kubectl")
}

/// Brings the bare node up: binaries, images of pause and CoreDNS, the node itself, and its DNS.
/// The caller holds the checkout's lock.
pub(crate) fn bare(checkout: &Checkout) -> Result<node::Status> {
    let first = [engines::KUBERNETES, engines::COREDNS];
    engines::ensure(checkout, &first)?;
    let status = node::start(checkout, &engines::KUBERNETES.dir(&checkout.cache))?;
    images::load(checkout, &[images::PAUSE, images::COREDNS])?;
    dns(checkout)?;
    Ok(status)
}

fn dns(checkout: &Checkout) -> Result<()> {
    let address = Plan::load(&checkout.state())?.ranges.dns_service().to_string();
    let manifest = include_str!("../manifests/coredns.yaml").replace("$DNS_SERVICE", &address);
    let part = Part {
        file: "coredns.yaml",
        namespace: "kube-system",
        workload: "deployment/coredns",
        manifest,
    };
    if !part.is_applied(checkout) {
        let step = Step::start("DNS");
        part.apply(checkout)?;
        part.wait(checkout)?;
        step.done();
    }
    Ok(())
}

/// The default StorageClass and what makes its volumes, which are in the state folder. Not waited for here: nobody claims a volume
/// before the release is there.
pub(crate) fn storage(checkout: &Checkout) -> Result<Part> {
    engines::ensure(checkout, &[engines::LOCAL_PATH])?;
    images::load(checkout, &[images::LOCAL_PATH, images::BUSYBOX])?;
    let volumes = checkout.state().join("volumes").display().to_string();
    let part = Part {
        file: "local-path.yaml",
        namespace: "local-path-storage",
        workload: "deployment/local-path-provisioner",
        manifest: include_str!("../manifests/local-path.yaml").replace("$VOLUMES", &volumes),
    };
    if !part.is_applied(checkout) {
        part.apply(checkout)?;
    }
    Ok(part)
}

/// Something that the bare node needs, from one of our manifests.
#[derive(Debug)]
#[must_use = "it may not run yet"]
pub(crate) struct Part {
    /// Its file in the state folder.
    file: &'static str,
    namespace: &'static str,
    workload: &'static str,
    manifest: String,
}

impl Part {
    /// Whether this very manifest was applied and has worked: its being there means that there is nothing to do.
    fn is_applied(&self, checkout: &Checkout) -> bool {
        std::fs::read_to_string(checkout.state().join(self.file)).is_ok_and(|text| text == self.manifest)
    }

    fn apply(&self, checkout: &Checkout) -> Result<()> {
        let pending = checkout.state().join(format!("pending.{}", self.file));
        write_atomically(&pending, &self.manifest, 0o600)?;
        Cluster::local(checkout).apply_file(&pending)
    }

    /// Waits until it runs, and keeps in mind that it does.
    pub(crate) fn wait(&self, checkout: &Checkout) -> Result<()> {
        if self.is_applied(checkout) {
            return Ok(());
        }
        Cluster::local(checkout).rolled_out(self.namespace, self.workload)?;
        let pending = checkout.state().join(format!("pending.{}", self.file));
        Ok(std::fs::rename(pending, checkout.state().join(self.file))?)
    }
}
