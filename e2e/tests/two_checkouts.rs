//! The node of one checkout beside that of another, and what is left of both: nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use marsad_e2e::helm::checkout;

/// A copy of this checkout, whose node is ended when this is dropped.
struct Copy {
    xtask: PathBuf,
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl Copy {
    fn make() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let listed = output(
            Command::new("git")
                .current_dir(checkout())
                .args(["ls-files", "-z"]),
        )?;
        for file in listed.split('\0').filter(|file| !file.is_empty()) {
            let (from, to) = (checkout().join(file), folder.path().join(file));
            // Deleted and not yet committed.
            if !from.exists() {
                continue;
            }
            fs::create_dir_all(to.parent().context("a folder")?)?;
            fs::copy(from, to)?;
        }
        let xtask =
            std::env::var_os("MARSAD_XTASK").context("MARSAD_XTASK: run this by `cargo xtask test`")?;
        Ok(Self {
            xtask: xtask.into(),
            root: folder.path().canonicalize()?,
            _folder: folder,
        })
    }

    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.xtask);
        command
            .current_dir(&self.root)
            .env("CARGO_MANIFEST_DIR", self.root.join("xtask"))
            .args(arguments);
        command
    }

    fn node_uid(&self) -> Result<String> {
        output(&mut self.xtask(&[
            "kubectl",
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[*].metadata.uid}",
        ]))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // A test that failed must not leave a node behind.
        let _ = self.xtask(&["down"]).stderr(Stdio::null()).status();
    }
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What a node puts on a machine: interfaces, routes, mounts, firewall rules, cgroups.
fn machine() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut add = |kind: &str, lines: &str| {
        found.extend(lines.lines().map(|line| format!("{kind}: {line}")));
    };
    add("link", &output(Command::new("ip").args(["-brief", "link"]))?);
    add(
        "route",
        &output(Command::new("ip").args(["route", "show", "table", "all"]))?,
    );
    add("rule", &output(Command::new("ip").arg("rule"))?);
    let firewall = output(&mut Command::new("iptables-save"))?;
    // Comments have the time, chains have counters.
    let rules: Vec<&str> = firewall.lines().filter(|line| line.starts_with("-A")).collect();
    add("firewall", &rules.join("\n"));
    add("mount", &fs::read_to_string("/proc/self/mounts")?);
    for controller in fs::read_dir("/sys/fs/cgroup")?.flatten() {
        let Ok(groups) = fs::read_dir(controller.path()) else {
            continue;
        };
        for group in groups.flatten().filter(|group| group.path().is_dir()) {
            add("cgroup", &group.path().display().to_string());
        }
    }
    Ok(found)
}

/// Command lines that name `root`.
fn processes_of(root: &Path) -> Result<Vec<String>> {
    let root = root.display().to_string();
    let processes = fs::read_dir("/proc")?.flatten();
    Ok(processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&root))
        .collect())
}

#[test]
fn two_nodes_do_not_disturb_each_other_and_leave_nothing() -> Result<()> {
    let before = machine()?;
    let (one, other) = (Copy::make()?, Copy::make()?);
    output(&mut one.xtask(&["up", "--node-only"]))?;
    output(&mut other.xtask(&["up", "--node-only"]))?;
    let (first, second) = (one.node_uid()?, other.node_uid()?);
    assert_ne!(first, second, "both checkouts speak to one node");

    // A second `up` changes nothing.
    output(&mut one.xtask(&["up", "--node-only"]))?;
    assert_eq!(one.node_uid()?, first);

    output(&mut one.xtask(&["down"]))?;
    assert_eq!(other.node_uid()?, second, "the other node was disturbed");
    let refused = one.xtask(&["kubectl", "get", "nodes"]).output()?;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("cargo xtask up"), "{said}");

    output(&mut other.xtask(&["down"]))?;
    for copy in [&one, &other] {
        assert_eq!(processes_of(&copy.root)?, Vec::<String>::new());
        assert!(!copy.root.join(".marsad").exists(), "state is left");
    }
    let after = machine()?;
    let left: Vec<&String> = after.difference(&before).collect();
    assert!(left.is_empty(), "left: {left:?}");
    let taken: Vec<&String> = before.difference(&after).collect();
    assert!(taken.is_empty(), "what was there before is gone: {taken:?}");
    Ok(())
}
