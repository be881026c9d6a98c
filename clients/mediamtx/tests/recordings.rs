//! What a real MediaMTX does with recordings whose path it does not have any more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod engines;

use std::path::{Path, PathBuf};

use engines::{Camera, MediaMtx, Video, until};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use marsad_mediamtx::{Client, Credentials, ORPHANS, PathConf, RtspTransport, Transport, diff};

/// Lays a file down as if `path` had been recorded from so long ago, and returns its place.
fn recorded(server: &MediaMtx, path: &str, ago: SignedDuration) -> PathBuf {
    let start = (Timestamp::now() - ago).to_zoned(TimeZone::system());
    let folder = Path::new(&server.config.recordings).join(path);
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}.mp4", start.strftime("%Y-%m-%d_%H-%M-%S-%6f")));
    std::fs::write(&file, "").unwrap();
    file
}

async fn latest(client: &Client, path: &str) -> Option<Timestamp> {
    let all = client.list_recordings().await.unwrap();
    let listed = all.iter().find(|recording| recording.name == path);
    let one = client.get_recording(path).await.unwrap();
    assert_eq!(listed.and_then(|listed| listed.latest()), one.latest());
    one.latest()
}

/// The camera is gone, and MediaMTX was restarted: its recordings are shown, and removed after [`ORPHANS`].
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn of_a_path_that_nobody_knows_they_are_shown_and_removed_in_the_end() {
    let mut server = MediaMtx::start().await;
    let orphans = SignedDuration::try_from(ORPHANS).unwrap();
    let hour = SignedDuration::from_hours(1);
    let old = recorded(&server, "police/gone/main", orphans + hour);
    let young = recorded(&server, "police/gone/main", orphans - hour);
    // It looks for old files when it starts.
    server.restart().await;
    let client = server.client();
    until("the old file to be removed", || async {
        (!old.exists()).then_some(())
    })
    .await;
    assert!(young.exists());
    let start = latest(&client, "police/gone/main").await.unwrap();
    let said = Timestamp::now() - orphans + hour - start;
    assert!(said.total(jiff::Unit::Second).unwrap().abs() < 60.0, "{start}");
    assert_eq!(latest(&client, "police/never/main").await, None);
    // Nobody may publish there for all that.
    let published = Client::new(&server.address(), &Credentials::new("", ""), Some(&server.trust)).unwrap();
    assert!(published.list_paths().await.is_err());
    assert_eq!(client.list_paths().await.unwrap(), []);
}

/// A path that is kept goes by its own retention, not by that of the unknown; and leaves no folder behind.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn of_a_path_that_is_kept_they_go_by_its_own_retention() {
    let server = MediaMtx::start().await;
    let client = server.client();
    let ago = SignedDuration::from_hours(2);
    let kept = recorded(&server, "police/moved/main", ago);
    let unknown = recorded(&server, "police/gone/main", ago);
    client
        .add_path("police/moved/main", &PathConf::kept("1h"))
        .await
        .unwrap();
    assert!(latest(&client, "police/moved/main").await.is_some());
    // It looks for old files after half of the shortest retention, which may not be shorter than a file: shorter files, for the
    // test's sake.
    let request = http::Request::patch(format!(
        "{}/v3/config/paths/patch/police/moved/main",
        server.address()
    ))
    .header("authorization", server.config.api.basic().unwrap())
    .body(r#"{"recordSegmentDuration":"1s","recordDeleteAfter":"2s"}"#.into())
    .unwrap();
    let transport = Transport::new(Some(&server.trust)).unwrap();
    let (status, _) = transport.send(request).await.unwrap();
    assert!(status.is_success(), "{status}");
    until("the file to be removed", || async {
        (!kept.parent().unwrap().exists()).then_some(())
    })
    .await;
    assert!(unknown.exists());
    assert_eq!(latest(&client, "police/moved/main").await, None);
}

/// A camera leaves while it is recorded: nothing connects to it any more, and its files stay and are shown.
#[tokio::test]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn of_a_camera_that_leaves_they_stay() {
    const PATH: &str = "police/szr-12/main";
    let camera = Camera::sending(Video::Plain).await;
    let server = MediaMtx::start().await;
    let client = server.client();
    let recorded = PathConf {
        record: true,
        record_delete_after: Some("72h".into()),
        ..PathConf::pull(camera.rtsp("cam"), RtspTransport::Tcp)
    };
    client.add_path(PATH, &recorded).await.unwrap();
    let start = until("a file", || async { latest(&client, PATH).await }).await;

    let have = client.get_path_config(PATH).await.unwrap().unwrap();
    let kept = PathConf::kept(have.record_delete_after.clone());
    client
        .patch_path(PATH, &diff(&have, &kept).unwrap())
        .await
        .unwrap();
    until("the path to be at rest", || async {
        let path = client.get_path(PATH).await.unwrap()?;
        (!path.available).then_some(())
    })
    .await;
    let have = client.get_path_config(PATH).await.unwrap().unwrap();
    assert_eq!(diff(&have, &kept), None, "nothing is written again");
    assert_eq!(have.retention(), Some(std::time::Duration::from_secs(72 * 3600)));
    assert_eq!(latest(&client, PATH).await, Some(start));
    assert_eq!(server.recorded(PATH).len(), 1);
}
