//! The observer of one shard: polls its MediaMTX every second, judges its health and tells whose path changed.
//! What nobody wants there any more is its archive's business.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use marsad_crds::Camera;
use marsad_mediamtx::{self as mediamtx, Access, PathConfig};
use marsad_runtime::watch::Watch;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::patience::Patience;
use super::seen::ByName;
use super::{API_PORT, Fleet, Health, RTSP_PORT, Reader, Seen, Shard, Wake, camera_of};
use crate::ingest_pool::{access, child_name};

/// Time between polls. Two calls: 44 ms at 1,000 paths (research/whip-lab.md §5).
const POLL: Duration = Duration::from_secs(1);
/// Configured paths are listed anew after every restart, and this often besides, so that a path changed by hand is put back; the
/// list is 2.7 kB a path.
pub(super) const RELIST: Duration = Duration::from_secs(15);
/// When more paths than these were written since the last poll, the whole list is read instead of each.
const MANY: usize = 16;

/// The pod that bears a shard's name now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) uid: String,
    pub(super) address: IpAddr,
}

pub(super) struct Observer {
    fleet: Fleet,
    client: Client,
    namespace: String,
    name: String,
    pool: String,
    target: watch::Receiver<Option<Target>>,
    connection: Option<(Target, mediamtx::Client)>,
    answered: Option<Instant>,
    silent_since: Instant,
    listed: Option<Instant>,
    /// [`RELIST`], a little shorter for each: the lists are long, and not all shards' are read in one second.
    relist: Duration,
    patience: Patience,
    /// Given up: when its MediaMTX had started.
    lost: Option<String>,
}

/// A poll gave nothing.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error("its pod has no address")]
    NoAddress,
    #[error("Secret {0} of its pool can't be read: {1}")]
    Secret(String, String),
    #[error(transparent)]
    MediaMtx(#[from] mediamtx::Error),
}

impl Observer {
    pub(super) fn new(
        fleet: Fleet,
        client: Client,
        namespace: String,
        name: String,
        pool: String,
        target: watch::Receiver<Option<Target>>,
    ) -> Self {
        fleet.announce(Shard {
            name: name.clone(),
            pool: pool.clone(),
            health: Health::Wavering,
            client: None,
            reader: None,
            seen: Arc::default(),
        });
        let silent_since = Instant::now();
        Self {
            fleet,
            client,
            namespace,
            name,
            pool,
            target,
            connection: None,
            answered: None,
            silent_since,
            listed: None,
            relist: RELIST.mul_f64(1.0 - rand::random::<f64>() / 5.0),
            patience: Patience::default(),
            lost: None,
        }
    }

    /// Runs until dropped.
    pub(super) async fn run(mut self) {
        // Asked at once, and then not at the same moment as a hundred others: their answers would be in memory together.
        self.target.mark_changed();
        let first = tokio::time::Instant::now() + POLL.mul_f64(rand::random());
        let mut tick = tokio::time::interval_at(first, POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                // A new pod under the name is asked at once: every second counts for its cameras.
                Ok(()) = self.target.changed() => {}
            }
            match self.poll().await {
                Ok(()) => self.answered(),
                Err(error) => self.silent(&error),
            }
            self.fleet.was_asked(&self.name);
        }
    }

    async fn poll(&mut self) -> Result<(), PollError> {
        let target = self
            .target
            .borrow_and_update()
            .clone()
            .ok_or(PollError::NoAddress)?;
        let client = self.connect(target).await?;
        let info = client.info().await?;
        let before = self.fleet.seen(&self.name);
        let now = Instant::now();
        let stale = self
            .listed
            .is_none_or(|listed| now.duration_since(listed) >= self.relist);
        let written = self.fleet.take_written(&self.name);
        // Should what follows fail, what was written is found in the whole list.
        let listed = self.listed.take();
        let configs = if info.started != before.started || stale || written.len() > MANY {
            let list = client.list_path_configs().await?;
            self.listed = Some(now);
            Arc::new(list.into_iter().collect())
        } else {
            let configs = if written.is_empty() {
                before.configs.clone()
            } else {
                Arc::new(read_anew(&client, &before.configs, written).await?)
            };
            self.listed = listed;
            configs
        };
        let states = client.list_paths().await?;
        let next = before.next(info.started, configs, states, now);
        let news = before.news(&next);
        let restarted = !before.started.is_empty() && before.started != next.started;
        if restarted {
            tracing::warn!(shard = self.name, started = next.started, "mediamtx_restarted");
        }
        self.fleet.saw(&self.name, next);
        for path in news {
            if let Some((namespace, name)) = camera_of(&path) {
                self.fleet
                    .wake(Wake::Camera(namespace.to_owned(), name.to_owned()));
            }
        }
        Ok(())
    }

    async fn connect(&mut self, target: Target) -> Result<mediamtx::Client, PollError> {
        if let Some((known, client)) = &self.connection
            && *known == target
        {
            return Ok(client.clone());
        }
        let name = child_name(&self.pool);
        let unreadable = |why: String| PollError::Secret(name.clone(), why);
        let secret = Api::<Secret>::namespaced(self.client.clone(), &self.namespace)
            .get(&name)
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        let Access { logins, trust } =
            access(&secret, &name, &self.namespace).map_err(|missing| unreadable(missing.to_string()))?;
        let base = format!("https://{}", SocketAddr::new(target.address, API_PORT));
        let client = mediamtx::Client::new(&base, &logins.api(&self.name), Some(&trust))?;
        let reader = Reader {
            address: SocketAddr::new(target.address, RTSP_PORT).to_string(),
            credentials: logins.reader,
        };
        self.fleet.connected(&self.name, client.clone(), reader);
        self.connection = Some((target, client.clone()));
        self.listed = None;
        Ok(client)
    }

    fn answered(&mut self) {
        let now = Instant::now();
        self.answered = Some(now);
        if let Some(started) = self.lost.take()
            && started == self.fleet.seen(&self.name).started
        {
            self.patience.false_alarm(now);
            let next = self.patience.lasts(1, 1, now);
            tracing::warn!(
                shard = self.name,
                patience_s = next.as_secs(),
                "shard_was_only_slow"
            );
        }
        if self.fleet.judge(&self.name, Health::Usable) {
            tracing::info!(shard = self.name, "shard_usable");
            self.fleet.wake(Wake::All);
        }
    }

    fn silent(&mut self, error: &PollError) {
        let now = Instant::now();
        if let Some(answered) = self.answered.take() {
            self.silent_since = answered;
            self.connection = None;
        }
        if matches!(error, PollError::NoAddress) {
            self.connection = None;
            self.fleet.disconnected(&self.name);
        }
        let (silent, all) = self.fleet.silence(&self.pool, &self.name);
        let patience = self.patience.lasts(silent, all, now);
        let health = if now.duration_since(self.silent_since) >= patience {
            Health::Lost
        } else {
            Health::Wavering
        };
        if self.fleet.judge(&self.name, health) {
            tracing::warn!(
                shard = self.name,
                ?health,
                error = error as &dyn std::error::Error,
                "shard_silent"
            );
            self.fleet.wake(Wake::All);
            if health == Health::Lost {
                let started = self.fleet.seen(&self.name).started.clone();
                self.lost = Some(started).filter(|started| !started.is_empty());
            }
        }
        if matches!(
            error,
            PollError::MediaMtx(mediamtx::Error::Unauthorized | mediamtx::Error::Untrusted(_))
        ) {
            // The pool's Secret was made anew, or its authority renewed: read it again.
            self.connection = None;
        }
    }
}

