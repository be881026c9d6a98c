//! The role without a cluster: cameras come from the test, conditions go to it; the engines are real.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use futures::channel::mpsc;
use futures::future::BoxFuture;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use marsad_crds::{AgencyQuota, Camera, Reason, StreamQuota, StreamQuotaSpec};
use marsad_identity::Verifier;
use marsad_identity::testing::{signer, token};
use marsad_ledger::Source;
use marsad_ledger::request::{Limit, SetLimits};
use marsad_mediamtx::{PathConf, RtspTransport};
use marsad_runtime::metrics::Metrics;
use marsad_runtime::status::StatusError;
use marsad_runtime::watch::Watch;
use marsad_streams::agencies::Agencies;
use marsad_streams::camera::{CameraView, Cameras, id_of};
use marsad_streams::condition::Conditions;
use marsad_streams::demand::Demand;
use marsad_streams::leases::ledger::Valkey;
use marsad_streams::leases::{self, Leases, guard};
use marsad_streams::live::Live;
use marsad_streams::livekit_rooms::LiveKitRooms;
use marsad_streams::metrics::{LedgerMetrics, StreamsMetrics};
use marsad_streams::publisher::forward::ForwardPublisher;
use marsad_streams::reconcile::Reconciler;
use marsad_streams::shards::Shards;
use marsad_streams::stills::metrics::StillsMetrics;
use marsad_streams::stills::{Stills, keeper};
use marsad_streams::track_watch::Trouble;
use marsad_streams::{follow_cameras, follow_shards, routes, stills};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use crate::processes::{self, KEY, LiveKit, MediaMtx, SECRET, until};

pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// What was said on cameras.
#[derive(Default)]
pub(crate) struct Told(Mutex<BTreeMap<Uuid, Reason>>);

impl Told {
    pub(crate) fn of(&self, camera: &Camera) -> Option<Reason> {
        self.0.lock().unwrap().get(&id_of(camera)).copied()
    }
}

impl Conditions for Told {
    fn say<'a>(
        &'a self,
        camera: &'a CameraView,
        trouble: Option<&'a Trouble>,
    ) -> BoxFuture<'a, Result<(), StatusError>> {
        let mut told = self.0.lock().unwrap();
        match trouble {
            Some(trouble) => told.insert(camera.id, trouble.reason),
            None => told.remove(&camera.id),
        };
        Box::pin(async { Ok(()) })
    }
}

/// The engines a test needs: cameras' server, two shards, LiveKit.
pub(crate) struct Engines {
    pub(crate) cameras: MediaMtx,
    pub(crate) shards: [MediaMtx; 2],
    pub(crate) livekit: LiveKit,
    pub(crate) valkey: processes::Valkey,
    /// Streams that the police may watch.
    pub(crate) limit: u64,
    _folder: tempfile::TempDir,
}

impl Engines {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let cameras = MediaMtx::start(path, "cameras").await;
        let shards = [
            MediaMtx::start(path, "s0").await,
            MediaMtx::start(path, "s1").await,
        ];
        Self {
            cameras,
            shards,
            livekit: LiveKit::start(path).await,
            valkey: processes::Valkey::start(path).await,
            limit: 200,
            _folder: folder,
        }
    }

    /// What the camera controller does: makes the path, and waits for video when there is to be some.
    pub(crate) async fn ingest(&self, shard: usize, name: &str, video: bool) {
        self.ingest_from(shard, name, name, video).await;
    }

    /// The same, of a film with another name.
    pub(crate) async fn ingest_from(&self, shard: usize, film: &str, name: &str, video: bool) {
        let source = format!("rtsp://127.0.0.1:{}/{film}", self.cameras.rtsp);
        let (client, path) = (self.shards[shard].client(), path_of(name));
        client
            .add_path(&path, &PathConf::pull(source, RtspTransport::Tcp))
            .await
            .unwrap();
        if video {
            until("the camera is available", Duration::from_secs(30), async || {
                client
                    .get_path(&path)
                    .await
                    .unwrap()
                    .is_some_and(|path| path.available)
            })
            .await;
        }
    }

    pub(crate) async fn forwards(&self, shard: usize, name: &str) -> usize {
        let conf = self.shards[shard]
            .client()
            .get_path_config(&path_of(name))
            .await
            .unwrap();
        conf.map_or(0, |conf| conf.forward.len())
    }

    /// Identities with a video track in the camera's room.
    pub(crate) async fn publishers(&self, camera: &Camera) -> Vec<String> {
        let room = format!("camera_{}", id_of(camera));
        let participants = self
            .livekit
            .client()
            .list_participants(&room)
            .await
            .unwrap_or_default();
        participants
            .into_iter()
            .filter(|one| !one.tracks.is_empty())
            .map(|one| one.identity)
            .collect()
    }

    pub(crate) async fn published(&self, camera: &Camera, deadline: Duration) -> (String, Duration) {
        let mut found = Vec::new();
        let took = until("the camera's track is in its room", deadline, async || {
            found = self.publishers(camera).await;
            !found.is_empty()
        })
        .await;
        assert_eq!(found.len(), 1, "one participant a camera: {found:?}");
        (found.remove(0), took)
    }
}

