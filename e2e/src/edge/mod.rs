//! The operator before a real API server and simulated engines: what the control loop does with thousands of cameras, on a machine
//! that could not pull them. No node, no pods that run; the operator is the binary that is shipped, and what it meets is real up
//! to the HTTP edge of MediaMTX.

mod engine;
mod operator;
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use marsad_crds::{Camera, CameraSource, ConditionType, CustomResourceDefinition, IngestPool, labels};
use serde_json::{Value, json};
use tokio::sync::watch;

pub use self::operator::Operator;
use crate::camera;

/// The release's namespace.
const SYSTEM: &str = "marsad-system";
/// Where the cameras are.
const CAMERAS: &str = "edge";
/// Paths of a shard: the default of an IngestPool.
const PER_SHARD: usize = 100;
/// Requests at a time of whoever makes cameras: as many as the operator has reconciles.
pub const CONCURRENCY: usize = 16;

/// An API server with our kinds, and shards that are only their HTTP edge.
pub struct Edge {
    /// Its administrator.
    pub client: Client,
    engines: Vec<engine::Engine>,
    seen: Seen,
}

/// What a watch beside it all has seen of the cameras.
#[derive(Clone)]
pub struct Seen {
    all: Arc<Mutex<HashMap<String, Sight>>>,
    ready: watch::Receiver<usize>,
}

/// One camera.
#[derive(Debug, Default)]
struct Sight {
    ready: bool,
    /// Generations that the controller has seen, and when each was first seen here: what is written later of the same generation is
    /// no answer to an edit.
    observed: Vec<(i64, Instant)>,
    /// Generations, and when each was first seen here: what the API server takes to tell.
    told: Vec<(i64, Instant)>,
}

impl Edge {
    /// Sets up room for `cameras` on the API server that KUBECONFIG names.
    ///
    /// # Errors
    /// When the API server refuses, or an address of loopback is taken.
    pub async fn start(cameras: usize) -> Result<Self> {
        let client = Client::try_default().await?;
        definitions(&client).await?;
        for namespace in [SYSTEM, CAMERAS] {
            let object: Namespace = object(&json!({"metadata": {"name": namespace}}))?;
            create(&Api::all(client.clone()), &object).await?;
            // No controller-manager makes it, and pods are refused without.
            let account: ServiceAccount = self::object(&json!({"metadata": {"name": "default"}}))?;
            create(&Api::namespaced(client.clone(), namespace), &account).await?;
        }
        let lease: Lease = object(&json!({"metadata": {"name": "marsad-operator"}}))?;
        create(&Api::namespaced(client.clone(), SYSTEM), &lease).await?;
        let shards = cameras.div_ceil(PER_SHARD) + 1;
        let pool: IngestPool = object(&json!({
            "metadata": {"name": "default"},
            "spec": {"replicas": shards.min(100), "camerasPerReplica": PER_SHARD},
        }))?;
        create(&Api::namespaced(client.clone(), SYSTEM), &pool).await?;
        let source: CameraSource = object(&json!({
            "metadata": {"name": camera::SOURCE},
            "spec": {"agency": "police", "rtsp": {}},
        }))?;
        create(&Api::namespaced(client.clone(), CAMERAS), &source).await?;
        let acceptor = tls::acceptor(&client).await?;
        let mut engines = Vec::new();
        for shard in 0..shards {
            let engine = engine::Engine::start(shard, acceptor.clone()).await?;
            pod(&client, shard, &engine.address.to_string()).await?;
            engines.push(engine);
        }
        let seen = Seen::start(&Api::namespaced(client.clone(), CAMERAS));
        Ok(Self {
            client,
            engines,
            seen,
        })
    }

    /// The cameras.
    pub fn cameras(&self) -> Api<Camera> {
        Api::namespaced(self.client.clone(), CAMERAS)
    }

    /// What the watch has seen.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Paths that the shards have.
    pub fn paths(&self) -> usize {
        self.engines.iter().map(engine::Engine::paths).sum()
    }

