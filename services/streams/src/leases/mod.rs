//! The leases that this process holds: taken from the ledger, renewed, given back, and said again when the ledger has lost
//! them. Nobody is shown a picture without one, and at a lease's end its viewer leaves the room.
//!
//! What a holder owes (ledger/README.md): it stops at its own deadline, which is a margin before the ledger's, whatever it hears
//! later. So a slot that the ledger gives to somebody else is never in use here.

pub mod guard;
pub mod keeper;
pub mod ledger;
pub mod stats;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use marsad_ledger::client::{Error, Mode};
use marsad_ledger::request::{Code, Heartbeat, Leased, Reclaim, Refused, Release, Reserve};
use marsad_ledger::{Details, LeaseId, MARGIN, Source, TTL};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::agencies::Agencies;
use crate::camera::CameraView;
use crate::demand::{Lease, Owner};
use crate::leases::ledger::Ledger;
use crate::leases::stats::Snapshot;
use crate::metrics::LedgerMetrics;
use crate::problem::Refusal;
use crate::reconcile::{Reconciler, now};

/// LiveKit has answered within this, or does not.
const CALL_DEADLINE: Duration = Duration::from_secs(1);
/// Calls that are on their way at a time, when there are many to make.
const AT_A_TIME: usize = 64;

/// What somebody asks for.
#[derive(Debug)]
pub struct Wish<'a> {
    /// What is to be watched.
    pub camera: &'a CameraView,
    /// By whom.
    pub owner: Owner,
    /// From where, for people.
    pub client_ip: String,
    /// For how long at most; none: as long as it is renewed.
    pub duration: Option<Duration>,
}

/// What became of a wish.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The lease.
    pub lease: Lease,
    /// Whether it was not held before.
    pub new: bool,
    /// Leases of its source, this one counted in, and its limit; nothing when the ledger is away.
    pub usage: Option<(u64, u64)>,
}

/// A lease is renewed, or over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    Until(Instant),
    /// The ledger was not heard, or what it says is not safe yet: the old deadline stands.
    Unheard,
    Over,
}

/// The holder.
pub struct Leases {
    /// The cameras, what is wanted of them, and their rooms.
    pub reconciler: Arc<Reconciler>,
    agencies: Agencies,
    ledger: Arc<dyn Ledger>,
    metrics: LedgerMetrics,
    holder: String,
    /// Counts have changed: statistics are read anew.
    changed: Notify,
    /// The last statistics.
    stats: watch::Sender<Option<Arc<Snapshot>>>,
    /// Whether the leases of the process before this one are known.
    adopted: watch::Sender<bool>,
}

impl Leases {
    /// Holds nothing. `holder` names this process in the ledger.
    pub fn new(
        reconciler: Arc<Reconciler>,
        agencies: Agencies,
        ledger: Arc<dyn Ledger>,
        metrics: LedgerMetrics,
        holder: String,
    ) -> Arc<Self> {
        Arc::new(Self {
            reconciler,
            agencies,
            ledger,
            metrics,
            holder,
            changed: Notify::new(),
            stats: watch::Sender::new(None),
            adopted: watch::Sender::new(false),
        })
    }

    /// A lease for who asks: the one that it has, renewed, or a new one.
    ///
    /// # Errors
    /// When there is no free slot, or the ledger cannot say.
    pub async fn take(&self, wish: &Wish<'_>) -> Result<Taken, Refusal> {
        let source = self.source(wish.camera)?;
        let outcome = self.try_take(wish, &source).await;
        let status = match &outcome {
            Ok(_) => "granted",
            Err(Refusal::LimitReached { .. }) => "limit_reached",
            Err(_) => "unavailable",
        };
        self.metrics.reserved(&source, status);
        self.changed.notify_one();
        outcome
    }

