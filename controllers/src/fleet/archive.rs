//! Recordings of cameras that are on a shard no more: moved, suspended or deleted. MediaMTX shows and removes files of paths in its
//! configuration only, so that such a path stays there, at rest, until its files are past their retention.
//!
//! A MediaMTX that was restarted has forgotten those paths. What a camera asked for is in its spec and is told again; of one that is
//! gone nobody knows it, and [`mediamtx::ORPHANS`] holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use marsad_crds::Camera;
use marsad_mediamtx as mediamtx;
use marsad_runtime::watch::Watch;
use tokio::time::MissedTickBehavior;

use super::observe::is_known;
use super::stray::strays;
use super::{Fleet, Health, Seen, camera_key, camera_of};

/// Time between looks at what the observer has seen.
const LOOK: Duration = Duration::from_secs(1);
/// Time between looks at a path that is kept: MediaMTX itself looks for old files every half hour at most.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// Time between looks at what a shard holds that is to go: each walks its whole volume.
const HELD: Duration = Duration::from_secs(60);

/// What a shard holds that would be out of reach without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    /// It has not been asked, or does not answer.
    #[default]
    Unknown,
    /// No recording, or only such as are past their retention.
    Nothing,
    /// Recordings, the last of which is removed then.
    Until(Timestamp),
}

impl Held {
    /// The same at `now`: a shard that has fallen silent is not waited for longer than for what it said it has.
    pub(super) fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Until(end) if end <= now => Self::Nothing,
            held => held,
        }
    }
}

/// Looks after the paths of one shard that no camera of it wants. Beside the observer, not in it: walking a slow volume is no silence.
pub(super) struct Archive {
    fleet: Fleet,
    cameras: Watch<Camera>,
    /// The shard.
    name: String,
    /// Start of the MediaMTX that has been told of the paths that it must keep.
    told: String,
    /// Paths with recordings whose cameras are not here, and when they were looked at.
    kept: HashMap<String, Instant>,
    /// When the shard was last asked for all that it has recorded.
    asked: Option<Instant>,
}

impl Archive {
    pub(super) fn new(fleet: Fleet, cameras: Watch<Camera>, name: String) -> Self {
        Self {
            fleet,
            cameras,
            name,
            told: String::new(),
            kept: HashMap::new(),
            asked: None,
        }
    }

    /// Runs until dropped.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            tick.tick().await;
            let Some(shard) = self.fleet.shard(&self.name) else {
                continue;
            };
            let (Some(client), Health::Usable, Some(fence)) =
                (shard.client, shard.health, self.fleet.fence())
            else {
                continue;
            };
            // What is left undone is done when another term begins, if then nobody wants the paths.
            let tidied = fence
                .guard(self.tidy(&client, &shard.seen))
                .await
                .unwrap_or(Ok(()));
            if let Err(error) = &tidied
                && !failed
            {
                tracing::warn!(
                    shard = self.name,
                    error = error as &dyn std::error::Error,
                    "recordings_not_looked_after"
                );
            }
            failed = tidied.is_err();
        }
    }

    /// Removes paths that nobody wants, keeps those that have recordings, and asks a shard that is to go what it holds.
    async fn tidy(&mut self, client: &mediamtx::Client, seen: &Arc<Seen>) -> Result<(), mediamtx::Error> {
        if self.told != seen.started {
            self.remind(client, seen).await?;
            self.told.clone_from(&seen.started);
        }
        let strays = strays(seen.configs.names(), |camera| {
            is_known(&self.cameras, camera) && self.fleet.is_at(camera, &self.name)
        });
        self.kept.retain(|path, _| seen.configs.contains(path));
        for path in strays {
            self.put_away(client, seen, path).await?;
        }
        self.weigh(client, seen).await
    }

    /// Tells a MediaMTX that has just started, or that this process has not looked after before, which recordings of cameras that
    /// are elsewhere now it must keep, and for how long.
    async fn remind(&self, client: &mediamtx::Client, seen: &Seen) -> Result<(), mediamtx::Error> {
        for recording in client.list_recordings().await? {
            let path = recording.name;
            let Some(retention) = self.asked_for(&path).filter(|_| !seen.configs.contains(&path)) else {
                continue;
            };
            let conf = mediamtx::PathConf::kept(retention);
            match client.add_path(&path, &conf).await {
                // The camera comes back to this shard at this very moment.
                Err(mediamtx::Error::AlreadyExists) => {}
                answer => answer?,
            }
            self.fleet.written(&self.name, &path);
            tracing::info!(shard = self.name, path, "path_kept");
        }
        Ok(())
    }

    /// The retention that the camera of `path` asks for, when it is there and on another shard.
    fn asked_for(&self, path: &str) -> Option<String> {
        let (namespace, name) = camera_of(path)?;
        let camera = self.cameras.get(Some(namespace), name)?;
        let elsewhere = !self.fleet.is_at(&camera_key(namespace, name), &self.name);
        let recording = camera.spec.recording.as_ref().filter(|_| elsewhere)?;
        Some(recording.retention.clone())
    }

    async fn put_away(
        &mut self,
        client: &mediamtx::Client,
        seen: &Seen,
        path: String,
    ) -> Result<(), mediamtx::Error> {
        let looked = self.kept.get(&path);
        if looked.is_some_and(|looked| looked.elapsed() < KEPT) {
            return Ok(());
        }
        let Some(config) = seen.configs.get(&path) else {
            return Ok(());
        };
        if client.get_recording(&path).await?.latest().is_none() {
            client.delete_path(&path).await?;
            self.kept.remove(&path);
            tracing::info!(shard = self.name, path, "path_removed");
        } else {
            let rest = mediamtx::PathConf::kept(config.record_delete_after.clone());
            if let Some(patch) = mediamtx::diff(config, &rest) {
                client.patch_path(&path, &patch).await?;
                tracing::info!(shard = self.name, path, "path_kept");
            }
            // `streams` looks at the camera's own shard only; a path that was removed took its forwards along.
            if !config.forward.is_empty() {
                client.patch_forward(&path, Vec::new()).await?;
            }
            self.kept.insert(path.clone(), Instant::now());
        }
        self.fleet.written(&self.name, &path);
        Ok(())
    }

    /// Asks a shard that is to go, and that no camera is on any more, what it holds.
    async fn weigh(&mut self, client: &mediamtx::Client, seen: &Seen) -> Result<(), mediamtx::Error> {
        if !self.fleet.is_left(&self.name) {
            self.asked = None;
            return Ok(());
        }
        if self.asked.is_some_and(|asked| asked.elapsed() < HELD) {
            return Ok(());
        }
        let recordings = client.list_recordings().await?;
        self.fleet
            .holds(&self.name, held(&recordings, seen, Timestamp::now()));
        self.asked = Some(Instant::now());
        Ok(())
    }
}

