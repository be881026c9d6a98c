//! The node of one checkout beside that of another, and what is left of both: nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A copy of this checkout, whose node is ended when this is dropped.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn make() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let listed = output(Command::new("git").current_dir(root).args(["ls-files", "-z"]));
        for file in listed.split('\0').filter(|file| !file.is_empty()) {
            let (from, to) = (root.join(file), folder.path().join(file));
            // Deleted and not yet committed.
            if !from.exists() {
                continue;
            }
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .current_dir(self.root())
            .env("CARGO_MANIFEST_DIR", self.root().join("xtask"))
            .args(arguments);
        command
    }

    fn node_uid(&self) -> String {
        let uid = [
            "kubectl",
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[*].metadata.uid}",
        ];
        output(&mut self.xtask(&uid))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // A test that failed must not leave a node behind.
        let _ = self.xtask(&["down"]).stderr(Stdio::null()).status();
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What a node puts on a machine: interfaces, routes, mounts, firewall rules, cgroups, processes.
fn machine() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |kind: &str, lines: &str| {
        found.extend(lines.lines().map(|line| format!("{kind}: {line}")));
    };
    add("link", &output(Command::new("ip").args(["-brief", "link"])));
    add(
        "route",
        &output(Command::new("ip").args(["route", "show", "table", "all"])),
    );
    add("rule", &output(Command::new("ip").arg("rule")));
    let firewall = output(Command::new("iptables-save").arg("--modprobe=/bin/false"));
    // Comments have the time, chains have counters.
    let rules: Vec<&str> = firewall.lines().filter(|line| line.starts_with("-A")).collect();
    add("firewall", &rules.join("\n"));
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    add("mount", &mounts);
    for controller in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let Ok(groups) = fs::read_dir(controller.path()) else {
            continue;
        };
        for group in groups.flatten().filter(|group| group.path().is_dir()) {
            add("cgroup", &group.path().display().to_string());
        }
    }
    found
}

/// Processes that run anywhere in `root`.
fn processes_of(root: &Path) -> Vec<String> {
    let root = root.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&root))
        .collect()
}

#[test]
#[ignore = "needs root and the engines: `cargo xtask test` runs it"]
fn two_nodes_do_not_disturb_each_other_and_leave_nothing() {
    let before = machine();
    let (one, other) = (Copy::make(), Copy::make());
    output(&mut one.xtask(&["up", "--node-only"]));
    output(&mut other.xtask(&["up", "--node-only"]));
    let (first, second) = (one.node_uid(), other.node_uid());
    assert_ne!(first, second, "both checkouts speak to one node");

    // A second `up` changes nothing.
    output(&mut one.xtask(&["up", "--node-only"]));
    assert_eq!(one.node_uid(), first);

    output(&mut one.xtask(&["down"]));
    assert_eq!(other.node_uid(), second, "the other node was disturbed");
    let refused = one.xtask(&["kubectl", "get", "nodes"]).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("cargo xtask up"), "{said}");

    output(&mut other.xtask(&["down"]));
    for copy in [&one, &other] {
        assert_eq!(processes_of(&copy.root()), Vec::<String>::new());
        assert!(!copy.root().join(".marsad").exists(), "state is left");
    }
    let left: Vec<String> = machine().difference(&before).cloned().collect();
    assert_eq!(left, Vec::<String>::new());
    let taken: Vec<String> = before.difference(&machine()).cloned().collect();
    assert_eq!(taken, Vec::<String>::new(), "what was there before is gone");
}
