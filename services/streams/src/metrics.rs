//! Metrics of the role. Labels are bounded: outcomes and reasons.

use std::time::{Duration, Instant};

use marsad_crds::Reason;
use marsad_ledger::Source;
use marsad_ledger::client::{Circuit, Figures};
use marsad_runtime::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::demand::Demand;
use crate::leases::stats::Snapshot;
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reservation {
    source: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// What is counted of the ledger, under the names of section 1.3. Sources are agencies of the quota, of which there are 64 at most.
#[derive(Debug, Clone)]
pub struct LedgerMetrics {
    reservations: Family<Reservation, Counter>,
    current: Family<OfSource, Gauge>,
    hits: Family<OfSource, Counter>,
    operations: Family<Operation, Histogram, fn() -> Histogram>,
    circuit: Family<State, Gauge>,
    unacknowledged: Counter,
    intruders: Counter,
}

/// Milliseconds; the aim is under 5 with a replica's acknowledgement.
const OPERATION_BUCKETS: [f64; 11] = [0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 25.0, 50.0, 100.0, 1000.0];

impl LedgerMetrics {
    /// Registers all.
    pub fn new(metrics: &Metrics) -> Self {
        let operations: fn() -> Histogram = || Histogram::new(OPERATION_BUCKETS);
        Self {
            reservations: metrics.register(
                "stream_reservations",
                "Reservations asked for: granted, limit_reached, unavailable",
                Family::default(),
            ),
            current: metrics.register(
                "stream_current_count",
                "Live streams of a source, as the ledger has them",
                Family::default(),
            ),
            hits: metrics.register(
                "stream_limit_hits",
                "Reservations refused because a limit was reached",
                Family::default(),
            ),
            operations: metrics.register(
                "valkey_operation_duration_ms",
                "Time of an operation of the ledger, in milliseconds",
                Family::new_with_constructor(operations),
            ),
            circuit: metrics.register(
                "circuit_breaker_state",
                "1 for the state that the circuit breaker to Valkey is in",
                Family::default(),
            ),
            unacknowledged: metrics.register(
                "marsad_ledger_unacknowledged_grants",
                "Grants that too few replicas had: taken back when strict, given when available",
                Counter::default(),
            ),
            intruders: metrics.register(
                "marsad_streams_viewers_without_lease",
                "Participants taken out of a room because no lease let them in",
                Counter::default(),
            ),
        }
    }

    /// A reservation was answered.
    pub fn reserved(&self, source: &Source, status: &'static str) {
        let source = source.to_string();
        self.reservations
            .get_or_create(&Reservation { source, status })
            .inc();
    }

    /// A limit was reached.
    pub fn limit_hit(&self, source: &Source) {
        let source = source.to_string();
        self.hits.get_or_create(&OfSource { source }).inc();
    }

    /// What is live now. A source that left the quota has no figure any more.
    pub fn counts(&self, snapshot: &Snapshot) {
        self.current.clear();
        for one in &snapshot.sources {
            let source = one.source.clone();
            let count = i64::try_from(one.figures.current).unwrap_or(i64::MAX);
            self.current.get_or_create(&OfSource { source }).set(count);
        }
    }

    /// An operation took so long.
    pub fn took(&self, operation: &'static str, time: Duration) {
        self.operations
            .get_or_create(&Operation { operation })
            .observe(time.as_secs_f64() * 1_000.0);
    }

    /// What the client says of itself.
    pub fn client(&self, figures: Figures) {
        let Figures {
            circuit,
            unacknowledged,
            ..
        } = figures;
        // It counts by itself; what is shown here follows.
        let news = unacknowledged.saturating_sub(self.unacknowledged.get());
        self.unacknowledged.inc_by(news);
        for one in Circuit::ALL {
            let state = one.as_str();
            self.circuit
                .get_or_create(&State { state })
                .set(i64::from(one == circuit));
        }
    }

    /// Somebody without a lease was in a room.
    pub fn intruder(&self) {
        self.intruders.inc();
    }
}
