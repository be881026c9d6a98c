//! Camera: which shard pulls it, its paths there, and the truth about its picture.

mod apply;
mod build;
mod circuit;
mod dereference;
mod dial;
#[cfg(test)]
pub(crate) mod fixtures;
mod judge;
mod metrics;
mod prober;
mod relocate;
mod servers;
mod status;
mod validate;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::EventType;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use marsad_crds::{Camera, CameraSource, Circuit, IngestPool, Reason, StreamQuota, labels};
use marsad_runtime::conditions::{Status, find};
use marsad_runtime::controller::{self, Manager, Next, Reconcile};
use marsad_runtime::events::Events;
use marsad_runtime::status::StatusError;
use marsad_runtime::watch::{Change, Watch};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use self::build::WantedPath;
use self::circuit::Sight;
use self::dial::{Dial, Dialer, Line};
use self::judge::{Verdict, judge};
pub use self::metrics::IngestMetrics;
use self::prober::{Certificate, Diagnosis, Inspected, Prober, Run, Source};
use self::status::{Outcome, Running};
use self::validate::{Plan, ValidCamera};
use crate::agency;
use crate::bootstrap::DEFAULT_POOL;
use crate::fleet::{self, Choice, Fleet, Shard, Wake};
use crate::reach::Reach;

/// While the reason of a silent camera is not known yet.
const SOON: Duration = Duration::from_secs(3);
/// While a camera is down for a known reason: its Secret may be corrected, its reason may change.
const LATER: Duration = Duration::from_secs(12);

/// What the controller reads.
#[derive(Clone)]
pub struct Context {
    /// API server.
    pub client: Client,
    /// Namespace of the release: pools count there only.
    pub namespace: String,
    /// Sources.
    pub sources: Watch<CameraSource>,
    /// Pools.
    pub pools: Watch<IngestPool>,
    /// Where an agency's cameras may be.
    pub quotas: Watch<StreamQuota>,
    /// Where no camera may be, and where its name leads.
    pub reach: Reach,
    /// Shards.
    pub fleet: Fleet,
    /// Where tries are counted.
    pub ingest: IngestMetrics,
    /// What happens to cameras, told beside them.
    pub events: Events,
}

/// A pass failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What the camera refers to could not be read.
    #[error(transparent)]
    Dereference(#[from] dereference::ReadError),
    /// The camera's URL can't be used.
    #[error(transparent)]
    Build(#[from] build::BuildError),
    /// The shard refused or is away.
    #[error(transparent)]
    Apply(#[from] apply::ApplyError),
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] StatusError),
}

struct Controller {
    context: Context,
    prober: Prober,
    dialer: Dialer,
    /// Cameras of which an event says so.
    off_the_air: Mutex<HashSet<String>>,
}

/// What is decided for all streams of a camera.
struct Dials {
    main: Dial,
    again: Option<Duration>,
}

/// Runs the controller until the manager's stop.
///
/// # Errors
/// Never; the type fits [`marsad_runtime::role::Role::supervise`].
pub async fn run(
    context: Context,
    cameras: Watch<Camera>,
    manager: Manager,
) -> Result<(), std::convert::Infallible> {
    let (prober, mut woken) = Prober::new();
    let Context {
        sources,
        pools,
        quotas,
        reach,
        fleet,
        ..
    } = context.clone();
    let probed = futures::stream::poll_fn(move |task| woken.poll_recv(task));
    let (of_source, of_pool) = (cameras.store().clone(), cameras.store().clone());
    let (changed, all) = wakes(fleet.wakes());
    let before_the_first = async {
        quotas.ready().await;
        reach.known().await;
        fleet.asked().await;
    };
    tokio::select! {
        () = before_the_first => {}
        () = manager.stop.cancelled() => return Ok(()),
    }
    let dialer = Dialer::new(context.ingest.clone(), prober.listener());
    let watched = cameras.clone();
    let reconciler = Arc::new(Controller {
        context,
        prober,
        dialer,
        off_the_air: Mutex::default(),
    });
    let forgetful = reconciler.clone();
    let gone = forget_deleted(&watched, &forgetful);
    let work = controller::run(
        reconciler,
        cameras,
        move |controller| {
            controller
                .reconcile_on(changed)
                .reconcile_all_on(all)
                // Whose agency it is about is known when they are looked at.
                .reconcile_all_on(quotas.spec_changes().map(|_| ()))
                .reconcile_on(probed)
                .watches_shared_stream(sources.spec_changes(), move |source: Arc<CameraSource>| {
                    refs(&of_source.state(), |camera| {
                        camera.namespace() == source.namespace()
                            && camera.spec.source_ref.name == source.name_any()
                    })
                })
                .watches_shared_stream(pools.spec_changes(), move |pool: Arc<IngestPool>| {
                    refs(&of_pool.state(), |camera| {
                        camera
                            .spec
                            .pool_ref
                            .as_ref()
                            .map_or(DEFAULT_POOL, |pool| pool.name.as_str())
                            == pool.name_any()
                    })
                })
        },
        manager,
    );
    tokio::select! { done = work => done, () = gone => Ok(()) }
}

