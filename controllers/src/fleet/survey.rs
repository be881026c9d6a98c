//! The look over whole pools: who is moved next, and what the pools' controller must know to let a shard go.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt;
use marsad_crds::{Camera, IngestPool};
use marsad_runtime::watch::Watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::moves::{Loaded, Movable, plan};
use super::{Fleet, Health, Held, Inner, path_name};

/// Time between looks.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two moves for balance: a shard of a hundred cameras that came back is full again after a quarter of an hour.
const BALANCE: Duration = Duration::from_secs(10);
/// A camera that could not be moved is left alone for so long.
const STAYED: Duration = Duration::from_secs(60);
/// Time between two lines that say how far a start has come.
const PROGRESS: Duration = Duration::from_secs(5);

/// A pool as its controller must know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolSurvey {
    /// Its shards, by name.
    pub shards: BTreeMap<String, ShardSurvey>,
    /// Should one shard be lost, its cameras fit into the others.
    pub headroom: bool,
}

/// A shard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardSurvey {
    /// Its MediaMTX answers.
    pub serves: bool,
    /// It has not answered for so long that its cameras are given away.
    pub lost: bool,
    /// No camera is there.
    pub empty: bool,
    /// It is to go, and there is no room for its cameras elsewhere.
    pub stuck: bool,
    /// What it has recorded; known of an empty one that is to go.
    pub held: Held,
}

/// Looks over all pools, until `stop`.
pub async fn survey(fleet: Fleet, pools: Watch<IngestPool>, cameras: Watch<Camera>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut balanced, mut told) = (Instant::now(), (Instant::now(), 0));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = Instant::now();
        let balance = now.duration_since(balanced) >= BALANCE;
        if balance {
            balanced = now;
        }
        for pool in pools.store().state() {
            let capacity = usize::try_from(pool.spec.cameras_per_replica).unwrap_or(0);
            let replicas = usize::try_from(pool.spec.replicas).unwrap_or(0);
            fleet.look_over(&pool.name_any(), replicas, capacity, balance, now);
        }
        if now.duration_since(told.0) >= PROGRESS {
            let assigned = fleet.lock().places.len();
            // A start, or many new cameras: one by one they are told of in their own status.
            if assigned > told.1 + 10 {
                tracing::info!(assigned, cameras = cameras.store().len(), "cameras_assigned");
            }
            told = (now, assigned);
        }
    }
}

impl Fleet {
    /// What the last look at `pool` found; none before the first.
    pub fn survey_of(&self, pool: &str) -> Option<PoolSurvey> {
        self.lock().surveys.get(pool).cloned()
    }

    /// Names of pools whose survey says something else than before.
    pub fn surveyed(&self) -> tokio::sync::broadcast::Receiver<String> {
        self.surveyed.subscribe()
    }

    /// Paths that each shard has been given.
    pub(crate) fn loads(&self) -> Vec<(String, usize)> {
        let inner = self.lock();
        let shards = inner.shards.keys();
        shards
            .map(|shard| (shard.clone(), inner.places.of(shard)))
            .collect()
    }

    fn look_over(&self, pool: &str, replicas: usize, capacity: usize, balance: bool, now: Instant) {
        let inner = self.lock();
        let shards = inner.candidates("", pool, capacity);
        let given: usize = shards.iter().map(|shard| shard.load).sum();
        // Asking every camera costs: only when somebody may have to move.
        let anybody = shards.iter().any(|shard| shard.leaving && shard.load > 0);
        let moves = if anybody || balance {
            plan(inner.loaded(pool, capacity, now), balance)
        } else {
            super::moves::Moves::default()
        };
        let survey = PoolSurvey {
            headroom: given <= replicas.saturating_sub(1).saturating_mul(capacity),
            shards: shards
                .into_iter()
                .map(|shard| {
                    let found = ShardSurvey {
                        serves: shard.health == Health::Usable,
                        lost: shard.health == Health::Lost,
                        empty: shard.load == 0,
                        stuck: moves.stuck.contains(&shard.name),
                        held: inner
                            .held
                            .get(&shard.name)
                            .copied()
                            .unwrap_or_default()
                            .at(Timestamp::now()),
                    };
                    (shard.name, found)
                })
                .collect(),
        };
        drop(inner);
        for (camera, to) in &moves.begin {
            self.send(camera, to);
        }
        let before = self.lock().surveys.insert(pool.to_owned(), survey.clone());
        if before.as_ref() != Some(&survey) {
            // Nobody listens before the controllers run: they look themselves then.
            let _ = self.surveyed.send(pool.to_owned());
        }
    }
}

impl Inner {
    /// The shards of `pool` with all who are on them.
    fn loaded(&self, pool: &str, capacity: usize, now: Instant) -> Vec<Loaded> {
        let mut cameras: HashMap<&str, Vec<Movable>> = HashMap::new();
        for (camera, place) in self.places.iter() {
            let Some(shard) = self
                .shards
                .get(place.shard.as_ref())
                .filter(|shard| shard.pool == pool)
            else {
                continue;
            };
            let config = camera
                .split_once('/')
                .and_then(|(namespace, name)| shard.seen.configs.get(&path_name(namespace, name, "main")));
            cameras.entry(&place.shard).or_default().push(Movable {
                camera: camera.to_owned(),
                paths: place.paths,
                moving: place.way.is_some(),
                in_use: config.is_some_and(|config| config.record || !config.forward.is_empty()),
                stayed: place.stayed.is_some_and(|at| now.duration_since(at) < STAYED),
            });
        }
        let shards = self.candidates("", pool, capacity).into_iter();
        shards
            .map(|place| Loaded {
                cameras: cameras.remove(place.name.as_str()).unwrap_or_default(),
                place,
            })
            .collect()
    }
}
