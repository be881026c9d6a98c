//! Who watches what: the leases that this process holds, their ends, and the linger after the last one. Pure: time is given.
//!
//! The ledger grants; what is here is what it has granted, each with the moment at which this holder stops whatever it
//! hears (ledger/README.md, "What a holder owes"). A camera is wanted while a lease on it lives, and for the linger after the last
//! one ended. Everything is computed from the given time, so nothing has to run on time for an answer to be right.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use marsad_ledger::Source;
use uuid::Uuid;

/// Namespace of lease ids; never changed, so that replicas of different versions ask for the same lease.
const LEASE_ID_NAMESPACE: Uuid = Uuid::from_u128(0x51d4_7a0e_93c2_5f6b_8d27_60ab_1e94_c7f3);

/// Who reserved: a lease is the same again for the same owner and camera (contracts.md 17).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Subject of the caller's token.
    pub user: String,
    /// One of the caller's sessions, if it told them apart.
    pub client: Option<String>,
}

impl Owner {
    /// The lease of this owner on `camera`: whichever replica is asked, and after a restart, it is the same.
    pub fn lease(&self, camera: Uuid) -> Uuid {
        // A camera's id has one length and a client no slash: two owners never share a name.
        let client = self.client.as_deref().unwrap_or_default();
        Uuid::new_v5(
            &LEASE_ID_NAMESPACE,
            format!("{camera}/{client}/{}", self.user).as_bytes(),
        )
    }

    /// The viewer's identity in rooms: of a session, not of a person, so that two tabs don't throw each other out.
    pub fn identity(&self, lease: Uuid) -> String {
        // Without a client the lease itself tells sessions apart.
        match &self.client {
            Some(client) => format!("{}.{client}", self.user),
            None => format!("{}.{}", self.user, lease.simple()),
        }
    }
}

/// A lease as this process holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Names the lease in the ledger, heartbeats and release.
    pub reservation: Uuid,
    /// What is watched.
    pub camera: Uuid,
    /// Where it is shown.
    pub room: String,
    /// Subject of the token of who holds it.
    pub user: String,
    /// The viewer's identity in the room.
    pub identity: String,
    /// Whose slot it has.
    pub source: Source,
    /// The sequence of its grant.
    pub seq: u64,
    /// From where it was asked for, for people.
    pub client_ip: String,
    /// When it was granted, for people.
    pub reserved_at: String,
    /// When it ends unless renewed.
    pub expires: Instant,
    /// When it ends in any case, if it was asked for a time.
    pub ends: Option<Instant>,
}

impl Lease {
    /// The moment at which it is over.
    pub fn over_at(&self) -> Instant {
        self.ends.map_or(self.expires, |ends| ends.min(self.expires))
    }
}

/// What the demand for one camera is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A lease lives; the answer may change at the time given (the last lease's expiry).
    Watched(Instant),
    /// The last lease ended; wanted until the time given.
    Lingering(Instant),
    /// Nobody wants it.
    No,
}

#[derive(Debug, Default)]
struct CameraDemand {
    leases: HashMap<Uuid, Lease>,
    /// End of the latest linger that an ended lease began.
    linger_until: Option<Instant>,
}

impl CameraDemand {
    fn living(&self, now: Instant) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter(move |lease| lease.over_at() > now)
    }
}

/// All leases of this process.
#[derive(Debug)]
pub struct Demand {
    linger: Duration,
    cameras: HashMap<Uuid, CameraDemand>,
    index: HashMap<Uuid, Uuid>,
    /// Leases that were over and of which nobody was told yet.
    over: Vec<Lease>,
}

impl Demand {
    /// Nobody watches anything. `linger` is from the end of the last lease to the removal of the forward: a reload or a changed
    /// layout finds it still on.
    pub fn new(linger: Duration) -> Self {
        Self {
            linger,
            cameras: HashMap::new(),
            index: HashMap::new(),
            over: Vec::new(),
        }
    }

    /// The lease is held. Of one that was held already the later end and the higher sequence count: two answers about it may
    /// come in any order.
    pub fn hold(&mut self, lease: Lease) {
        let demand = self.cameras.entry(lease.camera).or_default();
        self.index.insert(lease.reservation, lease.camera);
        match demand.leases.get_mut(&lease.reservation) {
            Some(held) => {
                let (expires, seq) = (held.expires.max(lease.expires), held.seq.max(lease.seq));
                *held = lease;
                (held.expires, held.seq) = (expires, seq);
            }
            None => {
                demand.leases.insert(lease.reservation, lease);
            }
        }
    }

    /// A lease that lives at `now`.
    pub fn get(&self, reservation: Uuid, now: Instant) -> Option<&Lease> {
        let camera = self.index.get(&reservation)?;
        let lease = self.cameras.get(camera)?.leases.get(&reservation)?;
        (lease.over_at() > now).then_some(lease)
    }

