//! Every interleaving of two holders by two service replicas, a primary and its replica, one failover, lost and late
//! messages, within a bounded time: at no moment more holders than slots. With any one of the guards removed the same
//! check finds one too many. The servers answer by the reference model, which the scripts are held to elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the model names servers and services by their place"
)]

mod protocol;

use marsad_ledger::request::EndGrace;
use protocol::{Action, BEGIN, Guard, HEARTBEAT, Kind, Protocol, SLOTS, TOLD, World, everything, ms};
use stateright::{Checker, Model, Property};

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut primary = self.server("aa", 0);
        Self::set_limits(&mut primary);
        primary.grace = self.grace();
        vec![World {
            now: 0,
            losses: 0,
            replica: primary.clone(),
            primary,
            behind: vec![],
            failed: false,
            services: Default::default(),
            late: vec![],
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend((world.now < self.until).then_some(Action::Tick));
        if !world.failed {
            actions.extend((!world.behind.is_empty()).then_some(Action::Replicate));
            actions.push(Action::Fail { empty: false });
            actions.extend(self.empty.then_some(Action::Fail { empty: true }));
        }
        let lucky = world.losses < self.losses;
        for (index, service) in world.services.iter().enumerate() {
            let holds = service.held.is_some_and(|(deadline, _)| world.now < deadline);
            match &service.call {
                None => {
                    actions.extend((!holds && service.asks < self.asks[index]).then_some(Action::Ask(index)));
                    actions.extend(holds.then_some(Action::Beat(index)));
                    actions.extend(holds.then_some(Action::Stop(index)));
                    actions.extend((holds && lucky).then_some(Action::StopLate(index)));
                    actions.extend((service.moved && !service.reported).then_some(Action::Report(index)));
                }
                Some(call) => {
                    let answered = call.answer.1 == Some(0) || self.without == Some(Guard::Wait);
                    actions.push(if answered {
                        Action::Answer(index)
                    } else {
                        Action::TooFew(index)
                    });
                    actions.extend(lucky.then_some(Action::Lose(index)));
                }
            }
            actions.extend((world.failed && !service.moved).then_some(Action::Move(index)));
        }
        actions.extend((0..world.late.len()).map(Action::Late));
        let all = world.services.iter().all(|service| service.reported);
        actions.extend((all && world.replica.grace > 0).then_some(Action::EndGrace));
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let now = world.now;
        match action {
            Action::Tick => {
                world.now += 1;
                let wall = BEGIN + ms(world.now) as i64;
                if world.primary.wall() > 0 {
                    world.primary.set_wall(wall);
                }
                world
                    .replica
                    .set_wall(wall + if world.failed { ms(self.skew) as i64 } else { 0 });
                // The services' tick, once a second in truth.
                if world.services.iter().any(|service| !service.moved) {
                    world.primary.sweep(&everything());
                }
                if world.services.iter().any(|service| service.moved) {
                    world.replica.sweep(&everything());
                }
            }
            Action::Ask(index) => {
                world.services[index].held = None;
                world.services[index].asks += 1;
                self.ask(&mut world, index, Kind::Reserve);
            }
            Action::Beat(index) => self.ask(&mut world, index, Kind::Beat),
            Action::Stop(index) => {
                let (_, seq) = world.services[index].held.take()?;
                self.ask(&mut world, index, Kind::Release(self.fence(seq)));
            }
            Action::StopLate(index) => {
                world.losses += 1;
                let (_, seq) = world.services[index].held.take()?;
                let next = world.services[index].moved;
                world.late.push((next, index, self.fence(seq)));
            }
            Action::Report(index) => match world.services[index].held {
                Some(_) => self.ask(&mut world, index, Kind::Reclaim),
                None => world.services[index].reported = true,
            },
            Action::Answer(index) => {
                let service = &mut world.services[index];
                let call = service.call.take()?;
                self.heard(service, &call, now);
            }
            Action::TooFew(index) => {
                let call = world.services[index].call.take()?;
                let (answer, _) = call.answer;
                if call.kind == Kind::Reserve && answer.code == 0 {
                    self.ask(&mut world, index, Kind::Release(answer.seq));
                }
            }
            Action::Lose(index) => {
                world.losses += 1;
                world.services[index].call = None;
            }
            Action::Late(index) => {
                let (next, service, seq) = world.late.remove(index);
                self.execute(&mut world, next, service, Kind::Release(seq));
            }
            Action::Replicate => {
                let mut first = world.behind.remove(0);
                first.set_wall(world.replica.wall());
                world.replica = first;
                for call in world
                    .services
                    .iter_mut()
                    .filter_map(|service| service.call.as_mut())
                {
                    call.answer.1 = call.answer.1.map(|behind| behind.saturating_sub(1));
                }
            }
            Action::Fail { empty } => {
                world.failed = true;
                world.behind.clear();
                for call in world
                    .services
                    .iter_mut()
                    .filter_map(|service| service.call.as_mut())
                {
                    call.answer.1 = call.answer.1.filter(|behind| *behind == 0);
                }
                if empty {
                    world.replica = self.server("bb", now);
                }
                world.replica.run_id = "bb".to_owned();
                world.replica.grace = self.grace();
                world.replica.set_wall(BEGIN + ms(now + self.skew) as i64);
                if empty {
                    Self::set_limits(&mut world.replica);
                }
            }
            Action::Move(index) => {
                let service = &mut world.services[index];
                service.moved = true;
                service.call = None;
            }
            Action::EndGrace => {
                let epoch = world.replica.sweep(&everything())[2] as u64;
                world.replica.end_grace(&EndGrace { epoch });
            }
        }
        self.forget_what_matters_no_more(&mut world);
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no more holders than slots", |protocol: &Self, world| {
                protocol.holders(world) <= SLOTS
            }),
            Property::sometimes("one holds after the other", |protocol, world: &World| {
                world.services[0].asks > 0 && world.services[1].held.is_some() && protocol.holders(world) == 1
            }),
            Property::sometimes(
                "a lease outlives the failover",
                |protocol: &Self, world: &World| {
                    let service = &world.services[0];
                    service.moved
                        && service.reported
                        && service.held.is_some_and(|(deadline, _)| deadline >= protocol.ttl)
                },
            ),
            Property::sometimes("the next primary grants anew", |_, world: &World| {
                let service = &world.services[0];
                service.moved && service.asks > 0 && service.held.is_some()
            }),
        ]
    }
}

