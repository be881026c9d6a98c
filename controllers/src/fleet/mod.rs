//! The fleet: every shard (ingest pod) as it was last seen. One task a shard polls its MediaMTX, which has no
//! watch; controllers read the picture it leaves here and are woken when it changes for one of their cameras.

mod archive;
mod choose;
mod moves;
mod observe;
mod patience;
mod places;
mod pods;
mod seen;
mod stray;
mod survey;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use marsad_crds::Camera;
use marsad_runtime::election::Fence;
use marsad_runtime::watch::Watch;
use tokio::sync::{broadcast, watch};

use self::places::{Place, Places};
pub use archive::Held;
pub use choose::{Candidate, Choice, Health, choose};
pub use pods::run;
pub use seen::{ByName, Named, PathSeen, Seen};
pub use survey::{PoolSurvey, ShardSurvey, survey};

/// Label of a shard's pod: the pool it belongs to.
pub const POOL_LABEL: &str = "marsad.dev/ingest-pool";
/// MediaMTX's control API.
pub const API_PORT: u16 = 9997;
/// MediaMTX's metrics.
pub const METRICS_PORT: u16 = 9998;
/// MediaMTX's RTSP server: recordings, probes and publishers read here.
pub const RTSP_PORT: u16 = 8554;

/// A shard, at one moment.
#[derive(Debug, Clone)]
pub struct Shard {
    /// The pod's name: `ingest-{pool}-{ordinal}`.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// How far it can be counted on.
    pub health: Health,
    /// Its control API; none while its pod has no address.
    pub client: Option<marsad_mediamtx::Client>,
    /// `host:port` of its RTSP server and who may read there.
    pub reader: Option<Reader>,
    /// What its MediaMTX said last.
    pub seen: Arc<Seen>,
}

/// How to read pictures from a shard.
#[derive(Debug, Clone)]
pub struct Reader {
    /// `host:port`.
    pub address: String,
    /// Who may read.
    pub credentials: marsad_mediamtx::Credentials,
}

/// Which cameras a change concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// One camera: its path changed.
    Camera(String, String),
    /// All: a shard came or went.
    All,
}

/// The shared picture. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fleet {
    inner: Arc<Mutex<Inner>>,
    wakes: broadcast::Sender<Wake>,
    /// Pools of which something new is known.
    surveyed: broadcast::Sender<String>,
    /// Shards that were there at the start and have not been asked yet; none before they are known.
    unasked: watch::Sender<Option<HashSet<String>>>,
}

#[derive(Debug, Default)]
struct Inner {
    shards: HashMap<String, Shard>,
    places: Places,
    /// Shard → paths that were written since they were read.
    written: HashMap<String, HashSet<String>>,
    /// Shards that are to go, or to be restarted: their cameras are moved first.
    leaving: HashSet<String>,
    /// Shards that are to go and nobody is on → what they have recorded.
    held: HashMap<String, Held>,
    /// Pool → what the last look over it found.
    surveys: HashMap<String, PoolSurvey>,
    /// The term in which this process may remove paths; none before it has led.
    fence: Option<Fence>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            inner: Arc::default(),
            wakes: broadcast::channel(4096).0,
            surveyed: broadcast::channel(64).0,
            unasked: watch::Sender::new(None),
        }
    }
}

impl Fleet {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The state is a table of facts: whoever panicked while holding it left it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What changed, from now on.
    pub fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    fn wake(&self, wake: Wake) {
        // No controller listens yet at start: it lists everything then.
        let _ = self.wakes.send(wake);
    }

    /// Waits until each shard that was there at the start has been asked once: before that nobody knows where there is room, and
    /// a camera that is looked at would be told that there is none. Bounded by what an answer may take.
    pub async fn asked(&self) {
        let mut unasked = self.unasked.subscribe();
        let all = unasked.wait_for(|unasked| unasked.as_ref().is_some_and(HashSet::is_empty));
        if tokio::time::timeout(patience::LOST_AFTER, all).await.is_err() {
            tracing::warn!(shards = ?*self.unasked.borrow(), "shards_do_not_answer");
        }
    }

    /// One shard.
    pub fn shard(&self, name: &str) -> Option<Shard> {
        self.lock().shards.get(name).cloned()
    }