/// Key of a camera in the fleet.
fn key_of(camera: &Camera) -> String {
    fleet::camera_key(&camera.namespace().unwrap_or_default(), &camera.name_any())
}

/// Paths that a camera takes on its shard.
pub(crate) fn paths_of(camera: &Camera) -> usize {
    1 + usize::from(camera.spec.stream.substream_url.is_some())
}

fn refs(cameras: &[Arc<Camera>], which: impl Fn(&Camera) -> bool) -> Vec<ObjectRef<Camera>> {
    cameras
        .iter()
        .filter(|camera| which(camera))
        .map(|camera| ObjectRef::from_obj(camera.as_ref()))
        .collect()
}

/// What the fleet tells, apart: single cameras, and all of them (also when too much was told to follow).
fn wakes(
    receiver: broadcast::Receiver<Wake>,
) -> (
    impl Stream<Item = ObjectRef<Camera>> + Send,
    impl Stream<Item = ()> + Send,
) {
    let all = receiver.resubscribe();
    let one = futures::stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(wake) => match fleet::reference(&wake) {
                    Some(camera) => return Some((camera, receiver)),
                    None => continue,
                },
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let all = futures::stream::unfold(all, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(Wake::All) | Err(RecvError::Lagged(_)) => return Some(((), receiver)),
                Ok(Wake::Camera(..)) => continue,
                Err(RecvError::Closed) => return None,
            }
        }
    });
    (one, all)
}

async fn forget_deleted(cameras: &Watch<Camera>, controller: &Controller) {
    let mut changes = std::pin::pin!(cameras.changes());
    while let Some(change) = changes.next().await {
        if let Change::Deleted(camera) = change {
            controller.forget(&camera);
            controller.off_the_air().remove(&key_of(&camera));
        }
    }
}

impl Reconcile for Controller {
    type Kind = Camera;
    type Error = Error;
    const NAME: &'static str = "camera";

    async fn reconcile(&self, camera: Arc<Camera>) -> Result<Next, Error> {
        if camera.metadata.deletion_timestamp.is_some() {
            self.withdraw(&camera);
            return Ok(Next::Change);
        }
        let found = dereference::dereference(&self.context, &camera).await?;
        let (outcome, next) = match validate::validate(&camera, found) {
            Plan::Paused => (Outcome::Paused, Ok(Next::Change)),
            Plan::Hold(hold) => {
                self.withdraw(&camera);
                // Secrets are not watched: one that is made later is found by looking.
                (Outcome::Held(hold), Ok(Next::After(LATER)))
            }
            Plan::Run(valid) => self.place(&camera, *valid).await,
        };
        let wanted = status::status(&camera, &outcome, Timestamp::now());
        let api: Api<Camera> = Api::namespaced(
            self.context.client.clone(),
            &camera.namespace().unwrap_or_default(),
        );
        let current = status::owned(&camera);
        let wrote = marsad_runtime::status::apply(
            &api,
            camera.as_ref(),
            labels::MANAGER_CAMERA,
            current.as_ref(),
            &wanted,
        )
        .await?;
        if wrote {
            self.log_transition(&camera, &wanted);
            self.tell(&camera, &wanted).await;
        }
        next
    }

    fn reason(error: &Error) -> &'static str {
        match error {
            Error::Dereference(_) => "dereference",
            Error::Build(_) => "build",
            Error::Apply(_) => "apply",
            Error::Status(_) => "status",
        }
    }
}

