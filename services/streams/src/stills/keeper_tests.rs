use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use futures::future::BoxFuture;
use marsad_crds::Camera;
use marsad_identity::Verifier;
use marsad_identity::testing::{signer, token};
use marsad_rtsp::{Failure, KeyFrame};
use marsad_runtime::metrics::Metrics;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::camera::id_of;
use crate::camera::tests::{camera, condition, online_on};
use crate::fakes::House;
use crate::problem::Refusal;
use crate::stills::metrics::StillsMetrics;
use crate::stills::routes;

/// What a camera does when its key frame is read.
#[derive(Clone, Copy)]
enum Sends {
    Picture,
    Nothing,
    Huge,
    Panic,
}

/// Key frames that say in their slices how many were read before.
#[derive(Default)]
struct Frames {
    sends: Mutex<BTreeMap<String, Sends>>,
    reads: Mutex<BTreeMap<String, u8>>,
}

impl Frames {
    fn sends(&self, camera: &str, what: Sends) {
        self.sends.lock().unwrap().insert(path(camera), what);
    }

    fn reads(&self, camera: &str) -> u8 {
        self.reads
            .lock()
            .unwrap()
            .get(&path(camera))
            .copied()
            .unwrap_or(0)
    }
}

fn path(camera: &str) -> String {
    format!("police/{camera}/main")
}

impl KeyFrames for Frames {
    fn read<'a>(&'a self, placement: &'a Placement) -> BoxFuture<'a, Result<KeyFrame, StillError>> {
        Box::pin(async move {
            let sends = self.sends.lock().unwrap().get(&placement.path).copied();
            let count = {
                let mut reads = self.reads.lock().unwrap();
                let count = reads.entry(placement.path.clone()).or_default();
                *count += 1;
                *count
            };
            let slices = match sends.unwrap_or(Sends::Picture) {
                Sends::Picture => vec![0, 0, 0, 2, 0x65, count],
                Sends::Nothing => return Err(Failure::NoFrames.into()),
                Sends::Huge => vec![0; LARGEST + 1],
                Sends::Panic => panic!("planted"),
            };
            Ok(KeyFrame {
                sps: vec![0x67, 0x42, 0xc0, 0x1f],
                pps: vec![0x68, 0xce],
                slices,
                width: 640,
                height: 360,
            })
        })
    }
}

struct Room {
    house: House,
    frames: Arc<Frames>,
    stills: Stills,
    metrics: Metrics,
}

impl Room {
    async fn with(cameras: &[Camera]) -> Self {
        Self::over(House::with(cameras).await, Arc::default()).await
    }

    /// A process that has just started.
    async fn over(house: House, frames: Arc<Frames>) -> Self {
        let metrics = Metrics::default();
        let stills = Stills::new(house.reconciler.cameras.clone(), StillsMetrics::new(&metrics));
        tokio::spawn(run(stills.clone(), frames.clone()));
        house.settle().await;
        Self {
            house,
            frames,
            stills,
            metrics,
        }
    }

    /// Age in seconds and how many were read before, of the picture that is kept.
    fn kept(&self, camera: &Camera) -> Result<(u64, u8), Refusal> {
        let still = self.stills.get(id_of(camera))?;
        Ok((still.age(now()).as_secs(), *still.mp4().last().unwrap()))
    }

    async fn get(&self, path: &str, user: Option<&str>, etag: Option<&str>) -> Answer {
        let mut request = Request::builder().uri(path).header("x-request-id", "r1");
        if let Some(user) = user {
            request = request.header("authorization", format!("Bearer {}", token(user)));
        }
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        let router = routes::router(self.stills.clone(), Verifier::fixed(signer().jwks()));
        let response = router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.encode().unwrap().lines().any(|found| found == line)
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn problem(&self) -> (u16, Value) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        (self.status.as_u16(), serde_json::from_slice(&self.body).unwrap())
    }
}

