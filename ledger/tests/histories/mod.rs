//! Random histories of everything that can be asked, over few ids and small limits so that they meet.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::BTreeMap;

use marsad_ledger::model::Model;
use marsad_ledger::request::{
    Call, Code, EndGrace, Heartbeat, LeaseBlock, Limit, Reclaim, Release, Request, Reserve, SetLimits, Stats,
    Sweep, read,
};
use marsad_ledger::script::Script;
use marsad_ledger::{Details, Keyspace, LeaseId, Opening, Source};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

pub const GRACE_MS: u64 = 15_000;

/// The last one has a limit that blocks are given from.
const SOURCES: [&str; 3] = ["DUBAI_POLICE", "METRO", "BIKES"];

pub fn source(index: u8) -> Source {
    Source::new(SOURCES[usize::from(index) % SOURCES.len()]).unwrap()
}

pub fn id(index: u8) -> LeaseId {
    LeaseId(Uuid::from_u128(0xfeed_0000 + u128::from(index)))
}

pub fn sources() -> Vec<Source> {
    (0..3).map(source).collect()
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// The server's clock goes on.
    Pass(u64),
    /// The server's clock is set back.
    Back(u64),
    /// Another server has the dataset.
    Successor,
    /// The dataset is gone, the server another.
    Empty,
    Reserve {
        id: u8,
        source: u8,
        ttl: u64,
        urgent: bool,
    },
    Heartbeat {
        ttl: u64,
        leases: Vec<(u8, u8)>,
    },
    Release {
        id: u8,
        source: u8,
        fence: u8,
    },
    Reclaim {
        id: u8,
        source: u8,
        ttl: u64,
        seq: u64,
    },
    Block {
        source: u8,
        ttl: u64,
        want: u64,
        held: Vec<u8>,
        fresh: Vec<u8>,
    },
    Sweep {
        sources: u8,
        samples: u64,
    },
    Limits {
        older: u64,
        total: u64,
        limits: [Option<(u64, u64)>; 3],
        guessed: bool,
    },
    EndGrace {
        right: bool,
    },
    Stats,
}

/// Events; `longest` bounds times to live.
pub fn event(longest: u64, clock: bool) -> impl Strategy<Value = Event> {
    let ttl = 1..=longest;
    let (one, whose) = (0_u8..40, 0_u8..3);
    let limit = |most: u64| {
        let limits = (0..=most).prop_flat_map(|slots| (Just(slots), 0..=slots.min(2)));
        prop::option::weighted(0.9, limits)
    };
    // Few names for tokens, so that a block is renewed by those that it has.
    let few = vec(30_u8..38, 0..6);
    let often = if clock { 12 } else { 1 };
    prop_oneof![
        often => (0..2_000_u64).prop_map(Event::Pass),
        1 => (0..2 * longest).prop_map(Event::Pass),
        1 => (0..STEPS).prop_map(Event::Back),
        1 => Just(Event::Successor),
        1 => Just(Event::Empty),
        20 => (one.clone(), whose.clone(), ttl.clone(), any::<bool>())
            .prop_map(|(id, source, ttl, urgent)| Event::Reserve { id, source, ttl, urgent }),
        8 => (ttl.clone(), vec((one.clone(), whose.clone()), 0..8))
            .prop_map(|(ttl, leases)| Event::Heartbeat { ttl, leases }),
        8 => (one.clone(), whose.clone(), 0_u8..4)
            .prop_map(|(id, source, fence)| Event::Release { id, source, fence }),
        8 => (one, whose, ttl.clone(), 0_u64..4)
            .prop_map(|(id, source, ttl, seq)| Event::Reclaim { id, source, ttl, seq }),
        5 => (1_u8..3, ttl, 0_u64..6, few.clone(), few)
            .prop_map(|(source, ttl, want, held, fresh)| Event::Block { source, ttl, want, held, fresh }),
        3 => (0_u8..8, 0_u64..4).prop_map(|(sources, samples)| Event::Sweep { sources, samples }),
        5 => (0_u64..3, 0_u64..60, [limit(3), limit(24), limit(40)], prop::bool::weighted(0.1))
            .prop_map(|(older, total, limits, guessed)| Event::Limits { older, total, limits, guessed }),
        8 => prop::bool::weighted(0.9).prop_map(|right| Event::EndGrace { right }),
        2 => Just(Event::Stats),
    ]
}

/// Around the clamp of the lease clock, and beyond.
const STEPS: u64 = 20_000;

/// How often each script gave each code.
pub type Seen = BTreeMap<(Script, i64), u64>;

