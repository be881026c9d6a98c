//! The stream ledger's reference model behind the seam, for tests of its holder.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use futures::future::BoxFuture;
use marsad_ledger::client::{Answered, Circuit, Error, Figures, Held};
use marsad_ledger::model::Model;
use marsad_ledger::request::{
    Beats, EndGrace, GraceEnded, Heartbeat, Leased, Limit, Reclaim, Release, Released, Request, Reserve,
    SetLimits, Stats, StatsRead, Sweep, Swept, read,
};
use marsad_ledger::{LeaseId, Mode, Source};
use uuid::Uuid;

use crate::leases::ledger::{Ledger, Outcome};

/// The ledger's reference model, on the clock of the runtime.
pub(crate) struct Books {
    model: Mutex<Model>,
    written: Mutex<BTreeMap<LeaseId, Reserve>>,
    started: tokio::time::Instant,
    pub(crate) away: AtomicBool,
    pub(crate) unreplicated: AtomicBool,
}

impl Books {
    pub(crate) fn new() -> Self {
        let this = Self {
            model: Mutex::default(),
            written: Mutex::default(),
            started: tokio::time::Instant::now(),
            away: AtomicBool::new(false),
            unreplicated: AtomicBool::new(false),
        };
        this.restart();
        this
    }

    /// Another server, with nothing of what the last one knew.
    pub(crate) fn restart(&self) {
        let mut model = self.model.lock().unwrap();
        let number: u64 = model.run_id.parse().unwrap_or(0);
        *model = Model::default();
        model.run_id = (number + 1).to_string();
        model.grace = 55_000;
        drop(model);
        self.written.lock().unwrap().clear();
        self.limit(2);
    }

    /// Puts a limit for the police in force, which is that of all too.
    pub(crate) fn limit(&self, slots: u64) {
        let mut model = self.now();
        let known = if model.stats(&Stats { sources: vec![] })[4] > 0 {
            vec![police()]
        } else {
            vec![]
        };
        let set = SetLimits {
            generation: 1,
            total: slots,
            known,
            sources: vec![(police(), Some(Limit { slots, urgent: 0 }))],
        };
        assert_eq!(model.set_limits(&set)[0], 0);
    }

    /// The ledger ends it.
    pub(crate) fn end(&self, id: Uuid) {
        let (id, source) = (LeaseId(id), police());
        self.now().release(&Release { id, source, seq: 0 });
    }

    /// Leases that live.
    pub(crate) fn live(&self) -> usize {
        let mut model = self.now();
        model.sweep(&Sweep::default());
        model.live().len()
    }

    fn now(&self) -> MutexGuard<'_, Model> {
        let mut model = self.model.lock().unwrap();
        let elapsed = self.started.elapsed().as_millis();
        model.set_wall(1_000_000 + i64::try_from(elapsed).unwrap());
        model
    }

    fn answer<R: Request>(
        &self,
        ask: impl FnOnce(&mut Model) -> Vec<i64>,
    ) -> BoxFuture<'_, Outcome<R::Answer>>
    where
        R::Answer: Send + 'static,
    {
        if self.away.load(Ordering::Relaxed) {
            return Box::pin(async { Err(Error::CircuitOpen) });
        }
        let numbers = ask(&mut self.now());
        let replicated = !self.unreplicated.load(Ordering::Relaxed);
        let answer = read::<R>(&numbers).unwrap();
        Box::pin(async move {
            let answer = answer?;
            Ok(Answered { answer, replicated })
        })
    }
}

pub(crate) fn police() -> Source {
    Source::new("POLICE").unwrap()
}

impl Ledger for Books {
    fn reserve(&self, wish: Reserve) -> BoxFuture<'_, Outcome<Leased>> {
        self.written
            .lock()
            .unwrap()
            .entry(wish.id)
            .or_insert(wish.clone());
        self.answer::<Reserve>(|model| model.reserve(&wish))
    }

    fn heartbeat(&self, leases: Heartbeat) -> BoxFuture<'_, Outcome<Beats>> {
        self.answer::<Heartbeat>(|model| model.heartbeat(&leases))
    }

    fn release(&self, lease: Release) -> BoxFuture<'_, Outcome<Released>> {
        self.answer::<Release>(|model| model.release(&lease))
    }

    fn reclaim(&self, lease: Reclaim) -> BoxFuture<'_, Outcome<Leased>> {
        self.answer::<Reclaim>(|model| model.reclaim(&lease))
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Outcome<Swept>> {
        self.answer::<Sweep>(|model| model.sweep(&sweep))
    }

    fn stats(&self, stats: Stats) -> BoxFuture<'_, Outcome<StatsRead>> {
        self.answer::<Stats>(|model| model.stats(&stats))
    }

    fn end_grace(&self, grace: EndGrace) -> BoxFuture<'_, Outcome<GraceEnded>> {
        self.answer::<EndGrace>(|model| model.end_grace(&grace))
    }

    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>> {
        if self.away.load(Ordering::Relaxed) {
            return Box::pin(async { Err(Error::CircuitOpen) });
        }
        let mut model = self.now();
        model.sweep(&Sweep::default());
        let (written, wall) = (self.written.lock().unwrap(), model.wall());
        let held = model.live().iter().filter_map(|(id, lease)| {
            Some(Held {
                id: *id,
                source: lease.source.clone(),
                left_ms: u64::try_from(lease.deadline - wall).unwrap(),
                seq: 1,
                details: written.get(id)?.details.clone(),
                reserved_at: String::new(),
            })
        });
        let held = held.collect();
        Box::pin(async move { Ok(held) })
    }

    fn figures(&self) -> Figures {
        Figures {
            circuit: Circuit::Closed,
            unacknowledged: 0,
            failures: 0,
        }
    }

    fn mode(&self) -> Mode {
        Mode::Strict
    }
}
