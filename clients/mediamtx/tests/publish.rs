//! The live path with real engines: camera, MediaMTX, WHIP, LiveKit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod engines;

use std::time::Duration;

use engines::{Camera, LiveKit, MediaMtx, Video, until};
use marsad_livekit::{Participant, ParticipantState, Permission, Tokens, TrackSource};
use marsad_mediamtx::{ForwardEntry, PathConf, RtspTransport};

const PATH: &str = "police/szr-12/main";
const ROOM: &str = "camera_7";
const HOUR: Duration = Duration::from_secs(3600);

async fn published(livekit: &marsad_livekit::Client, identity: &str) -> Participant {
    until("the camera's track to be in the room", || async {
        let all = livekit.list_participants(ROOM).await.unwrap();
        all.into_iter().find(|one| {
            one.identity == identity && one.state == ParticipantState::Active && !one.tracks.is_empty()
        })
    })
    .await
}

/// contracts.md 14a: one participant with one camera track, narrow grants, and no silent sound track; a new token changes
/// the publisher and leaves the source alone; the end of the forward is the end of the participant.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_forward_publishes_one_camera_track() {
    let (camera, server, engine) =
        tokio::join!(Camera::sending(Video::Plain), MediaMtx::start(), LiveKit::start());
    let mediamtx = server.client();
    let livekit = marsad_livekit::Client::new(&engine.address(), LiveKit::KEY, LiveKit::SECRET).unwrap();
    let tokens = Tokens::new(LiveKit::KEY, LiveKit::SECRET);
    let publisher = |epoch: u32| {
        let token = tokens
            .publisher(ROOM, &format!("7.{epoch}"), "Exit 12", HOUR)
            .unwrap();
        vec![ForwardEntry::whip(engine.whip(), token)]
    };

    mediamtx
        .add_path(PATH, &PathConf::pull(camera.rtsp("cam"), RtspTransport::Tcp))
        .await
        .unwrap();
    let before = until("the path to be available", || async {
        mediamtx
            .get_path(PATH)
            .await
            .unwrap()
            .filter(|path| path.available)
    })
    .await;
    mediamtx.patch_forward(PATH, publisher(1)).await.unwrap();
    let seen = published(&livekit, "7.1").await;
    assert_eq!(
        seen.permission,
        Permission {
            subscribe: false,
            publish: true,
            publish_data: false,
            publish_sources: vec![TrackSource::Camera],
            update_metadata: false,
        }
    );
    assert_eq!(
        (seen.name.as_str(), seen.is_publisher, seen.tracks.len()),
        ("Exit 12", true, 1)
    );
    let track = &seen.tracks[0];
    assert!(
        track.is_video() && track.mime_type.eq_ignore_ascii_case("video/H264") && !track.muted,
        "{track:?}"
    );
    assert_eq!(track.source, TrackSource::Camera);

    mediamtx.patch_forward(PATH, publisher(2)).await.unwrap();
    published(&livekit, "7.2").await;
    until("the former publisher to be gone", || async {
        (livekit.list_participants(ROOM).await.unwrap().len() == 1).then_some(())
    })
    .await;
    let after = mediamtx.get_path(PATH).await.unwrap().unwrap();
    assert_eq!(
        after.available_time, before.available_time,
        "the source was not touched"
    );
    assert!(mediamtx.list_forwards(PATH).await.unwrap()[0].outbound_bytes > 0);

    mediamtx.patch_forward(PATH, vec![]).await.unwrap();
    until("the room to be empty", || async {
        livekit
            .list_participants(ROOM)
            .await
            .unwrap()
            .is_empty()
            .then_some(())
    })
    .await;
}

/// Failures of the publisher that MediaMTX words itself: `streams` tells them apart by these words (research/whip-lab.md §2e).
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_forward_that_cannot_publish_says_why() {
    let (camera, server, engine) = tokio::join!(
        Camera::sending(Video::BFrames),
        MediaMtx::start(),
        LiveKit::start()
    );
    let client = server.client();
    let said = async |token: String, words: &'static str| {
        client
            .patch_forward(PATH, vec![ForwardEntry::whip(engine.whip(), token)])
            .await
            .unwrap();
        until(words, || async {
            client
                .list_forwards(PATH)
                .await
                .unwrap()
                .into_iter()
                .find(|forward| forward.last_error.contains(words))
        })
        .await
    };
    client
        .add_path(PATH, &PathConf::pull(camera.rtsp("cam"), RtspTransport::Tcp))
        .await
        .unwrap();
    let good = Tokens::new(LiveKit::KEY, LiveKit::SECRET)
        .publisher(ROOM, "7.1", "", HOUR)
        .unwrap();
    let bad = Tokens::new(LiveKit::KEY, "another secret of thirty-two letters")
        .publisher(ROOM, "7.1", "", HOUR)
        .unwrap();
    said(good, "B-frames").await;
    said(bad, "401").await;
}
