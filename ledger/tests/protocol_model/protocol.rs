//! Who takes part, and what each does when asked: the servers by the reference model.
#![allow(dead_code, unreachable_pub, missing_docs)]

use marsad_ledger::model::{Model as Server, STEP_MS};
use marsad_ledger::request::{Heartbeat, Limit, Reclaim, Release, Reserve, SetLimits, Sweep};
use marsad_ledger::{Details, LeaseId, Source};
use uuid::Uuid;

/// The interval between heartbeats: how long a grace goes on by itself.
pub const HEARTBEAT: u8 = 1;
/// Until all have reported.
pub const TOLD: u8 = 100;
pub const SLOTS: usize = 1;
pub const BEGIN: i64 = 1_795_694_400_000;

/// All times are in steps of the lease clock.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    pub ttl: u8,
    pub until: u8,
    /// How many messages are lost, at most, in one history.
    pub losses: u8,
    /// How often each service asks for a lease.
    pub asks: [u8; 2],
    /// The failover may leave nothing of the data: a restart without it.
    pub empty: bool,
    /// How long a grace goes on when it is not told to end.
    pub grace: u8,
    /// How far the next primary's clock is ahead.
    pub skew: u8,
    pub without: Option<Guard>,
}

/// What is taken away to see the check fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Guard {
    /// An answer waits for the replica.
    Wait,
    /// Another server grants nothing before all have said what they hold.
    Grace,
    /// A holder stops at its deadline.
    Deadline,
    /// The deadline is a step of the lease clock before the lease's end.
    Margin,
    /// A release ends the grant that it names only.
    Fence,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub now: u8,
    pub losses: u8,
    pub primary: Server,
    pub replica: Server,
    /// What the primary has written and the replica has not.
    pub behind: Vec<Server>,
    pub failed: bool,
    pub services: [Service; 2],
    /// Releases whose sender has given up on them: to which server, whose, of which grant.
    pub late: Vec<(bool, usize, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Service {
    /// Connected to the next primary.
    pub moved: bool,
    /// Has said there what it holds.
    pub reported: bool,
    /// Its holder's deadline and sequence.
    pub held: Option<(u8, u64)>,
    pub call: Option<Call>,
    pub asks: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    pub kind: Kind,
    pub sent: u8,
    /// The server's answer, and how many writes the replica has to take before it has this one.
    pub answer: (Answer, Option<usize>),
}

/// What a service does with an answer: code, what is left, sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Answer {
    pub code: i64,
    pub left_ms: i64,
    pub seq: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Reserve,
    Beat,
    Reclaim,
    Release(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    Tick,
    Ask(usize),
    Beat(usize),
    Stop(usize),
    /// Its release is on its way for long.
    StopLate(usize),
    Answer(usize),
    TooFew(usize),
    Lose(usize),
    Late(usize),
    Replicate,
    Fail {
        empty: bool,
    },
    Move(usize),
    Report(usize),
    EndGrace,
}

pub fn source() -> Source {
    Source::new("METRO").unwrap()
}

pub fn id(service: usize) -> LeaseId {
    LeaseId(Uuid::from_u128(service as u128))
}

pub fn everything() -> Sweep {
    Sweep {
        sources: vec![source()],
        samples: 0,
    }
}

pub fn ms(steps: u8) -> u64 {
    u64::from(steps) * STEP_MS as u64
}

impl Protocol {
    pub fn server(&self, run_id: &str, now: u8) -> Server {
        let mut server = Server::default();
        server.set_wall(BEGIN + ms(now) as i64);
        server.run_id = run_id.to_owned();
        server
    }

    pub fn grace(&self) -> i64 {
        ms(if self.without == Some(Guard::Grace) {
            0
        } else {
            self.grace
        }) as i64
    }

    pub fn holders(&self, world: &World) -> usize {
        let holds = |service: &&Service| {
            let fenced =
                |(deadline, _): (u8, u64)| world.now < deadline || self.without == Some(Guard::Deadline);
            service.held.is_some_and(fenced)
        };
        world.services.iter().filter(holds).count()
    }

    /// From when the call was sent, by what the answer says is left: it may be of a lease that was there before.
    /// From when the call was sent, by what the answer says is left: it may be of a lease that was there before.
    pub fn deadline(&self, sent: u8, left_ms: i64) -> u8 {
        let margin = u8::from(self.without != Some(Guard::Margin));
        (sent + u8::try_from(left_ms / STEP_MS).unwrap()).saturating_sub(margin)
    }

    pub fn fence(&self, seq: u64) -> u64 {
        if self.without == Some(Guard::Fence) {
            0
        } else {
            seq
        }
    }

    pub fn set_limits(server: &mut Server) {
        let slots = SLOTS as u64;
        let sources = vec![(source(), Some(Limit { slots, urgent: 0 }))];
        server.set_limits(&SetLimits {
            generation: 1,
            total: slots,
            known: vec![],
            sources,
        });
    }

    /// The server runs the script of a call.
    pub fn run(&self, server: &mut Server, service: usize, kind: Kind) -> Answer {
        let (id, source, ttl_ms, details) = (id(service), source(), ms(self.ttl), Details::default());
        let numbers = match kind {
            Kind::Reserve => server.reserve(&Reserve {
                id,
                source,
                ttl_ms,
                urgent: false,
                details,
            }),
            Kind::Beat => server.heartbeat(&Heartbeat {
                ttl_ms,
                leases: vec![(id, source)],
            }),
            Kind::Reclaim => {
                let reserved_at = String::new();
                server.reclaim(&Reclaim {
                    id,
                    source,
                    ttl_ms,
                    seq: 1,
                    details,
                    reserved_at,
                })
            }
            Kind::Release(seq) => server.release(&Release { id, source, seq }),
        };
        let (code, left_ms, seq) = match kind {
            Kind::Reserve | Kind::Reclaim => (numbers[0], numbers[8], numbers[9] as u64),
            Kind::Beat => (numbers[4], numbers[5], 0),
            Kind::Release(_) => (numbers[0], 0, 0),
        };
        Answer { code, left_ms, seq }
    }

    /// Runs a script on one of the servers. Gives its answer, and how far the replica is behind it.
    pub fn execute(
        &self,
        world: &mut World,
        next: bool,
        service: usize,
        kind: Kind,
    ) -> (Answer, Option<usize>) {
        if next {
            // Its own replica is in step: there is one failover.
            return (self.run(&mut world.replica, service, kind), Some(0));
        }
        let answer = self.run(&mut world.primary, service, kind);
        if world.failed {
            return (answer, None);
        }
        // What changes nothing is acknowledged with what is on its way.
        if *world.behind.last().unwrap_or(&world.replica) != world.primary {
            world.behind.push(world.primary.clone());
        }
        (answer, Some(world.behind.len()))
    }

    pub fn heard(&self, service: &mut Service, call: &Call, now: u8) {
        let (Answer { code, left_ms, seq }, _) = call.answer;
        let deadline = self.deadline(call.sent, left_ms);
        let granted = matches!(code, 0 | 1) && now < deadline;
        match call.kind {
            Kind::Reserve if granted => service.held = Some((deadline, seq)),
            Kind::Beat => match (code, &mut service.held) {
                (0 | 9, Some(held)) => held.0 = held.0.max(deadline),
                (7, Some(_)) => service.reported = false,
                _ => service.held = None,
            },
            Kind::Reclaim => {
                service.reported = true;
                service.held = service.held.filter(|_| matches!(code, 0 | 1));
                if let Some(held) = &mut service.held {
                    *held = (held.0.max(deadline), seq);
                }
            }
            Kind::Reserve | Kind::Release(_) => {}
        }
    }

    pub fn forget_what_matters_no_more(&self, world: &mut World) {
        if self.without != Some(Guard::Deadline) {
            for service in &mut world.services {
                service.held = service.held.filter(|(deadline, _)| world.now < *deadline);
            }
        }
        if world.services.iter().all(|service| service.moved) {
            world.primary = Server::default();
            world.late.retain(|(next, _, _)| *next);
        }
    }

    /// A service asks, and the server answers at once: what comes late is the answer. (A call that comes late itself only
    /// makes the holder's deadline earlier than it need be; of releases that matters, and those have [`World::late`].)
    pub fn ask(&self, world: &mut World, service: usize, kind: Kind) {
        let answer = self.execute(world, world.services[service].moved, service, kind);
        let sent = world.now;
        world.services[service].call = Some(Call { kind, sent, answer });
    }
}
