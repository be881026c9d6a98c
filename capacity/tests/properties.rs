//! What holds of every plan.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the #[test] functions of such a file for tests, not what they call"
)]

mod figures;

use std::collections::BTreeMap;

use marsad_capacity::{Measured, Model, Plan, pools};
use proptest::prelude::*;

type Inputs = BTreeMap<String, f64>;

fn plan(inputs: &Inputs) -> Plan {
    Model::new(&[])
        .evaluate(inputs, &figures::round())
        .expect("in range")
}

fn with(pairs: &[(&str, f64)]) -> Plan {
    let inputs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    plan(&inputs)
}

fn value(plan: &Plan, name: &str) -> f64 {
    plan.value(name).expect(name)
}

/// What more cameras can't lower.
const TOTALS: [&str; 12] = [
    "paths",
    "shards_needed",
    "pools",
    "shards",
    "pulled_mbit",
    "ingest_cpu",
    "ingest_memory",
    "network_in",
    "network_out",
    "write_rate",
    "recordings",
    "machines",
];

/// Whether all cameras, `doubles` of them with two paths, find a shard with room. Those with one path come first and go to the
/// emptiest shard: they leave single places everywhere, which is the worst for those that follow.
fn placed(cameras: u32, doubles: u32, shards: u32, capacity: u32) -> bool {
    let mut free = vec![capacity; usize::try_from(shards).expect("few")];
    let sizes = (0..cameras).map(|number| if number < cameras - doubles { 1 } else { 2 });
    for size in sizes {
        let Some(shard) = free.iter_mut().filter(|free| **free >= size).max() else {
            return false;
        };
        *shard -= size;
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn r1_1_24_more_cameras_never_need_less(inputs in figures::inputs(&[]), more in 1_u32..2000) {
        let mut grown = inputs.clone();
        let cameras = (inputs["cameras"] + f64::from(more)).min(100_000.0);
        grown.insert("cameras".to_owned(), cameras);
        let (small, large) = (plan(&inputs), plan(&grown));
        for name in TOTALS {
            let (small, large) = (value(&small, name), value(&large, name));
            prop_assert!(large >= small - 1e-6 * small, "{name}: {small} for {}, {large} for {cameras}", inputs["cameras"]);
        }
    }

    #[test]
    fn r1_1_24_what_is_left_after_the_planned_losses_holds_every_path(inputs in figures::inputs(&[])) {
        let plan = plan(&inputs);
        let (pools, replicas, spare) = (value(&plan, "pools"), value(&plan, "replicas"), value(&plan, "spare_shards"));
        let left = pools * (replicas - spare) * value(&plan, "cameras_per_shard");
        prop_assert!(left >= value(&plan, "paths"), "{left} places");
        // What the definition of IngestPool allows.
        prop_assert!((1.0..=100.0).contains(&replicas), "{replicas} replicas");
        // And not for nothing: without sub-streams and with one pool, one shard less would be one too few.
        if value(&plan, "substreams") == 0.0 && pools == 1.0 {
            prop_assert!((replicas - spare - 1.0) * value(&plan, "cameras_per_shard") < value(&plan, "paths"));
        }
    }

    #[test]
    fn r1_1_24_cameras_with_two_paths_find_a_shard_with_room_for_both(
        cameras in 1_u32..2000, share in 0.0_f64..=1.0, capacity in 2_u32..120,
    ) {
        let plan = with(&[
            ("cameras", f64::from(cameras)), ("substream_share", share), ("cameras_per_shard", f64::from(capacity)), ("spare_shards", 0.0),
        ]);
        let number = |name: &str| value(&plan, name) as u32;
        prop_assert!(placed(cameras, number("substreams"), number("shards"), capacity));
    }
}

#[test]
fn r1_1_24_the_customers_machine_carries_500_cameras_by_its_network() {
    let plan = with(&[("cameras", 500.0), ("main_mbit", 4.0), ("machine_gbit", 10.0)]);
    assert_eq!(value(&plan, "network_in"), 500.0 * 4.0 + 20.0 * 16.0 * 4.0);
    assert_eq!(value(&plan, "network_out"), 2.0 * 20.0 * 16.0 * 4.0);
    assert_eq!(value(&plan, "machines_by_network"), 1.0);
    assert_eq!(value(&plan, "shards"), 6.0, "five, and one that may be lost");
}

#[test]
fn recordings_fill_what_their_bit_rate_says() {
    let plan = with(&[
        ("cameras", 100.0),
        ("main_mbit", 8.0),
        ("retention", 24.0),
        ("fill", 1.0),
    ]);
    assert_eq!(value(&plan, "write_rate"), 100.0);
    // 100 MB/s for a day.
    let gib = 100e6 * 86_400.0 / 1_073_741_824.0;
    assert!((value(&plan, "recordings") - gib).abs() < 1e-6);
    assert_eq!(value(&plan, "shard_recordings"), gib.ceil());
    assert_eq!(value(&with(&[("recorded_share", 0.0)]), "recordings"), 0.0);
}

#[test]
fn viewers_of_agencies_are_added_up() {
    let model = Model::new(&["police".to_owned(), "metro-line".to_owned()]);
    let inputs = [
        ("viewers_police", 3.0),
        ("viewers_metro_line", 4.0),
        ("tiles", 9.0),
    ];
    let inputs = inputs.map(|(name, value)| (name.to_owned(), value)).into();
    let plan = model.evaluate(&inputs, &figures::round()).expect("in range");
    assert_eq!(value(&plan, "streams_police"), 27.0);
    assert_eq!(value(&plan, "streams"), 63.0);
    assert_eq!(value(&plan, "watched"), 63.0);
    let few = model
        .evaluate(&[("cameras".to_owned(), 50.0)].into(), &figures::round())
        .expect("in range");
    assert_eq!(value(&few, "watched"), 50.0, "no camera is sent twice");
}

#[test]
fn a_wrong_input_is_named() {
    let of = |name: &str, value: f64| {
        let inputs = [(name.to_owned(), value)].into();
        Model::new(&[])
            .evaluate(&inputs, &figures::round())
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        of("cameras", 0.0),
        "cameras must be a whole number of 1 to 100000, not 0"
    );
    assert_eq!(of("fill", 1.5), "fill must be a number of 0.1 to 1, not 1.5");
    assert_eq!(of("camera", 1.0), "camera is no input of the model");
    assert_eq!(of("camera_cpu", 1.0), "camera_cpu is no input of the model");
}

#[test]
fn pools_ask_for_what_a_full_shard_needs_and_no_more_than_the_definition_allows() {
    let pools_of = |plan: &Plan| serde_json::to_value(pools(plan)).expect("JSON");
    let plan = with(&[("cameras", 500.0)]);
    let json = pools_of(&plan);
    let spec = &json[0]["spec"];
    assert_eq!(spec["replicas"], 6);
    assert_eq!(spec["camerasPerReplica"], 100);
    let asked = &spec["mediamtx"]["resources"];
    let cpu: f64 = asked["requests"]["cpu"]
        .as_str()
        .and_then(|text| text.strip_suffix('m')?.parse().ok())
        .expect("cpu");
    assert!(
        (value(&plan, "shard_cpu_request") * 1000.0..value(&plan, "shard_cpu_request") * 1000.0 + 50.0)
            .contains(&cpu),
        "{cpu}"
    );
    assert_eq!(asked["limits"]["memory"], "4096Mi");
    assert!(
        asked["limits"].get("cpu").is_none(),
        "throttling freezes pictures"
    );
    assert!(
        spec["mediamtx"]["recordings"]["size"]
            .as_str()
            .expect("a size")
            .ends_with("Gi")
    );

    let many = with(&[("cameras", 30_000.0)]);
    let names: Vec<_> = pools(&many)
        .into_iter()
        .filter_map(|pool| pool.metadata.name)
        .collect();
    assert_eq!(names, ["default", "default-2", "default-3", "default-4"]);
    let bare = with(&[("recorded_share", 0.0)]);
    assert!(pools_of(&bare)[0]["spec"]["mediamtx"].get("recordings").is_none());

    let nothing = Measured {
        coefficients: Vec::new(),
    };
    let unknown = Model::new(&[])
        .evaluate(&Inputs::new(), &nothing)
        .expect("defaults");
    assert!(
        pools_of(&unknown)[0]["spec"]["mediamtx"]
            .get("resources")
            .is_none(),
        "never a guess"
    );
    assert_eq!(unknown.warnings().len(), 1);
}

#[test]
fn r1_1_20_a_shard_that_needs_more_than_its_limit_is_warned_of() {
    assert_eq!(plan(&Inputs::new()).warnings(), Vec::<String>::new());
    let mut measured = figures::round();
    for one in &mut measured.coefficients {
        if one.name == "camera_memory" {
            one.value = Some(50.0);
        }
    }
    let heavy = Model::new(&[])
        .evaluate(&Inputs::new(), &measured)
        .expect("defaults");
    let warnings = heavy.warnings();
    assert!(warnings[0].contains("lower cameras_per_shard"), "{warnings:?}");
}