    /// It was renewed. One that is over stays so, whatever was heard of it.
    pub fn renew(&mut self, reservation: Uuid, expires: Instant, seq: u64, now: Instant) {
        if let Some(camera) = self.index.get(&reservation)
            && let Some(demand) = self.cameras.get_mut(camera)
            && let Some(lease) = demand.leases.get_mut(&reservation)
            && lease.over_at() > now
        {
            lease.expires = lease.expires.max(expires);
            lease.seq = lease.seq.max(seq);
        }
    }

    /// Ends a lease; the linger begins. Nothing when there is none that lives.
    pub fn end(&mut self, reservation: Uuid, now: Instant) -> Option<Lease> {
        let camera = *self.index.get(&reservation)?;
        self.end_expired(camera, now);
        let lease = self.remove(reservation)?;
        let until = now + self.linger;
        let demand = self.cameras.get_mut(&camera)?;
        demand.linger_until = demand.linger_until.max(Some(until));
        Some(lease)
    }

    /// Takes back a lease that was never told to anybody: it leaves no linger.
    pub fn withdraw(&mut self, reservation: Uuid) -> Option<Lease> {
        self.remove(reservation)
    }

    fn remove(&mut self, reservation: Uuid) -> Option<Lease> {
        let camera = self.index.remove(&reservation)?;
        self.cameras.get_mut(&camera)?.leases.remove(&reservation)
    }

    /// The demand for `camera` at `now`.
    pub fn wanted(&self, camera: Uuid, now: Instant) -> Wanted {
        let Some(demand) = self.cameras.get(&camera) else {
            return Wanted::No;
        };
        let last = demand.leases.values().map(Lease::over_at).max();
        if let Some(last) = last.filter(|&last| last > now) {
            return Wanted::Watched(last);
        }
        let lingers = demand.linger_until.max(last.map(|last| last + self.linger));
        match lingers {
            Some(until) if until > now => Wanted::Lingering(until),
            _ => Wanted::No,
        }
    }

    /// Leases on `camera` that live at `now`.
    pub fn viewers(&self, camera: Uuid, now: Instant) -> usize {
        self.cameras
            .get(&camera)
            .map_or(0, |demand| demand.living(now).count())
    }

    /// Every lease that lives at `now`.
    pub fn live(&self, now: Instant) -> Vec<Lease> {
        self.living(now).cloned().collect()
    }

    /// Who may be in which room at `now`.
    pub fn admitted(&self, now: Instant) -> HashSet<(&str, &str)> {
        let rooms = self.living(now);
        rooms
            .map(|lease| (lease.room.as_str(), lease.identity.as_str()))
            .collect()
    }

    /// Whether `identity` may be in `room` at `now`.
    pub fn admits(&self, room: &str, identity: &str, now: Instant) -> bool {
        self.living(now)
            .any(|lease| lease.room == room && lease.identity == identity)
    }

    fn living(&self, now: Instant) -> impl Iterator<Item = &Lease> {
        self.cameras.values().flat_map(move |demand| demand.living(now))
    }

    /// All leases that live at `now`, and the cameras they are on.
    pub fn totals(&self, now: Instant) -> (usize, usize) {
        self.cameras
            .keys()
            .map(|&camera| self.viewers(camera, now))
            .filter(|&viewers| viewers > 0)
            .fold((0, 0), |(leases, cameras), viewers| {
                (leases + viewers, cameras + 1)
            })
    }

    /// Ends what is over, and gives every lease that has come to its end since the last call: its slot is to be given back and its
    /// viewer to leave.
    pub fn take_over(&mut self, now: Instant) -> Vec<Lease> {
        let cameras: Vec<Uuid> = self.cameras.keys().copied().collect();
        for camera in cameras {
            self.end_expired(camera, now);
        }
        std::mem::take(&mut self.over)
    }

    /// Frees what no longer matters for `camera`. Answers do not change by it.
    pub fn prune(&mut self, camera: Uuid, now: Instant) {
        self.end_expired(camera, now);
        if self.wanted(camera, now) == Wanted::No {
            self.cameras.remove(&camera);
        }
    }

    fn end_expired(&mut self, camera: Uuid, now: Instant) {
        let Some(demand) = self.cameras.get_mut(&camera) else {
            return;
        };
        let ended = demand.leases.extract_if(|_, lease| lease.over_at() <= now);
        for (reservation, lease) in ended {
            self.index.remove(&reservation);
            demand.linger_until = demand.linger_until.max(Some(lease.over_at() + self.linger));
            self.over.push(lease);
        }
    }
}

#[cfg(test)]
#[path = "demand_tests.rs"]
mod tests;