/// Fails unless every code that a script can give to a well-formed call was given.
pub fn assert_all_seen(seen: &Seen, but: &[(Script, i64)]) {
    let missing: Vec<_> = EXPECTED
        .iter()
        .flat_map(|(script, codes)| codes.iter().map(|code| (*script, *code)))
        .filter(|pair| !seen.contains_key(pair) && !but.contains(pair))
        .collect();
    assert!(
        missing.is_empty(),
        "histories that never meet these prove nothing of them: {missing:?} of {seen:?}"
    );
}

/// Stands for a block with a token in it.
const TOKENS: i64 = 100;

const EXPECTED: [(Script, &[i64]); 9] = [
    (Script::Reserve, &[-3, 0, 1, 2, 3, 4, 5, 8]),
    (Script::Heartbeat, &[0, 6, 7, 9]),
    (Script::Release, &[0]),
    (Script::Reclaim, &[0, 1, 6, 8]),
    (Script::Block, &[-3, 0, TOKENS]),
    (Script::Sweep, &[0]),
    (Script::SetLimits, &[0, 10]),
    (Script::EndGrace, &[0, 10]),
    (Script::Stats, &[0]),
];

/// What the histories' callers know.
pub struct World {
    pub model: Model,
    pub space: Keyspace,
    /// How often each script gave each code.
    pub seen: Seen,
    /// The sequence of the last grant of each id.
    granted: BTreeMap<u8, u64>,
    known: Vec<Source>,
    generation: u64,
    servers: u64,
}

impl World {
    pub fn new(space: Keyspace) -> Self {
        let mut model = Model::default();
        // 2026-11-26T12:00:00Z
        model.set_wall(1_795_694_400_000);
        model.grace = GRACE_MS as i64;
        model.run_id = run_id(0);
        Self {
            model,
            space,
            seen: Seen::new(),
            granted: BTreeMap::new(),
            known: Vec::new(),
            generation: 0,
            servers: 0,
        }
    }

    pub fn opening(&self) -> Opening {
        Opening {
            run_id: self.model.run_id.clone(),
            grace_ms: self.model.grace as u64,
        }
    }

    /// Another server.
    pub fn succeed(&mut self) {
        self.servers += 1;
        self.model.run_id = run_id(self.servers);
    }

    /// Another server, without the data.
    pub fn lose(&mut self) {
        self.succeed();
        self.known.clear();
        let before = std::mem::take(&mut self.model);
        self.model.set_wall(before.wall());
        self.model.run_id = before.run_id;
        self.model.grace = before.grace;
    }

    /// Asks a script by `run`, which also sets the model's time, and compares with what the model says.
    pub fn ask(
        &mut self,
        event: &Event,
        run: &mut dyn FnMut(&mut Model, &Call) -> Vec<i64>,
    ) -> Result<(), TestCaseError> {
        match event {
            Event::Pass(_) | Event::Back(_) | Event::Successor | Event::Empty => Ok(()),
            Event::Reserve {
                id: lease,
                source: whose,
                ttl,
                urgent,
            } => {
                let wish = Reserve {
                    id: id(*lease),
                    source: source(*whose),
                    ttl_ms: *ttl,
                    urgent: *urgent,
                    details: details(),
                };
                let answer = self.compare(&wish, run, |model| model.reserve(&wish))?;
                if let Ok(leased) = answer
                    && leased.holds()
                {
                    self.granted.insert(*lease, leased.seq);
                }
                Ok(())
            }
            Event::Heartbeat { ttl, leases } => {
                let leases = leases
                    .iter()
                    .map(|(lease, whose)| (id(*lease), source(*whose)))
                    .collect();
                let request = Heartbeat { ttl_ms: *ttl, leases };
                self.compare(&request, run, |model| model.heartbeat(&request))
                    .map(drop)
            }
            Event::Release {
                id: lease,
                source: whose,
                fence,
            } => {
                let last = self.granted.get(lease).copied().unwrap_or(0);
                let request = Release {
                    id: id(*lease),
                    source: source(*whose),
                    // Whichever, an earlier one, or the last that was heard of.
                    seq: match fence {
                        0 => 0,
                        1 => last.saturating_sub(1),
                        _ => last,
                    },
                };
                self.compare(&request, run, |model| model.release(&request))
                    .map(drop)
            }
            Event::Reclaim {
                id: lease,
                source: whose,
                ttl,
                seq,
            } => {
                let request = Reclaim {
                    id: id(*lease),
                    source: source(*whose),
                    ttl_ms: *ttl,
                    // Of now, of long ago, or from ahead.
                    seq: 1 + self.model.wall() as u64 * 500 * seq,
                    details: details(),
                    reserved_at: "2026-11-26T12:00:00Z".to_owned(),
                };
                self.compare(&request, run, |model| model.reclaim(&request))
                    .map(drop)
            }
            Event::Block {
                source: whose,
                ttl,
                want,
                held,
                fresh,
            } => {
                let wish = LeaseBlock {
                    source: source(*whose),
                    ttl_ms: *ttl,
                    want: *want,
                    holder: "streams-0".to_owned(),
                    held: held.iter().copied().map(id).collect(),
                    fresh: fresh.iter().copied().map(id).collect(),
                };
                self.compare(&wish, run, |model| model.lease_block(&wish))
                    .map(drop)
            }
            Event::Sweep {
                sources: which,
                samples,
            } => {
                let sources = (0..3)
                    .filter(|index| which & (1 << index) != 0)
                    .map(source)
                    .collect();
                let request = Sweep {
                    sources,
                    samples: *samples,
                };
                self.compare(&request, run, |model| model.sweep(&request))
                    .map(drop)
            }
            Event::Limits {
                older,
                total,
                limits,
                guessed,
            } => self.limits(*older, *total, limits, *guessed, run),
            Event::EndGrace { right } => {
                // What the last answer of any kind said.
                let now = self.model.stats(&Stats { sources: Vec::new() })[2] as u64;
                let request = EndGrace {
                    epoch: if *right { now } else { now + 1 },
                };
                self.compare(&request, run, |model| model.end_grace(&request))
                    .map(drop)
            }
            Event::Stats => {
                let request = Stats { sources: sources() };
                self.compare(&request, run, |model| model.stats(&request))
                    .map(drop)
            }
        }
    }

