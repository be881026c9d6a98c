//! The same histories on a real server, in the embedded Lua and in the model. Time is the server's own: each step is read
//! from the clock that the script left, and the other two are put at that very millisecond, so that nothing sleeps and
//! leases of a few milliseconds end when they end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod histories;
mod lua;
mod valkey;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use histories::{Event, Seen, World, assert_all_seen, event};
use lua::Embedded;
use lua::store::Value;
use marsad_ledger::Keyspace;
use marsad_ledger::request::Call;
use marsad_ledger::script::Script;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis::Commands;
use valkey::Valkey;

const PREFIX: &str = "{cctv}:";
const LONGEST_MS: u64 = 25;

fn evalsha(connection: &mut redis::Connection, call: &Call) -> Vec<i64> {
    let mut command = redis::cmd("EVALSHA");
    command
        .arg(call.script.digest())
        .arg(call.keys.len())
        .arg(&call.keys)
        .arg(&call.args);
    command
        .query(connection)
        .unwrap_or_else(|error| panic!("{call:?}: {error}"))
}

/// When the last script ran, in milliseconds.
fn wall(connection: &mut redis::Connection) -> Option<i64> {
    let (last, offset): (Option<i64>, Option<i64>) = connection
        .hmget(format!("{PREFIX}stream:clock"), &["last", "offset"])
        .unwrap();
    Some(last? + offset?)
}

/// What does not end by itself.
fn lasting(connection: &mut redis::Connection) -> BTreeMap<String, Value> {
    let names: Vec<String> = connection.keys("*").unwrap();
    let mut all = BTreeMap::new();
    for name in names.into_iter().filter(|name| !ends_by_itself(name)) {
        let kind: String = redis::cmd("TYPE").arg(&name).query(connection).unwrap();
        let value = match kind.as_str() {
            "string" => Value::Text(connection.get(&name).unwrap()),
            "hash" => Value::Hash(connection.hgetall(&name).unwrap()),
            "zset" => Value::Sorted(
                connection
                    .zrange_withscores::<_, BTreeMap<String, i64>>(&name, 0, -1)
                    .unwrap(),
            ),
            other => panic!("{name} is a {other}"),
        };
        all.insert(name, value);
    }
    all
}

fn ends_by_itself(name: &str) -> bool {
    name.contains("stream:reservation:") || name.contains("stream:heartbeat:")
}

fn play(
    connection: &mut redis::Connection,
    embedded: &Embedded,
    events: &[Event],
) -> Result<Seen, TestCaseError> {
    let mut world = World::new(Keyspace::new(PREFIX));
    let _: () = redis::cmd("FLUSHALL").query(connection).unwrap();
    embedded.store.borrow_mut().flush();
    for event in events {
        match event {
            Event::Pass(_) | Event::Back(_) => {}
            Event::Successor => world.succeed(),
            Event::Empty => {
                world.lose();
                let _: () = redis::cmd("FLUSHALL").query(connection).unwrap();
                embedded.store.borrow_mut().flush();
            }
            _ => world.ask(event, &mut |model, call| {
                let said = evalsha(connection, call);
                let at = if call.script == Script::Stats {
                    Some(said[3])
                } else {
                    wall(connection)
                };
                if let Some(at) = at.filter(|_| said[0] >= 0) {
                    model.set_wall(at);
                    embedded.store.borrow_mut().set_time(at as u64 * 1_000);
                }
                assert_eq!(embedded.run(call), said, "embedded, the server: {call:?}");
                said
            })?,
        }
    }
    let there = lasting(connection);
    let store = embedded.store.borrow();
    let here: BTreeMap<String, Value> = store
        .all()
        .into_iter()
        .filter(|(name, _)| !ends_by_itself(name))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    prop_assert_eq!(
        here,
        there,
        "what the embedded store holds, what the server holds"
    );
    Ok(world.seen)
}

fn differ(cases: u32) -> usize {
    let (server, embedded) = (Valkey::start(), Embedded::new());
    let connection = RefCell::new(server.connection());
    for script in Script::ALL {
        let digest: String = redis::cmd("SCRIPT")
            .arg("LOAD")
            .arg(script.text())
            .query(&mut *connection.borrow_mut())
            .unwrap();
        assert_eq!(digest, script.digest(), "{}", script.name());
    }
    let (seen, steps) = (RefCell::new(Seen::new()), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&vec(event(LONGEST_MS, false), 1..=400), |events| {
        let one = play(&mut connection.borrow_mut(), &embedded, &events)?;
        steps.set(steps.get() + events.len());
        for (pair, count) in one {
            *seen.borrow_mut().entry(pair).or_default() += count;
        }
        Ok(())
    });
    outcome.unwrap();
    println!("{} steps: {:?}", steps.get(), seen.borrow());
    // Without a step of the server's clock nothing written of a lease ends before it.
    assert_all_seen(&seen.borrow(), &[(Script::Heartbeat, 9)]);
    steps.get()
}

#[test]
#[ignore = "needs the engines: cargo xtask test runs it"]
fn r1_3_38_a_real_server_the_embedded_one_and_the_model_agree() {
    differ(100);
}

#[test]
#[ignore = "needs the engines, and minutes: --soak"]
fn r1_3_38_a_real_server_the_embedded_one_and_the_model_agree_soak() {
    assert!(differ(2_000) > 300_000);
}
