//! Processes of a pod, by id. The node of `cargo xtask up` runs on this machine in a PID namespace of its own, which
//! root can see into: what a test kills or stops is found by the uid of its pod, a component of the node by the folder it runs in.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// The processes of the containers of a pod, without the one that holds its namespaces.
///
/// # Errors
/// When there are none: not root, or the cluster is not on this machine.
pub fn of_pod(uid: &str) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for (pid, path) in all()? {
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

/// Every process that is visible here, and its folder.
fn all() -> Result<Vec<(Pid, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            found.push((pid, path));
        }
    }
    Ok(found)
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Seconds of processor time so far, its own and the kernel's for it.
    pub processor: f64,
    /// Bytes resident now.
    pub resident: f64,
    /// Bytes resident at most so far.
    pub most: f64,
}

/// What the process has used (proc(5): `stat`, `status`).
///
/// # Errors
/// When it is gone.
pub fn usage(pid: Pid) -> Result<Usage> {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let stat = fs::read_to_string(format!("{folder}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("stat")?;
    // utime and stime are fields 14 and 15 of all; the third follows the name.
    let ticks: u64 = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()?;
    let status = fs::read_to_string(format!("{folder}/status"))?;
    let bytes = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.with_context(|| name.to_owned())?;
        Ok(kibibytes.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
    };
    Ok(Usage {
        processor: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        resident: bytes("VmRSS:")?,
        most: bytes("VmHWM:")?,
    })
}

/// Bytes that came and went over the network that the process sees, its loopback aside (proc(5): `net/dev`): those of its pod.
///
/// # Errors
/// When it is gone.
pub fn network(pid: Pid) -> Result<(f64, f64)> {
    let table = fs::read_to_string(format!("/proc/{}/net/dev", pid.as_raw_nonzero()))?;
    bytes_of(&table)
}

fn bytes_of(table: &str) -> Result<(f64, f64)> {
    let mut sum = (0.0, 0.0);
    for (name, counts) in table.lines().filter_map(|line| line.split_once(':')) {
        if name.trim() == "lo" {
            continue;
        }
        let counts: Vec<&str> = counts.split_ascii_whitespace().collect();
        let bytes = |column: usize| -> Result<f64> { Ok(counts.get(column).context("net/dev")?.parse()?) };
        sum = (sum.0 + bytes(0)?, sum.1 + bytes(8)?);
    }
    Ok(sum)
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

/// A program that the node keeps running: it is started again when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component(Pid);

impl Component {
    /// The process called `name` of the node that `KUBECONFIG` belongs to.
    ///
    /// # Errors
    /// When there is none: it has just ended, or the cluster is not on this machine.
    pub fn find(name: &str) -> Result<Self> {
        let kubeconfig = std::env::var_os("KUBECONFIG").context("KUBECONFIG is not set")?;
        let kubeconfig = fs::canonicalize(kubeconfig)?;
        let state = kubeconfig.parent().context("KUBECONFIG")?;
        for (pid, path) in all()? {
            let called = fs::read_to_string(path.join("comm")).unwrap_or_default();
            if called.trim() == name && fs::read_link(path.join("cwd")).is_ok_and(|folder| folder == state) {
                return Ok(Self(pid));
            }
        }
        anyhow::bail!("no {name} runs in {}", state.display())
    }

    /// Sends it `signal`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.0, signal)?)
    }
}

/// A limit of memory that a container is about to reach (cgroup v1); lifted when this is dropped.
pub struct MemoryLimit {
    file: PathBuf,
    before: String,
}

impl MemoryLimit {
    /// Lets the pod's container have 4 MiB more than it has now.
    ///
    /// # Errors
    /// When its cgroup is not visible here.
    pub fn barely(uid: &str) -> Result<Self> {
        const MORE: u64 = 4 << 20;
        let pid = *of_pod(uid)?.first().context("a process")?;
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero()))?;
        let group = groups
            .lines()
            .find_map(|line| line.split_once(":memory:"))
            .context("no memory cgroup: these tests need cgroup v1")?
            .1;
        let folder = PathBuf::from(format!("/sys/fs/cgroup/memory{group}"));
        let used: u64 = fs::read_to_string(folder.join("memory.usage_in_bytes"))?
            .trim()
            .parse()?;
        let file = folder.join("memory.limit_in_bytes");
        let before = fs::read_to_string(&file)?;
        fs::write(&file, (used + MORE).to_string()).with_context(|| file.display().to_string())?;
        Ok(Self { file, before })
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // The container's cgroup goes with it.
        let _ = fs::write(&self.file, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_no_network() {
        let table = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999      10    0    0    0     0          0         0     9999      10    0    0    0     0       0          0
  eth0:    1200      11    0    0    0     0          0         0      340       9    0    0    0     0       0          0
  eth1:      30       1    0    0    0     0          0         0        4       1    0    0    0     0       0          0
";
        assert_eq!(bytes_of(table).expect("a table"), (1230.0, 344.0));
        bytes_of("eth0: 1 2 3").expect_err("a table of another shape");
    }
}
