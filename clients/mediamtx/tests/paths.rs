//! Paths of a real MediaMTX with the configuration of a shard.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod engines;

use engines::{Camera, MediaMtx, Video, free_port, until};
use marsad_mediamtx::{
    Client, Credentials, Error, ForwardEntry, ForwardState, PathConf, PathConfig, PathState, RtspTransport,
    diff,
};

const PATH: &str = "police/szr-12/main";

async fn available(client: &Client) -> PathState {
    until("the path to be available", || async {
        client
            .list_paths()
            .await
            .unwrap()
            .into_iter()
            .find(|path| path.name == PATH && path.available)
    })
    .await
}

/// The paths that were made over the API: beside what the file says of all others.
async fn made(client: &Client) -> Vec<PathConfig> {
    let mut all = client.list_path_configs().await.unwrap();
    all.retain(|config| config.name != "all_others");
    all
}

/// Adding, comparing, changing and removing; a camera that goes is seen and so is its return (R1.1-01, R1.1-04).
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_path_is_added_changed_and_removed() {
    let mut camera = Camera::sending(Video::WithSound).await;
    let server = MediaMtx::start().await;
    let client = server.client();
    let want = PathConf::pull(camera.rtsp("cam"), RtspTransport::Tcp);

    client.add_path(PATH, &want).await.unwrap();
    assert!(matches!(
        client.add_path(PATH, &want).await,
        Err(Error::AlreadyExists)
    ));
    let state = available(&client).await;
    let video = state.tracks.iter().find(|track| track.is_video()).unwrap();
    assert_eq!(
        (video.codec.as_str(), video.width, video.height),
        ("H264", Some(320), Some(180))
    );
    assert_eq!(video.profile.as_deref(), Some("Baseline"));
    assert_eq!(state.tracks.len(), 2);

    // What was written is what is read: nothing to write again.
    let configs = made(&client).await;
    assert_eq!(configs.len(), 1);
    assert_eq!(diff(&configs[0], &want), None);
    assert_eq!(
        client.get_path_config(PATH).await.unwrap().as_ref(),
        configs.first()
    );

    // Recording is changed in flight, with nothing else.
    let want = PathConf {
        record_delete_after: Some("72h".into()),
        ..want
    };
    let patch = diff(&configs[0], &want).unwrap();
    assert!(!patch.interrupts());
    client.patch_path(PATH, &patch).await.unwrap();
    // A write is answered before it has an effect.
    until("the retention to be as written", || async {
        let have = client.get_path_config(PATH).await.unwrap().unwrap();
        diff(&have, &want).is_none().then_some(())
    })
    .await;
    assert_eq!(available(&client).await.available_time, state.available_time);

    camera.stop();
    until("the path to be unavailable", || async {
        client
            .get_path(PATH)
            .await
            .unwrap()
            .filter(|path| !path.available && path.tracks.is_empty())
    })
    .await;
    camera.send("cam", Video::Plain);
    let back = available(&client).await;
    assert_ne!(back.available_time, state.available_time);
    assert_eq!(back.tracks.len(), 1);

    client.delete_path(PATH).await.unwrap();
    client.delete_path(PATH).await.unwrap();
    assert_eq!(client.get_path_config(PATH).await.unwrap(), None);
    assert!(matches!(
        client.patch_path(PATH, &patch).await,
        Err(Error::NotFound)
    ));
    assert!(matches!(client.list_forwards(PATH).await, Err(Error::NotFound)));
}

/// Recording begins and ends while the picture goes on: the same connection to the camera, and bytes that never start anew.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn recording_is_switched_without_interrupting_the_picture() {
    let camera = Camera::sending(Video::Plain).await;
    let server = MediaMtx::start().await;
    let client = server.client();
    let quiet = PathConf::pull(camera.rtsp("cam"), RtspTransport::Tcp);
    let recorded = PathConf {
        record: true,
        record_delete_after: Some("72h".into()),
        ..quiet.clone()
    };
    client.add_path(PATH, &quiet).await.unwrap();
    let before = available(&client).await;
    assert_eq!(server.recorded(PATH).len(), 0);

    let mut bytes = before.inbound_bytes;
    for (want, files) in [(&recorded, 1), (&quiet, 1), (&recorded, 2)] {
        let have = client.get_path_config(PATH).await.unwrap().unwrap();
        client
            .patch_path(PATH, &diff(&have, want).unwrap())
            .await
            .unwrap();
        let now = until("the camera to go on sending", || async {
            let state = client.get_path(PATH).await.unwrap()?;
            assert_eq!(
                state.available_time, before.available_time,
                "the picture was interrupted"
            );
            let moved = state.inbound_bytes > bytes + 20_000;
            (moved && server.recorded(PATH).len() == files).then_some(state.inbound_bytes)
        })
        .await;
        bytes = now;
    }
}

