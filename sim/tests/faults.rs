//! Every fault, as the one who pulls sees it, and that it is over when it is over
//! (R1.1-33, R1.1-35).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the #[test] functions of such a file for tests, not what they call"
)]

mod common;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use common::{Player, Raw, SILENCE, Sim, describe, locked, refusal, shows, soon};
use marsad_sim::camera::{Fault, Spec, Video};
use marsad_sim::fleet::Put;
use retina::client::SessionOptions;
use retina::codec::CodecItem;
use tokio::net::TcpStream;

async fn set(sim: &Sim, fault: Fault) {
    sim.fleet.set_fault("cam-0", fault).await.unwrap().unwrap();
}

async fn with_camera() -> Sim {
    let sim = Sim::start().await;
    sim.add("cam-0", shows(Video::Clip)).await;
    sim
}

#[tokio::test]
async fn refuse_closes_the_cameras_own_port() {
    let sim = Sim::start().await;
    let own = Spec {
        port: Some(0),
        ..shows(Video::Clip)
    };
    let camera = sim.add("cam-0", own.clone()).await;
    let mut address = sim.address;
    address.set_port(camera.spec.port.unwrap());
    let url = || format!("rtsp://{address}/cam-0").parse().unwrap();
    let mut player = Player::play(url()).await;
    player.frame().await;

    set(&sim, Fault::Refuse).await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    player.ended().await;

    set(&sim, Fault::None).await;
    Player::play(url()).await.frame().await;
    // On its own port there is nobody else, and on the shared one it is not.
    sim.add("cam-1", shows(Video::Clip)).await;
    let mut raw = Raw::connect(address, "cam-1").await;
    assert_eq!(raw.request("DESCRIBE", "").await.unwrap().status, 404);
    assert_eq!(
        refusal(sim.url("cam-0"), SessionOptions::default()).await,
        Some(404)
    );
    // Asked for again as it is, it is left alone; removed, its port is free.
    assert_eq!(sim.fleet.put("cam-0", own).await.unwrap().1, Put::Unchanged);
    assert!(sim.fleet.remove("cam-0").await);
    assert_eq!(
        TcpStream::connect(address).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn refuse_on_the_shared_port_ends_the_connection_when_the_name_is_heard() {
    let sim = with_camera().await;
    sim.add("cam-1", shows(Video::Clip)).await;
    let mut player = Player::play(sim.url("cam-0")).await;
    let mut neighbour = Player::play(sim.url("cam-1")).await;
    set(&sim, Fault::Refuse).await;
    player.ended().await;
    for method in ["OPTIONS", "DESCRIBE"] {
        let mut raw = Raw::connect(sim.address, "cam-0").await;
        assert!(raw.request(method, "").await.is_none(), "{method}");
    }
    neighbour.frame().await;
    set(&sim, Fault::None).await;
    Player::play(sim.url("cam-0")).await.frame().await;
}

#[tokio::test]
async fn a_hanging_camera_answers_when_it_is_mended() {
    let sim = with_camera().await;
    let mut player = Player::play(sim.url("cam-0")).await;
    player.frame().await;
    set(&sim, Fault::Hang).await;
    assert!(player.is_silent().await);
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    raw.ask("DESCRIBE", "").await;
    assert!(tokio::time::timeout(SILENCE, raw.read()).await.is_err());
    set(&sim, Fault::None).await;
    assert_eq!(raw.answer().await.unwrap().status, 200);
    player.frame().await;
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_hanging_camera_leaves_nothing_behind() {
    let sim = with_camera().await;
    let camera = sim.fleet.get("cam-0").unwrap();
    set(&sim, Fault::Hang).await;
    let connections = || {
        camera
            .counters
            .connections
            .load(std::sync::atomic::Ordering::Relaxed)
    };
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    raw.ask("DESCRIBE", "").await;
    soon("the request to be heard", async {
        while connections() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(raw);
    soon("the connection to be forgotten", async {
        while connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn drop_ends_connections_again_and_again() {
    let sim = with_camera().await;
    let mut player = Player::play(sim.url("cam-0")).await;
    player.frame().await;
    set(&sim, Fault::Drop).await;
    player.ended().await;
    let mut again = Player::play(sim.url("cam-0")).await;
    again.frame().await;
    again.ended().await;
    set(&sim, Fault::None).await;
    Player::play(sim.url("cam-0")).await.frame().await;
}

#[tokio::test]
async fn unauthorized_refuses_the_right_password_too() {
    let sim = Sim::start().await;
    sim.add("cam-0", locked("admin", "secret")).await;
    let admin = || common::as_user("admin", "secret");
    describe(sim.url("cam-0"), admin()).await.unwrap();
    set(&sim, Fault::Unauthorized).await;
    assert_eq!(refusal(sim.url("cam-0"), admin()).await, Some(401));
    set(&sim, Fault::None).await;
    describe(sim.url("cam-0"), admin()).await.unwrap();
}

#[tokio::test]
async fn not_found_is_404_and_ends_what_plays() {
    let sim = with_camera().await;
    let mut player = Player::play(sim.url("cam-0")).await;
    set(&sim, Fault::NotFound).await;
    player.ended().await;
    assert_eq!(
        refusal(sim.url("cam-0"), SessionOptions::default()).await,
        Some(404)
    );
    set(&sim, Fault::None).await;
    Player::play(sim.url("cam-0")).await.frame().await;
}

#[tokio::test]
async fn a_stalled_camera_answers_but_shows_nothing() {
    let sim = with_camera().await;
    let mut player = Player::play(sim.url("cam-0")).await;
    player.frame().await;
    set(&sim, Fault::Stall).await;
    assert!(player.is_silent().await);
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    raw.play().await;
    assert!(tokio::time::timeout(SILENCE, raw.read()).await.is_err());
    assert_eq!(raw.request("GET_PARAMETER", "").await.unwrap().status, 200);
    set(&sim, Fault::None).await;
    player.frame().await;
    assert!(soon("packets", raw.read()).await > 0);
}

#[tokio::test]
async fn a_camera_without_video_offers_audio_only() {
    let sim = with_camera().await;
    let mut player = Player::play(sim.url("cam-0")).await;
    set(&sim, Fault::NoVideo).await;
    player.ended().await;
    let mut audio = Player::play(sim.url("cam-0")).await;
    assert_eq!(audio.0.streams().len(), 1);
    assert_eq!(audio.0.streams()[0].media(), "audio");
    assert_eq!(audio.0.streams()[0].encoding_name(), "pcmu");
    assert!(matches!(audio.item().await, Some(CodecItem::AudioFrame(_))));
    set(&sim, Fault::None).await;
    audio.ended().await;
    Player::play(sim.url("cam-0")).await.frame().await;
}

#[tokio::test]
async fn a_thin_line_carries_no_more_than_it_can() {
    let sim = with_camera().await;
    set(&sim, Fault::Bandwidth { kbps: 400 }).await;
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    raw.play().await;
    let start = Instant::now();
    let mut carried = 0;
    while carried < 50_000 {
        carried += soon("packets", raw.read()).await;
    }
    // 50 kB at 400 kbit/s are 1 s; a packet or two are on their way at each end.
    assert!(
        start.elapsed() > Duration::from_millis(900),
        "{carried} bytes in {:?}",
        start.elapsed()
    );
    // Mended in the middle of a picture, the rest comes at once and unharmed.
    let mut player = Player::play(sim.url("cam-0")).await;
    set(&sim, Fault::None).await;
    for _ in 0..30 {
        assert_eq!(player.frame().await.loss(), 0);
    }
}

#[tokio::test]
async fn a_removed_or_replaced_camera_ends_its_connections() {
    let sim = with_camera().await;
    let mut player = Player::play(sim.url("cam-0")).await;
    assert_eq!(
        sim.fleet.put("cam-0", shows(Video::Clock)).await.unwrap().1,
        Put::Replaced
    );
    player.ended().await;
    let mut player = Player::play(sim.url("cam-0")).await;
    player.frame().await;
    assert!(sim.fleet.remove("cam-0").await);
    player.ended().await;
    assert!(!sim.fleet.remove("cam-0").await);
}
