//! The seam to the stream ledger: Valkey behind it, the reference model in tests.

use std::time::Instant;

use futures::future::BoxFuture;
use marsad_ledger::client::{Answered, Error, Figures, Held};
use marsad_ledger::request::{
    Beats, EndGrace, GraceEnded, Heartbeat, Leased, Reclaim, Release, Released, Request, Reserve, Stats,
    StatsRead, Sweep, Swept,
};
use marsad_ledger::{Client, Mode};

use crate::metrics::LedgerMetrics;

/// What the ledger says, or why it says nothing.
pub type Outcome<T> = Result<Answered<T>, Error>;

/// The ledger, as its holder sees it.
pub trait Ledger: Send + Sync + 'static {
    /// Asks for a lease.
    fn reserve(&self, wish: Reserve) -> BoxFuture<'_, Outcome<Leased>>;
    /// Renews leases.
    fn heartbeat(&self, leases: Heartbeat) -> BoxFuture<'_, Outcome<Beats>>;
    /// Ends a lease.
    fn release(&self, lease: Release) -> BoxFuture<'_, Outcome<Released>>;
    /// Says again what was granted.
    fn reclaim(&self, lease: Reclaim) -> BoxFuture<'_, Outcome<Leased>>;
    /// Ends what is over, and keeps the lease clock going.
    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Outcome<Swept>>;
    /// Reads what is live.
    fn stats(&self, stats: Stats) -> BoxFuture<'_, Outcome<StatsRead>>;
    /// Says that every holder has reported.
    fn end_grace(&self, grace: EndGrace) -> BoxFuture<'_, Outcome<GraceEnded>>;
    /// Every live lease that is written down.
    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>>;
    /// What the client says of itself.
    fn figures(&self) -> Figures;
    /// Whether a grant, or a renewal, that too few replicas have counts.
    fn mode(&self) -> Mode;
}

/// Valkey, with the time that each operation takes.
#[derive(Debug, Clone)]
pub struct Valkey {
    client: Client,
    metrics: LedgerMetrics,
}

impl Valkey {
    /// Over this client.
    pub fn new(client: Client, metrics: LedgerMetrics) -> Self {
        Self { client, metrics }
    }

    fn ask<R: Request + Clone + Send + Sync + 'static>(&self, request: R) -> BoxFuture<'_, Outcome<R::Answer>>
    where
        R::Answer: Send,
    {
        Box::pin(async move {
            let started = Instant::now();
            let outcome = self.client.ask(&request).await;
            self.metrics.took(R::SCRIPT.name(), started.elapsed());
            outcome
        })
    }
}

impl Ledger for Valkey {
    fn reserve(&self, wish: Reserve) -> BoxFuture<'_, Outcome<Leased>> {
        self.ask(wish)
    }

    fn heartbeat(&self, leases: Heartbeat) -> BoxFuture<'_, Outcome<Beats>> {
        self.ask(leases)
    }

    fn release(&self, lease: Release) -> BoxFuture<'_, Outcome<Released>> {
        self.ask(lease)
    }

    fn reclaim(&self, lease: Reclaim) -> BoxFuture<'_, Outcome<Leased>> {
        self.ask(lease)
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Outcome<Swept>> {
        self.ask(sweep)
    }

    fn stats(&self, stats: Stats) -> BoxFuture<'_, Outcome<StatsRead>> {
        self.ask(stats)
    }

    fn end_grace(&self, grace: EndGrace) -> BoxFuture<'_, Outcome<GraceEnded>> {
        self.ask(grace)
    }

    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>> {
        Box::pin(self.client.held())
    }

    fn figures(&self) -> Figures {
        self.client.figures()
    }

    fn mode(&self) -> Mode {
        self.client.mode()
    }
}