impl Controller {
    /// The code under which `agency` is counted.
    fn code_of(&self, agency: &str) -> String {
        agency::code(agency::quota(&self.context.quotas).as_deref(), agency)
    }

    fn withdraw(&self, camera: &Camera) {
        self.context.fleet.withdraw(&key_of(camera));
        self.forget(camera);
    }

    fn forget(&self, camera: &Camera) {
        let (namespace, name) = (camera.namespace().unwrap_or_default(), camera.name_any());
        self.prober.forget(&key_of(camera));
        for stream in ["main", "sub"] {
            let path = fleet::path_name(&namespace, &name, stream);
            self.dialer.forget(&path);
            self.context.ingest.forget(&path);
        }
    }

    async fn place(&self, camera: &Camera, valid: ValidCamera) -> (Outcome, Result<Next, Error>) {
        let recorded = camera
            .status
            .as_ref()
            .and_then(|status| status.ingest.as_ref()?.shard.clone());
        let choice = self.context.fleet.place(
            &valid.key(),
            &valid.pool,
            recorded.as_deref(),
            valid.streams.len(),
            valid.capacity,
        );
        match choice {
            // The fleet wakes all cameras when a shard comes.
            Choice::Nowhere => (Outcome::Nowhere(Box::new(valid)), Ok(Next::After(LATER))),
            Choice::Waits(shard) => (Outcome::Waiting(Box::new(valid), shard), Ok(Next::After(SOON))),
            Choice::On(name) => match self.context.fleet.shard(&name) {
                Some(shard) => match self.context.fleet.on_its_way(&valid.key()) {
                    Some(way) => Box::pin(self.relocate(camera, valid, shard, way)).await,
                    None => self.configure(camera, valid, shard, None).await,
                },
                None => (Outcome::Waiting(Box::new(valid), name), Ok(Next::After(SOON))),
            },
        }
    }

    /// Brings the camera's paths on `shard` to what they should be, and judges its picture there; `from`: the shard that it has just
    /// left with a picture.
    async fn configure(
        &self,
        camera: &Camera,
        valid: ValidCamera,
        shard: Shard,
        from: Option<&str>,
    ) -> (Outcome, Result<Next, Error>) {
        let written = match build::build(&valid) {
            Ok(mut paths) => {
                let dials = self.dial(camera, &valid, &shard, &mut paths);
                apply::apply(&self.context.fleet, &shard, &paths)
                    .await
                    .map(|()| dials)
                    .map_err(Error::from)
            }
            Err(error) => Err(Error::from(error)),
        };
        let dials = match written {
            Ok(dials) => dials,
            Err(error) => {
                return (
                    Outcome::NotConfigured(Box::new(valid), shard.name, error.to_string()),
                    Err(error),
                );
            }
        };
        let running = self.look(camera, valid, &shard, from, &dials.main);
        let pause = match running.verdict.status {
            Status::True => None,
            Status::Unknown => Some(SOON),
            Status::False => Some(LATER),
        };
        let next = [pause, dials.again]
            .into_iter()
            .flatten()
            .min()
            .map_or(Next::Change, Next::After);
        (Outcome::Running(Box::new(running)), Ok(next))
    }

    /// Decides which of `paths` pull the camera now, and lets the others rest.
    fn dial(&self, camera: &Camera, valid: &ValidCamera, shard: &Shard, paths: &mut [WantedPath]) -> Dials {
        let (reference, agency) = (ObjectRef::from_obj(camera), self.code_of(&valid.agency));
        let diagnosis = self.prober.answered(&valid.key());
        let circuit = camera
            .status
            .as_ref()
            .and_then(|status| status.ingest.as_ref()?.circuit);
        let now = Instant::now();
        let mut dials = Dials {
            main: Dial::default(),
            again: None,
        };
        for (stream, path) in valid.streams.iter().zip(paths) {
            let pinned = self.pin(&reference, valid, stream, shard, path);
            if stream.address.is_none() || !pinned {
                // Nobody is dialled who was not judged. The name may lead somewhere soon; the certificate wakes it.
                path.conf = path.conf.clone().at_rest();
                dials.again = [dials.again, Some(LATER)].into_iter().flatten().min();
                continue;
            }
            let line = Line {
                agency: &agency,
                path: &path.name,
                server: server_of(&stream.url),
                source: &path.conf.source,
                pin: &path.conf.source_fingerprint,
                requested: camera
                    .annotations()
                    .get(labels::RECONCILE_REQUESTED_AT)
                    .map(String::as_str),
                sight: sight(shard, path),
                diagnosis: &diagnosis,
                left_open: stream.name == "main" && circuit == Some(Circuit::Open),
            };
            let dial = self.dialer.step(&line, now, rand::random());
            self.context.ingest.dialled(&path.name, &dial);
            if stream.name == "main" {
                dials.main = dial;
            }
            dials.again = [dials.again, dial.again].into_iter().flatten().min();
            if !dial.pull {
                path.conf = path.conf.clone().at_rest();
            }
        }
        dials
    }

