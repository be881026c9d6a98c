//! The table of states, judged by our own rules, by those of Flux and Helm, and by Argo CD with the script of the chart.
//!
//! `MARSAD_ENGINES` names the folder with `kstatus` (`tools/kstatus`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod health;
#[allow(dead_code, reason = "another test asks the rest")]
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use health::State;
use judge::Judge;
use marsad_crds::{ConditionType, Reason, kstatus};
use serde_json::Value;

/// The answers of `tools/kstatus`, one a state: the verdict and the message.
fn answers(arguments: &[&str], states: &[&State]) -> Vec<(String, String)> {
    let folder = std::env::var_os("MARSAD_ENGINES")
        .expect("MARSAD_ENGINES must name the folder that holds kstatus; `cargo xtask test` sets it");
    let mut tool = Command::new(Path::new(&folder).join("kstatus"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("kstatus does not start: {error}"));
    let mut stdin = tool.stdin.take().unwrap();
    for state in states {
        writeln!(stdin, "{}", state.object).unwrap();
    }
    drop(stdin);
    let output = tool.wait_with_output().unwrap();
    assert!(output.status.success(), "kstatus failed: {arguments:?}");
    let answers: Vec<(String, String)> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(verdict, message)| (verdict.to_owned(), message.to_owned()))
        .collect();
    assert_eq!(answers.len(), states.len());
    answers
}

/// The health script of each kind, as it is shipped.
fn scripts() -> BTreeMap<String, String> {
    let text = include_str!("../../charts/marsad/files/argocd/argocd-cm.yaml");
    let map: Value = serde_saphyr::from_str(text).unwrap();
    assert_eq!(map["kind"], "ConfigMap");
    assert_eq!(map["metadata"]["name"], "argocd-cm");
    // Argo CD does not read a ConfigMap without it.
    assert_eq!(
        map["metadata"]["labels"]["app.kubernetes.io/part-of"], "argocd",
        "the label by which Argo CD knows its own"
    );
    map["data"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, script)| {
            let kind = key
                .strip_prefix("resource.customizations.health.marsad.dev_")
                .unwrap_or_else(|| panic!("{key}"));
            (kind.to_owned(), script.as_str().unwrap().to_owned())
        })
        .collect()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn our_rules_come_to_the_verdicts_of_the_table() {
    let wrong: Vec<String> = health::all()
        .iter()
        .filter_map(|state| {
            let ours = kstatus::of(&state.object).unwrap();
            (ours != state.kstatus).then(|| format!("{}: {ours}, not {}", state.title(), state.kstatus))
        })
        .collect();
    assert_none(&wrong);
}

#[test]
fn kstatus_reads_the_order_of_conditions_and_nothing_else_of_them() {
    let object = |conditions: &[(&str, &str)]| {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(type_, status)| {
                serde_json::json!({"type": type_, "status": status, "reason": "R", "message": "m",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::json!({"metadata": {"generation": 1},
            "status": {"observedGeneration": 1, "conditions": conditions}})
    };
    for (conditions, verdict) in [
        (&[][..], kstatus::Verdict::Current),
        (
            &[("Stalled", "True"), ("Reconciling", "True")],
            kstatus::Verdict::Failed,
        ),
        (
            &[("Reconciling", "True"), ("Stalled", "True")],
            kstatus::Verdict::InProgress,
        ),
        (
            &[
                ("Reconciling", "False"),
                ("Stalled", "Unknown"),
                ("Ready", "True"),
            ],
            kstatus::Verdict::Current,
        ),
        (&[("Ready", "Unknown")], kstatus::Verdict::InProgress),
        (&[("Online", "False")], kstatus::Verdict::Current),
    ] {
        assert_eq!(
            kstatus::of(&object(conditions)).unwrap(),
            verdict,
            "{conditions:?}"
        );
    }
}

/// A state that can't be is no proof of anything.
#[test]
fn every_state_is_one_that_the_api_server_could_hold() {
    let judges: BTreeMap<String, Judge> = marsad_crds::all()
        .iter()
        .map(|crd| (crd.spec.names.kind.clone(), Judge::new(crd)))
        .collect();
    let types: BTreeSet<&str> = [
        ConditionType::Ready,
        ConditionType::Online,
        ConditionType::Reconciling,
        ConditionType::Stalled,
        ConditionType::SourceResolved,
        ConditionType::Assigned,
        ConditionType::Publishing,
        ConditionType::Headroom,
    ]
    .map(ConditionType::as_str)
    .into();
    let mut titles = BTreeSet::new();
    for state in health::all() {
        let title = state.title();
        assert_eq!(judges[&state.kind].refusal(&state.object, None), None, "{title}");
        for condition in &state.conditions {
            let words: Vec<&str> = condition.split(' ').collect();
            assert!(types.contains(words[0]), "{title}: {condition}");
            assert!(Reason::parse(words[2]).is_some(), "{title}: {condition}");
        }
        assert!(titles.insert(title.clone()), "{title} is there twice");
    }
}

#[test]
fn argo_cd_has_a_script_for_every_kind_of_the_table() {
    let kinds: BTreeSet<String> = health::all().into_iter().map(|state| state.kind).collect();
    assert_eq!(scripts().into_keys().collect::<BTreeSet<_>>(), kinds);
}

#[test]
#[ignore = "needs the engines: cargo xtask test runs it"]
fn flux_and_helm_come_to_the_verdicts_of_the_table() {
    let states = health::all();
    let states: Vec<&State> = states.iter().collect();
    let wrong: Vec<String> = states
        .iter()
        .zip(answers(&[], &states))
        .filter(|(state, (theirs, _))| theirs != state.kstatus.as_str())
        .map(|(state, (theirs, why))| format!("{}: {theirs} ({why}), not {}", state.title(), state.kstatus))
        .collect();
    assert_none(&wrong);
}

#[test]
#[ignore = "needs the engines: cargo xtask test runs it"]
fn argo_cd_shows_the_health_of_the_table() {
    let states = health::all();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut wrong = Vec::new();
    for (kind, script) in scripts() {
        let file = folder.join(format!("{kind}.lua"));
        std::fs::write(&file, script).unwrap();
        let states: Vec<&State> = states.iter().filter(|state| state.kind == kind).collect();
        for (state, (theirs, message)) in states
            .iter()
            .zip(answers(&["lua", file.to_str().unwrap()], &states))
        {
            if theirs != format!("{:?}", state.argocd) {
                wrong.push(format!(
                    "{}: {theirs} ({message}), not {:?}",
                    state.title(),
                    state.argocd
                ));
            }
            assert!(!message.is_empty(), "{}: no message", state.title());
        }
    }
    assert_none(&wrong);
}
