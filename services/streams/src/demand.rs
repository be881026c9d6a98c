//! Who watches what: reservations, their expiry, and the linger after the last one. Pure: time is given.
//!
//! A camera is wanted while a lease on it lives, and for the linger after the last one ended. Everything is
//! computed from the given time, so nothing has to run on time for an answer to be right; [`Demand::prune`] only
//! frees memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How long a lease lives without a heartbeat, and how long a camera stays published after the last lease.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// From one heartbeat to the end of the lease (contracts.md 17).
    pub ttl: Duration,
    /// From the end of the last lease to the removal of the forward: a reload or a changed layout finds it still on.
    pub linger: Duration,
}

/// Who reserved: a lease is the same again for the same owner and camera (contracts.md 17).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Subject of the caller's token.
    pub user: String,
    /// One of the caller's sessions, if it told them apart.
    pub client: Option<String>,
}

/// A live lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Names the lease in heartbeats and release.
    pub reservation: Uuid,
    /// Who holds it.
    pub owner: Owner,
    /// The viewer's identity in the room.
    pub identity: String,
    /// When it ends unless renewed.
    pub expires: Instant,
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
    leases: HashMap<Owner, Lease>,
    /// End of the latest linger that an ended lease began.
    linger_until: Option<Instant>,
}

/// All leases of this process.
#[derive(Debug)]
pub struct Demand {
    lifetimes: Lifetimes,
    cameras: HashMap<Uuid, CameraDemand>,
    index: HashMap<Uuid, (Uuid, Owner)>,
}

