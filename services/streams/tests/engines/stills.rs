//! The last picture (R1.1-11), from a real shard.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use marsad_crds::Camera;
use marsad_streams::camera::id_of;

use crate::house::{Answer, Engines, House, camera};
use crate::processes::{H264, film, until};
use crate::{TURN, seconds};

impl House {
    async fn still(&self, camera: &Camera) -> Answer {
        let path = format!("/api/v1/cameras/{}/still", id_of(camera));
        self.send("GET", &path, String::new()).await
    }
}

impl Answer {
    fn age(&self) -> Duration {
        let age = self.headers["age"].to_str().unwrap().parse().unwrap();
        Duration::from_secs(age)
    }
}

/// What FFmpeg decodes of a file: the brightness of each pixel of each frame.
fn decoded(mp4: &[u8]) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(mp4).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file.path())
        .args(["-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    output.stdout
}

fn offline(name: &str) -> Camera {
    let mut camera = camera(name, "s0");
    let status = camera.status.as_mut().unwrap();
    status.conditions[0].status = "False".to_owned();
    status.conditions[0].reason = "ConnectTimeout".to_owned();
    camera
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_1_11_the_last_picture_outlives_the_camera_and_its_shard() {
    let _turn = TURN.lock().await;
    let mut engines = Engines::start().await;
    let filming = film(&engines.cameras, "szr", H264);
    engines.ingest(0, "szr", true).await;
    let szr = camera("szr", "s0");
    let house = House::open(&engines, std::slice::from_ref(&szr)).await;
    let took = until("a picture", seconds(10), async || {
        house.still(&szr).await.status == 200
    })
    .await;
    let first = house.still(&szr).await;
    println!("{} bytes {took:?} after the start", first.body.len());
    assert_eq!(first.headers["content-type"], "video/mp4");
    let pixels = decoded(&first.body);
    assert_eq!(pixels.len(), 320 * 180, "one frame");
    let (darkest, brightest) = (pixels.iter().min().unwrap(), pixels.iter().max().unwrap());
    assert!(brightest - darkest > 150, "a test picture, not a grey one");

    drop(filming);
    house.apply(&offline("szr"));
    engines.shards[0].stop();
    until("it grows old", seconds(10), async || {
        house.still(&szr).await.age() >= seconds(3)
    })
    .await;
    assert_eq!(house.still(&szr).await.body, first.body);

    // The next process has no memory, and the camera nothing to give.
    drop(house);
    let house = House::open_with(&engines, &[offline("szr")], 1).await;
    let none = house.still(&szr).await;
    assert_eq!(none.status, 404);
    assert_eq!(none.json()["code"], "StillNotAvailable");
}

/// Prints what it costs; its only claim is that every camera is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the engines: cargo xtask test runs it"]
async fn r1_1_11_forty_cameras_have_pictures() {
    let _turn = TURN.lock().await;
    let engines = Engines::start().await;
    let _film = film(&engines.cameras, "one", H264);
    let names: Vec<_> = (0..40).map(|number| format!("cam-{number}")).collect();
    for name in &names {
        engines.ingest_from(0, "one", name, false).await;
    }
    let client = engines.shards[0].client();
    until("all are available", seconds(60), async || {
        let paths = client.list_paths().await.unwrap();
        paths.iter().filter(|path| path.available).count() == names.len()
    })
    .await;
    let cameras: Vec<_> = names.iter().map(|name| camera(name, "s0")).collect();
    let house = House::open(&engines, &cameras).await;
    let took = until("a picture of each", seconds(60), async || {
        for camera in &cameras {
            if house.still(camera).await.status != 200 {
                return false;
            }
        }
        true
    })
    .await;
    println!("pictures of {} cameras in {took:?}", cameras.len());
}