const PROTOCOL: Protocol = Protocol {
    ttl: 2,
    until: 4,
    losses: 1,
    asks: [2, 1],
    empty: false,
    grace: HEARTBEAT,
    skew: 1,
    without: None,
};

/// Checks every history and says how many states that were.
fn check(protocol: Protocol) {
    let checked = protocol
        .checker()
        .threads(2)
        .timeout(std::time::Duration::from_secs(100))
        .spawn_bfs()
        .join();
    println!("{protocol:?}: {} states", checked.unique_state_count());
    checked.assert_properties();
}

fn finds_one_too_many(protocol: Protocol) {
    let checked = protocol
        .checker()
        .threads(2)
        .timeout(std::time::Duration::from_secs(100))
        .spawn_bfs()
        .join();
    println!("{protocol:?}: {} states", checked.unique_state_count());
    checked.assert_any_discovery("no more holders than slots");
}

#[test]
fn no_more_holders_than_slots() {
    check(PROTOCOL);
}

#[test]
fn no_more_holders_than_slots_when_all_data_is_lost() {
    check(Protocol {
        empty: true,
        grace: TOLD,
        losses: 0,
        ..PROTOCOL
    });
}

/// A holder that may not go on for longer than a grace needs no report in time.
#[test]
fn no_more_holders_than_slots_when_a_grace_outlasts_every_deadline() {
    check(Protocol {
        empty: true,
        losses: 0,
        ..PROTOCOL
    });
}

#[test]
#[ignore = "minutes: --soak"]
fn no_more_holders_than_slots_soak() {
    check(Protocol {
        losses: 2,
        asks: [2, 2],
        ..PROTOCOL
    });
}

#[test]
fn without_wait_there_is_one_too_many() {
    finds_one_too_many(Protocol {
        without: Some(Guard::Wait),
        ..PROTOCOL
    });
}

#[test]
fn without_grace_there_is_one_too_many() {
    // One of a heartbeat's interval is none to a holder whose report comes later, if it may go on for longer than that.
    for (without, ttl) in [(Some(Guard::Grace), 2), (None, 3)] {
        finds_one_too_many(Protocol {
            ttl,
            without,
            empty: true,
            losses: 0,
            ..PROTOCOL
        });
    }
}

#[test]
fn without_deadline_margin_or_fence_there_is_one_too_many() {
    for guard in [Guard::Deadline, Guard::Margin, Guard::Fence] {
        finds_one_too_many(Protocol {
            without: Some(guard),
            ..PROTOCOL
        });
    }
}