    /// Gives `path` the certificate that was verified; whether it may be dialled. MediaMTX trusts nobody itself: it takes the one
    /// certificate that it is told (ADR 10).
    fn pin(
        &self,
        camera: &ObjectRef<Camera>,
        valid: &ValidCamera,
        stream: &validate::Stream,
        shard: &Shard,
        path: &mut WantedPath,
    ) -> bool {
        let (true, Some(_)) = (stream.is_tls(), stream.address) else {
            return true;
        };
        let key = if stream.name == "main" {
            valid.key()
        } else {
            prober::substream(&valid.key())
        };
        let source = source(valid, stream);
        let pin = match self.prober.certificate(camera, &key, source) {
            Certificate::Verified(pin) => Some(pin),
            Certificate::Refused => None,
            // Whoever led before has verified it: a picture does not go because we have not yet.
            Certificate::NotYet => shard
                .seen
                .configs
                .get(&path.name)
                .filter(|have| have.source == path.conf.source && !have.source_fingerprint.is_empty())
                .map(|have| have.source_fingerprint.clone()),
        };
        let pinned = pin.is_some();
        path.conf.source_fingerprint = pin.unwrap_or_default();
        pinned
    }

    fn look(
        &self,
        camera: &Camera,
        valid: ValidCamera,
        shard: &Shard,
        from: Option<&str>,
        dial: &Dial,
    ) -> Running {
        let reference = ObjectRef::from_obj(camera);
        let key = valid.key();
        let main = valid.streams.first();
        let url = main.map(|stream| stream.url.clone()).unwrap_or_default();
        let name = fleet::path_name(&valid.namespace, &valid.name, "main");
        let path = shard.seen.paths.get(&name).cloned();
        let (mut inspected, mut diagnosis) = (Inspected::NotYet, Diagnosis::NotYet);
        match (&path, &shard.reader) {
            (Some(path), Some(reader)) if path.available => {
                if valid.live && path.tracks.iter().any(|track| track.codec == "H264") {
                    let run = Run {
                        shard: shard.name.clone(),
                        since: path.available_time.clone(),
                    };
                    let source = Source {
                        url: format!("rtsp://{}/{name}", reader.address),
                        login: Some(reader.credentials.clone()),
                        address: None,
                        trust: marsad_rtsp::Trust::Public,
                    };
                    inspected = self.prober.picture(&reference, &key, run, source);
                }
            }
            _ => match main {
                Some(main) if main.resolves => {
                    let source = source(&valid, main);
                    diagnosis = self.prober.diagnosis(&reference, &key, source, dial.ask);
                }
                Some(main) => {
                    let host = dereference::host_of(&main.url).unwrap_or_default();
                    let why = status::explain(&url, &marsad_rtsp::Failure::Dns { host });
                    diagnosis = Diagnosis::Failed(Reason::DnsFailed, why);
                }
                None => {}
            },
        }
        let available = path.as_ref().is_some_and(|path| path.available);
        let verdict = judge(&url, valid.live, path.as_ref(), &inspected, &diagnosis)
            .or_before(recorded(camera, from.unwrap_or(&shard.name)), available);
        Running {
            camera: valid,
            shard: shard.name.clone(),
            path,
            verdict,
            circuit: if dial.open { Circuit::Open } else { Circuit::Closed },
        }
    }

