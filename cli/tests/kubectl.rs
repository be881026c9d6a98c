//! `kubectl marsad` as a person calls it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the #[test] functions of such a file for tests, not what they call"
)]

use std::process::{Command, Output};

use marsad_crds::IngestPool;
use serde_json::Value;

/// Round figures: what is printed does not change with a measurement.
const MEASURED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/measured.json");

fn capacity(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-marsad"));
    // No cluster is needed.
    command
        .env_clear()
        .env("KUBECONFIG", "/nowhere")
        .arg("capacity")
        .args(args);
    command.output().expect("it runs")
}

fn printed(args: &[&str]) -> String {
    let output = capacity(&[&["--measured", MEASURED], args].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn r1_1_24_the_table_of_five_hundred_cameras() {
    let args = [
        "--cameras",
        "500",
        "--substream-share",
        "20%",
        "--viewers",
        "police=20",
        "--viewers",
        "metro-line=5",
    ];
    insta::assert_snapshot!(printed(&args));
}

#[test]
fn r1_1_43_the_comma_separated_values() {
    insta::assert_snapshot!(printed(&["--cameras", "40", "-o", "csv"]));
}

#[test]
fn the_pools_to_paste() {
    let text = printed(&["--cameras", "12000", "-o", "yaml"]);
    insta::assert_snapshot!(text);
    let pools: Vec<IngestPool> = text
        .split("---\n")
        .map(|one| serde_saphyr::from_str(one).expect("an IngestPool"))
        .collect();
    assert_eq!(pools.len(), 2);
    let places: i32 = pools
        .iter()
        .map(|pool| (pool.spec.replicas - 1) * pool.spec.cameras_per_replica)
        .sum();
    assert!(places >= 12_000, "{places}");
}

#[test]
fn json_has_every_quantity_and_null_for_what_is_not_measured() {
    let of = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let value = |json: &Value, name: &str| {
        let all = json["quantities"].as_array().expect("a list");
        all.iter().find(|one| one["name"] == name).expect(name)["value"].clone()
    };
    let json = of(&printed(&[
        "--main-mbit",
        "2500k",
        "--retention",
        "48h",
        "-o",
        "json",
    ]));
    assert_eq!(value(&json, "main_mbit"), 2.5);
    assert_eq!(value(&json, "retention"), 48.0);
    assert_eq!(json["notes"], serde_json::json!([]));

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("nothing.json");
    std::fs::write(&file, r#"{"coefficients": []}"#).expect("written");
    let file = file.display().to_string();
    let output = capacity(&["--measured", &file, "-o", "json"]);
    let json = of(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(value(&json, "ingest_cpu"), Value::Null);
    assert_eq!(value(&json, "shards"), 6.0);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("not measured") && said.contains("camera_cpu"),
        "{said}"
    );
    let table = capacity(&["--measured", &file]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("not measured cores"));
}

#[test]
fn r1_1_43_the_workbook_is_written_where_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.xlsx");
    printed(&["--workbook", &file.display().to_string()]);
    let bytes = std::fs::read(&file).expect("written");
    assert!(bytes.starts_with(b"PK"), "a zip archive");
}

#[test]
fn what_is_measured_by_us_is_used_when_nothing_is_said() {
    let output = capacity(&["-o", "json"]);
    assert!(output.status.success());
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let base = json["quantities"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["name"] == "livekit_memory_base");
    let measured = marsad_capacity::Measured::committed().expect("readable");
    assert_eq!(
        base.expect("there")["value"].as_f64(),
        measured.value("livekit_memory_base")
    );
}

#[test]
fn a_wrong_flag_is_named_with_the_way_out() {
    let cases: [(&[&str], &[&str]); 13] = [
        (
            &["--cameras", "0"],
            &["--cameras", "a whole number of 1 to 100000"],
        ),
        (&["--cameras", "12.5"], &["--cameras", "a whole number"]),
        (&["--cameras", "many"], &["--cameras", "many", "a whole number"]),
        (
            &["--recorded-share", "150%"],
            &["--recorded-share", "0 to 1", "30%"],
        ),
        (&["--main-mbit", "4G"], &["--main-mbit", "4M"]),
        (&["--retention", "3 days"], &["--retention", "72h"]),
        (&["--viewers", "Police=3"], &["--viewers", "Police", "DNS label"]),
        (&["--viewers", "police=few"], &["--viewers", "a whole number"]),
        (
            &["--viewers", "3", "--viewers", "police=3"],
            &["--viewers", "AGENCY=N"],
        ),
        (
            &["--viewers", "police=3", "--viewers", "police=4"],
            &["--viewers", "police", "once"],
        ),
        (&["-o", "xml"], &["--output", "table", "csv", "json", "yaml"]),
        (&["--camera", "3"], &["--camera", "--cameras"]),
        (
            &["--workbook", "/nowhere/plan.xlsx"],
            &["--workbook", "/nowhere/plan.xlsx", "folder"],
        ),
    ];
    for (args, words) in cases {
        let output = capacity(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        for word in words {
            assert!(said.contains(word), "{args:?} does not say {word}: {said}");
        }
    }
    let unreadable = capacity(&["--measured", "/nowhere.json"]);
    assert!(String::from_utf8_lossy(&unreadable.stderr).contains("--measured /nowhere.json"));
}