    /// Makes `count` cameras, `concurrency` at a time, and for each of them does `then` in the same place of the queue.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn make<F>(&self, count: usize, then: impl Fn(Camera) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let cameras = self.cameras();
        let (cameras, then) = (&cameras, &then);
        futures::stream::iter(0..count)
            .map(|number| async move {
                let made = cameras.create(&PostParams::default(), &a_camera(number)).await?;
                then(made).await
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// Removes all cameras and waits until the shards have none of their paths; for the next round.
    ///
    /// # Errors
    /// When they are not gone in two minutes.
    pub async fn clear(&self, shards_too: bool) -> Result<()> {
        self.cameras()
            .delete_collection(&DeleteParams::default(), &kube::api::ListParams::default())
            .await?;
        let gone = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            while !self.seen.is_empty() || (shards_too && self.paths() > 0) {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), gone)
            .await
            .with_context(|| format!("{} paths are left on the shards", self.paths()))
    }
}

impl Seen {
    fn start(cameras: &Api<Camera>) -> Self {
        let all: Arc<Mutex<HashMap<String, Sight>>> = Arc::default();
        let (sender, ready) = watch::channel(0);
        let seen = Self {
            all: all.clone(),
            ready,
        };
        let mut events = watcher(cameras.clone(), watcher::Config::default())
            .default_backoff()
            .boxed();
        tokio::spawn(async move {
            let mut ready: usize = 0;
            while let Some(event) = events.next().await {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                let (before, now) = match event {
                    Ok(watcher::Event::Apply(camera) | watcher::Event::InitApply(camera)) => {
                        let sight = all.entry(camera.name_any()).or_default();
                        let before = sight.ready;
                        sight.look(&camera);
                        (before, sight.ready)
                    }
                    Ok(watcher::Event::Delete(camera)) => {
                        let gone = all.remove(&camera.name_any());
                        (gone.is_some_and(|sight| sight.ready), false)
                    }
                    Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
                    Err(error) => {
                        // The watch goes on by itself.
                        eprintln!("the watch of the benchmark: {error}");
                        continue;
                    }
                };
                drop(all);
                ready = (ready + usize::from(now)).saturating_sub(usize::from(before));
                sender.send_replace(ready);
            }
        });
        seen
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Sight>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `count` cameras are Ready.
    ///
    /// # Errors
    /// When they are not `within` that time.
    pub async fn ready(&self, count: usize, within: Duration) -> Result<()> {
        let mut ready = self.ready.clone();
        match tokio::time::timeout(within, ready.wait_for(|ready| *ready >= count)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => bail!("the watch of the benchmark ended"),
            Err(_) => bail!(
                "{} of {count} cameras are Ready after {within:?}",
                *self.ready.borrow()
            ),
        }
    }

    /// How many are Ready now.
    pub fn count(&self) -> usize {
        *self.ready.borrow()
    }

    /// When it was seen here that the controller has seen `generation` of a camera, or a later one.
    pub fn observed(&self, name: &str, generation: i64) -> Option<Instant> {
        first(&self.lock().get(name)?.observed, generation)
    }

    /// When `generation` of a camera, or a later one, was seen here.
    pub fn told(&self, name: &str, generation: i64) -> Option<Instant> {
        first(&self.lock().get(name)?.told, generation)
    }
}

impl Sight {
    fn look(&mut self, camera: &Camera) {
        self.ready = camera::is(camera, ConditionType::Ready, "True");
        let now = Instant::now();
        note(&mut self.told, camera.metadata.generation, now);
        let status = camera.status.as_ref();
        note(
            &mut self.observed,
            status.and_then(|status| status.observed_generation),
            now,
        );
    }
}

fn note(known: &mut Vec<(i64, Instant)>, generation: Option<i64>, now: Instant) {
    if let Some(generation) = generation
        && known.last().is_none_or(|(last, _)| *last < generation)
    {
        known.push((generation, now));
    }
}

fn first(known: &[(i64, Instant)], generation: i64) -> Option<Instant> {
    known
        .iter()
        .find(|(seen, _)| *seen >= generation)
        .map(|(_, at)| *at)
}

/// A camera that is recorded and not shown: its picture is nobody's business, so that what is measured is the control loop. Each is
/// at an address of its own, as cameras are.
fn a_camera(number: usize) -> Camera {
    let (high, low) = (number / 250, number % 250 + 1);
    let mut camera = camera::camera(
        &format!("cam-{number:05}"),
        &format!("rtsp://10.20.{high}.{low}:554/main"),
    );
    camera.spec.live.mode = marsad_crds::LiveMode::Off;
    camera
}

/// What a controller writes of a camera that it has placed, by anybody: one write of about the same size.
///
/// # Errors
/// When the API server refuses.
pub async fn written_once(cameras: &Api<Camera>, camera: &Camera) -> Result<()> {
    let name = camera.name_any();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": "True", "reason": reason, "message": message, "observedGeneration": 1,
            "lastTransitionTime": "2026-11-25T08:00:00Z"})
    };
    let status = json!({"apiVersion": labels::API_VERSION, "kind": "Camera", "metadata": {"name": name}, "status": {
        "observedGeneration": 1,
        "id": "0191d5c2-8a4e-5f10-9c1b-3f6f0c9b2a77",
        "agency": "police",
        "ingest": {"pool": "default", "shard": "ingest-default-0", "path": format!("{CAMERAS}/{name}/main"), "codec": "H264",
            "circuit": "Closed"},
        "conditions": [
            condition("SourceResolved", "SourceFound", "its CameraSource is found"),
            condition("Assigned", "Assigned", "on shard ingest-default-0"),
            condition("Ready", "Ready", "assigned, and configured on its shard"),
            condition("Online", "LiveOff", "video flows; it is not shown live, since spec.live.mode is Off"),
        ],
    }});
    let apply = PatchParams::apply("bare").force();
    cameras.patch_status(&name, &apply, &Patch::Apply(status)).await?;
    Ok(())
}

async fn definitions(client: &Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in marsad_crds::all() {
        let name = crd.name_any();
        create(&definitions, &crd).await?;
        await_condition(definitions.clone(), &name, conditions::is_crd_established()).await?;
    }
    Ok(())
}

async fn pod(client: &Client, shard: usize, address: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let name = format!("ingest-default-{shard}");
    let pod: Pod = object(&json!({
        "metadata": {"name": name, "labels": {
            labels::APP_NAME: labels::APP, labels::COMPONENT: labels::COMPONENT_MEDIAMTX, labels::INGEST_POOL: "default",
        }},
        "spec": {"containers": [{"name": "mediamtx", "image": "none"}]},
    }))?;
    create(&pods, &pod).await?;
    let status = json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}});
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
        .await?;
    Ok(())
}

fn object<K: serde::de::DeserializeOwned>(value: &Value) -> Result<K> {
    Ok(serde_json::from_value(value.clone())?)
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let name = object.meta().name.clone().unwrap_or_default();
    // What was just defined is served a moment later.
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..100 {
        ticks.tick().await;
        match api.create(&PostParams::default(), object).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 429 | 500) => {}
            Err(error) => return Err(error).with_context(|| format!("can't make {name}")),
        }
    }
    bail!("can't make {name}: the API server does not serve its kind")
}
