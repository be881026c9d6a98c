//! Processes of a pod, by id. The node of `cargo xtask up` runs on this machine in a PID namespace of its own, which
//! root can see into: what a test kills or stops is found by the uid of its pod.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// The processes of the containers of a pod, without the one that holds its namespaces.
///
/// # Errors
/// When there are none: not root, or the cluster is not on this machine.
pub fn of_pod(uid: &str) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            continue;
        };
        // A process may end while it is looked at.
        let of_pod = fs::read_to_string(path.join("cgroup")).is_ok_and(|groups| groups.contains(uid));
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if of_pod && name.trim() != "pause" {
            found.push(pid);
        }
    }
    ensure!(
        !found.is_empty(),
        "no process of pod {uid} is visible here: these tests need root, and the cluster of `cargo xtask up`"
    );
    Ok(found)
}

/// Sends `signal` to every process of a pod.
///
/// # Errors
/// When there are none, or they can't be signalled.
pub fn signal(uid: &str, signal: Signal) -> Result<()> {
    for pid in of_pod(uid)? {
        kill_process(pid, signal).with_context(|| format!("process {pid:?} of pod {uid}"))?;
    }
    Ok(())
}

/// A stopped pod (SIGSTOP); it goes on when this is dropped.
pub struct Stopped {
    uid: String,
}

impl Stopped {
    /// Stops every process of a pod.
    ///
    /// # Errors
    /// As [`signal`].
    pub fn stop(uid: &str) -> Result<Self> {
        signal(uid, Signal::STOP)?;
        Ok(Self { uid: uid.to_owned() })
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // A pod that has ended meanwhile needs nothing.
        let _ = signal(&self.uid, Signal::CONT);
    }
}
