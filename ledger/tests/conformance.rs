//! The scripts answer what the reference model answers, at every step of random histories in virtual time, and leave
//! behind what section 1.3 says of the keys.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod histories;
mod lua;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use histories::{Event, Seen, World, assert_all_seen, event, sources};
use lua::Embedded;
use lua::store::{Store, Value};
use marsad_ledger::Keyspace;
use marsad_ledger::script::Script;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

const STEPS: usize = 200;

fn sorted(store: &Store, key: &str) -> BTreeMap<String, i64> {
    match store.get(key) {
        None => BTreeMap::new(),
        Some(Value::Sorted(sorted)) => sorted.clone(),
        other => panic!("{key}: {other:?}"),
    }
}

fn number(store: &Store, key: &str) -> i64 {
    match store.get(key) {
        None => 0,
        Some(Value::Text(text)) => text.parse().unwrap(),
        other => panic!("{key}: {other:?}"),
    }
}

fn clock(store: &Store, space: &Keyspace) -> i64 {
    match store.get(&space.key("clock")) {
        Some(Value::Hash(hash)) => hash["last"].parse().unwrap(),
        _ => 0,
    }
}

/// What is live of a source, or of all: of the set, not of the model.
fn live(store: &Store, space: &Keyspace, of: &str) -> BTreeMap<String, i64> {
    let now = clock(store, space);
    let mut set = sorted(store, &space.key(format_args!("lease:{of}")));
    set.retain(|_, deadline| *deadline > now);
    set
}

/// R1.3-01, -06: mirrors are what the sets hold; the sets hold what the model holds; a lease is in one source and the total.
fn check_keys(store: &Store, world: &World) -> Result<(), TestCaseError> {
    let mut everywhere = BTreeMap::new();
    for source in sources() {
        let name = source.as_str();
        let held = live(store, &world.space, name);
        let expected: BTreeMap<String, i64> = world
            .model
            .live()
            .iter()
            .filter(|(_, lease)| lease.source == source)
            .map(|(id, lease)| (id.to_string(), lease.deadline))
            .collect();
        prop_assert_eq!(&held, &expected, "what is live of {}", name);
        let whole = sorted(store, &world.space.key(format_args!("lease:{name}"))).len();
        let count = number(store, &world.space.key(format_args!("count:{name}")));
        prop_assert_eq!(count, whole as i64, "the mirror of {}", name);
        everywhere.extend(held);
    }
    prop_assert_eq!(
        everywhere.len(),
        world.model.live().len(),
        "a lease in two sources"
    );
    prop_assert_eq!(
        &live(store, &world.space, "total"),
        &everywhere,
        "what is live of all"
    );
    let count = number(store, &world.space.key("count:total"));
    prop_assert_eq!(count, sorted(store, &world.space.key("lease:total")).len() as i64);
    Ok(())
}

/// R1.3-11: nothing but a reclaim makes more live than the limits in force allow, and no grant is made in grace.
fn check_cap(store: &Store, world: &World, event: &Event, before: &[usize]) -> Result<(), TestCaseError> {
    let after = lives(store, world);
    for (index, of) in ["DUBAI_POLICE", "METRO", "BIKES", "total"]
        .into_iter()
        .enumerate()
    {
        if after[index] > before[index] && !matches!(event, Event::Reclaim { .. }) {
            let limit = number(store, &world.space.key(format_args!("limit:{of}")));
            prop_assert!(
                after[index] as i64 <= limit,
                "{}: {} live of {}",
                of,
                after[index],
                limit
            );
        }
    }
    Ok(())
}

fn lives(store: &Store, world: &World) -> [usize; 4] {
    ["DUBAI_POLICE", "METRO", "BIKES", "total"].map(|of| live(store, &world.space, of).len())
}

fn set_time(server: &Embedded, world: &mut World, by: i64) {
    world.model.set_wall(world.model.wall() + by);
    server
        .store
        .borrow_mut()
        .set_time(world.model.wall() as u64 * 1_000 + 567);
}

fn play(server: &Embedded, events: &[Event]) -> Result<Seen, TestCaseError> {
    let space = Keyspace::new("test:");
    let mut world = World::new(space);
    server.store.borrow_mut().flush();
    set_time(server, &mut world, 0);
    for event in events {
        match event {
            Event::Pass(ms) => set_time(server, &mut world, *ms as i64),
            Event::Back(ms) => set_time(server, &mut world, -(*ms as i64)),
            Event::Successor => world.succeed(),
            Event::Empty => {
                world.lose();
                server.store.borrow_mut().flush();
            }
            _ => {
                let before = lives(&server.store.borrow(), &world);
                world.ask(event, &mut |_, call| server.run(call))?;
                let store = server.store.borrow();
                if !matches!(event, Event::Stats) && clock(&store, &world.space) > 0 {
                    check_keys(&store, &world)?;
                }
                check_cap(&store, &world, event, &before)?;
            }
        }
    }
    Ok(world.seen)
}

