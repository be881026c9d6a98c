//! A shard's certificate, with the real MediaMTX.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod engines;

use engines::{MediaMtx, until};
use marsad_mediamtx::{Client, Error, PathConf, RtspTransport, Trust};

/// R1.1-15: the API is spoken to by TLS only, and only to who shows a certificate of ours for the pool.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_1_15_only_one_that_is_vouched_for_is_told_the_password() {
    let (server, other) = tokio::join!(MediaMtx::start(), MediaMtx::start());
    let client = |address: &str, trust| Client::new(address, &server.config.api, trust).unwrap();
    let wrong_name = Trust {
        name: "ingest-other.test.svc".to_owned(),
        ..server.trust.clone()
    };
    for trust in [Some(&other.trust), Some(&wrong_name), None] {
        let error = client(&server.address(), trust).info().await.unwrap_err();
        assert!(matches!(error, Error::Untrusted(_)), "{trust:?}: {error}");
    }
    let plain = server.address().replace("https", "http");
    let error = client(&plain, None).info().await.unwrap_err();
    assert!(!matches!(error, Error::Unauthorized), "{error}");
}

/// A renewed certificate is taken while the shard runs: its paths, which a restart would forget, stay.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn a_new_certificate_is_taken_without_a_restart() {
    let server = MediaMtx::start().await;
    let before = server.client();
    let conf = PathConf::pull("rtsp://127.0.0.1:9/a", RtspTransport::Tcp);
    before.add_path("police/cam/main", &conf).await.unwrap();
    let trust = server.certify_anew();
    let started = before.info().await.unwrap().started;
    let info = until("the new certificate", async || {
        // A connection of its own each time: one that is open is not asked again.
        let client = Client::new(&server.address(), &server.config.api, Some(&trust)).unwrap();
        client.info().await.ok()
    })
    .await;
    assert_eq!(info.started, started);
    let after = Client::new(&server.address(), &server.config.api, Some(&trust)).unwrap();
    assert!(after.get_path_config("police/cam/main").await.unwrap().is_some());
}