impl Fleet {
    fn announce(&self, shard: Shard) {
        self.lock().shards.entry(shard.name.clone()).or_insert(shard);
    }

    /// These are there at the start.
    pub(super) fn expect(&self, shards: HashSet<String>) {
        self.unasked.send_replace(Some(shards));
    }

    fn was_asked(&self, shard: &str) {
        self.unasked
            .send_if_modified(|unasked| unasked.as_mut().is_some_and(|unasked| unasked.remove(shard)));
    }

    fn seen(&self, shard: &str) -> Arc<Seen> {
        self.lock()
            .shards
            .get(shard)
            .map(|shard| shard.seen.clone())
            .unwrap_or_default()
    }

    fn saw(&self, shard: &str, seen: Seen) {
        if let Some(shard) = self.lock().shards.get_mut(shard) {
            shard.seen = Arc::new(seen);
        }
    }

    fn connected(&self, shard: &str, client: mediamtx::Client, reader: Reader) {
        if let Some(shard) = self.lock().shards.get_mut(shard) {
            shard.client = Some(client);
            shard.reader = Some(reader);
        }
    }

    /// Its pod has no address.
    fn disconnected(&self, shard: &str) {
        if let Some(shard) = self.lock().shards.get_mut(shard) {
            (shard.client, shard.reader) = (None, None);
        }
    }

    /// How many shards of `pool` that have a pod do not answer, `shard` among them, and how many there are.
    fn silence(&self, pool: &str, shard: &str) -> (usize, usize) {
        let inner = self.lock();
        let of_pool = inner
            .shards
            .values()
            .filter(|other| other.pool == pool && other.client.is_some());
        of_pool.fold((0, 0), |(silent, all), other| {
            let quiet = other.name == shard || other.health != Health::Usable;
            (silent + usize::from(quiet), all + 1)
        })
    }

    /// Sets a shard's health; true when it is news.
    fn judge(&self, shard: &str, health: Health) -> bool {
        self.lock()
            .shards
            .get_mut(shard)
            .is_some_and(|shard| std::mem::replace(&mut shard.health, health) != health)
    }

    /// Says that a path of the shard was written: it is read anew at the next poll.
    pub fn written(&self, shard: &str, path: &str) {
        let mut inner = self.lock();
        let paths = inner.written.entry(shard.to_owned()).or_default();
        paths.insert(path.to_owned());
    }

    fn take_written(&self, shard: &str) -> HashSet<String> {
        self.lock().written.remove(shard).unwrap_or_default()
    }

    /// Forgets where cameras were that are gone. Their paths go with the next poll; this is for those that never had one.
    pub(super) fn forget_absent(&self, cameras: &Watch<Camera>) {
        self.lock().places.retain(|camera| is_known(cameras, camera));
    }
}

/// Whether `camera` (namespace/name) is there.
pub(super) fn is_known(cameras: &Watch<Camera>, camera: &str) -> bool {
    camera
        .split_once('/')
        .is_some_and(|(namespace, name)| cameras.get(Some(namespace), name).is_some())
}

async fn read_anew(
    client: &mediamtx::Client,
    before: &ByName<PathConfig>,
    written: HashSet<String>,
) -> Result<ByName<PathConfig>, mediamtx::Error> {
    let mut anew = Vec::new();
    for path in &written {
        anew.extend(client.get_path_config(path).await?);
    }
    let others = before.iter().filter(|config| !written.contains(&config.name));
    Ok(others.cloned().chain(anew).collect())
}
