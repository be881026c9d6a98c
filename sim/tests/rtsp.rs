//! The protocol, spoken by a client that others wrote, and by one that breaks the rules
//! (R1.1-33: a mock RTSP server that the pulling side can be tested against).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the #[test] functions of such a file for tests, not what they call"
)]

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::{Player, Raw, SILENCE, Sim, as_user, describe, locked, refusal, shows, soon, timestamp};
use marsad_sim::camera::{Source, Video};
use marsad_sim::clock::{WIDTH, barcode};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use retina::client::{SessionOptions, SetupOptions, Transport, UdpTransportOptions};
use retina::codec::ParametersRef;

#[tokio::test]
async fn a_looped_clip_plays_on_across_its_end() {
    let sim = Sim::start().await;
    sim.add("cam-0", shows(Video::Clip)).await;
    let mut player = Player::play(sim.url("cam-0")).await;
    match player.0.streams()[0].parameters() {
        Some(ParametersRef::Video(video)) => {
            assert_eq!(video.pixel_dimensions(), (640, 360));
            assert!(
                video.rfc6381_codec().starts_with("avc1.42"),
                "{}",
                video.rfc6381_codec()
            );
        }
        other => panic!("{other:?}"),
    }
    // The clip is 25 frames long.
    let mut frames = Vec::new();
    while frames.len() < 40 {
        let frame = player.frame().await;
        assert_eq!(frame.loss(), 0);
        frames.push(frame);
    }
    for (before, after) in frames.iter().zip(&frames[1..]) {
        assert_eq!(timestamp(after).wrapping_sub(timestamp(before)), 3600);
    }
    for (first, again) in frames.iter().zip(&frames[25..]) {
        assert_eq!(first.data(), again.data());
    }
    let keys = frames[..25]
        .iter()
        .filter(|frame| frame.is_random_access_point())
        .count();
    assert_eq!(keys, 1);
}

#[tokio::test]
async fn two_viewers_see_the_same_picture_at_the_same_time() {
    let sim = Sim::start().await;
    let camera = sim.add("cam-0", shows(Video::Clip)).await;
    let mut one = Player::play(sim.url("cam-0")).await;
    let mut other = Player::play(sim.url("cam-0")).await;
    assert_eq!(
        camera.counters.playing.load(std::sync::atomic::Ordering::Relaxed),
        2
    );
    let frame = other.frame().await;
    let same = loop {
        let frame_of_one = one.frame().await;
        if timestamp(&frame_of_one) == timestamp(&frame) {
            break frame_of_one;
        }
    };
    assert_eq!(same.data(), frame.data());
}

