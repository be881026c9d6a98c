//! Bad input: a stable code with the place of what is wrong, and nothing changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod lua;

use lua::Embedded;
use marsad_ledger::request::{
    Call, EndGrace, Heartbeat, LeaseBlock, Limit, Reclaim, Release, Request, Reserve, SetLimits, Stats, Sweep,
};
use marsad_ledger::script::Script;
use marsad_ledger::{Details, Keyspace, LeaseId, Opening, Source};
use uuid::Uuid;

const MALFORMED: i64 = -1;

/// What is no number, no source and no id.
const NEVER: [&str; 12] = [
    "-1",
    "1.5",
    "1e3",
    "0x10",
    "",
    " 1",
    "nan",
    "99999999999999999999",
    "a b",
    "total",
    "\u{0}",
    "ä",
];

/// A server with a limit, out of grace, and one good call of each script, of a lease that is there.
struct Bench {
    server: Embedded,
    calls: Vec<Call>,
}

fn bench() -> Bench {
    let (space, server) = (Keyspace::new("test:"), Embedded::new());
    let opening = Opening {
        run_id: "ab".repeat(20),
        grace_ms: 0,
    };
    server.store.borrow_mut().set_time(1_795_694_400_000_000);
    let (source, id) = (Source::new("METRO").unwrap(), LeaseId(Uuid::from_u128(7)));
    let token = LeaseId(Uuid::from_u128(8));
    let details = Details::default();
    let calls = vec![
        SetLimits {
            generation: 1,
            total: 50,
            known: vec![],
            sources: vec![(source.clone(), Some(Limit { slots: 40, urgent: 1 }))],
        }
        .call(&space, &opening),
        Reserve {
            id,
            source: source.clone(),
            ttl_ms: 60_000,
            urgent: false,
            details: details.clone(),
        }
        .call(&space, &opening),
        Heartbeat {
            ttl_ms: 60_000,
            leases: vec![(id, source.clone())],
        }
        .call(&space, &opening),
        Reclaim {
            id,
            source: source.clone(),
            ttl_ms: 60_000,
            seq: 3,
            details,
            reserved_at: String::new(),
        }
        .call(&space, &opening),
        LeaseBlock {
            source: source.clone(),
            ttl_ms: 60_000,
            want: 2,
            holder: "streams-0".to_owned(),
            held: vec![],
            fresh: vec![token],
        }
        .call(&space, &opening),
        Sweep {
            sources: vec![source.clone()],
            samples: 3,
        }
        .call(&space, &opening),
        EndGrace { epoch: 1 }.call(&space, &opening),
        Stats {
            sources: vec![source.clone()],
        }
        .call(&space, &opening),
        Release { id, source, seq: 0 }.call(&space, &opening),
    ];
    Bench { server, calls }
}

fn with_arg(call: &Call, index: usize, text: &str) -> Call {
    let mut call = call.clone();
    call.args[index] = text.to_owned();
    call
}

/// Every argument of every script, replaced by what no argument may be, and every key by another.
#[test]
fn bad_input_is_refused_by_its_place_and_changes_nothing() {
    let Bench { server, calls } = bench();
    let mut refused = 0;
    for call in &calls {
        // Time has gone by: a step of the clock would show.
        let later = server.store.borrow().wall() * 1_000 + 5_000;
        server.store.borrow_mut().set_time(later);
        let mut bad = Vec::new();
        for index in 1..call.args.len() {
            // What is free text takes anything but too much of it; a wrong list of sources is stale, not malformed.
            let (free, list) = match call.script {
                Script::Reserve => (7..=11, false),
                Script::Reclaim => (7..=12, false),
                Script::Block => (6..=6, false),
                Script::SetLimits => (5..=5, index == 5),
                _ => (0..=0, false),
            };
            let texts: &[&str] = match () {
                () if free.contains(&index) => &[],
                () if index == 1 => &["no hex", "-", "ab cd"],
                () => &NEVER,
            };
            let long = (!list).then(|| "x".repeat(1_000_000));
            for text in texts.iter().copied().chain(long.as_deref()) {
                bad.push((with_arg(call, index, text), vec![index as i64 + 1, 0]));
            }
        }
        for index in 0..call.keys.len() {
            let mut other = call.clone();
            other.keys[index].push('x');
            bad.push((other, vec![0]));
            let mut fewer = call.clone();
            fewer.keys.remove(index);
            bad.push((fewer, vec![0]));
        }
        let mut more = call.clone();
        more.args.push("1".to_owned());
        bad.push((more, vec![0]));
        for (bad, places) in bad {
            let before = format!("{:?}", server.store.borrow().all());
            let answer = server.run(&bad);
            let shown: Vec<String> = bad
                .args
                .iter()
                .map(|text| text.chars().take(40).collect())
                .collect();
            assert_eq!(
                answer[0], MALFORMED,
                "{:?} {shown:?} answers {answer:?}",
                bad.script
            );
            assert!(
                places.contains(&answer[1]),
                "{:?} {shown:?} answers {answer:?}",
                bad.script
            );
            assert_eq!(
                format!("{:?}", server.store.borrow().all()),
                before,
                "{:?} {shown:?}",
                bad.script
            );
            refused += 1;
        }
        assert!(server.run(call)[0] >= 0, "the good call is good: {call:?}");
    }
    println!("{refused} bad calls");
    assert!(refused > 500);
}

#[test]
fn another_version_is_refused() {
    let Bench { server, calls } = bench();
    for call in &calls {
        for version in ["0", "2", "", "1.0", "x"] {
            assert_eq!(
                server.run(&with_arg(call, 0, version)),
                [-2, 1],
                "{:?}",
                call.script
            );
        }
    }
    assert!(server.store.borrow().all().is_empty());
}

#[test]
fn an_unknown_source_is_refused_and_nothing_is_made() {
    let Bench { server, calls } = bench();
    for call in &calls[1..] {
        let name = call.script.name();
        if ["reserve_stream", "lease_block"].contains(&name) {
            assert_eq!(server.run(call), [-3, 0], "{name}");
            assert!(server.store.borrow().all().is_empty(), "{name}");
        }
    }
}
