//! The role against a real MediaMTX, LiveKit and Valkey: what whip-lab.md says of them, met.
//! `MARSAD_ENGINES` names the folder with `mediamtx`, `livekit-server` and `valkey-server`; `ffmpeg` is in the path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is a test"
)]

mod house;
mod leases;
mod processes;
mod stills;

use std::time::Duration;

use marsad_crds::Reason;
use tokio::sync::Mutex;

use crate::house::{Engines, House, camera};
use crate::processes::{BFRAMES, H264, H265, film, until};

/// One set of engines at a time: each test measures.
static TURN: Mutex<()> = Mutex::const_new(());

const SOON: Duration = Duration::from_secs(10);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn on_at_the_first_viewer_adopted_by_the_next_process_and_off_after_the_linger() {
    let _turn = TURN.lock().await;
    let engines = Engines::start().await;
    let _film = film(&engines.cameras, "szr", H264);
    engines.ingest(0, "szr", true).await;
    let szr = camera("szr", "s0");
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    let (_, answered) = house.watch(&szr, "tab").await;
    let (identity, published) = engines.published(&szr, SOON).await;
    println!("first viewer answered in {answered:?}, track in the room {published:?} later");
    let forwards = engines.shards[0]
        .client()
        .list_forwards(&house::path_of("szr"))
        .await
        .unwrap();

    // The next process has no memory; its first viewer finds the forward and leaves it alone (contracts.md 13a).
    drop(house);
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    let (granted, _) = house.watch(&szr, "tab").await;
    tokio::time::sleep(seconds(1)).await;
    let after = engines.shards[0]
        .client()
        .list_forwards(&house::path_of("szr"))
        .await
        .unwrap();
    assert_eq!(
        (after.len(), &after[0].id),
        (1, &forwards[0].id),
        "the same forward, not a new one"
    );
    assert_eq!(engines.publishers(&szr).await, [identity]);

    house.leave(&granted).await;
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(engines.forwards(0, "szr").await, 1, "it lingers");
    until("the forward is removed", seconds(3), async || {
        engines.forwards(0, "szr").await == 0
    })
    .await;
    until("the publisher has left", seconds(3), async || {
        engines.publishers(&szr).await.is_empty()
    })
    .await;
    assert_eq!(house.told.of(&szr), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn c13a_a_restarted_mediamtx_gets_its_forward_back() {
    let _turn = TURN.lock().await;
    let mut engines = Engines::start().await;
    let _film = film(&engines.cameras, "szr", H264);
    engines.ingest(0, "szr", true).await;
    let szr = camera("szr", "s0");
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    house.watch(&szr, "tab").await;
    let (before, _) = engines.published(&szr, SOON).await;
    engines.shards[0].stop();
    engines.shards[0].go().await;
    engines.ingest(0, "szr", false).await;
    let took = until("the forward is back", seconds(4), async || {
        engines.forwards(0, "szr").await == 1
    })
    .await;
    println!("forward back {took:?} after the path");
    until(
        "the camera is back under a new identity, and alone",
        SOON,
        async || {
            let present = engines.publishers(&szr).await;
            present.len() == 1 && present[0] != before
        },
    )
    .await;
    until("nobody is told of it any more", seconds(4), async || {
        house.told.of(&szr).is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_killed_livekit_is_told_and_gets_the_camera_back_in_less_than_five_seconds() {
    let _turn = TURN.lock().await;
    let mut engines = Engines::start().await;
    let _film = film(&engines.cameras, "szr", H264);
    engines.ingest(0, "szr", true).await;
    let szr = camera("szr", "s0");
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    house.watch(&szr, "tab").await;
    engines.published(&szr, SOON).await;
    tokio::time::sleep(seconds(4)).await;
    engines.livekit.kill();
    let told = until("viewers are told", seconds(3), async || {
        house.told.of(&szr) == Some(Reason::LiveKitUnavailable)
    })
    .await;
    engines.livekit.go().await;
    let (_, back) = engines.published(&szr, seconds(5)).await;
    println!("told {told:?} after the kill, track back {back:?} after the start");
    until("nobody is told any more", seconds(3), async || {
        house.told.of(&szr).is_none()
    })
    .await;

    // Killed and back before anybody looks: MediaMTX would not notice for 31 s (whip-lab.md §2b).
    tokio::time::sleep(seconds(3)).await;
    engines.livekit.kill();
    engines.livekit.go().await;
    let (_, back) = engines.published(&szr, seconds(5)).await;
    println!("track back {back:?} after a quick restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn h265_is_told_within_three_seconds() {
    let _turn = TURN.lock().await;
    let engines = Engines::start().await;
    let _film = film(&engines.cameras, "hevc", H265);
    engines.ingest(0, "hevc", true).await;
    let hevc = camera("hevc", "s0");
    let house = House::open(&engines, std::slice::from_ref(&hevc)).await;
    let (granted, _) = house.watch(&hevc, "tab").await;
    let told = until("told", seconds(3), async || {
        house.told.of(&hevc) == Some(Reason::UnsupportedCodec)
    })
    .await;
    println!("told {told:?} after the reservation");
    house.leave(&granted).await;
    until("nobody watches, nothing is said", seconds(1), async || {
        house.told.of(&hevc).is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn b_frames_are_told_and_the_forward_is_taken_away_until_the_camera_changes() {
    let _turn = TURN.lock().await;
    let engines = Engines::start().await;
    let wrong = film(&engines.cameras, "bf", BFRAMES);
    engines.ingest(0, "bf", true).await;
    let mut bf = camera("bf", "s0");
    let house = House::open(&engines, std::slice::from_ref(&bf)).await;
    house.watch(&bf, "tab").await;
    let told = until("told", seconds(3), async || {
        house.told.of(&bf) == Some(Reason::BFrames)
    })
    .await;
    until("the forward is gone", seconds(2), async || {
        engines.forwards(0, "bf").await == 0
    })
    .await;
    println!("told {told:?} after the reservation");

    drop(wrong);
    let _right = film(&engines.cameras, "bf", H264);
    let client = engines.shards[0].client();
    until("the camera sends Baseline", seconds(20), async || {
        let path = client.get_path(&house::path_of("bf")).await.unwrap().unwrap();
        path.tracks
            .first()
            .is_some_and(|track| track.profile.as_deref() == Some("Baseline"))
    })
    .await;
    assert_eq!(engines.forwards(0, "bf").await, 0, "not tried meanwhile");
    let profile = serde_json::from_value(serde_json::json!("Baseline")).unwrap();
    bf.status.as_mut().unwrap().ingest.as_mut().unwrap().profile = profile;
    house.apply(&bf);
    engines.published(&bf, SOON).await;
    until("nothing is said any more", seconds(3), async || {
        house.told.of(&bf).is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn c10_a_moved_camera_is_published_from_its_new_shard_and_from_no_other() {
    let _turn = TURN.lock().await;
    let engines = Engines::start().await;
    let _film = film(&engines.cameras, "szr", H264);
    engines.ingest(0, "szr", true).await;
    engines.ingest(1, "szr", true).await;
    let szr = camera("szr", "s0");
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    house.watch(&szr, "tab").await;
    let (before, _) = engines.published(&szr, SOON).await;
    house.apply(&camera("szr", "s1"));
    let took = until("published from the other shard alone", seconds(4), async || {
        let present = engines.publishers(&szr).await;
        present.len() == 1 && present[0] != before
    })
    .await;
    println!("moved in {took:?}");
    assert_eq!(
        (engines.forwards(0, "szr").await, engines.forwards(1, "szr").await),
        (0, 1)
    );
}

/// Prints figures; its only claim is that every answer came. The aim is under 20 ms over the call to MediaMTX.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_wall_of_a_hundred_cameras_is_answered() {
    let _turn = TURN.lock().await;
    let engines = Engines::start().await;
    let names: Vec<_> = (0..100).map(|number| format!("cam-{number}")).collect();
    for name in &names {
        engines.ingest(0, name, false).await;
    }
    let cameras: Vec<_> = names.iter().map(|name| camera(name, "s0")).collect();
    let house = House::open(&engines, &cameras).await;
    let mut took = Vec::new();
    for camera in &cameras {
        took.push(house.watch(camera, "tab").await.1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    took.sort();
    println!("one after another: p50 {:?}, p99 {:?}", took[50], took[98]);
    let all =
        futures::future::join_all(cameras.iter().take(64).map(|camera| house.watch(camera, "tab2"))).await;
    let mut took: Vec<_> = all.into_iter().map(|(_, took)| took).collect();
    took.sort();
    println!("64 at once: p50 {:?}, max {:?}", took[32], took[63]);
    let client = engines.shards[0].client();
    until("every camera has its forward", seconds(10), async || {
        let paths = client.list_path_configs().await.unwrap();
        paths.iter().filter(|path| path.forward.len() == 1).count() == names.len()
    })
    .await;
}