#[tokio::test]
async fn a_clock_tells_the_time_and_is_encoded_only_while_watched() {
    let sim = Sim::start().await;
    let camera = sim.add("clock-0", shows(Video::Clock)).await;
    let Source::Clock(clock, _) = &camera.source else {
        panic!("not a clock")
    };
    let mut running = clock.is_running();
    assert!(!*running.borrow());
    let epoch = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u32;
    let before = epoch();
    let mut player = Player::play(sim.url("clock-0")).await;
    assert!(*running.borrow());
    let mut decoder = Decoder::new().unwrap();
    let mut last = before;
    for _ in 0..30 {
        let frame = player.frame().await;
        let picture = decoder
            .decode(frame.data())
            .unwrap()
            .expect("a picture for every frame");
        let stride = picture.strides().0;
        let luma: Vec<u8> = picture
            .y()
            .chunks(stride)
            .take(16)
            .flat_map(|row| &row[..WIDTH])
            .copied()
            .collect();
        let shown = barcode::read(&luma, WIDTH).expect("a readable barcode");
        assert!(
            (last..=epoch()).contains(&shown),
            "{shown} not in {last}..={}",
            epoch()
        );
        last = shown;
    }
    drop(player);
    soon("the encoder's end", running.wait_for(|running| !running))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_locked_camera_wants_its_password() {
    let sim = Sim::start().await;
    sim.add("cam-0", locked("admin", "s3 cret")).await;
    assert_eq!(
        refusal(sim.url("cam-0"), SessionOptions::default()).await,
        Some(401)
    );
    assert_eq!(
        refusal(sim.url("cam-0"), as_user("admin", "wrong")).await,
        Some(401)
    );
    assert_eq!(
        refusal(sim.url("cam-0"), as_user("root", "s3 cret")).await,
        Some(401)
    );
    describe(sim.url("cam-0"), as_user("admin", "s3 cret"))
        .await
        .unwrap();
    // Both schemes are offered; retina took Digest. Basic:
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    let asked = raw.request("DESCRIBE", "").await.unwrap();
    assert!(
        asked.head.contains("\r\nWWW-Authenticate: Digest realm="),
        "{asked:?}"
    );
    assert!(
        asked.head.contains("\r\nWWW-Authenticate: Basic realm="),
        "{asked:?}"
    );
    let basic = "Authorization: Basic YWRtaW46czMgY3JldA==\r\n";
    assert_eq!(raw.request("DESCRIBE", basic).await.unwrap().status, 200);
    // The password is asked for each time, not once a connection.
    assert_eq!(raw.request("DESCRIBE", "").await.unwrap().status, 401);
}

#[tokio::test]
async fn udp_is_answered_461() {
    let sim = Sim::start().await;
    sim.add("cam-0", shows(Video::Clip)).await;
    let mut session = describe(sim.url("cam-0"), SessionOptions::default())
        .await
        .unwrap();
    let udp = SetupOptions::default().transport(Transport::Udp(UdpTransportOptions::default()));
    let refused = soon("SETUP", session.setup(0, udp)).await.unwrap_err();
    assert_eq!(refused.status_code(), Some(461));
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    let both = "Transport: RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=2-3\r\n";
    let taken = raw.request("SETUP", both).await.unwrap();
    assert_eq!(taken.status, 200, "TCP is taken where it is offered");
    assert!(
        taken.head.contains("RTP/AVP/TCP;unicast;interleaved=2-3"),
        "{taken:?}"
    );
}

#[tokio::test]
async fn requests_out_of_order_are_refused_as_the_rfc_says() {
    let sim = Sim::start().await;
    sim.add("cam-0", shows(Video::Clip)).await;
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    let options = raw.request("OPTIONS", "").await.unwrap();
    assert!(
        options
            .head
            .contains("\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY"),
        "{options:?}"
    );
    assert_eq!(raw.request("PLAY", "").await.unwrap().status, 455);
    assert_eq!(raw.request("TEARDOWN", "").await.unwrap().status, 454);
    assert_eq!(raw.request("SETUP", "").await.unwrap().status, 400);
    assert_eq!(raw.request("GET_PARAMETER", "").await.unwrap().status, 200);
    assert_eq!(raw.request("RECORD", "").await.unwrap().status, 501);
    assert_eq!(
        raw.request("PLAY", "Session: nobody\r\n").await.unwrap().status,
        454
    );
    raw.play().await;
    assert_eq!(
        raw.request("SETUP", "Transport: RTP/AVP/TCP\r\n")
            .await
            .unwrap()
            .status,
        459
    );
    assert_eq!(raw.request("GET_PARAMETER", "").await.unwrap().status, 200);
    assert_eq!(raw.request("TEARDOWN", "").await.unwrap().status, 200);
    assert!(
        tokio::time::timeout(SILENCE, raw.read()).await.is_err(),
        "torn down, but packets come"
    );
}

#[tokio::test]
async fn an_unknown_path_is_404_and_options_need_none() {
    let sim = Sim::start().await;
    assert_eq!(
        refusal(sim.url("cam-0"), SessionOptions::default()).await,
        Some(404)
    );
    let mut raw = Raw::connect(sim.address, "nobody").await;
    assert_eq!(raw.request("OPTIONS", "").await.unwrap().status, 200);
    assert_eq!(raw.request("SETUP", "").await.unwrap().status, 404);
    raw.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n").await;
    assert!(raw.answer().await.unwrap().head.contains("CSeq: 9\r\n"));
}

#[tokio::test]
async fn what_is_not_rtsp_ends_the_connection() {
    let sim = Sim::start().await;
    for garbage in [
        "GET / HTTP/1.1\r\n\r\n",
        "DESCRIBE rtsp://h/cam-0 RTSP/1.0\r\n\r\n",
    ] {
        let mut raw = Raw::connect(sim.address, "cam-0").await;
        raw.send(garbage.as_bytes()).await;
        assert_eq!(raw.answer().await.unwrap().status, 400, "{garbage}");
        assert!(raw.answer().await.is_none());
    }
    // A header without end is not kept for ever.
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    raw.send(b"DESCRIBE rtsp://h/cam-0 RTSP/1.0\r\nX: ").await;
    raw.send(&[b'x'; 80 * 1024]).await;
    assert!(raw.answer().await.is_none());
}

#[tokio::test]
async fn requests_may_come_in_pieces_or_together() {
    let sim = Sim::start().await;
    sim.add("cam-0", shows(Video::Clip)).await;
    let mut raw = Raw::connect(sim.address, "cam-0").await;
    // A receiver report in between, as clients send them.
    let both = b"OPTIONS rtsp://h/cam-0 RTSP/1.0\r\nCSeq: 1\r\n\r\n$\x01\x00\x04abcdDESCRIBE rtsp://h/cam-0?x=1 RTSP/1.0\r\nCS";
    raw.send(both).await;
    assert_eq!(raw.answer().await.unwrap().status, 200);
    raw.send(b"eq: 2\r\n\r\n").await;
    let described = raw.answer().await.unwrap();
    assert!(
        described.head.contains("\r\nContent-Base: rtsp://h/cam-0/\r\n"),
        "{described:?}"
    );
    assert!(described.body.contains("sprop-parameter-sets="));
}