    async fn tell(&self, camera: &Camera, wanted: &marsad_crds::CameraStatus) {
        let Some(online) = find(&wanted.conditions, "Online") else {
            return;
        };
        let key = key_of(camera);
        let told = self.off_the_air().contains(&key);
        let Some(kind) = news(told, online) else {
            return;
        };
        match kind {
            EventType::Warning => self.off_the_air().insert(key),
            EventType::Normal => self.off_the_air().remove(&key),
        };
        let events = &self.context.events;
        events.tell(camera, kind, &online.reason, &online.message).await;
    }

    fn off_the_air(&self) -> MutexGuard<'_, HashSet<String>> {
        self.off_the_air.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line when Online changes meaning (requirements 1.1-C).
    fn log_transition(&self, camera: &Camera, wanted: &marsad_crds::CameraStatus) {
        let was = camera
            .status
            .as_ref()
            .and_then(|status| find(&status.conditions, "Online"));
        let Some(online) = find(&wanted.conditions, "Online") else {
            return;
        };
        if was.is_some_and(|was| was.status == online.status && was.reason == online.reason) {
            return;
        }
        let (id, source) = (
            wanted.id.as_deref().unwrap_or_default(),
            self.code_of(wanted.agency.as_deref().unwrap_or_default()),
        );
        let (namespace, name) = (camera.namespace().unwrap_or_default(), camera.name_any());
        if online.status == "True" {
            let path = fleet::path_name(&namespace, &name, "main");
            let latency = self.context.ingest.latency(&path).unwrap_or_default();
            tracing::info!(
                camera_id = id,
                source,
                namespace,
                name,
                reason = online.reason,
                latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
                "stream_connected"
            );
        } else if online.status == "Unknown" {
            tracing::info!(camera_id = id, source, namespace, name, "stream_connecting");
        } else {
            tracing::warn!(
                camera_id = id,
                source,
                namespace,
                name,
                reason = online.reason,
                "stream_down"
            );
        }
    }
}

/// What is told beside a camera whose status was written: that it is off the air, once, and that it is back. That it comes for the first
/// time is what everybody expects. `told`: it was told that it is off the air.
fn news(told: bool, online: &Condition) -> Option<EventType> {
    match online.status.as_str() {
        "False" if !told && online.reason != Reason::Suspended.as_str() => Some(EventType::Warning),
        "True" if told => Some(EventType::Normal),
        _ => None,
    }
}

/// Where a probe of `stream` looks.
fn source(valid: &ValidCamera, stream: &validate::Stream) -> Source {
    Source {
        url: stream.url.clone(),
        login: valid.login.clone(),
        address: stream.address,
        trust: valid.trust.clone(),
    }
}

/// `host:port` of a camera's URL: what it shares with others of its recording server.
fn server_of(url: &str) -> &str {
    let authority = url.split("://").nth(1).unwrap_or(url);
    authority.split('/').next().unwrap_or(authority)
}

/// What `shard` says of a path that should pull its camera.
fn sight(shard: &Shard, path: &WantedPath) -> Sight {
    let seen = &shard.seen;
    match seen.configs.get(&path.name) {
        Some(config) if config.source == path.conf.source => match seen.paths.get(&path.name) {
            Some(path) if path.available => Sight::Up,
            _ => Sight::Silent,
        },
        _ => Sight::Unset,
    }
}

/// What was found of the camera's picture on this shard, by whoever led then.
fn recorded(camera: &Camera, shard: &str) -> Option<Verdict> {
    let status = camera.status.as_ref()?;
    if status.ingest.as_ref()?.shard.as_deref() != Some(shard) {
        return None;
    }
    Verdict::recorded(find(&status.conditions, "Online")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    #[test]
    fn only_a_loss_and_a_return_are_told_and_once() {
        let online = |status: &str, reason: Reason| Condition {
            type_: "Online".into(),
            status: status.into(),
            reason: reason.as_str().into(),
            message: "m".into(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        for (told, now, kind) in [
            (false, online("Unknown", Reason::Connecting), None),
            (false, online("True", Reason::Online), None),
            (
                false,
                online("False", Reason::ConnectionRefused),
                Some(EventType::Warning),
            ),
            (true, online("False", Reason::Unauthorized), None),
            (true, online("Unknown", Reason::Connecting), None),
            (true, online("True", Reason::Online), Some(EventType::Normal)),
            (false, online("False", Reason::Suspended), None),
        ] {
            assert_eq!(news(told, &now), kind, "{told} {now:?}");
        }
    }
}
