//! The cgroup that the kubelet puts pods under: the one thing that namespaces do not take with them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Mount points of all cgroup hierarchies, v1 and v2, in a `/proc/mounts`.
fn hierarchies(mounts: &str) -> Vec<PathBuf> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (point, kind) = (words.next()?, words.next()?);
            (kind == "cgroup" || kind == "cgroup2").then(|| PathBuf::from(point))
        })
        .collect()
}

fn mounted() -> Result<Vec<PathBuf>> {
    let found = hierarchies(&fs::read_to_string("/proc/mounts")?);
    if found.is_empty() {
        bail!("no cgroup hierarchy is mounted: the kubelet needs one");
    }
    Ok(found)
}

/// Makes the group `name` in every hierarchy. A new cpuset group of cgroup v1 has no CPU and no memory
/// node and would admit no process, so it gets its parent's.
pub(crate) fn create(name: &str) -> Result<()> {
    for hierarchy in mounted()? {
        let group = hierarchy.join(name);
        match fs::create_dir(&group) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot make the cgroup {}", group.display()));
            }
            _ => {}
        }
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (from, to) = (hierarchy.join(file), group.join(file));
            if from.exists() && to.exists() {
                let value = fs::read_to_string(&from)?;
                fs::write(&to, value.trim()).with_context(|| format!("cannot write {}", to.display()))?;
            }
        }
    }
    Ok(())
}

/// Removes the group and all below it, deepest first. The kernel needs a moment to let go of a group
/// whose processes have just died.
pub(crate) fn remove(name: &str, deadline: Duration) -> Result<()> {
    let until = Instant::now() + deadline;
    for hierarchy in mounted()? {
        let group = hierarchy.join(name);
        while let Err(error) = remove_tree(&group) {
            if Instant::now() > until {
                return Err(error).with_context(|| format!("cannot remove the cgroup {}", group.display()));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// A cgroup's files cannot be removed, only its folders.
fn remove_tree(dir: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\nproc /proc proc rw 0 0\n";
        let expected = [
            PathBuf::from("/sys/fs/cgroup/cpu"),
            PathBuf::from("/sys/fs/cgroup/unified"),
        ];
        assert_eq!(hierarchies(mounts), expected);
    }

    #[test]
    fn a_tree_goes_from_its_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("group");
        fs::create_dir_all(group.join("pods/a/b")).unwrap();
        remove_tree(&group).unwrap();
        assert!(!group.exists());
        remove_tree(&group).unwrap();
    }
}
