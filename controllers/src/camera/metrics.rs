//! The numbers of section 1.1: tries and failures as they happen, streams and bit rates when they are asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use marsad_crds::{Camera, Circuit, StreamQuota, camera_id};
use marsad_runtime::conditions::find;
use marsad_runtime::metrics::Metrics;
use marsad_runtime::watch::Watch;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};

use super::dial::Dial;
use super::prober::Diagnosis;
use crate::agency;
use crate::fleet::{Fleet, path_name};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceReason {
    source: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct SourceStatus {
    source: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShardLabel {
    shard: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CameraLabel {
    camera_id: String,
}

/// What is counted while cameras are tried. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IngestMetrics {
    failed: Family<SourceReason, Counter>,
    attempts: Family<Source, Counter>,
    lost_servers: Gauge,
    lines: Arc<Mutex<BTreeMap<String, Known>>>,
}

/// What is known of a stream beyond its camera's status.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    latency: Option<Duration>,
    gave_up: bool,
}

impl IngestMetrics {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            failed: metrics.register(
                "mediamtx_streams_failed",
                "Tries and connections that failed, by the agency's code and the reason (R1.1-26)",
                Family::default(),
            ),
            attempts: metrics.register(
                "mediamtx_reconnect_attempts",
                "Tries after a failure, by the agency's code (R1.1-27)",
                Family::default(),
            ),
            lost_servers: metrics.register(
                "marsad_ingest_servers_lost",
                "Servers that several cameras and none of theirs can reach: one camera at a time tries for all",
                Gauge::default(),
            ),
            lines: Arc::default(),
        }
    }

    /// Registers what is read when it is asked for. Whoever does not lead gives nothing: two operators must not count a camera twice.
    pub fn export(
        &self,
        metrics: &Metrics,
        fleet: Fleet,
        cameras: Watch<Camera>,
        quotas: Watch<StreamQuota>,
    ) {
        metrics.collect(Export {
            fleet,
            cameras,
            quotas,
            metrics: self.clone(),
        });
    }

    /// A try begins.
    pub(crate) fn tried(&self, agency: &str, again: bool) {
        if again {
            let source = agency.to_owned();
            self.attempts.get_or_create(&Source { source }).inc();
        }
    }

    /// A try or a connection has failed.
    pub(crate) fn failed(&self, agency: &str, diagnosis: &Diagnosis) {
        let reason = match diagnosis {
            Diagnosis::Failed(reason, _) => reason.as_str(),
            Diagnosis::Fine | Diagnosis::NotYet => "Unknown",
        };
        let source = agency.to_owned();
        self.failed.get_or_create(&SourceReason { source, reason }).inc();
    }

    /// So many servers are lost.
    pub(crate) fn lost_servers(&self, servers: usize) {
        self.lost_servers.set(i64::try_from(servers).unwrap_or(i64::MAX));
    }

    /// What was decided for the stream of `path`.
    pub(crate) fn dialled(&self, path: &str, dial: &Dial) {
        let mut lines = lock(&self.lines);
        let known = lines.entry(path.to_owned()).or_default();
        known.gave_up = dial.gave_up;
        known.latency = dial.connected.or(known.latency);
    }

    /// How long the last try of `path` took that succeeded, to the second.
    pub(crate) fn latency(&self, path: &str) -> Option<Duration> {
        lock(&self.lines).get(path)?.latency
    }

    /// The camera of `path` is gone.
    pub(crate) fn forget(&self, path: &str) {
        lock(&self.lines).remove(path);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Export {
    fleet: Fleet,
    cameras: Watch<Camera>,
    quotas: Watch<StreamQuota>,
    metrics: IngestMetrics,
}

impl Collector for Export {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if !self.fleet.leads() {
            return Ok(());
        }
        let cameras = self.cameras.store().state();
        let quota = agency::quota(&self.quotas);
        let active = active(&cameras, quota.as_deref(), |path| {
            lock(&self.metrics.lines)
                .get(path)
                .is_some_and(|known| known.gave_up)
        });
        let mut family = encoder.encode_descriptor(
            "mediamtx_streams_active",
            "Cameras by the agency's code and state: CONNECTING, ACTIVE, FAILED, CIRCUIT_OPEN (R1.1-25)",
            None,
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        for (labels, count) in &active {
            ConstGauge::new(*count).encode(family.encode_family(labels)?)?;
        }
        let mut family = encoder.encode_descriptor(
            "marsad_ingest_shard_paths",
            "Paths that a shard has been given",
            None,
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        for (shard, paths) in self.fleet.loads() {
            let paths = i64::try_from(paths).unwrap_or(i64::MAX);
            ConstGauge::new(paths).encode(family.encode_family(&ShardLabel { shard })?)?;
        }
        let mut family = encoder.encode_descriptor(
            "mediamtx_stream_bitrate_bytes",
            "Bytes a second that come from a camera, over about ten seconds (R1.1-28)",
            None,
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        let seen = self.fleet.all_seen();
        let flowing = seen.iter().flat_map(|seen| seen.paths.iter());
        let flowing = flowing.filter(|path| path.available);
        let rates: HashMap<&str, f64> = flowing.map(|path| (path.name.as_ref(), path.rate)).collect();
        for camera in &cameras {
            if let Some(rate) = rates.get(main_of(camera).as_str()) {
                ConstGauge::new(*rate).encode(family.encode_family(&label_of(camera))?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "mediamtx_stream_latency_ms",
            "From the last try to the camera's stream, to the second at which a shard is polled (R1.1-29)",
            None,
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        for camera in &cameras {
            if let Some(after) = self.metrics.latency(&main_of(camera)) {
                let milliseconds = after.as_secs_f64() * 1000.0;
                ConstGauge::new(milliseconds).encode(family.encode_family(&label_of(camera))?)?;
            }
        }
        Ok(())
    }
}

/// The path of the camera's main stream.
fn main_of(camera: &Camera) -> String {
    path_name(
        &camera.namespace().unwrap_or_default(),
        &camera.name_any(),
        "main",
    )
}

fn label_of(camera: &Camera) -> CameraLabel {
    let id = camera_id(&camera.namespace().unwrap_or_default(), &camera.name_any());
    CameraLabel {
        camera_id: id.to_string(),
    }
}

/// How many cameras are in each state, by their agency's code; `gave_up`: nobody expects the stream of a path back.
fn active(
    cameras: &[Arc<Camera>],
    quota: Option<&StreamQuota>,
    gave_up: impl Fn(&str) -> bool,
) -> BTreeMap<SourceStatus, i64> {
    let mut active = BTreeMap::new();
    for camera in cameras {
        if let Some(status) = stream_status(camera, gave_up(&main_of(camera))) {
            let source = agency_of(camera, quota);
            *active.entry(SourceStatus { source, status }).or_default() += 1;
        }
    }
    active
}

/// The code of the camera's agency; empty before its source is found.
fn agency_of(camera: &Camera, quota: Option<&StreamQuota>) -> String {
    let agency = camera.status.as_ref().and_then(|status| status.agency.as_deref());
    agency::code(quota, agency.unwrap_or_default())
}

/// The camera's state in the words of block 1.1-B; none when it is not meant to be pulled.
fn stream_status(camera: &Camera, gave_up: bool) -> Option<&'static str> {
    let status = camera.status.as_ref()?;
    let online = find(&status.conditions, "Online")?;
    if online.reason == "Suspended" {
        return None;
    }
    let ingest = status.ingest.as_ref();
    Some(match online.status.as_str() {
        "True" => "ACTIVE",
        "Unknown" => "CONNECTING",
        _ if !gave_up && ingest.and_then(|ingest| ingest.circuit) == Some(Circuit::Open) => "CIRCUIT_OPEN",
        _ => "FAILED",
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use marsad_crds::{AgencyQuota, CameraIngestStatus, CameraStatus, Reason, StreamQuotaSpec};

    use super::*;
    use crate::camera::fixtures;

    fn camera(name: &str, online: &str, reason: &str, circuit: Circuit) -> Camera {
        let mut camera = fixtures::camera();
        camera.metadata.name = Some(name.to_owned());
        camera.status = Some(CameraStatus {
            agency: Some("dubai-police".to_owned()),
            ingest: Some(CameraIngestStatus {
                circuit: Some(circuit),
                ..CameraIngestStatus::default()
            }),
            conditions: vec![Condition {
                type_: "Online".to_owned(),
                status: online.to_owned(),
                reason: reason.to_owned(),
                message: String::new(),
                observed_generation: None,
                last_transition_time: Time(Timestamp::UNIX_EPOCH),
            }],
            ..CameraStatus::default()
        });
        camera
    }

    #[test]
    fn r1_1_25_cameras_are_counted_by_their_state() {
        let cameras = [
            camera("a", "True", "Online", Circuit::Closed),
            camera("b", "True", "Online", Circuit::Closed),
            camera("c", "Unknown", "Connecting", Circuit::Closed),
            camera("d", "False", "ConnectTimeout", Circuit::Open),
            camera("e", "False", "ConnectTimeout", Circuit::Closed),
            camera("f", "False", "Suspended", Circuit::Closed),
            camera("given-up", "False", "ConnectTimeout", Circuit::Open),
        ];
        let part = AgencyQuota {
            name: "dubai-police".to_owned(),
            code: Some("DP".to_owned()),
            ..AgencyQuota::default()
        };
        let spec = StreamQuotaSpec {
            agencies: vec![part],
            ..StreamQuotaSpec::default()
        };
        let quota = StreamQuota::new("default", spec);
        let counted = active(&cameras.map(Arc::new), Some(&quota), |path| {
            path == "police/given-up/main"
        });
        let counted: Vec<(&str, &str, i64)> = counted
            .iter()
            .map(|(labels, count)| (labels.source.as_str(), labels.status, *count))
            .collect();
        assert_eq!(
            counted,
            [
                ("DP", "ACTIVE", 2),
                ("DP", "CIRCUIT_OPEN", 1),
                ("DP", "CONNECTING", 1),
                ("DP", "FAILED", 2),
            ]
        );
    }

    #[test]
    fn r1_1_26_failures_are_counted_by_their_reason() {
        let metrics = Metrics::default();
        let ingest = IngestMetrics::new(&metrics);
        ingest.failed(
            "DP",
            &Diagnosis::Failed(Reason::ConnectTimeout, "no answer".to_owned()),
        );
        ingest.failed("DP", &Diagnosis::NotYet);
        let text = metrics.encode().unwrap();
        for reason in ["ConnectTimeout", "Unknown"] {
            let line = format!("mediamtx_streams_failed_total{{source=\"DP\",reason=\"{reason}\"}} 1");
            assert!(text.contains(&line), "{text}");
        }
    }
}
