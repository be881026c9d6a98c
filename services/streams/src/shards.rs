//! The shards: where each MediaMTX is, whether it answers, and which life of it this is. Every shard is asked for its
//! start time once a second: a restart, which forgets all forwards, is seen within that, and the connection stays warm
//! for the first viewer. Last pictures are read from its RTSP server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use marsad_mediamtx::{Client, Error};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::standing::Shard;

const POLL: Duration = Duration::from_secs(1);
const POLL_DEADLINE: Duration = Duration::from_secs(2);
/// A busy MediaMTX may miss one poll (writes cost it 0.1 ms a path each, whip-lab.md §5). One that refuses is gone at once.
const MISSES: u32 = 2;
/// Writes are serial inside MediaMTX: more at a time only make each slower (whip-lab.md §5).
const CALLS_AT_ONCE: usize = 4;

/// A shard's API, for calls.
#[derive(Debug, Clone)]
pub struct Api {
    /// The client.
    pub client: Client,
    /// Which life of the shard: milliseconds since 1970 of MediaMTX's start. Pods of a set start in the same second.
    pub epoch: u64,
    /// Bounds calls.
    pub calls: Arc<Semaphore>,
}

/// A shard's RTSP server, for reading.
#[derive(Debug, Clone)]
pub struct Rtsp {
    /// Such as `rtsp://10.1.2.3:8554`; a path follows.
    pub base: String,
    /// May read every path.
    pub reader: marsad_rtsp::Credentials,
}

struct Entry {
    client: Client,
    rtsp: Option<Rtsp>,
    calls: Arc<Semaphore>,
    epoch: Option<u64>,
    refused: bool,
    _poll: AbortOnDropHandle<()>,
}

/// All shards that are known. Cheap to clone.
#[derive(Clone)]
pub struct Shards {
    entries: Arc<Mutex<HashMap<String, Entry>>>,
    changed: watch::Sender<()>,
}

impl Default for Shards {
    fn default() -> Self {
        Self {
            entries: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Shards {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard answers to `client` now, and is read from at `rtsp` where that is known. Replaces what was known under its name.
    pub fn put(&self, name: &str, client: Client, rtsp: Option<Rtsp>) {
        let calls = Arc::new(Semaphore::new(CALLS_AT_ONCE));
        let poll = tokio::spawn(self.clone().poll(name.to_owned(), client.clone(), calls.clone()));
        let entry = Entry {
            client,
            rtsp,
            calls,
            epoch: None,
            refused: false,
            _poll: AbortOnDropHandle::new(poll),
        };
        self.entries().insert(name.to_owned(), entry);
        self.changed.send_replace(());
    }

    /// The shard is gone.
    pub fn remove(&self, name: &str) {
        if self.entries().remove(name).is_some() {
            tracing::info!(shard = name, "shard_gone");
            self.changed.send_replace(());
        }
    }

    /// What is known of a shard.
    pub fn state(&self, name: &str) -> Shard {
        match self.entries().get(name) {
            None => Shard::Unknown,
            Some(entry) => entry.epoch.map_or(Shard::Silent, Shard::Up),
        }
    }

    /// The API of a shard that answers.
    pub fn api(&self, name: &str) -> Option<Api> {
        let entries = self.entries();
        let entry = entries.get(name)?;
        Some(Api {
            client: entry.client.clone(),
            epoch: entry.epoch?,
            calls: entry.calls.clone(),
        })
    }

    /// Where a shard that answers is read from.
    pub fn rtsp(&self, name: &str) -> Option<Rtsp> {
        let entries = self.entries();
        let entry = entries.get(name)?;
        entry.epoch.and(entry.rtsp.clone())
    }

    /// Names of the shards that answer.
    pub fn up(&self) -> Vec<String> {
        self.entries()
            .iter()
            .filter(|(_, entry)| entry.epoch.is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether it refused the password at hand, or showed a certificate that we do not believe.
    pub fn is_refused(&self, name: &str) -> bool {
        self.entries().get(name).is_some_and(|entry| entry.refused)
    }

    /// Tells when a shard came, went, fell silent or began a new life.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Asks as long as the entry made with `calls` stands.
    async fn poll(self, name: String, client: Client, calls: Arc<Semaphore>) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut misses = 0;
        loop {
            ticks.tick().await;
            let answer = match tokio::time::timeout(POLL_DEADLINE, client.info()).await {
                Ok(Ok(info)) => Answer::Life(epoch_of(&info.started)),
                Ok(Err(Error::Unauthorized | Error::Untrusted(_))) => Answer::NotMine,
                Ok(Err(Error::Unreachable(why))) if why.contains("refused") => Answer::Refused,
                Ok(Err(_)) | Err(_) => Answer::Miss,
            };
            misses = if answer == Answer::Miss { misses + 1 } else { 0 };
            if answer != Answer::Miss || misses >= MISSES {
                self.note(&name, &calls, answer);
            }
        }
    }

    fn note(&self, name: &str, calls: &Arc<Semaphore>, answer: Answer) {
        let mut entries = self.entries();
        let Some(entry) = entries
            .get_mut(name)
            .filter(|entry| Arc::ptr_eq(&entry.calls, calls))
        else {
            return;
        };
        entry.refused = answer == Answer::NotMine;
        let epoch = if let Answer::Life(epoch) = answer {
            epoch
        } else {
            None
        };
        if entry.epoch == epoch {
            return;
        }
        entry.epoch = epoch;
        drop(entries);
        match epoch {
            Some(epoch) => tracing::info!(shard = name, epoch, "shard_answers"),
            None => tracing::warn!(shard = name, ?answer, "shard_silent"),
        }
        self.changed.send_replace(());
    }
}

/// How a shard took a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Life(Option<u64>),
    /// The password or the certificate that we have of it is not right.
    NotMine,
    Refused,
    Miss,
}

/// The life that began at `started` (RFC 3339).
fn epoch_of(started: &str) -> Option<u64> {
    u64::try_from(started.parse::<Timestamp>().ok()?.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_told_by_the_millisecond() {
        let first = epoch_of("2026-11-23T06:43:25.515147188Z").unwrap();
        assert_eq!(first, 1_795_416_205_515);
        assert_ne!(epoch_of("2026-11-23T06:43:25.516147188Z"), Some(first));
        assert_eq!(epoch_of("yesterday"), None);
    }

    #[tokio::test]
    async fn a_shard_nobody_knows_is_not_a_silent_one() {
        let shards = Shards::default();
        assert_eq!(shards.state("ingest-default-0"), Shard::Unknown);
        let login = marsad_mediamtx::Credentials::new("a", "b");
        let client = Client::new("http://127.0.0.1:1", &login, None).unwrap();
        shards.put("ingest-default-0", client, None);
        assert_eq!(shards.state("ingest-default-0"), Shard::Silent);
        assert!(shards.api("ingest-default-0").is_none());
        shards.remove("ingest-default-0");
        assert_eq!(shards.state("ingest-default-0"), Shard::Unknown);
    }
}
