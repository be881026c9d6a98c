//! What people read of a lease: the hash of Block 1.3-A, its heartbeat, and the history of a source.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod lua;

use std::collections::BTreeMap;

use jiff::Timestamp;
use lua::Embedded;
use lua::store::Value;
use marsad_ledger::request::{Heartbeat, LeaseBlock, Limit, Reclaim, Request, Reserve, SetLimits, Sweep};
use marsad_ledger::{Details, Keyspace, LeaseId, Opening, Source};
use uuid::Uuid;

const NAME: &str = "00000000-0000-0000-0000-000000000007";

struct Bench {
    server: Embedded,
    opening: Opening,
    source: Source,
}

impl Bench {
    fn at(seconds: i64) -> Self {
        let bench = Self {
            server: Embedded::new(),
            opening: Opening {
                run_id: "ab".repeat(20),
                grace_ms: 0,
            },
            source: Source::new("DUBAI_POLICE").unwrap(),
        };
        bench.set_time(seconds);
        bench.ask(&SetLimits {
            generation: 1,
            total: 50,
            known: vec![],
            sources: vec![(bench.source.clone(), Some(Limit { slots: 40, urgent: 0 }))],
        });
        bench
    }

    fn set_time(&self, seconds: i64) {
        self.server
            .store
            .borrow_mut()
            .set_time(seconds as u64 * 1_000_000 + 999_999);
    }

    fn ask(&self, request: &impl Request) -> Vec<i64> {
        self.server
            .run(&request.call(&Keyspace::default(), &self.opening))
    }

    fn reserve(&self) -> Vec<i64> {
        self.ask(&Reserve {
            id: NAME.parse().unwrap(),
            source: self.source.clone(),
            ttl_ms: 30_000,
            urgent: false,
            details: details("user123"),
        })
    }

    fn hash(&self, name: &str) -> BTreeMap<String, String> {
        match self
            .server
            .store
            .borrow()
            .get(&format!("stream:reservation:{name}"))
        {
            Some(Value::Hash(hash)) => hash.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn details(user: &str) -> Details {
    Details {
        camera: "6b1f0a52-7d3e-5b52-9a55-0f5c8f5a2c11".to_owned(),
        user: user.to_owned(),
        client_ip: "10.0.0.1".to_owned(),
        holder: "streams-0".to_owned(),
        identity: format!("{user}.tab"),
    }
}

fn instant(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().to_string()
}

/// R1.3-08, -09: at any day of two centuries, leap years and ends of months among them.
#[test]
fn r1_3_08_a_reservation_is_the_hash_of_block_1_3_a() {
    let mut days: Vec<i64> = (0..73_000).step_by(97).collect();
    for day in [
        "1972-02-29",
        "2000-02-29",
        "2024-12-31",
        "2026-11-26",
        "2100-02-28",
        "2100-03-01",
    ] {
        days.push(
            format!("{day}T00:00:00Z")
                .parse::<Timestamp>()
                .unwrap()
                .as_second()
                / 86_400,
        );
    }
    for day in days {
        let now = day * 86_400 + (day * 7_919) % 86_400;
        let bench = Bench::at(now);
        let seq = bench.reserve()[9];
        let expected = [
            ("camera_id", "6b1f0a52-7d3e-5b52-9a55-0f5c8f5a2c11"),
            ("source", "DUBAI_POLICE"),
            ("user_id", "user123"),
            ("reserved_at", &instant(now)),
            ("expires_at", &instant(now + 30)),
            ("client_ip", "10.0.0.1"),
            ("holder", "streams-0"),
            ("identity", "user123.tab"),
            ("kind", "stream"),
            ("seq", &seq.to_string()),
        ];
        let expected = expected.map(|(field, value)| (field.to_owned(), value.to_owned()));
        assert_eq!(bench.hash(NAME), BTreeMap::from(expected));
        let store = bench.server.store.borrow();
        let beat = store.get(&format!("stream:heartbeat:{NAME}"));
        assert_eq!(beat, Some(&Value::Text(instant(now))));
    }
}

#[test]
fn r1_3_09_a_heartbeat_moves_the_end_and_keeps_the_rest() {
    let bench = Bench::at(1_000_000);
    bench.reserve();
    let before = bench.hash(NAME);
    bench.set_time(1_000_004);
    bench.ask(&Heartbeat {
        ttl_ms: 30_000,
        leases: vec![(NAME.parse().unwrap(), bench.source.clone())],
    });
    let mut expected = before;
    expected.insert("expires_at".to_owned(), instant(1_000_034));
    assert_eq!(bench.hash(NAME), expected);
    let store = bench.server.store.borrow();
    let beat = store.get(&format!("stream:heartbeat:{NAME}"));
    assert_eq!(beat, Some(&Value::Text(instant(1_000_004))));
}

/// research/quota.md §2.6: on return a used token is a reservation under the same id, and counts once.
#[test]
fn r1_3_19_a_used_token_becomes_a_reservation_under_its_id() {
    let bench = Bench::at(1_000_000);
    let token = LeaseId(Uuid::from_u128(7));
    let leased = bench.ask(&LeaseBlock {
        source: bench.source.clone(),
        ttl_ms: 60_000,
        want: 1,
        holder: "streams-0".to_owned(),
        held: vec![],
        fresh: vec![token],
    });
    assert_eq!((leased[0], leased[4]), (0, 1), "one token, one used: {leased:?}");
    assert_eq!(bench.hash(NAME)["kind"], "block");
    let reclaimed = bench.ask(&Reclaim {
        id: token,
        source: bench.source.clone(),
        ttl_ms: 60_000,
        seq: leased[9] as u64,
        details: details("user9"),
        reserved_at: instant(999_990),
    });
    assert_eq!(
        (reclaimed[0], reclaimed[4], reclaimed[9]),
        (1, 1, leased[9]),
        "{reclaimed:?}"
    );
    let hash = bench.hash(NAME);
    assert_eq!(
        [&hash["kind"], &hash["user_id"], &hash["reserved_at"]],
        ["stream", "user9", &instant(999_990)]
    );
}

/// R1.3-10: one sample a second, whoever takes it, and no more than are kept.
#[test]
fn r1_3_10_the_history_has_a_sample_a_second_and_an_end() {
    let bench = Bench::at(1_000_000);
    let sweep = Sweep {
        sources: vec![bench.source.clone()],
        samples: 3,
    };
    for second in 0..5 {
        bench.set_time(1_000_000 + second);
        bench.ask(&sweep);
        if second == 3 {
            bench.reserve();
            bench.ask(&sweep);
        }
    }
    let store = bench.server.store.borrow();
    let expected = [(2, 0), (3, 1), (4, 1)].map(|(second, count)| {
        let second = 1_000_000 + second;
        (format!("{second}:{count}"), second)
    });
    let history = store.get("stream:stats:DUBAI_POLICE:history");
    assert_eq!(history, Some(&Value::Sorted(BTreeMap::from(expected))));
}
