//! Metrics of the role. Labels are bounded: outcomes and reasons.

use std::time::{Duration, Instant};

use marsad_crds::Reason;
use marsad_runtime::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::demand::Demand;
use crate::publisher::PublishError;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    reason: &'static str,
}

/// What the role counts.
#[derive(Debug, Clone)]
pub struct StreamsMetrics {
    leases: Gauge,
    cameras: Gauge,
    ensures: Family<Outcome, Counter>,
    told: Family<Told, Counter>,
    reserve: Family<Outcome, Histogram, fn() -> Histogram>,
    panics: Counter,
}

/// Seconds; the aim is under 20 ms over the call to MediaMTX.
const RESERVE_BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];

impl StreamsMetrics {
    /// Registers all.
    pub fn new(metrics: &Metrics) -> Self {
        let reserve: fn() -> Histogram = || Histogram::new(RESERVE_BUCKETS);
        Self {
            leases: metrics.register(
                "marsad_streams_leases",
                "Live leases of this process",
                Gauge::default(),
            ),
            cameras: metrics.register(
                "marsad_streams_cameras_watched",
                "Cameras with a live lease",
                Gauge::default(),
            ),
            ensures: metrics.register(
                "marsad_streams_publications",
                "Tries to publish a camera",
                Family::default(),
            ),
            told: metrics.register(
                "marsad_streams_publishing_told",
                "Writes of condition Publishing",
                Family::default(),
            ),
            reserve: metrics.register(
                "marsad_streams_reserve_seconds",
                "Time to answer a reservation",
                Family::new_with_constructor(reserve),
            ),
            panics: metrics.register(
                "marsad_streams_task_panics",
                "Panics of a camera's task",
                Counter::default(),
            ),
        }
    }

    /// The leases as they are.
    pub fn leases(&self, demand: &Demand, now: Instant) {
        let (leases, cameras) = demand.totals(now);
        self.leases.set(i64::try_from(leases).unwrap_or(i64::MAX));
        self.cameras.set(i64::try_from(cameras).unwrap_or(i64::MAX));
    }

    /// A try to publish.
    pub fn ensured(&self, error: Option<&PublishError>) {
        self.ensures
            .get_or_create(&Outcome {
                outcome: error.map_or("ok", PublishError::label),
            })
            .inc();
    }

    /// A write of condition Publishing.
    pub fn told(&self, reason: Option<Reason>) {
        self.told
            .get_or_create(&Told {
                reason: reason.map_or("none", Reason::as_str),
            })
            .inc();
    }

    /// A reservation was answered, with a problem's code or `ok`.
    pub fn reserved(&self, outcome: &'static str, took: Duration) {
        self.reserve
            .get_or_create(&Outcome { outcome })
            .observe(took.as_secs_f64());
    }

    /// A task panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }
}