    /// Decides where `camera` belongs in `pool` (each shard holding up to `capacity` paths), and remembers it, in one step: two
    /// cameras decided at once can't both take the last place. `recorded` is what its status says from before.
    pub fn place(
        &self,
        camera: &str,
        pool: &str,
        recorded: Option<&str>,
        paths: usize,
        capacity: usize,
    ) -> Choice {
        let mut inner = self.lock();
        let place_before = inner.places.get(camera).cloned();
        let bereft = place_before.as_ref().is_some_and(|place| place.bereft);
        let current = place_before.as_ref().map(|place| place.shard.clone());
        let current = current.as_deref().or(recorded);
        let candidates = inner.candidates(camera, pool, capacity);
        let choice = if bereft {
            rehome(camera, current, paths, &candidates)
        } else {
            choose(camera, current, paths, &candidates)
        };
        match &choice {
            Choice::On(shard) | Choice::Waits(shard) => {
                let before = place_before.filter(|before| *before.shard == **shard && !bereft);
                let place = Place {
                    bereft: bereft && matches!(choice, Choice::Waits(_)),
                    way: before.as_ref().and_then(|before| before.way.clone()),
                    stayed: before.and_then(|before| before.stayed),
                    ..Place::on(shard, paths)
                };
                inner.places.insert(camera.to_owned(), place);
            }
            Choice::Nowhere => {
                inner.places.remove(camera);
            }
        }
        choice
    }

    /// From now on this process decides where cameras are, and removes what nobody wants, for as long as `fence` holds. Where
    /// they were under whoever led before is in their status: nothing is moved or removed for want of memory.
    pub fn lead(&self, fence: Fence, cameras: &Watch<Camera>) {
        let places = placed(cameras);
        let mut inner = self.lock();
        inner.places = places;
        inner.fence = Some(fence);
    }

    /// The term in which paths may be removed; none when another process leads.
    fn fence(&self) -> Option<Fence> {
        self.lock().fence.clone().filter(Fence::holds)
    }

    /// Whether this process decides where cameras are.
    pub(crate) fn leads(&self) -> bool {
        self.fence().is_some()
    }

    /// What all shards said last.
    pub(crate) fn all_seen(&self) -> Vec<Arc<Seen>> {
        let inner = self.lock();
        inner.shards.values().map(|shard| shard.seen.clone()).collect()
    }

    /// Forgets where `camera` was: it is gone, suspended or not allowed. Its paths become strays and are removed.
    pub fn withdraw(&self, camera: &str) {
        let gone = self.lock().places.remove(camera);
        if gone {
            tracing::debug!(camera, "camera_withdrawn");
        }
    }

    /// The pod of `shard` is gone: its cameras go to other shards at once, also when the next pod of that name comes first
    /// (contracts.md 12).
    fn bereave(&self, shard: &str) {
        self.lock().places.bereave(shard);
        self.wake(Wake::All);
    }

    /// Whether `shard` has `camera`, or is about to have it.
    fn is_at(&self, camera: &str, shard: &str) -> bool {
        self.lock()
            .places
            .get(camera)
            .is_some_and(|place| place.is_at(shard))
    }
}

impl Inner {
    /// The shards of `pool` as places for `camera`.
    fn candidates(&self, camera: &str, pool: &str, capacity: usize) -> Vec<Candidate> {
        let shards = self.shards.values().filter(|shard| shard.pool == pool);
        shards
            .map(|shard| Candidate {
                name: shard.name.clone(),
                health: shard.health,
                leaving: self.leaving.contains(&shard.name),
                load: self.places.load(&shard.name, camera),
                capacity,
            })
            .collect()
    }
}

/// A camera on its way: made on the other shard before it is broken on this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The shard that it goes to.
    pub to: String,
    /// For how long it has been on its way.
    pub since: Duration,
    /// The shard that it leaves is to go: it leaves also when its picture does not come in time.
    pub must: bool,
}

impl Fleet {
    /// Where `camera` is going, if anywhere.
    pub fn on_its_way(&self, camera: &str) -> Option<Move> {
        let inner = self.lock();
        let place = inner.places.get(camera)?;
        let way = place.way.as_ref()?;
        Some(Move {
            to: way.to.clone(),
            since: way.since.elapsed(),
            must: inner.leaving.contains(place.shard.as_ref()),
        })
    }

