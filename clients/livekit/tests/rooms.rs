//! Rooms of a real LiveKit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

#[path = "../../mediamtx/tests/engines/mod.rs"]
mod engines;

use std::time::Duration;

use engines::{LiveKit, free_port};
use marsad_livekit::{Client, Error, RoomOptions};

/// R2.1: rooms are made, listed and ended; what is not there is no error to end.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn rooms_are_made_listed_and_ended() {
    let engine = LiveKit::start().await;
    let client = Client::new(&engine.address(), LiveKit::KEY, LiveKit::SECRET).unwrap();
    client.health().await.unwrap();
    assert_eq!(client.list_rooms().await.unwrap(), []);
    assert_eq!(client.list_participants("camera_7").await.unwrap(), []);
    client.remove_participant("camera_7", "7.1").await.unwrap();
    client.delete_room("camera_7").await.unwrap();

    let minute = RoomOptions {
        empty_timeout: Some(Duration::from_secs(60)),
        ..RoomOptions::default()
    };
    client.create_room("camera_7", minute).await.unwrap();
    client.create_room("camera_7", minute).await.unwrap();
    let rooms = client.list_rooms().await.unwrap();
    assert_eq!(
        rooms.iter().map(|room| room.name.as_str()).collect::<Vec<_>>(),
        ["camera_7"]
    );
    assert!(!format!("{rooms:?}").to_lowercase().contains("turn"));
    client.remove_participant("camera_7", "7.1").await.unwrap();
    client.delete_room("camera_7").await.unwrap();
    assert_eq!(client.list_rooms().await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_wrong_secret_is_told() {
    let engine = LiveKit::start().await;
    let client = Client::new(
        &engine.address(),
        LiveKit::KEY,
        "another secret of thirty-two letters",
    )
    .unwrap();
    client.health().await.unwrap();
    assert!(matches!(client.list_rooms().await, Err(Error::Unauthorized)));
    assert!(matches!(
        client.list_participants("camera_7").await,
        Err(Error::Unauthorized)
    ));
}

#[tokio::test]
async fn a_livekit_that_is_not_there_refuses() {
    let client = Client::new(&format!("http://127.0.0.1:{}", free_port()), "key", "secret").unwrap();
    for error in [
        client.health().await.unwrap_err(),
        client.list_rooms().await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::ConnectionRefused), "{error}");
    }
}
