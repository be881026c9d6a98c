//! Leases from a real Valkey, and who is in the rooms of a real LiveKit.

use std::time::{Duration, Instant};

use futures::StreamExt;
use marsad_crds::Camera;
use marsad_streams::camera::id_of;
use serde_json::{Value, json};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::house::{Engines, House, camera};
use crate::processes::{H264, film, until};
use crate::{SOON, TURN, seconds};

/// A viewer's connection to LiveKit's signalling.
struct Viewer(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Viewer {
    async fn join(engines: &Engines, granted: &Value) -> Self {
        let token = granted["token"].as_str().unwrap();
        let port = engines.livekit.port;
        let url =
            format!("ws://127.0.0.1:{port}/rtc?access_token={token}&auto_subscribe=1&protocol=15&sdk=js");
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self(socket)
    }

    /// How long it takes LiveKit to end it.
    async fn ended(mut self, within: Duration) -> Duration {
        let started = Instant::now();
        let ends = async { while self.0.next().await.is_some_and(|message| message.is_ok()) {} };
        tokio::time::timeout(within, ends)
            .await
            .unwrap_or_else(|_| panic!("the viewer is still in the room after {within:?}"));
        started.elapsed()
    }
}

async fn is_there(engines: &Engines, camera: &Camera, granted: &Value) -> bool {
    let room = format!("camera_{}", id_of(camera));
    let found = engines.livekit.client().list_participants(&room).await;
    let found = found.unwrap_or_default();
    found
        .iter()
        .any(|one| granted["identity"] == one.identity.as_str())
}

async fn joined(engines: &Engines, camera: &Camera, granted: &Value) -> Viewer {
    let viewer = Viewer::join(engines, granted).await;
    until("the viewer is in the room", SOON, async || {
        is_there(engines, camera, granted).await
    })
    .await;
    viewer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn c14a_without_a_lease_nobody_stays_in_the_room_for_two_seconds() {
    let _turn = TURN.lock().await;
    let engines = Engines::start().await;
    let _film = film(&engines.cameras, "szr", H264);
    engines.ingest(0, "szr", true).await;
    let szr = camera("szr", "s0");
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    let (granted, _) = house.watch(&szr, "tab").await;
    let viewer = joined(&engines, &szr, &granted).await;
    // Long enough for the guard to have looked twice.
    tokio::time::sleep(seconds(4)).await;
    assert!(is_there(&engines, &szr, &granted).await, "a lease lets stay");

    house.leave(&granted).await;
    let out = viewer.ended(seconds(2)).await;
    let again = Viewer::join(&engines, &granted).await;
    let out_again = again.ended(seconds(2)).await;
    println!("out {out:?} after the release, {out_again:?} after joining with the old token");
    assert!(!is_there(&engines, &szr, &granted).await);

    // Whoever asks again is let in again, as the same viewer.
    let (anew, _) = house.watch(&szr, "tab").await;
    assert_eq!(anew["reservation_id"], granted["reservation_id"]);
    let _viewer = joined(&engines, &szr, &anew).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_limit_holds_over_processes_and_viewers_stay_through_a_restart() {
    const LIMIT: u64 = 3;
    let _turn = TURN.lock().await;
    let mut engines = Engines::start().await;
    engines.limit = LIMIT;
    let _film = film(&engines.cameras, "szr", H264);
    engines.ingest(0, "szr", true).await;
    let szr = camera("szr", "s0");
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    let (granted, _) = house.watch(&szr, "tab0").await;
    for other in 1..LIMIT {
        house.watch(&szr, &format!("tab{other}")).await;
    }
    let ask = json!({"camera_id": id_of(&szr), "client_id": "late"}).to_string();
    let full = house.send("POST", "/api/v1/stream/live", ask.clone()).await;
    assert_eq!(full.status, 429);
    let said = full.json();
    assert_eq!(
        (&said["error"], &said["source"], &said["current"], &said["limit"]),
        (
            &json!("LIMIT_REACHED"),
            &json!("POLICE"),
            &json!(LIMIT),
            &json!(LIMIT)
        )
    );
    let _viewer = joined(&engines, &szr, &granted).await;

    drop(house);
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    until("the next process knows who watches", SOON, async || {
        let path = format!(
            "/api/v1/stream/heartbeat/{}",
            granted["reservation_id"].as_str().unwrap()
        );
        house.send("POST", &path, String::new()).await.status == 200
    })
    .await;
    tokio::time::sleep(seconds(4)).await;
    assert!(
        is_there(&engines, &szr, &granted).await,
        "nobody is thrown out by a restart"
    );
    let full = house.send("POST", "/api/v1/stream/live", ask).await;
    assert_eq!(full.status, 429, "no slot is given twice");
    let stats = house
        .send("GET", "/api/v1/stream/stats", String::new())
        .await
        .json();
    assert_eq!(
        stats["sources"],
        json!([{"source": "POLICE", "current": LIMIT, "limit": LIMIT, "urgent": 0}])
    );
}