/// What `recordings` are worth keeping a shard for. MediaMTX removes a file when its path's retention has passed since the file's
/// beginning; one that it has not come to yet holds up nobody.
fn held(recordings: &[mediamtx::Recording], seen: &Seen, now: Timestamp) -> Held {
    let ends = recordings.iter().filter_map(|recording| {
        let config = seen.configs.get(&recording.name);
        let retention = config.and_then(mediamtx::PathConfig::retention);
        let retention = SignedDuration::try_from(retention.unwrap_or(mediamtx::ORPHANS)).ok();
        let end = recording
            .latest()?
            .saturating_add(retention.unwrap_or(SignedDuration::MAX));
        // Whole seconds, for people.
        Timestamp::from_second(end.ok()?.as_second()).ok()
    });
    match ends.max().filter(|end| *end > now) {
        Some(end) => Held::Until(end),
        None => Held::Nothing,
    }
}

impl Fleet {
    /// Whether `shard` is to go and nobody is there any more.
    fn is_left(&self, shard: &str) -> bool {
        let inner = self.lock();
        inner.leaving.contains(shard) && inner.places.of(shard) == 0
    }

    /// Says what a shard holds, unless it stays after all.
    fn holds(&self, shard: &str, held: Held) {
        let mut inner = self.lock();
        if inner.leaving.contains(shard) {
            inner.held.insert(shard.to_owned(), held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Place, Shard};
    use std::collections::HashSet;

    fn a_shard(name: &str) -> Shard {
        Shard {
            name: name.into(),
            pool: "default".into(),
            health: Health::Usable,
            client: None,
            reader: None,
            seen: Arc::default(),
        }
    }

    fn recording(path: &str, starts: &[&str]) -> mediamtx::Recording {
        let segments: Vec<_> = starts
            .iter()
            .map(|start| serde_json::json!({"start": start}))
            .collect();
        serde_json::from_value(serde_json::json!({"name": path, "segments": segments})).unwrap()
    }

    #[test]
    fn a_shard_holds_recordings_until_the_last_is_past_its_path_s_retention() {
        let config = mediamtx::PathConfig {
            name: "police/a/main".into(),
            record_delete_after: "1d2h".into(),
            ..mediamtx::PathConfig::default()
        };
        let seen = Seen {
            configs: Arc::new([config].into_iter().collect()),
            ..Seen::default()
        };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let known = [
            recording(
                "police/a/main",
                &["2026-11-25T10:00:00.7Z", "2026-11-25T12:00:00.7Z"],
            ),
            recording("police/b/main", &[]),
        ];
        let end = at("2026-11-26T14:00:00Z");
        assert_eq!(held(&known, &seen, at("2026-11-26T13:59:59Z")), Held::Until(end));
        assert_eq!(
            held(&known, &seen, end),
            Held::Nothing,
            "not removed yet, and nobody's any more"
        );
        assert_eq!(held(&[], &seen, end), Held::Nothing);
        assert_eq!(Held::Until(end).at(end), Held::Nothing);
        assert_eq!(Held::Unknown.at(end), Held::Unknown);
        let forgotten = [recording("police/gone/main", &["2026-11-25T00:00:00Z"])];
        assert_eq!(
            held(&forgotten, &seen, end),
            Held::Until(at("2026-12-26T00:00:00Z")),
            "31 days: nobody knows what its camera asked for"
        );
    }

    #[test]
    fn a_shard_is_left_when_it_is_to_go_and_the_last_camera_has_gone() {
        let fleet = Fleet::default();
        let shard = "ingest-default-0";
        fleet.lock().places.insert("a/b".into(), Place::on(shard, 1));
        assert!(!fleet.is_left(shard));
        fleet.lock().leaving.insert(shard.into());
        assert!(!fleet.is_left(shard));
        fleet.withdraw("a/b");
        assert!(fleet.is_left(shard));
        fleet.holds(shard, Held::Nothing);
        assert_eq!(fleet.lock().held.get(shard), Some(&Held::Nothing));
        fleet.lock().shards.insert(shard.into(), a_shard(shard));
        fleet.leave("default", &HashSet::new());
        fleet.holds(shard, Held::Nothing);
        assert!(fleet.lock().held.is_empty(), "it stays, and may record again");
    }
}
