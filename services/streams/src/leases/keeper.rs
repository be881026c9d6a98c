//! What is done about leases each second: the lease clock goes on, what is over is given back, what the ledger has lost is
//! said again, and statistics are read.
//!
//! One process holds all leases (the Deployment's strategy is Recreate), so a grace may end as soon as that one has said
//! again what it holds. A second replica would need to be heard first.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use marsad_ledger::client::Held;
use marsad_ledger::request::{EndGrace, Head, Stats, Sweep};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::{AT_A_TIME, Leases, Renewal, deadline};
use crate::demand::Lease;
use crate::leases::stats::Snapshot;
use crate::reconcile::now;

/// The lease clock goes at most five seconds at a time: it is moved five times as often.
const TICK: Duration = Duration::from_secs(1);
/// Statistics after a change come no more often than this.
const QUIET: Duration = Duration::from_millis(100);
/// Seconds of history that each source keeps (R1.3-10).
const SAMPLES: u64 = 3_600;

/// Keeps leases as long as the process runs.
///
/// # Errors
/// Never.
pub async fn run(leases: Arc<Leases>) -> Result<(), Infallible> {
    leases.reconciler.cameras.watch().ready().await;
    leases.agencies.watch().ready().await;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut keeper = Keeper {
        leases,
        reported: None,
    };
    loop {
        tokio::select! {
            _ = ticks.tick() => keeper.tick().await,
            () = keeper.leases.changed.notified() => {
                keeper.leases.read_stats().await;
                tokio::time::sleep(QUIET).await;
            }
        }
    }
}

struct Keeper {
    leases: Arc<Leases>,
    /// The epoch in which everything that is held was said.
    reported: Option<u64>,
}

impl Keeper {
    async fn tick(&mut self) {
        let leases = self.leases.clone();
        leases.adopt().await;
        let over = leases.reconciler.demand().take_over(now());
        for lease in &over {
            tracing::info!(camera = %lease.camera, reservation = %lease.reservation, "lease_over");
        }
        leases.give_all_back(over).await;
        let sweep = Sweep {
            sources: leases.agencies.sources(),
            samples: SAMPLES,
        };
        match leases.ledger.sweep(sweep).await {
            Ok(answered) => {
                let head = answered.answer.head;
                if head.reaped > 0 {
                    tracing::info!(reaped = head.reaped, "leases_swept");
                }
                if self.reported != Some(head.epoch) && leases.is_adopted() && leases.report(head).await {
                    self.reported = Some(head.epoch);
                }
            }
            Err(error) => tracing::debug!(%error, "sweep_failed"),
        }
        leases.read_stats().await;
        leases.metrics.client(leases.ledger.figures());
    }
}

impl Leases {
    /// Whether the leases of the process before this one are known; until then nobody is taken out of a room.
    pub fn is_adopted(&self) -> bool {
        *self.adopted.borrow()
    }

    /// Waits for it.
    pub async fn when_adopted(&self) {
        // The sender is ours.
        let _ = self.adopted.subscribe().wait_for(|adopted| *adopted).await;
    }

    /// Waits until something new may be granted: what was held is known and said, and the ledger answers.
    pub async fn when_open(&self) {
        let open = |last: &Option<Arc<Snapshot>>| last.as_ref().is_some_and(|last| !last.recovering);
        // The sender is ours.
        let _ = self.stats.subscribe().wait_for(open).await;
    }

    /// Takes over what a process before this one held: its viewers go on.
    async fn adopt(&self) {
        if self.is_adopted() {
            return;
        }
        let sent = now();
        match self.ledger.held().await {
            Ok(held) => {
                let mut adopted = 0;
                for lease in held.into_iter().filter_map(|held| self.adopted_lease(held, sent)) {
                    let camera = lease.camera;
                    if lease.over_at() > now() {
                        self.reconciler.demand().hold(lease);
                        self.reconciler.wake(camera);
                        adopted += 1;
                    }
                }
                tracing::info!(leases = adopted, "leases_adopted");
                self.adopted.send_replace(true);
            }
            Err(error) => tracing::warn!(%error, "leases_not_adopted"),
        }
    }

    fn adopted_lease(&self, held: Held, sent: std::time::Instant) -> Option<Lease> {
        let camera: Uuid = held.details.camera.parse().ok()?;
        if held.details.identity.is_empty() {
            return None;
        }
        let room = self.reconciler.cameras.get(camera).map(|view| view.room);
        Some(Lease {
            reservation: held.id.0,
            camera,
            room: room.unwrap_or_else(|| format!("camera_{camera}")),
            user: held.details.user,
            identity: held.details.identity,
            source: held.source,
            seq: held.seq,
            client_ip: held.details.client_ip,
            reserved_at: held.reserved_at,
            expires: deadline(sent, held.left_ms),
            ends: None,
        })
    }

    /// Says again everything that is held, in a new epoch. Gives whether all of it was heard; then a grace is over.
    async fn report(&self, head: Head) -> bool {
        let live = self.reconciler.demand().live(now());
        let (said, unheard) = (live.len(), AtomicBool::new(false));
        futures::stream::iter(live)
            .for_each_concurrent(AT_A_TIME, async |lease| match self.reclaim(&lease).await {
                Renewal::Until(_) => {}
                Renewal::Unheard => unheard.store(true, Ordering::Relaxed),
                Renewal::Over => {
                    tracing::warn!(camera = %lease.camera, reservation = %lease.reservation, "lease_lost");
                    self.drop(&lease).await;
                }
            })
            .await;
        if unheard.into_inner() {
            return false;
        }
        tracing::info!(epoch = head.epoch, leases = said, "leases_reported");
        if head.grace_left_ms == 0 {
            return true;
        }
        let ended = self.ledger.end_grace(EndGrace { epoch: head.epoch }).await;
        if let Err(error) = &ended {
            tracing::debug!(%error, "grace_not_ended");
        }
        ended.is_ok()
    }

    async fn read_stats(&self) {
        let sources = self.agencies.sources();
        let ask = Stats {
            sources: sources.clone(),
        };
        match self.ledger.stats(ask).await {
            Ok(answered) => {
                let snapshot = Snapshot::new(&sources, &answered.answer, now());
                self.metrics.counts(&snapshot);
                self.stats.send_if_modified(|last| {
                    // Who waits is woken by news alone; how old the figures are, all may know.
                    let news = last.as_ref().is_none_or(|last| !last.says_what(&snapshot));
                    *last = Some(Arc::new(snapshot));
                    news
                });
            }
            Err(error) => tracing::debug!(%error, "statistics_not_read"),
        }
    }
}