    async fn try_take(&self, wish: &Wish<'_>, source: &Source) -> Result<Taken, Refusal> {
        let (camera, owner) = (wish.camera, &wish.owner);
        let id = owner.lease(camera.id);
        let sent = now();
        let held = self.reconciler.demand().get(id, sent).cloned();
        let ends = wish.duration.map(|duration| sent + duration);
        // None until the ledger has said so.
        let mut lease = Lease {
            reservation: id,
            camera: camera.id,
            room: camera.room.clone(),
            user: owner.user.clone(),
            identity: owner.identity(id),
            source: source.clone(),
            seq: 0,
            client_ip: wish.client_ip.clone(),
            reserved_at: Timestamp::now().to_string(),
            expires: sent,
            ends: ends.or_else(|| held.as_ref().and_then(|lease| lease.ends)),
        };
        let ask = Reserve {
            id: LeaseId(id),
            source: source.clone(),
            ttl_ms: millis(TTL),
            // Nobody is urgent before groups have a priority (IamGroup, issue 6).
            urgent: false,
            details: self.details(&lease),
        };
        let leased = match self.ledger.reserve(ask).await {
            Ok(answered) => answered.answer,
            // Running streams go on to their deadline (R1.3-19).
            Err(error) => {
                return match held {
                    Some(lease) => Ok(taken(lease, false, None)),
                    None => Err(refusal(&error)),
                };
            }
        };
        if leased.code == Code::Grace
            && let Some(lease) = held
        {
            return match self.reclaim(&lease).await {
                Renewal::Over => Err(grace(&leased)),
                Renewal::Until(_) | Renewal::Unheard => Ok(taken(lease, false, None)),
            };
        }
        (lease.seq, lease.expires) = (leased.seq, deadline(sent, leased.left_ms));
        match leased.code {
            Code::Done => {}
            // It was there and is not renewed by asking.
            Code::Again => match self.beat(&lease).await {
                Renewal::Until(until) => lease.expires = until,
                Renewal::Unheard if lease.over_at() > now() => {}
                Renewal::Unheard | Renewal::Over => return Err(Refusal::LedgerUnavailable),
            },
            Code::SourceFull | Code::UrgentOnly | Code::TotalFull => {
                return Err(self.full(source, &leased));
            }
            Code::Grace => return Err(grace(&leased)),
            _ => {
                tracing::warn!(%source, reservation = %id, code = ?leased.code, "reserve_not_understood");
                return Err(Refusal::LedgerUnavailable);
            }
        }
        self.reconciler.demand().hold(lease.clone());
        self.reconciler.wake(camera.id);
        let usage = Some((leased.usage.count, leased.usage.limit.unwrap_or(0)));
        Ok(taken(lease, held.is_none(), usage))
    }

    /// What people see of a lease.
    fn details(&self, lease: &Lease) -> Details {
        Details {
            camera: lease.camera.to_string(),
            user: lease.user.clone(),
            client_ip: lease.client_ip.clone(),
            holder: self.holder.clone(),
            identity: lease.identity.clone(),
        }
    }

    /// Whose slots the streams of this camera take.
    ///
    /// # Errors
    /// When the camera has no agency yet, or one that the quota does not know.
    pub fn source(&self, camera: &CameraView) -> Result<Source, Refusal> {
        let status = camera.object.status.as_ref();
        let agency = status.and_then(|status| status.agency.as_deref());
        let agency = agency.ok_or(Refusal::NotReady)?;
        self.agencies
            .source(agency)
            .ok_or_else(|| Refusal::AgencyUnknown(agency.to_owned()))
    }

    fn full(&self, source: &Source, leased: &Leased) -> Refusal {
        let usage = leased.usage;
        self.metrics.limit_hit(source);
        let (name, current, limit) = match leased.code {
            Code::TotalFull => ("total", usage.total, usage.total_limit),
            _ => (source.as_str(), usage.count, usage.limit),
        };
        tracing::warn!(%source, full = name, current, limit, code = ?leased.code, "limit_reached");
        Refusal::LimitReached {
            agency: name.to_owned(),
            current,
            limit: limit.unwrap_or(0),
        }
    }

    /// Renews a lease of `user`.
    ///
    /// # Errors
    /// When there is none (any more), or the ledger is away; in the second case it lives on to its deadline.
    pub async fn renew(&self, reservation: Uuid, user: &str) -> Result<Lease, Refusal> {
        let held = self.reconciler.demand().get(reservation, now()).cloned();
        let held = held.filter(|lease| lease.user == user);
        let mut lease = held.ok_or(Refusal::ReservationUnknown)?;
        match self.beat(&lease).await {
            Renewal::Until(until) => {
                lease.expires = until;
                Ok(lease)
            }
            Renewal::Unheard => Err(Refusal::LedgerUnavailable),
            Renewal::Over => {
                tracing::warn!(camera = %lease.camera, reservation = %reservation, "lease_lost");
                self.drop(&lease).await;
                Err(Refusal::ReservationUnknown)
            }
        }
    }

    /// Sends a heartbeat, and does what its answer asks for.
    async fn beat(&self, lease: &Lease) -> Renewal {
        let sent = now();
        let heartbeat = Heartbeat {
            ttl_ms: millis(TTL),
            leases: vec![(LeaseId(lease.reservation), lease.source.clone())],
        };
        let answered = match self.ledger.heartbeat(heartbeat).await {
            Ok(answered) => answered,
            Err(error) => {
                tracing::debug!(reservation = %lease.reservation, %error, "heartbeat_unheard");
                return Renewal::Unheard;
            }
        };
        let Some(beat) = answered.answer.beats.first() else {
            return Renewal::Unheard;
        };
        match beat.code {
            Code::Done => self.renewed(lease, sent, beat.left_ms, lease.seq, answered.replicated),
            Code::Bare | Code::Reclaim => self.reclaim(lease).await,
            _ => Renewal::Over,
        }
    }