    /// `camera` is where it was going: its paths on the shard that it leaves become strays.
    pub fn arrived(&self, camera: &str) {
        self.lock().places.change(camera, |place| {
            if let Some(way) = place.way.take() {
                tracing::info!(camera, from = &*place.shard, to = way.to, "camera_moved");
                *place = Place::on(&way.to, place.paths);
            }
        });
    }

    /// `camera` stays where it is: its picture did not come on the other shard.
    pub fn stays(&self, camera: &str) {
        self.lock().places.change(camera, |place| {
            place.way = None;
            place.stayed = Some(Instant::now());
        });
    }

    /// Sends `camera` to the shard `to`, and wakes it.
    fn send(&self, camera: &str, to: &str) {
        let sent = self.lock().places.change(camera, |place| {
            place.way = Some(Box::new(places::Way {
                to: to.to_owned(),
                since: Instant::now(),
            }));
        });
        if let (true, Some((namespace, name))) = (sent, camera.split_once('/')) {
            self.wake(Wake::Camera(namespace.to_owned(), name.to_owned()));
        }
    }

    /// These shards of `pool` are to go or to be restarted, and no others of it. Nobody new is put there, and those who are there are
    /// moved.
    pub fn leave(&self, pool: &str, shards: &HashSet<String>) {
        let mut inner = self.lock();
        let of_pool: Vec<String> = inner
            .shards
            .values()
            .filter(|shard| shard.pool == pool)
            .map(|shard| shard.name.clone())
            .collect();
        for shard in of_pool {
            if shards.contains(&shard) {
                inner.leaving.insert(shard);
            } else {
                inner.leaving.remove(&shard);
                inner.held.remove(&shard);
            }
        }
    }
}

/// Where cameras are by their status.
fn placed(cameras: &Watch<Camera>) -> Places {
    let state = cameras.store().state();
    let places = state.iter().filter_map(|camera| {
        let shard = camera.status.as_ref()?.ingest.as_ref()?.shard.clone()?;
        let key = camera_key(&camera.namespace()?, &camera.name_any());
        let paths = crate::camera::paths_of(camera);
        Some((key, Place::on(&shard, paths)))
    });
    places.collect()
}

/// Chooses for a camera whose shard has lost its pod: another shard, and the same only when no other has room.
fn rehome(camera: &str, current: Option<&str>, paths: usize, candidates: &[Candidate]) -> Choice {
    let (same, others): (Vec<Candidate>, Vec<Candidate>) = candidates
        .iter()
        .cloned()
        .partition(|shard| current == Some(shard.name.as_str()));
    match choose(camera, None, paths, &others) {
        Choice::On(shard) => Choice::On(shard),
        Choice::Waits(_) | Choice::Nowhere => choose(camera, current, paths, &same),
    }
}

/// Key of a camera in the fleet.
pub fn camera_key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// The path of a camera's stream: `main` or `sub` (design.md §5).
pub fn path_name(namespace: &str, name: &str, stream: &str) -> String {
    format!("{namespace}/{name}/{stream}")
}

/// The camera of a path; none when it is not one of ours.
pub fn camera_of(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(name), Some("main" | "sub"), None) => Some((namespace, name)),
        _ => None,
    }
}

