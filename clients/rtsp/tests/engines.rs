//! Real streams: MediaMTX as the camera, and as the shard that pulls it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

#[path = "../../mediamtx/tests/engines/mod.rs"]
mod engines;

use std::time::{Duration, Instant};

use engines::{Camera, MediaMtx, Video, until};
use marsad_mediamtx::{PathConf, RtspTransport};
use marsad_rtsp::{Credentials, Failure, Inspection, Trust, inspect, key_frame};

const PATIENT: Duration = Duration::from_secs(20);
const PATH: &str = "police/szr-12/main";

/// The codec of the camera at `url`, asked where its name leads, or what is wrong.
async fn diagnose(url: &str, login: Option<&Credentials>, deadline: Duration) -> Result<String, Failure> {
    marsad_rtsp::diagnose(url, None, login, &Trust::Public, deadline)
        .await
        .codec
}

/// A shard that pulls `video`, when it has it.
async fn pulled(video: Video) -> (Camera, MediaMtx, Credentials) {
    let (camera, server) = tokio::join!(Camera::sending(video), MediaMtx::start());
    let client = server.client();
    client
        .add_path(PATH, &PathConf::pull(camera.rtsp("cam"), RtspTransport::Tcp))
        .await
        .unwrap();
    until("the path to be available", || async {
        client.get_path(PATH).await.unwrap().filter(|path| path.available)
    })
    .await;
    let reader = Credentials::new(server.config.reader.username(), server.config.reader.password());
    (camera, server, reader)
}

async fn seen(video: Video, longest: Duration) -> Inspection {
    let (_camera, server, reader) = pulled(video).await;
    let begun = Instant::now();
    let seen = inspect(&server.rtsp(PATH), Some(&reader), longest).await.unwrap();
    println!("inspected in {:?}: {seen:?}", begun.elapsed());
    seen
}

#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_good_stream_is_seen_as_it_is() {
    let seen = seen(Video::WithSound, PATIENT).await;
    assert_eq!(
        seen,
        Inspection {
            codec: "H264".into(),
            profile: Some("ConstrainedBaseline".into()),
            width: Some(320),
            height: Some(180),
            b_frames: false,
            gop: Some(Duration::from_secs(1)),
            gop_frames: Some(25),
            gop_open: false,
        }
    );
}

/// MediaMTX refuses to publish such a stream (research/whip-lab.md §2e).
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn b_frames_are_seen() {
    let seen = seen(Video::BFrames, PATIENT).await;
    assert!(seen.b_frames, "{seen:?}");
    assert_eq!(seen.profile.as_deref(), Some("High"));
}

#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn key_frames_far_apart_are_seen() {
    // Read where it is published: MediaMTX gives on what it pulls from the first key frame on, here a minute away.
    let camera = Camera::sending(Video::LongGop).await;
    let url = camera.rtsp("cam");
    until("the camera to send", || async {
        diagnose(&url, None, PATIENT).await.ok()
    })
    .await;
    let seen = inspect(&url, None, Duration::from_secs(6)).await.unwrap();
    assert!(seen.gop_open && !seen.b_frames, "{seen:?}");
    assert!(
        seen.gop.is_some_and(|gop| gop > Duration::from_secs(4)),
        "{seen:?}"
    );
}

#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn another_codec_is_named_and_not_played() {
    let seen = seen(Video::Hevc, PATIENT).await;
    assert_eq!(
        (seen.codec.as_str(), seen.width, seen.height, seen.gop),
        ("H265", Some(320), Some(180), None)
    );
}