    /// Says again what was granted.
    async fn reclaim(&self, lease: &Lease) -> Renewal {
        let sent = now();
        if lease.over_at() <= sent {
            return Renewal::Over;
        }
        let again = Reclaim {
            id: LeaseId(lease.reservation),
            source: lease.source.clone(),
            ttl_ms: millis(TTL),
            seq: lease.seq,
            details: self.details(lease),
            reserved_at: lease.reserved_at.clone(),
        };
        match self.ledger.reclaim(again).await {
            Ok(answered) if answered.answer.holds() => {
                let Leased { left_ms, seq, .. } = answered.answer;
                self.renewed(lease, sent, left_ms, seq, answered.replicated)
            }
            Ok(_) => Renewal::Over,
            Err(error) => {
                tracing::debug!(reservation = %lease.reservation, %error, "reclaim_unheard");
                Renewal::Unheard
            }
        }
    }

    fn renewed(&self, lease: &Lease, sent: Instant, left_ms: u64, seq: u64, replicated: bool) -> Renewal {
        // What only a primary knows that may be lost in a moment extends nothing.
        if !replicated && self.ledger.mode() == Mode::Strict {
            return Renewal::Unheard;
        }
        let until = deadline(sent, left_ms);
        self.reconciler
            .demand()
            .renew(lease.reservation, until, seq, now());
        Renewal::Until(until)
    }

    /// Ends a lease of `user`; none is success, and so is another's, which stays. Its slot is free and its viewer out of the room
    /// before this returns, where ledger and LiveKit answer.
    pub async fn release(&self, reservation: Uuid, user: &str) {
        let ended = {
            let mut demand = self.reconciler.demand();
            let mine = demand
                .get(reservation, now())
                .is_some_and(|lease| lease.user == user);
            mine.then(|| demand.end(reservation, now())).flatten()
        };
        if let Some(lease) = ended {
            tracing::info!(camera = %lease.camera, %reservation, "released");
            self.give_back(&lease).await;
        }
    }

    /// Takes back what was granted a moment ago and told to nobody.
    pub async fn withdraw(&self, lease: &Lease) {
        let withdrawn = self.reconciler.demand().withdraw(lease.reservation);
        if let Some(lease) = withdrawn {
            self.give_back(&lease).await;
        }
    }

    /// The ledger has it no more.
    async fn drop(&self, lease: &Lease) {
        let ended = self.reconciler.demand().end(lease.reservation, now());
        if let Some(lease) = ended {
            self.reconciler.wake(lease.camera);
            self.evict(&lease).await;
        }
    }

    /// Frees the slot of a lease that is held no more, and takes its viewer out of the room.
    async fn give_back(&self, lease: &Lease) {
        self.reconciler.wake(lease.camera);
        let release = Release {
            id: LeaseId(lease.reservation),
            source: lease.source.clone(),
            seq: lease.seq,
        };
        let (released, ()) = tokio::join!(self.ledger.release(release), self.evict(lease));
        if let Err(error) = released {
            // It ends by itself a margin after ours did.
            tracing::warn!(reservation = %lease.reservation, %error, "lease_not_released");
        }
        self.changed.notify_one();
    }

    async fn give_all_back(&self, leases: Vec<Lease>) {
        futures::stream::iter(leases)
            .for_each_concurrent(AT_A_TIME, async |lease| self.give_back(&lease).await)
            .await;
    }

    /// Takes a viewer out of a room, unless a lease lets it in again. A room that is not reached is looked at by the guard.
    async fn evict(&self, lease: &Lease) {
        let admitted = self
            .reconciler
            .demand()
            .admits(&lease.room, &lease.identity, now());
        if !admitted {
            self.remove(&lease.room, &lease.identity).await;
        }
    }

    /// Takes a participant out of a room. Gives whether LiveKit said so.
    async fn remove(&self, room: &str, identity: &str) -> bool {
        let removed = self.reconciler.rooms.evict(room, identity);
        match tokio::time::timeout(CALL_DEADLINE, removed).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::debug!(room, %error, "viewer_not_evicted"),
            Err(_) => tracing::debug!(room, "viewer_not_evicted"),
        }
        false
    }
}

fn taken(lease: Lease, new: bool, usage: Option<(u64, u64)>) -> Taken {
    Taken { lease, new, usage }
}

/// When this holder stops: counted from when the call was sent, since the ledger began to count no earlier.
fn deadline(sent: Instant, left_ms: u64) -> Instant {
    sent + Duration::from_millis(left_ms).saturating_sub(MARGIN)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn grace(leased: &Leased) -> Refusal {
    Refusal::Recovering {
        seconds: leased.head.grace_left_ms.div_ceil(1_000).max(1),
    }
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Refused(Refused::UnknownSource) => Refusal::LimitsNotInForce,
        error => {
            tracing::warn!(%error, "ledger_unavailable");
            Refusal::LedgerUnavailable
        }
    }
}

#[cfg(test)]
mod tests;