impl Demand {
    /// Nobody watches anything.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self {
            lifetimes,
            cameras: HashMap::new(),
            index: HashMap::new(),
        }
    }

    /// The lease of `owner` on `camera`: the one it has, renewed, else a new one named `fresh`. The second value
    /// says whether it is new.
    pub fn reserve(&mut self, camera: Uuid, owner: &Owner, fresh: Uuid, now: Instant) -> (Lease, bool) {
        self.end_expired(camera, now);
        let expires = now + self.lifetimes.ttl;
        let demand = self.cameras.entry(camera).or_default();
        match demand.leases.entry(owner.clone()) {
            Entry::Occupied(mut held) => {
                held.get_mut().expires = expires;
                (held.get().clone(), false)
            }
            Entry::Vacant(free) => {
                // Without a client the lease itself tells sessions apart, so that asking again keeps the identity.
                let session = owner.client.clone().unwrap_or_else(|| fresh.simple().to_string());
                let identity = format!("{}.{session}", owner.user);
                let lease = Lease {
                    reservation: fresh,
                    owner: owner.clone(),
                    identity,
                    expires,
                };
                self.index.insert(fresh, (camera, owner.clone()));
                (free.insert(lease).clone(), true)
            }
        }
    }

    /// Renews a lease of `user`. Nothing when it ended, never was, or is another's: which of these is not told.
    pub fn heartbeat(&mut self, reservation: Uuid, user: &str, now: Instant) -> Option<Lease> {
        let expires = now + self.lifetimes.ttl;
        let (camera, owner) = self.index.get(&reservation)?;
        let lease = self.cameras.get_mut(camera)?.leases.get_mut(owner)?;
        if lease.owner.user != user || lease.expires <= now {
            return None;
        }
        lease.expires = expires;
        Some(lease.clone())
    }

    /// Ends a lease of `user` and says of which camera. Nothing when there is none.
    pub fn release(&mut self, reservation: Uuid, user: &str, now: Instant) -> Option<Uuid> {
        let (camera, owner) = self.index.get(&reservation)?;
        if owner.user != user {
            return None;
        }
        let (camera, owner) = (*camera, owner.clone());
        self.end_expired(camera, now);
        let demand = self.cameras.get_mut(&camera)?;
        demand.leases.remove(&owner)?;
        self.index.remove(&reservation);
        demand.linger_until = demand.linger_until.max(Some(now + self.lifetimes.linger));
        Some(camera)
    }

    /// Takes back a lease that was never told to anybody: it leaves no linger.
    pub fn withdraw(&mut self, reservation: Uuid) {
        if let Some((camera, owner)) = self.index.remove(&reservation)
            && let Some(demand) = self.cameras.get_mut(&camera)
        {
            demand.leases.remove(&owner);
        }
    }

    /// The demand for `camera` at `now`.
    pub fn wanted(&self, camera: Uuid, now: Instant) -> Wanted {
        let Some(demand) = self.cameras.get(&camera) else {
            return Wanted::No;
        };
        let last = demand.leases.values().map(|lease| lease.expires).max();
        if let Some(last) = last.filter(|&last| last > now) {
            return Wanted::Watched(last);
        }
        let lingers = demand
            .linger_until
            .max(last.map(|last| last + self.lifetimes.linger));
        match lingers {
            Some(until) if until > now => Wanted::Lingering(until),
            _ => Wanted::No,
        }
    }

    /// Leases on `camera` that live at `now`.
    pub fn viewers(&self, camera: Uuid, now: Instant) -> usize {
        self.cameras.get(&camera).map_or(0, |demand| {
            demand.leases.values().filter(|l| l.expires > now).count()
        })
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
        let (index, linger, linger_until) =
            (&mut self.index, self.lifetimes.linger, &mut demand.linger_until);
        demand.leases.retain(|_, lease| {
            let lives = lease.expires > now;
            if !lives {
                index.remove(&lease.reservation);
                *linger_until = (*linger_until).max(Some(lease.expires + linger));
            }
            lives
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIFETIMES: Lifetimes = Lifetimes {
        ttl: Duration::from_secs(60),
        linger: Duration::from_secs(10),
    };
    const CAMERA: Uuid = Uuid::from_u128(7);

    fn owner(user: &str, client: Option<&str>) -> Owner {
        Owner {
            user: user.into(),
            client: client.map(str::to_owned),
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn c17_the_same_owner_gets_the_same_lease() {
        let (mut demand, start) = (Demand::new(LIFETIMES), Instant::now());
        let (first, new) = demand.reserve(CAMERA, &owner("amal", Some("tab1")), Uuid::from_u128(1), start);
        assert!(new);
        assert_eq!(first.identity, "amal.tab1");
        let (again, new) = demand.reserve(
            CAMERA,
            &owner("amal", Some("tab1")),
            Uuid::from_u128(2),
            start + secs(30),
        );
        assert!(!new);
        assert_eq!(
            (again.reservation, again.expires),
            (first.reservation, start + secs(90))
        );
        let (other, _) = demand.reserve(CAMERA, &owner("amal", Some("tab2")), Uuid::from_u128(3), start);
        assert_ne!(other.reservation, first.reservation);
        assert_eq!(demand.viewers(CAMERA, start), 2);
    }

    #[test]
    fn c17_without_a_client_the_identity_stays_with_the_lease() {
        let (mut demand, start) = (Demand::new(LIFETIMES), Instant::now());
        let (first, _) = demand.reserve(CAMERA, &owner("amal", None), Uuid::from_u128(1), start);
        let (again, _) = demand.reserve(CAMERA, &owner("amal", None), Uuid::from_u128(2), start);
        assert_eq!(first.identity, again.identity);
    }

    #[test]
    fn another_users_lease_is_unknown() {
        let (mut demand, start) = (Demand::new(LIFETIMES), Instant::now());
        let (lease, _) = demand.reserve(CAMERA, &owner("amal", None), Uuid::from_u128(1), start);
        assert_eq!(demand.heartbeat(lease.reservation, "badr", start), None);
        assert_eq!(demand.release(lease.reservation, "badr", start), None);
        assert!(demand.heartbeat(lease.reservation, "amal", start).is_some());
    }

    #[test]
    fn an_expired_lease_lingers_from_its_expiry_and_is_not_revived() {
        let (mut demand, start) = (Demand::new(LIFETIMES), Instant::now());
        let (lease, _) = demand.reserve(CAMERA, &owner("amal", None), Uuid::from_u128(1), start);
        assert_eq!(
            demand.heartbeat(lease.reservation, "amal", start + secs(60)),
            None
        );
        assert_eq!(
            demand.wanted(CAMERA, start + secs(65)),
            Wanted::Lingering(start + secs(70))
        );
        // Nothing depends on pruning in time.
        demand.prune(CAMERA, start + secs(65));
        assert_eq!(
            demand.wanted(CAMERA, start + secs(65)),
            Wanted::Lingering(start + secs(70))
        );
        assert_eq!(demand.wanted(CAMERA, start + secs(70)), Wanted::No);
        let (next, new) = demand.reserve(CAMERA, &owner("amal", None), Uuid::from_u128(2), start + secs(66));
        assert!(new);
        assert_eq!(next.reservation, Uuid::from_u128(2));
    }

    #[test]
    fn a_withdrawn_lease_leaves_nothing() {
        let (mut demand, start) = (Demand::new(LIFETIMES), Instant::now());
        let (lease, _) = demand.reserve(CAMERA, &owner("amal", None), Uuid::from_u128(1), start);
        demand.withdraw(lease.reservation);
        assert_eq!(demand.wanted(CAMERA, start), Wanted::No);
        demand.prune(CAMERA, start);
        assert!(demand.cameras.is_empty() && demand.index.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Act {
        Reserve {
            user: u8,
            client: Option<u8>,
            camera: u8,
        },
        Heartbeat {
            nth: usize,
        },
        Release {
            nth: usize,
        },
        Prune {
            camera: u8,
        },
    }

    fn acts() -> impl Strategy<Value = Vec<(u64, Act)>> {
        let act = prop_oneof![
            (0_u8..3, proptest::option::of(0_u8..2), 0_u8..3)
                .prop_map(|(user, client, camera)| Act::Reserve { user, client, camera }),
            (0_usize..12).prop_map(|nth| Act::Heartbeat { nth }),
            (0_usize..12).prop_map(|nth| Act::Release { nth }),
            (0_u8..3).prop_map(|camera| Act::Prune { camera }),
        ];
        proptest::collection::vec((0_u64..40, act), 0..60)
    }

    /// The whole history of a lease, kept for ever: what the state machine must agree with.
    struct Remembered {
        id: Uuid,
        owner: Owner,
        camera: u8,
        until: Instant,
    }

    fn camera_id(camera: u8) -> Uuid {
        Uuid::from_u128(u128::from(camera))
    }

    fn expected(history: &[Remembered], camera: u8, now: Instant) -> Wanted {
        let mine = || history.iter().filter(|lease| lease.camera == camera);
        if let Some(last) = mine().map(|lease| lease.until).filter(|&until| until > now).max() {
            return Wanted::Watched(last);
        }
        match mine()
            .map(|lease| lease.until + LIFETIMES.linger)
            .filter(|&until| until > now)
            .max()
        {
            Some(until) => Wanted::Lingering(until),
            None => Wanted::No,
        }
    }

    proptest! {
        #[test]
        fn wanted_iff_a_lease_lives_or_lingers(acts in acts()) {
            let (mut demand, mut now) = (Demand::new(LIFETIMES), Instant::now());
            let mut history: Vec<Remembered> = Vec::new();
            for (step, (pause, act)) in acts.into_iter().enumerate() {
                now += secs(pause);
                match act {
                    Act::Reserve { user, client, camera } => {
                        let owner = Owner { user: user.to_string(), client: client.map(|c| c.to_string()) };
                        let fresh = Uuid::from_u128(1000 + step as u128);
                        let (lease, new) = demand.reserve(camera_id(camera), &owner, fresh, now);
                        let held = history.iter_mut().find(|l| l.owner == owner && l.camera == camera && l.until > now);
                        prop_assert_eq!(new, held.is_none());
                        match held {
                            Some(held) => { prop_assert_eq!(lease.reservation, held.id); held.until = lease.expires; }
                            None => history.push(Remembered { id: fresh, owner, camera, until: lease.expires }),
                        }
                    }
                    Act::Heartbeat { nth } => if let Some(lease) = history.get_mut(nth) {
                        let renewed = demand.heartbeat(lease.id, &lease.owner.user, now);
                        prop_assert_eq!(renewed.is_some(), lease.until > now);
                        if let Some(renewed) = renewed { lease.until = renewed.expires; }
                    },
                    Act::Release { nth } => if let Some(lease) = history.get_mut(nth) {
                        let released = demand.release(lease.id, &lease.owner.user, now);
                        prop_assert_eq!(released.is_some(), lease.until > now);
                        if released.is_some() { lease.until = now; }
                    },
                    Act::Prune { camera } => demand.prune(camera_id(camera), now),
                }
                for camera in 0..3 {
                    prop_assert_eq!(demand.wanted(camera_id(camera), now), expected(&history, camera, now));
                }
            }
            // In the end nothing is kept.
            now += LIFETIMES.ttl + LIFETIMES.linger;
            for camera in 0..3 {
                demand.prune(camera_id(camera), now);
            }
            prop_assert!(demand.cameras.is_empty() && demand.index.is_empty());
        }
    }
}