pub(crate) fn path_of(name: &str) -> String {
    format!("police/{name}/main")
}

pub(crate) fn camera(name: &str, shard: &str) -> Camera {
    let online = json!({"type": "Online", "status": "True", "reason": "Online", "message": "", "lastTransitionTime": "2026-11-23T00:00:00Z"});
    serde_json::from_value(json!({
        "apiVersion": "marsad.dev/v1alpha1", "kind": "Camera",
        "metadata": {"namespace": "police", "name": name, "uid": format!("uid-{name}"), "generation": 1},
        "spec": {"sourceRef": {"name": "hq"}, "stream": {"url": "rtsp://10.0.0.1:554/main"}},
        "status": {"agency": "police", "ingest": {"pool": "default", "shard": shard, "path": path_of(name)}, "conditions": [online]},
    }))
    .unwrap()
}

/// One process of the role.
pub(crate) struct House {
    pub(crate) told: Arc<Told>,
    router: Router,
    /// Signed once: what is measured is the role.
    token: String,
    events: mpsc::UnboundedSender<watcher::Result<Event<DeserializeGuard<Camera>>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl House {
    pub(crate) async fn open(engines: &Engines, cameras: &[Camera]) -> Self {
        Self::open_with(engines, cameras, 2).await
    }

    /// With so many of the shards running.
    pub(crate) async fn open_with(engines: &Engines, cameras: &[Camera], running: usize) -> Self {
        let (events, receiver) = mpsc::unbounded();
        let (watch, feed) = Watch::fed_by(receiver);
        let shards = Shards::default();
        for (name, shard) in ["s0", "s1"].iter().zip(&engines.shards) {
            let rtsp = Some(shard.reader());
            shards.put(name, shard.client(), rtsp);
        }
        let told = Arc::new(Told::default());
        let reconciler = Reconciler::new(
            Cameras::new(watch),
            Demand::new(LINGER),
            Arc::new(ForwardPublisher::new(
                shards.clone(),
                engines.livekit.whip(),
                KEY,
                SECRET,
            )),
            Arc::new(LiveKitRooms::new(engines.livekit.client(), LiveKit::tokens())),
            told.clone(),
            StreamsMetrics::new(&Metrics::default()),
        );
        let stills = Stills::new(
            reconciler.cameras.clone(),
            StillsMetrics::new(&Metrics::default()),
        );
        let held = open_ledger(engines, reconciler.clone()).await;
        let tasks = vec![
            tokio::spawn({
                let held = held.clone();
                async {
                    let Ok(()) = leases::keeper::run(held).await;
                }
            }),
            tokio::spawn({
                let held = held.clone();
                async {
                    let Ok(()) = guard::run(held).await;
                }
            }),
            tokio::spawn({
                let (stills, shards) = (stills.clone(), Arc::new(shards.clone()));
                async {
                    let Ok(()) = keeper::run(stills, shards).await;
                }
            }),
            tokio::spawn(async {
                let Ok(()) = feed.await;
            }),
            tokio::spawn({
                let reconciler = reconciler.clone();
                async {
                    let Ok(()) = follow_cameras(reconciler).await;
                }
            }),
            tokio::spawn({
                let (reconciler, shards) = (reconciler.clone(), shards.clone());
                async {
                    let Ok(()) = follow_shards(reconciler, shards).await;
                }
            }),
        ];
        let verifier = Verifier::fixed(signer().jwks());
        let ledger = held.clone();
        let live = Live::new(held);
        let router = routes::router(live, verifier.clone()).merge(stills::routes::router(stills, verifier));
        let this = Self {
            told,
            router,
            token: token("amal"),
            events,
            tasks,
        };
        this.events.unbounded_send(Ok(Event::Init)).unwrap();
        for camera in cameras {
            this.events
                .unbounded_send(Ok(Event::InitApply(DeserializeGuard(Ok(camera.clone())))))
                .unwrap();
        }
        this.events.unbounded_send(Ok(Event::InitDone)).unwrap();
        until(
            "cameras and shards are seen",
            Duration::from_secs(10),
            async || {
                cameras
                    .iter()
                    .all(|camera| reconciler.cameras.get(id_of(camera)).is_some())
                    && shards.up().len() == running
            },
        )
        .await;
        ledger.when_open().await;
        this
    }

    pub(crate) fn apply(&self, camera: &Camera) {
        self.events
            .unbounded_send(Ok(Event::Apply(DeserializeGuard(Ok(camera.clone())))))
            .unwrap();
    }

    /// Reserves, and says how long the answer took.
    pub(crate) async fn watch(&self, camera: &Camera, client: &str) -> (Value, Duration) {
        let started = Instant::now();
        let (status, answer) = self
            .call("POST", json!({"camera_id": id_of(camera), "client_id": client}))
            .await;
        assert_eq!(status, 200, "{answer}");
        (answer, started.elapsed())
    }

    pub(crate) async fn leave(&self, granted: &Value) {
        let (status, _) = self
            .call("DELETE", json!({"reservation_id": granted["reservation_id"]}))
            .await;
        assert_eq!(status, 204);
    }

    async fn call(&self, method: &str, body: Value) -> (u16, Value) {
        let answer = self.send(method, "/api/v1/stream/live", body.to_string()).await;
        (answer.status, answer.json())
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: String) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: axum::body::to_bytes(body, 4 << 20).await.unwrap().to_vec(),
        }
    }
}