fn offline_on(name: &str, shard: &str) -> Camera {
    camera(
        name,
        &json!({
            "ingest": {"pool": "default", "shard": shard, "path": path(name), "codec": "H264"},
            "conditions": [condition("Online", "False", "ConnectionRefused", "refused")],
        }),
    )
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn r1_1_11_a_picture_a_minute_and_the_last_one_outlives_its_camera() {
    let szr = online_on("szr", "s0");
    let room = Room::with(std::slice::from_ref(&szr)).await;
    assert_eq!(room.kept(&szr).unwrap(), (0, 1), "at once when it comes online");
    tokio::time::sleep(seconds(59)).await;
    assert_eq!(room.kept(&szr).unwrap(), (59, 1));
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(room.kept(&szr).unwrap(), (0, 2));
    assert!(room.counted("marsad_streams_still_reads_total{outcome=\"ok\"} 2"));

    room.house.apply(&offline_on("szr", "s0")).await;
    tokio::time::sleep(seconds(3_600)).await;
    assert_eq!(room.kept(&szr).unwrap(), (3_600, 2), "its age is told as it is");
    assert!(room.counted("marsad_streams_stills 1"));
    assert!(
        room.counted("marsad_streams_stills_oldest_seconds 0"),
        "no camera is online"
    );

    room.house.apply(&online_on("szr", "s1")).await;
    assert_eq!(
        room.kept(&szr).unwrap(),
        (0, 3),
        "anew when it is back, on whatever shard"
    );
}

#[tokio::test(start_paused = true)]
async fn r1_1_11_a_read_that_fails_leaves_the_last_picture_and_is_counted() {
    let cameras = ["a", "b", "c", "d"].map(|name| online_on(name, "s0"));
    let room = Room::with(&cameras).await;
    tokio::time::sleep(seconds(1)).await;
    for (name, what) in [("a", Sends::Nothing), ("b", Sends::Panic), ("c", Sends::Huge)] {
        room.frames.sends(name, what);
    }
    tokio::time::sleep(seconds(300)).await;
    for camera in &cameras[..3] {
        let (age, reads) = room.kept(camera).unwrap();
        assert!(age >= 300 && reads == 1, "{age} s, {reads}");
    }
    assert!(room.kept(&cameras[3]).unwrap().0 <= 60, "the others go on");
    for name in ["a", "b", "c"] {
        assert!(room.frames.reads(name) >= 5, "tried again each minute");
    }
    let counted = room.metrics.encode().unwrap();
    for outcome in ["no_key_frame", "panic", "too_large"] {
        assert!(counted.contains(&format!("outcome=\"{outcome}\"")), "{counted}");
    }
    let oldest = counted
        .lines()
        .find_map(|line| line.strip_prefix("marsad_streams_stills_oldest_seconds "));
    let oldest: u64 = oldest.unwrap().parse().unwrap();
    assert!((295..=300).contains(&oldest), "looked at every 5 s: {counted}");
}

#[tokio::test(start_paused = true)]
async fn r1_1_11_a_first_read_before_the_shard_is_known_costs_seconds_not_a_minute() {
    let (house, frames) = (House::with(&[]).await, Arc::<Frames>::default());
    let szr = online_on("szr", "s0");
    frames.sends("szr", Sends::Nothing);
    let room = Room::over(house, frames).await;
    room.house.apply(&szr).await;
    assert_eq!(room.kept(&szr), Err(Refusal::StillNotAvailable));
    room.frames.sends("szr", Sends::Picture);
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(room.kept(&szr).unwrap(), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn r1_1_11_what_goes_with_its_camera_and_what_is_not_shown() {
    let (gone, off, stays) = (
        online_on("gone", "s0"),
        online_on("off", "s0"),
        online_on("stays", "s0"),
    );
    let room = Room::with(&[gone.clone(), off.clone(), stays.clone()]).await;
    tokio::time::sleep(seconds(1)).await;
    room.house.delete(&gone).await;
    assert_eq!(room.kept(&gone), Err(Refusal::CameraNotFound));
    let mut hidden = off.clone();
    hidden.spec.live.mode = LiveMode::Off;
    room.house.apply(&hidden).await;
    assert_eq!(room.kept(&off), Err(Refusal::LiveOff));
    tokio::time::sleep(seconds(6)).await;
    assert!(room.counted("marsad_streams_stills 1"), "both are dropped");
    assert_eq!((room.frames.reads("gone"), room.frames.reads("off")), (1, 1));
    // Shown again, it has no picture of before.
    room.frames.sends("off", Sends::Nothing);
    room.house.apply(&off).await;
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(room.kept(&off), Err(Refusal::StillNotAvailable));
}

#[tokio::test(start_paused = true)]
async fn r1_1_11_after_a_restart_there_is_none_until_the_camera_sends() {
    let dead = offline_on("dead", "s0");
    let room = Room::with(std::slice::from_ref(&dead)).await;
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(room.kept(&dead), Err(Refusal::StillNotAvailable));
    assert_eq!(room.frames.reads("dead"), 0);
    room.house.apply(&online_on("dead", "s0")).await;
    tokio::time::sleep(seconds(1)).await;
    assert!(room.kept(&dead).is_ok());
    // Cameras are not known yet: nothing is concluded from that.
    let early = Room::over(House::unready(), Arc::default()).await;
    assert_eq!(early.kept(&dead), Err(Refusal::NotReady));
}

#[tokio::test(start_paused = true)]
async fn r1_1_11_the_answer_tells_the_age_and_is_not_sent_twice() {
    let (szr, dead) = (online_on("szr", "s0"), offline_on("dead", "s0"));
    let room = Room::with(&[szr.clone(), dead.clone()]).await;
    tokio::time::sleep(seconds(42)).await;
    let path = format!("/api/v1/cameras/{}/still", id_of(&szr));
    let answer = room.get(&path, Some("amal"), None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, room.stills.get(id_of(&szr)).unwrap().mp4()[..]);
    assert_eq!(
        (answer.header("content-type"), answer.header("age")),
        ("video/mp4", "42")
    );
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert!(answer.header("last-modified").ends_with(" GMT"));
    let etag = answer.header("etag").to_owned();
    tokio::time::sleep(seconds(1)).await;
    let again = room.get(&path, Some("amal"), Some(&etag)).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!((again.header("etag"), again.header("age")), (etag.as_str(), "43"));
    let other = room.get(&path, Some("amal"), Some("\"0\"")).await;
    assert_eq!(other.status, StatusCode::OK);

    let none = format!("/api/v1/cameras/{}/still", id_of(&dead));
    let nobody = format!("/api/v1/cameras/{}/still", Uuid::nil());
    for (path, user, status, code) in [
        (path.as_str(), None, 401, "Unauthorized"),
        (&none, Some("amal"), 404, "StillNotAvailable"),
        (&nobody, Some("amal"), 404, "CameraNotFound"),
        ("/api/v1/cameras/szr/still", Some("amal"), 404, "CameraNotFound"),
    ] {
        let (said, problem) = room.get(path, user, None).await.problem();
        assert_eq!((said, &problem["code"]), (status, &json!(code)), "{path}");
        assert_eq!(
            (&problem["instance"], &problem["request_id"]),
            (&json!(path), &json!("r1"))
        );
        let arabic = problem["message_ar"].as_str().unwrap();
        assert!(
            arabic.chars().any(|c| ('\u{600}'..'\u{700}').contains(&c)),
            "{arabic}"
        );
    }
}