/// The reader's credentials are those of the shard's configuration; nobody reads without them.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn only_the_reader_reads() {
    let (mut camera, server, reader) = pulled(Video::Plain).await;
    let url = server.rtsp(PATH);
    let api = Credentials::new(server.config.api.username(), server.config.api.password());
    let wrong = Credentials::new(server.config.reader.username(), "geheim");
    for login in [None, Some(&api), Some(&wrong)] {
        assert_eq!(inspect(&url, login, PATIENT).await, Err(Failure::Unauthorized));
    }
    // A path that is not configured is one of `all_others`, and answers as one whose camera is down.
    let strange = server.rtsp("police/other/main");
    assert_eq!(
        inspect(&strange, Some(&reader), PATIENT).await,
        Err(Failure::NotFound)
    );
    camera.stop();
    let client = server.client();
    until("the path to be unavailable", || async {
        client
            .get_path(PATH)
            .await
            .unwrap()
            .filter(|path| !path.available)
    })
    .await;
    assert_eq!(
        inspect(&url, Some(&reader), PATIENT).await,
        Err(Failure::NotFound)
    );
}

/// R1.1-14: a real server's digest or basic challenge is met.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_real_camera_says_what_is_wrong() {
    let mut camera = Camera::start().await;
    assert_eq!(
        diagnose(&camera.rtsp("cam"), None, PATIENT).await,
        Err(Failure::NotFound)
    );
    camera.send("secret", Video::Plain);
    let (user, password) = Camera::USER;
    let (right, wrong) = (Credentials::new(user, password), Credentials::new(user, "falsch"));
    let url = camera.rtsp("secret");
    let codec = until("the camera to send", || async {
        diagnose(&url, Some(&right), PATIENT).await.ok()
    })
    .await;
    assert_eq!(codec, "H264");
    assert_eq!(diagnose(&url, None, PATIENT).await, Err(Failure::Unauthorized));
    assert_eq!(
        diagnose(&url, Some(&wrong), PATIENT).await,
        Err(Failure::Unauthorized)
    );
    camera.send("cam", Video::Sound);
    let sound = camera.rtsp("cam");
    until("the sound to be there", || async {
        (diagnose(&sound, None, PATIENT).await == Err(Failure::NoVideo)).then_some(())
    })
    .await;
    camera.send("cam", Video::Hevc);
    until("the other codec to be there", || async {
        let codec = "H265".to_owned();
        (diagnose(&sound, None, PATIENT).await == Err(Failure::UnsupportedCodec { codec })).then_some(())
    })
    .await;
}

/// Type of a NAL.
fn kind(nal: &[u8]) -> u8 {
    nal[0] & 0x1f
}

#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_1_11_a_key_frame_is_read_from_the_shard() {
    let (_camera, server, reader) = pulled(Video::WithSound).await;
    let url = server.rtsp(PATH);
    let begun = Instant::now();
    let frame = key_frame(&url, Some(&reader), PATIENT).await.unwrap();
    println!(
        "a key frame of {} bytes in {:?}",
        frame.slices.len(),
        begun.elapsed()
    );
    assert_eq!((kind(&frame.sps), kind(&frame.pps)), (7, 8));
    assert_eq!((frame.width, frame.height), (320, 180));
    let mut slices = &frame.slices[..];
    while !slices.is_empty() {
        let (length, rest) = slices.split_first_chunk().unwrap();
        let (slice, rest) = rest.split_at(u32::from_be_bytes(*length).try_into().unwrap());
        assert_eq!(kind(slice), 5);
        slices = rest;
    }
    assert_eq!(key_frame(&url, None, PATIENT).await, Err(Failure::Unauthorized));
}

#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_1_11_where_no_key_frame_comes_it_is_said() {
    let (_camera, server, reader) = pulled(Video::Hevc).await;
    let codec = "H265".to_owned();
    assert_eq!(
        key_frame(&server.rtsp(PATH), Some(&reader), PATIENT).await,
        Err(Failure::UnsupportedCodec { codec })
    );
    let camera = Camera::sending(Video::LongGop).await;
    let url = camera.rtsp("cam");
    until("the camera to send", || async {
        diagnose(&url, None, PATIENT).await.ok()
    })
    .await;
    // The first one may still be on its way; the next is a minute off.
    let _first = key_frame(&url, None, Duration::from_secs(3)).await;
    let next = key_frame(&url, None, Duration::from_secs(3)).await;
    assert_eq!(next.map(|frame| frame.slices.len()), Err(Failure::NoFrames));
}