/// docs/adr/0009: a path at rest leaves its camera alone, keeps what another writer gave it, and dials at once when it is woken.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_1_03_a_path_is_put_to_rest_and_woken() {
    let camera = Camera::sending(Video::Plain).await;
    let server = MediaMtx::start().await;
    let client = server.client();
    let want = PathConf::pull(camera.rtsp("cam"), RtspTransport::Tcp);
    client.add_path(PATH, &want).await.unwrap();
    available(&client).await;
    let nobody = format!("whip://127.0.0.1:{}/whip/v1", free_port());
    client
        .patch_forward(PATH, vec![ForwardEntry::whip(&nobody, "eyJ.token.one")])
        .await
        .unwrap();

    let have = client.get_path_config(PATH).await.unwrap().unwrap();
    let rest = want.clone().at_rest();
    client
        .patch_path(PATH, &diff(&have, &rest).unwrap())
        .await
        .unwrap();
    until("the camera to be left alone", || async {
        client
            .get_path(PATH)
            .await
            .unwrap()
            .filter(|path| !path.available)
    })
    .await;
    let have = client.get_path_config(PATH).await.unwrap().unwrap();
    assert_eq!(diff(&have, &rest), None);
    assert_eq!(have.forward.len(), 1, "the forward stays");

    client
        .patch_path(PATH, &diff(&have, &want).unwrap())
        .await
        .unwrap();
    available(&client).await;
    let have = client.get_path_config(PATH).await.unwrap().unwrap();
    assert_eq!(have.forward.len(), 1);
}

/// contracts.md 13a: two writers on one path do not disturb each other.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn the_forward_is_another_writers() {
    let camera = Camera::sending(Video::Plain).await;
    let server = MediaMtx::start().await;
    let client = server.client();
    let want = PathConf::pull(camera.rtsp("cam"), RtspTransport::Tcp);
    client.add_path(PATH, &want).await.unwrap();
    let before = available(&client).await;
    assert_eq!(client.list_forwards(PATH).await.unwrap(), []);

    let nobody = format!("whip://127.0.0.1:{}/whip/v1", free_port());
    client
        .patch_forward(PATH, vec![ForwardEntry::whip(&nobody, "eyJ.token.one")])
        .await
        .unwrap();
    let forward = until("the forward to fail", || async {
        let forwards = client.list_forwards(PATH).await.unwrap();
        forwards
            .into_iter()
            .find(|forward| forward.state == ForwardState::Error)
    })
    .await;
    assert!(
        forward.last_error.contains("connection refused"),
        "{}",
        forward.last_error
    );
    assert_eq!(forward.dest, nobody);

    // The controller sees no difference, and its patch leaves the forward alone.
    let have = client.get_path_config(PATH).await.unwrap().unwrap();
    assert_eq!(diff(&have, &want), None);
    let recording = PathConf {
        record_delete_after: Some("48h".into()),
        ..want
    };
    client
        .patch_path(PATH, &diff(&have, &recording).unwrap())
        .await
        .unwrap();
    let have = client.get_path_config(PATH).await.unwrap().unwrap();
    assert_eq!(have.forward, [ForwardEntry::whip(&nobody, "eyJ.token.one")]);

    client.patch_forward(PATH, vec![]).await.unwrap();
    until("the forward to be gone", || async {
        client.list_forwards(PATH).await.unwrap().is_empty().then_some(())
    })
    .await;
    let after = available(&client).await;
    assert_eq!(
        after.available_time, before.available_time,
        "the source was not touched"
    );
    until("more of the same stream", || async {
        let now = available(&client).await;
        assert_eq!(now.available_time, before.available_time);
        (now.inbound_bytes > after.inbound_bytes).then_some(())
    })
    .await;
}

/// contracts.md 13a: after a restart `started` differs and the paths of the API are gone.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_restart_is_seen_and_forgets_the_paths() {
    let mut server = MediaMtx::start().await;
    let client = server.client();
    let before = client.info().await.unwrap();
    assert_eq!(before.version, "v1.20.1");
    assert_eq!(client.info().await.unwrap(), before);
    client
        .add_path(PATH, &PathConf::pull("rtsp://127.0.0.1:9/a", RtspTransport::Tcp))
        .await
        .unwrap();
    until("the path to be configured", || async {
        (made(&client).await.len() == 1).then_some(())
    })
    .await;
    server.restart().await;
    let after = client.info().await.unwrap();
    assert_ne!(after.started, before.started);
    assert_eq!(made(&client).await, []);
    assert_eq!(client.list_paths().await.unwrap(), []);
}

/// R1.1-16, R1.1-17: nobody gets in without the password, the reader has no API, and what is refused is said without secrets.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn nobody_else_gets_in_and_secrets_stay_in() {
    let server = MediaMtx::start().await;
    let client = |user: &str, password: &str| {
        Client::new(
            &server.address(),
            &Credentials::new(user, password),
            Some(&server.trust),
        )
        .unwrap()
    };
    let api = &server.config.api;
    let reader = &server.config.reader;
    let (wrong, anonymous, reader) = (
        client(api.username(), "wrong"),
        client("", ""),
        client(reader.username(), reader.password()),
    );
    // MediaMTX lets a refused login wait up to 4 s: all at once.
    let answers = tokio::join!(wrong.info(), anonymous.info(), reader.info());
    assert!(
        matches!(
            answers,
            (
                Err(Error::Unauthorized),
                Err(Error::Unauthorized),
                Err(Error::Unauthorized)
            )
        ),
        "{answers:?}"
    );

    let bad = PathConf::pull("rtsp://geheim:@10.1.2.3:554/a?pw=geheim", RtspTransport::Tcp);
    let bad_url = PathConf::pull("rtsp://op:geheim@10.1.2.3:x/a", RtspTransport::Tcp);
    for bad in [bad, bad_url] {
        let error = server.client().add_path(PATH, &bad).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
    }
    // Only what a shard needs listens: API, metrics, RTSP.
    let log = server.log();
    assert_eq!(log.matches("started with listener").count(), 3, "{log}");
}
