//! Processes of the node, seen from the host.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// The PID namespace of a process, as the kernel names it; None when the process is gone.
pub(crate) fn pid_namespace(pid: u32) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// A process told from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its number, as the host counts.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the machine did.
    started: u64,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn now(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self {
            pid,
            started: started_in(&stat)?,
        })
    }

    /// Whether it is still there, be it as a zombie.
    pub(crate) fn lives(self) -> bool {
        Self::now(self.pid) == Some(self)
    }
}

/// The first child of a process.
pub(crate) fn child_of(parent: u32) -> Option<u32> {
    all().find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| parent_in(&stat) == Some(parent))
    })
}

/// The fourth field of `/proc/PID/stat`; the second, the name, may hold blanks and brackets.
fn parent_in(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The twenty-second field.
fn started_in(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Sends SIGKILL; that the process is gone already is no error.
pub(crate) fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // ESRCH is what we want; anything else shows when the process is still there at the deadline.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Ends every process of a PID namespace and waits until none is left.
pub(crate) fn end_namespace(namespace: &str, deadline: Duration) -> Result<()> {
    if pid_namespace(std::process::id()).as_deref() == Some(namespace) {
        bail!("refusing to end our own PID namespace");
    }
    let until = Instant::now() + deadline;
    loop {
        let left: Vec<u32> = all()
            .filter(|pid| pid_namespace(*pid).as_deref() == Some(namespace))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("processes {left:?} of the node do not end");
        }
        left.into_iter().for_each(kill);
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_an_odd_name() {
        assert_eq!(parent_in("12 (a) b (c)) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in(""), None);
    }

    #[test]
    fn a_process_is_itself_and_no_other() {
        let own = Process::now(std::process::id()).unwrap();
        assert!(own.lives());
        assert!(
            !Process {
                started: own.started + 1,
                ..own
            }
            .lives()
        );
    }

    #[test]
    fn our_own_namespace_is_never_ended() {
        let own = pid_namespace(std::process::id()).unwrap();
        assert!(end_namespace(&own, Duration::ZERO).is_err());
    }

    #[test]
    fn a_child_is_found() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        // Other tests of this process have children too, so only that one is found.
        assert!(child_of(std::process::id()).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