    fn limits(
        &mut self,
        older: u64,
        total: u64,
        limits: &[Option<(u64, u64)>; 3],
        guessed: bool,
        run: &mut dyn FnMut(&mut Model, &Call) -> Vec<i64>,
    ) -> Result<(), TestCaseError> {
        self.generation += 1;
        let limit = |(index, limit): (usize, &Option<(u64, u64)>)| {
            let limit = limit.map(|(slots, urgent)| Limit { slots, urgent });
            (source(index as u8), limit)
        };
        let request = SetLimits {
            generation: self.generation.saturating_sub(older),
            total,
            known: if guessed {
                vec![source(1)]
            } else {
                self.known.clone()
            },
            sources: limits.iter().enumerate().map(limit).collect(),
        };
        let answer = self.compare(&request, run, |model| model.set_limits(&request))?;
        if answer.is_ok_and(|answer| answer.code == Code::Done) {
            let there = request.sources.into_iter().filter(|(_, limit)| limit.is_some());
            self.known = there.map(|(source, _)| source).collect();
        }
        Ok(())
    }

    fn compare<R: Request>(
        &mut self,
        request: &R,
        run: &mut dyn FnMut(&mut Model, &Call) -> Vec<i64>,
        expect: impl FnOnce(&mut Model) -> Vec<i64>,
    ) -> Result<Result<R::Answer, marsad_ledger::request::Refused>, TestCaseError> {
        let call = request.call(&self.space, &self.opening());
        let said = run(&mut self.model, &call);
        let expected = expect(&mut self.model);
        prop_assert_eq!(&said, &expected, "the script's answer, the model's: {:?}", call);
        *self.seen.entry((R::SCRIPT, said[0])).or_default() += 1;
        if R::SCRIPT == Script::Block && said.len() > 9 && said[9..].iter().any(|seq| *seq > 0) {
            *self.seen.entry((R::SCRIPT, TOKENS)).or_default() += 1;
        }
        if R::SCRIPT == Script::Heartbeat {
            for beat in said[4..].chunks(2) {
                *self.seen.entry((R::SCRIPT, beat[0])).or_default() += 1;
            }
        }
        read::<R>(&said).map_err(|error| TestCaseError::fail(error.to_string()))
    }
}

fn details() -> Details {
    Details {
        camera: "6b1f0a52-7d3e-5b52-9a55-0f5c8f5a2c11".to_owned(),
        user: "user123".to_owned(),
        client_ip: "10.0.0.1".to_owned(),
        holder: "streams-0".to_owned(),
        identity: "user123.tab".to_owned(),
    }
}

fn run_id(number: u64) -> String {
    format!("{:040x}", 0xabc + number)
}
