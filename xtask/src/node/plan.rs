//! What the node of a checkout is to be, decided before it starts; and how far it is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::processes::Process;
use super::ranges::Ranges;
use crate::checkout::{Checkout, write_atomically};

/// The node's name in Kubernetes.
pub(crate) const NODE: &str = "marsad";

/// The node's end of the cable, inside its network namespace.
pub(crate) const NODE_INTERFACE: &str = "eth0";

/// Everything that supervisor, PID 1 and the components need to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The checkout's id.
    pub(crate) id: String,
    /// The checkout's root.
    pub(crate) root: PathBuf,
    /// The cache, which must stay visible inside the node.
    pub(crate) cache: PathBuf,
    /// State folder.
    pub(crate) state: PathBuf,
    /// Folder of the Kubernetes binaries.
    pub(crate) kubernetes: PathBuf,
    /// Addresses.
    pub(crate) ranges: Ranges,
}

impl Plan {
    /// Where the plan of a checkout is kept.
    fn path(state: &Path) -> PathBuf {
        state.join("plan.json")
    }

    /// Keeps the plan.
    pub(crate) fn save(&self) -> Result<()> {
        write_atomically(
            &Self::path(&self.state),
            &serde_json::to_string_pretty(self)?,
            0o600,
        )
    }

    /// The plan kept in a state folder.
    pub(crate) fn load(state: &Path) -> Result<Self> {
        let path = Self::path(state);
        let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a plan", path.display()))
    }

    /// Folder for the keys.
    pub(crate) fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    /// Log of a component.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.state.join("log").join(format!("{name}.log"))
    }

    /// Name of the cgroup that holds the node's pods.
    pub(crate) fn cgroup(&self) -> String {
        cgroup(&self.id)
    }

    /// The host's end of the cable.
    pub(crate) fn host_interface(&self) -> String {
        host_interface(&self.id)
    }
}

/// Name of the cgroup of checkout `id`.
pub(crate) fn cgroup(id: &str) -> String {
    format!("marsad-{id}")
}

/// Name of the interface of checkout `id` on the host; at most 15 characters.
pub(crate) fn host_interface(id: &str) -> String {
    format!("mv-{id}")
}

/// How far the node is; written by the supervisor only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum Phase {
    /// On its way.
    Starting {
        /// What is waited for.
        step: String,
    },
    /// The node is Ready.
    Ready,
    /// It ended before it was ready.
    Failed {
        /// Which part, and the end of its log.
        message: String,
    },
}

/// What the supervisor tells others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    /// How far it is.
    #[serde(flatten)]
    pub(crate) phase: Phase,
    /// The supervisor's process.
    pub(crate) supervisor: u32,
    /// PID 1 of the node, as the host numbers it.
    pub(crate) init: Option<Process>,
    /// The node's PID namespace (`readlink /proc/PID/ns/pid`), by which its processes are told from others.
    pub(crate) pid_namespace: Option<String>,
    /// Port on localhost that is relayed to Service marsad-api.
    pub(crate) port: Option<u16>,
    /// What a person should hear, such as a port that was taken.
    pub(crate) notices: Vec<String>,
}

impl Status {
    /// The file it is kept in.
    pub(crate) fn path(state: &Path) -> PathBuf {
        state.join("status.json")
    }

    /// Keeps it.
    pub(crate) fn save(&self, state: &Path) -> Result<()> {
        write_atomically(&Self::path(state), &serde_json::to_string_pretty(self)?, 0o600)
    }

    /// The kept status; None when there is none.
    pub(crate) fn load(state: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(Self::path(state)).ok()?).ok()
    }
}

/// The file whose lock a living supervisor holds.
pub(crate) fn supervisor_lock(checkout: &Checkout) -> PathBuf {
    checkout.state().join("supervisor.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_kernel() {
        assert!(host_interface("0123abcd").len() <= 15);
    }

    #[test]
    fn a_status_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let status = Status {
            phase: Phase::Failed {
                message: "etcd ended".to_owned(),
            },
            supervisor: 1,
            init: None,
            pid_namespace: None,
            port: None,
            notices: Vec::new(),
        };
        status.save(dir.path()).unwrap();
        assert_eq!(Status::load(dir.path()).unwrap().phase, status.phase);
    }
}
