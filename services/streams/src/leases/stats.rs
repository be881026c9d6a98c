//! What is live, for people: read each second and after each change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use marsad_ledger::Source;
use marsad_ledger::request::StatsRead;
use serde::Serialize;
use tokio::sync::watch;

use super::Leases;
use crate::reconcile::now;

/// Figures older than this are not given out (R1.3-19).
pub const OLDEST: Duration = Duration::from_secs(30);

/// What one source, or all together, has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Live leases.
    pub current: u64,
    /// Most leases; none known yet: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// What one source has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceFigures {
    /// Its code.
    pub source: String,
    /// How much.
    #[serde(flatten)]
    pub figures: Figures,
    /// How many of its last free slots only urgent callers may take.
    pub urgent: u64,
}

/// All of it at a moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// When it was read, by the ledger's clock.
    pub at: Timestamp,
    /// All sources together.
    pub total: Figures,
    /// Each source, in the order of the quota.
    pub sources: Vec<SourceFigures>,
    /// Generation of the limits in force.
    pub generation: u64,
    /// In grace nothing new is granted.
    pub recovering: bool,
    #[serde(skip)]
    read: Instant,
}

impl Snapshot {
    /// What was read of these sources at `read`.
    pub fn new(sources: &[Source], stats: &StatsRead, read: Instant) -> Self {
        let at = i64::try_from(stats.at_ms).ok();
        let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Self {
            at: at.unwrap_or(Timestamp::UNIX_EPOCH),
            total: Figures {
                current: stats.total,
                limit: stats.total_limit,
            },
            sources: sources
                .iter()
                .zip(&stats.sources)
                .map(|(source, stats)| SourceFigures {
                    source: source.to_string(),
                    figures: Figures {
                        current: stats.count,
                        limit: stats.limit,
                    },
                    urgent: stats.urgent,
                })
                .collect(),
            generation: stats.generation,
            recovering: stats.head.grace_left_ms > 0,
            read,
        }
    }

    /// Whether it says the same, whenever it was read.
    pub fn says_what(&self, other: &Self) -> bool {
        self.total == other.total
            && self.sources == other.sources
            && self.generation == other.generation
            && self.recovering == other.recovering
    }

    /// Whether it is young enough to be given out.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read) <= OLDEST
    }
}

impl Leases {
    /// The last figures, if they are not too old to be told.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let last = self.stats.borrow().clone();
        last.filter(|snapshot| snapshot.is_fresh(now()))
    }

    /// Figures as they change.
    pub fn follow_stats(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.stats.subscribe()
    }
}