/// A wake as the reference that a controller queues; none for [`Wake::All`].
pub fn reference(wake: &Wake) -> Option<ObjectRef<Camera>> {
    match wake {
        Wake::Camera(namespace, name) => Some(ObjectRef::new(name).within(namespace)),
        Wake::All => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_back_to_their_camera() {
        assert_eq!(
            camera_of(&path_name("police", "szr-12", "main")),
            Some(("police", "szr-12"))
        );
        for foreign in ["police", "police/a", "police/a/other", "police/a/main/b", ""] {
            assert_eq!(camera_of(foreign), None, "{foreign}");
        }
    }

    fn fleet(capacity_each: usize, shards: usize) -> (Fleet, usize) {
        let fleet = Fleet::default();
        for n in 0..shards {
            let name = format!("ingest-default-{n}");
            fleet.lock().shards.insert(
                name.clone(),
                Shard {
                    name,
                    pool: "default".into(),
                    health: Health::Usable,
                    client: None,
                    reader: None,
                    seen: Arc::default(),
                },
            );
        }
        (fleet, capacity_each)
    }

    #[test]
    fn the_last_place_is_given_once() {
        let (fleet, capacity) = fleet(2, 2);
        let placed = (0..10).filter(|n| {
            matches!(
                fleet.place(&format!("a/{n}"), "default", None, 1, capacity),
                Choice::On(_)
            )
        });
        assert_eq!(placed.count(), 4);
        fleet.withdraw("a/0");
        assert!(matches!(
            fleet.place("a/new", "default", None, 1, capacity),
            Choice::On(_)
        ));
    }

    #[test]
    fn what_status_recorded_is_kept_after_a_restart_of_the_operator() {
        let (fleet, capacity) = fleet(100, 4);
        for n in 0..20 {
            let recorded = "ingest-default-3";
            assert_eq!(
                fleet.place(&format!("a/{n}"), "default", Some(recorded), 1, capacity),
                Choice::On(recorded.into())
            );
        }
    }

    #[test]
    fn a_killed_pod_s_cameras_go_elsewhere_even_if_the_next_pod_is_quicker() {
        let (fleet, capacity) = fleet(100, 3);
        let place = |n: u32| fleet.place(&format!("a/{n}"), "default", None, 1, capacity);
        let before: Vec<Choice> = (0..30).map(place).collect();
        let dead = Choice::On("ingest-default-1".into());
        assert!(before.contains(&dead));
        // All shards answer again before the first camera is looked at.
        fleet.bereave("ingest-default-1");
        let after: Vec<Choice> = (0..30).map(place).collect();
        assert!(!after.contains(&dead), "{after:?}");
        for (was, is) in before.iter().zip(&after) {
            assert!(was == is || *was == dead, "moved without need: {was:?} to {is:?}");
        }
        assert_eq!((0..30).map(place).collect::<Vec<_>>(), after, "moved once");
    }

    #[test]
    fn a_killed_pod_s_cameras_stay_when_there_is_no_other_room() {
        let (fleet, capacity) = fleet(100, 1);
        let only = Choice::On("ingest-default-0".into());
        assert_eq!(fleet.place("a/b", "default", None, 1, capacity), only);
        fleet.bereave("ingest-default-0");
        assert_eq!(fleet.place("a/b", "default", None, 1, capacity), only);
    }

    #[test]
    fn a_camera_on_its_way_is_on_both_shards_until_it_has_arrived() {
        let (fleet, capacity) = fleet(1, 2);
        let place = |camera: &str| fleet.place(camera, "default", Some("ingest-default-0"), 1, capacity);
        let (old, new) = ("ingest-default-0", "ingest-default-1");
        assert_eq!(place("a/b"), Choice::On(old.into()));
        fleet.send("a/b", new);
        assert_eq!(
            place("a/b"),
            Choice::On(old.into()),
            "it is shown from where it was"
        );
        assert_eq!(
            fleet.on_its_way("a/b").map(|way| (way.to, way.must)),
            Some((new.into(), false))
        );
        assert!(
            fleet.is_at("a/b", old) && fleet.is_at("a/b", new),
            "no path of it is a stray"
        );
        let late = fleet.place("a/late", "default", None, 1, capacity);
        assert_eq!(late, Choice::Nowhere, "its place is kept");
        fleet.arrived("a/b");
        assert_eq!(place("a/b"), Choice::On(new.into()));
        assert!(!fleet.is_at("a/b", old));
        fleet.send("a/b", old);
        fleet.stays("a/b");
        assert_eq!(
            (place("a/b"), fleet.on_its_way("a/b")),
            (Choice::On(new.into()), None)
        );
        assert!(!fleet.is_at("a/b", old));
    }

    #[test]
    fn another_pool_s_shards_are_no_candidates() {
        let (fleet, capacity) = fleet(100, 1);
        assert_eq!(fleet.place("a/b", "other", None, 1, capacity), Choice::Nowhere);
    }
}
