//! The clips that `clips.sh` makes with FFmpeg, and FFmpeg as another client. Without FFmpeg
//! there are no clips, and nothing to test: the machine that builds images has it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the #[test] functions of such a file for tests, not what they call"
)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Player, Sim, describe, shows, soon};
use marsad_sim::camera::Video;
use marsad_sim::fleet::Clips;
use marsad_sim::media::Media;
use retina::client::SessionOptions;

fn has_ffmpeg() -> bool {
    let found = Command::new("ffmpeg")
        .arg("-version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !found {
        eprintln!("no ffmpeg: not tested");
    }
    found
}

async fn make_clips(folder: &Path) -> Clips {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clips.sh");
    let made = tokio::process::Command::new("sh")
        .arg(script)
        .arg(folder)
        .status()
        .await
        .unwrap();
    assert!(made.success());
    Clips::read(folder).unwrap()
}

/// What ffprobe says of the first video stream, and the presentation times of its packets.
async fn probe(url: &str) -> (String, Vec<i64>) {
    let probe = tokio::process::Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-rtsp_transport",
            "tcp",
            "-analyzeduration",
            "1000000",
            "-read_intervals",
            "%+3",
        ])
        .args([
            "-show_entries",
            "packet=pts:stream=codec_name,profile,width,height,has_b_frames",
        ])
        .args(["-of", "compact=p=0:nk=1", url])
        .kill_on_drop(true)
        .output();
    let output = soon("ffprobe", probe).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let times = text
        .lines()
        .filter_map(|line| line.trim_end_matches('|').parse().ok())
        .collect();
    let stream = text
        .lines()
        .find(|line| line.contains("|640|360|"))
        .unwrap_or_default();
    (stream.to_owned(), times)
}

#[tokio::test]
async fn every_clip_is_what_it_says() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clips = make_clips(folder.path()).await;
    assert!(clips.loops.len() >= 6, "a lively wall");
    let keys = |clip: &marsad_sim::clip::Clip| -> Vec<u64> {
        (0..clip.len() as u64)
            .filter(|&index| clip.unit(index).unwrap().key)
            .collect()
    };
    let heavy = clips.heavy.as_ref().unwrap();
    let rates = clips.loops.iter().map(|clip| (clip, 500..1500));
    for (clip, rate) in rates.chain([(heavy, 3500..4500)]) {
        assert_eq!(clip.media(), Media::H264);
        assert!(clip.len() >= 250, "ten seconds");
        assert_eq!(keys(clip), (0..clip.len() as u64).step_by(25).collect::<Vec<_>>());
        let units: Vec<_> = (0..clip.len() as u64)
            .map(|index| clip.unit(index).unwrap())
            .collect();
        assert!(units.iter().all(|unit| unit.delay == 0), "no B-frames");
        let bytes: usize = units
            .iter()
            .flat_map(|unit| &unit.nals)
            .map(|nal| nal.len())
            .sum();
        let kbps = bytes * 8 / (clip.len() / 25) / 1000;
        assert!(rate.contains(&kbps), "{kbps} kbit/s");
    }
    let bframes = clips.bframes.as_ref().unwrap();
    assert!((0..50).any(|index| bframes.unit(index).unwrap().delay == 0));
    assert!((0..50).any(|index| bframes.unit(index).unwrap().delay > 1));
    assert_eq!(keys(clips.longgop.as_ref().unwrap())[..2], [0, 250]);
    assert_eq!(clips.h265.as_ref().unwrap().parameters().len(), 3);

    let sim = Sim::with(clips).await;
    for (name, video) in [
        ("cam-0", Video::Clip),
        ("b", Video::Bframes),
        ("h", Video::H265),
        ("l", Video::Longgop),
    ] {
        sim.add(name, shows(video)).await;
    }
    let expected = [
        ("cam-0", "h264|Constrained Baseline|640|360|0"),
        ("b", "h264|Main|640|360|2"),
        ("h", "hevc|Main|640|360|0"),
        ("l", "h264|Constrained Baseline|640|360|0"),
    ];
    for (name, stream) in expected {
        let (found, times) = probe(sim.url(name).as_str()).await;
        assert_eq!(found, stream, "{name}");
        assert!(times.len() > 25, "{name}: {} packets", times.len());
        let mut shown = times.clone();
        shown.sort_unstable();
        // Joined and left in the middle of a GOP, B-frames are missing at both ends.
        let inner = &shown[3..shown.len() - 3];
        assert!(
            inner.windows(2).all(|pair| pair[1] - pair[0] == 3600),
            "{name}: a picture every 40 ms: {times:?}"
        );
        assert_eq!(
            shown != times,
            name == "b",
            "{name}: only B-frames are sent out of the order they are shown in"
        );
    }

    // The other client agrees on H.265.
    let session = describe(sim.url("h"), SessionOptions::default()).await.unwrap();
    assert_eq!(session.streams()[0].encoding_name(), "h265");
    let mut player = Player::play(sim.url("l")).await;
    assert_eq!(player.frame().await.loss(), 0);
}

#[tokio::test]
async fn ffmpeg_decodes_across_the_end_of_a_clip_without_a_complaint() {
    if !has_ffmpeg() {
        return;
    }
    // One second long: three seconds cross its end twice at least.
    let sim = Sim::start().await;
    sim.add("cam-0", shows(Video::Clip)).await;
    let mut command = tokio::process::Command::new("ffmpeg");
    command.args([
        "-nostdin",
        "-v",
        "warning",
        "-rtsp_transport",
        "tcp",
        "-i",
        sim.url("cam-0").as_str(),
    ]);
    command
        .args(["-frames:v", "75", "-f", "null", "-"])
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success());
    let complaints = String::from_utf8_lossy(&output.stderr);
    let wrong = complaints.lines().filter(|line| {
        ["DTS", "missed", "concealing"]
            .iter()
            .any(|word| line.contains(word))
    });
    assert_eq!(wrong.count(), 0, "{complaints}");
}
