//! Every interleaving of candidates, a server that compares versions, lost and late messages, pauses, kills and
//! releases, within a bounded time: at most one leads at any moment. And with any one of the three rules removed the same
//! check finds two.

#![expect(clippy::indexing_slicing, reason = "the model names processes by their place")]

use std::time::Duration;

use marsad_runtime::election::candidate::{Candidate, Record, Step, Times, Written};
use stateright::{Checker, Model, Property};

const RETRY: u64 = 1;
const RENEW: u64 = 2;
const LEASE: u64 = 3;

#[derive(Debug, Clone, Copy)]
struct Election {
    candidates: usize,
    until: u64,
    /// How many calls are lost, processes killed or records released, at most, in one history.
    mishaps: u8,
    /// What is taken away to see the check fail.
    without: Option<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    /// A leader stops at its deadline.
    Fence,
    /// The deadline is before the others' patience ends.
    Margin,
    /// A write over another version is refused.
    Compare,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    now: u64,
    mishaps: u8,
    record: Option<Record<u8>>,
    versions: u8,
    processes: Vec<Process>,
    /// Writes whose sender has given up on them.
    late: Vec<Write>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Process {
    name: String,
    candidate: Candidate<u8>,
    call: Option<Call>,
    restarted: bool,
    retired: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Write {
    holder: Option<String>,
    over: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Call {
    Reading { sent: u64 },
    Read { sent: u64, record: Option<Record<u8>> },
    Writing { sent: u64, write: Write },
    Wrote { sent: u64, ended: Written<u8> },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Action {
    Tick,
    Send(usize),
    Arrive(usize),
    Answer(usize),
    GiveUp(usize),
    Late(usize),
    Restart(usize),
    Release(usize),
}

fn at(time: u64) -> Duration {
    Duration::from_secs(time)
}

impl Election {
    fn candidate(&self, name: &str) -> Candidate<u8> {
        let renew = match self.without {
            Some(Rule::Margin) => LEASE + 1,
            _ => RENEW,
        };
        Candidate::new(
            name.to_owned(),
            Times {
                lease: at(LEASE),
                renew: at(renew),
                retry: at(RETRY),
            },
        )
    }

    fn leads(&self, world: &World, process: &Process) -> bool {
        process
            .candidate
            .leads_until()
            .is_some_and(|until| self.without == Some(Rule::Fence) || at(world.now) < until)
    }

    fn leaders(&self, world: &World) -> usize {
        let processes = world.processes.iter();
        processes.filter(|process| self.leads(world, process)).count()
    }

    /// The server's part.
    fn write(&self, world: &mut World, write: Write) -> Written<u8> {
        let version = world.record.as_ref().map(|record| record.version);
        if version != write.over && self.without != Some(Rule::Compare) {
            return Written::Conflict;
        }
        world.versions += 1;
        world.record = Some(Record {
            holder: write.holder,
            lease: at(LEASE),
            version: world.versions,
        });
        Written::Accepted(world.versions)
    }
}

impl Model for Election {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let process = |index: usize| {
            let name = format!("{index}");
            Process {
                candidate: self.candidate(&name),
                name,
                call: None,
                restarted: false,
                retired: false,
            }
        };
        vec![World {
            now: 0,
            mishaps: 0,
            record: None,
            versions: 0,
            processes: (0..self.candidates).map(process).collect(),
            late: Vec::new(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.now < self.until {
            actions.push(Action::Tick);
        }
        let lucky = world.mishaps < self.mishaps;
        for (index, process) in world.processes.iter().enumerate() {
            match &process.call {
                None if process.retired => {}
                None => {
                    if !matches!(process.candidate.step(at(world.now)), Step::Wait(_)) {
                        actions.push(Action::Send(index));
                    }
                    if lucky && process.candidate.leads_until().is_some() {
                        actions.push(Action::Release(index));
                    }
                }
                Some(Call::Reading { .. } | Call::Writing { .. }) => {
                    actions.push(Action::Arrive(index));
                    actions.extend(lucky.then_some(Action::GiveUp(index)));
                }
                Some(Call::Read { .. } | Call::Wrote { .. }) => {
                    actions.push(Action::Answer(index));
                    actions.extend(lucky.then_some(Action::GiveUp(index)));
                }
            }
            if lucky && !process.restarted && !process.retired {
                actions.push(Action::Restart(index));
            }
        }
        actions.extend((0..world.late.len()).map(Action::Late));
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let now = at(world.now);
        if matches!(
            action,
            Action::GiveUp(_) | Action::Restart(_) | Action::Release(_)
        ) {
            world.mishaps += 1;
        }
        match action {
            Action::Tick => world.now += 1,
            Action::Send(index) => {
                let process = &mut world.processes[index];
                process.call = Some(match process.candidate.step(now) {
                    Step::Wait(_) => return None,
                    Step::Read => Call::Reading { sent: before.now },
                    Step::Hold(over) => Call::Writing {
                        sent: before.now,
                        write: Write {
                            holder: Some(process.name.clone()),
                            over,
                        },
                    },
                });
            }
            Action::Arrive(index) => {
                let call = world.processes[index].call.take();
                world.processes[index].call = Some(match call? {
                    Call::Reading { sent } => Call::Read {
                        sent,
                        record: world.record.clone(),
                    },
                    Call::Writing { sent, write } => Call::Wrote {
                        sent,
                        ended: self.write(&mut world, write),
                    },
                    Call::Read { .. } | Call::Wrote { .. } => return None,
                });
            }
            Action::Answer(index) => {
                let process = &mut world.processes[index];
                match process.call.take()? {
                    Call::Read { record, .. } => process.candidate.heard(record, now),
                    Call::Wrote { sent, ended } if !process.retired => {
                        process.candidate.wrote(at(sent), now, ended);
                    }
                    Call::Wrote { .. } => {}
                    Call::Reading { .. } | Call::Writing { .. } => return None,
                }
            }
            Action::GiveUp(index) => {
                let process = &mut world.processes[index];
                match process.call.take()? {
                    Call::Reading { sent } | Call::Read { sent, .. } => process.candidate.unheard(at(sent)),
                    Call::Writing { sent, write } => {
                        process.candidate.wrote(at(sent), now, Written::Unknown);
                        world.late.push(write);
                    }
                    Call::Wrote { sent, .. } => process.candidate.wrote(at(sent), now, Written::Unknown),
                }
            }
            Action::Late(index) => {
                let write = world.late.remove(index);
                self.write(&mut world, write);
            }
            Action::Restart(index) => {
                let process = &mut world.processes[index];
                if let Some(Call::Writing { write, .. }) = process.call.take() {
                    world.late.push(write);
                }
                process.name = format!("{index}'");
                process.candidate = self.candidate(&process.name);
                process.restarted = true;
            }
            Action::Release(index) => {
                let process = &mut world.processes[index];
                let over = process.candidate.release();
                process.retired = true;
                process.call = over.map(|over| Call::Writing {
                    sent: before.now,
                    write: Write {
                        holder: None,
                        over: Some(over),
                    },
                });
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("at most one leads", |election: &Self, world| {
                election.leaders(world) <= 1
            }),
            Property::sometimes("one takes over from a dead one", |election, world: &World| {
                world.processes.iter().any(|process| {
                    world.versions >= 2 && !process.restarted && election.leads(world, process)
                }) && world.processes.iter().any(|process| process.restarted)
            }),
            Property::sometimes("one takes over from a released one", |election, world: &World| {
                world.processes.iter().any(|process| process.retired) && election.leaders(world) == 1
            }),
        ]
    }
}

/// Checks every history and says how many states that were.
fn check(election: Election) {
    let checked = election.checker().threads(2).spawn_bfs().join();
    println!("{election:?}: {} states", checked.unique_state_count());
    checked.assert_properties();
}

#[test]
fn at_most_one_leads() {
    check(Election {
        candidates: 2,
        until: LEASE + RENEW,
        mishaps: 1,
        without: None,
    });
}

#[test]
#[ignore = "four minutes and ten gigabytes: --soak"]
fn at_most_one_leads_with_more_mishaps() {
    check(Election {
        candidates: 2,
        until: LEASE + RENEW + 1,
        mishaps: 2,
        without: None,
    });
}

#[test]
#[ignore = "minutes: --soak"]
fn at_most_one_of_three_leads() {
    check(Election {
        candidates: 3,
        until: LEASE + 1,
        mishaps: 1,
        without: None,
    });
}

#[test]
fn without_any_one_rule_two_lead() {
    for rule in [Rule::Fence, Rule::Margin, Rule::Compare] {
        let election = Election {
            candidates: 2,
            until: LEASE + RENEW,
            mishaps: 1,
            without: Some(rule),
        };
        let checked = election.checker().threads(2).spawn_bfs().join();
        checked.assert_any_discovery("at most one leads");
    }
}