/// Leases of one agency over a real Valkey, with its limit in force.
async fn open_ledger(engines: &Engines, reconciler: Arc<Reconciler>) -> Arc<Leases> {
    let (quota, receiver) = mpsc::unbounded();
    let (quotas, feed) = Watch::fed_by(receiver);
    tokio::spawn(feed);
    let agency = AgencyQuota {
        name: "police".to_owned(),
        ..AgencyQuota::default()
    };
    let spec = StreamQuotaSpec {
        agencies: vec![agency],
        ..StreamQuotaSpec::default()
    };
    let listed = DeserializeGuard(Ok(StreamQuota::new("default", spec)));
    for event in [Event::Init, Event::InitApply(listed), Event::InitDone] {
        quota.unbounded_send(Ok(event)).unwrap();
    }
    // A watch ends with its feed.
    std::mem::forget(quota);
    let client = marsad_ledger::Client::start(engines.valkey.ledger());
    let police = Source::new("POLICE").unwrap();
    let limit = Limit {
        slots: engines.limit,
        urgent: 0,
    };
    client
        .ask(&SetLimits {
            generation: 1,
            total: engines.limit,
            known: client.sources().await.unwrap(),
            sources: vec![(police, Some(limit))],
        })
        .await
        .unwrap();
    let metrics = LedgerMetrics::new(&Metrics::default());
    let valkey = Valkey::new(client, metrics.clone());
    Leases::new(
        reconciler,
        Agencies::new(quotas),
        Arc::new(valkey),
        metrics,
        "streams-0".to_owned(),
    )
}

/// What the role answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}