fn histories(cases: u32) -> Result<usize, TestError<Vec<Event>>> {
    run(&Embedded::new(), &mut TestRunner::new(config(cases)))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

fn run(server: &Embedded, runner: &mut TestRunner) -> Result<usize, TestError<Vec<Event>>> {
    let seen = RefCell::new(Seen::new());
    let steps = Cell::new(0);
    let outcome = runner.run(&vec(event(60_000, true), 1..=2 * STEPS), |events| {
        steps.set(steps.get() + events.len());
        for (pair, count) in play(server, &events)? {
            *seen.borrow_mut().entry(pair).or_default() += count;
        }
        Ok(())
    });
    if outcome.is_ok() {
        println!("{} steps: {:?}", steps.get(), seen.borrow());
        assert_all_seen(&seen.borrow(), &[]);
    }
    outcome.map(|()| steps.get())
}

#[test]
fn r1_3_37_scripts_answer_what_the_model_answers() {
    histories(100).unwrap();
}

#[test]
#[ignore = "a million steps and more: --soak"]
fn r1_3_37_scripts_answer_what_the_model_answers_soak() {
    assert!(histories(6_000).unwrap() >= 1_000_000);
}

/// Each guard of the scripts, taken away, is missed by the histories: a check that cannot fail is none.
#[test]
fn scripts_without_a_guard_are_found() {
    const PRELUDE: [(&str, &str); 9] = [
        ("return last + STEP_MS, true", "return now, false"),
        ("if now < last then return last, false end", ""),
        ("gap or not last or kept[3] ~= run", "gap or not last"),
        ("math.max(clock.seq, wall * 1000)", "clock.seq"),
        ("clock.grace_end = now + GRACE_MS", "clock.grace_end = now"),
        ("'-inf', clock.now", "'-inf', 0"),
        (
            "redis.call('SET', count, members)",
            "if members > 0 then redis.call('SET', count, members) end",
        ),
        (
            "math.max(tonumber(held) or 0, clock.now + ttl)",
            "clock.now + ttl",
        ),
        (
            "deadline = math.max(tonumber(held) or 0, clock.now + ttl)",
            "deadline = clock.wall + ttl",
        ),
    ];
    const OWN: [(Script, &str, &str); 17] = [
        (Script::Reserve, "count >= limit then", "count > limit then"),
        (
            Script::Reserve,
            "total >= total_limit then",
            "total > total_limit then",
        ),
        (Script::Reserve, "count >= limit - (", "count > limit - ("),
        (Script::Reserve, "clock.grace_left > 0", "false"),
        (
            Script::Reserve,
            "elseif redis.call('ZSCORE', KEYS[3], id) then",
            "elseif false then",
        ),
        (Script::Heartbeat, "code = RECLAIM", "code = LOST"),
        (
            Script::Heartbeat,
            "'PEXPIRE', KEYS[key], left + ttl",
            "'PEXPIRE', KEYS[key], left",
        ),
        (Script::Release, "seq == 0 or seq ==", "true or seq =="),
        (Script::Reserve, "redis.call('HSET', KEYS[9], 'seq', seq)", ""),
        (Script::Release, "redis.call('ZREM', KEYS[3], id)", ""),
        (Script::Reclaim, "elseif clock.grace_left > 0 then", "else"),
        (Script::Reclaim, "if seq > clock.seq then", "if false then"),
        (Script::Block, "~= 'stream'", "~= ''"),
        (
            Script::Block,
            "total_limit - total) + own",
            "total_limit - total)",
        ),
        (Script::Block, "clock.grace_left == 0 and", ""),
        (Script::SetLimits, "generation < before or", ""),
        (Script::EndGrace, "epoch ~= clock.epoch", "false"),
    ];
    let of_all = PRELUDE.iter().map(|(guard, without)| (None, *guard, *without));
    let of_one = OWN
        .iter()
        .map(|(script, guard, without)| (Some(*script), *guard, *without));
    for (script, guard, without) in of_all.chain(of_one) {
        let server = Embedded::with(|one, text| {
            if script.is_some_and(|script| script != one) {
                return text;
            }
            assert!(text.contains(guard), "{} has no {guard}", one.name());
            text.replacen(guard, without, 1)
        });
        // The same histories each time: what is rare is found each time or never.
        let config = ProptestConfig {
            max_shrink_iters: 0,
            ..config(1_000)
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let outcome = run(&server, &mut TestRunner::new_with_rng(config, rng));
        assert!(outcome.is_err(), "nobody misses {guard}");
    }
}
