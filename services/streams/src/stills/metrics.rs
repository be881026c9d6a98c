//! Metrics of the last pictures. Labels are bounded: kinds of failures.

use std::time::Duration;

use marsad_runtime::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::stills::source::StillError;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// What is counted.
#[derive(Debug, Clone)]
pub struct StillsMetrics {
    kept: Gauge,
    bytes: Gauge,
    oldest: Gauge,
    reads: Family<Outcome, Counter>,
}

impl StillsMetrics {
    /// Registers all.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            kept: metrics.register(
                "marsad_streams_stills",
                "Cameras whose last picture is kept",
                Gauge::default(),
            ),
            bytes: metrics.register(
                "marsad_streams_stills_bytes",
                "Bytes of the last pictures that are kept",
                Gauge::default(),
            ),
            oldest: metrics.register(
                "marsad_streams_stills_oldest_seconds",
                "Age of the oldest last picture of a camera that is online; one that has none counts from when it came online",
                Gauge::default(),
            ),
            reads: metrics.register(
                "marsad_streams_still_reads",
                "Reads of a key frame, by outcome",
                Family::default(),
            ),
        }
    }

    /// What is kept now.
    pub fn kept(&self, count: usize, bytes: usize, oldest: Duration) {
        self.kept.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.oldest
            .set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
    }

    /// A read has ended.
    pub fn read(&self, error: Option<&StillError>) {
        self.reads
            .get_or_create(&Outcome {
                outcome: error.map_or("ok", StillError::label),
            })
            .inc();
    }
}
