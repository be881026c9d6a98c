//! Encoding a clock while somebody watches it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, IntraFramePeriod, Profile, RateControlMode,
    UsageType,
};
use openh264::formats::YUVSlices;
use openh264::{OpenH264API, Timestamp};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::picture::{Canvas, HEIGHT, WIDTH};
use crate::annexb::{self, Picture};
use crate::clip::{AccessUnit, parameter_sets};
use crate::feed::Frame;
use crate::media::{FRAME_RATE, Media};
use crate::timeline::Timeline;

/// Bits a second.
const BIT_RATE: u32 = 1_000_000;

/// Frames that a session may be behind the encoder before it loses some.
const BUFFERED: usize = FRAME_RATE as usize;

/// The encoder failed.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// OpenH264 said no.
    #[error("the clock can't be encoded")]
    Encode(#[from] openh264::Error),
    /// An encoded picture that is not one keyframe with its parameter sets.
    #[error("the encoder gave no keyframe with SPS and PPS first")]
    NoKeyframe,
}

/// A clock camera's picture, encoded by one thread from the first viewer to the last.
#[derive(Debug)]
pub struct LiveClock {
    name: String,
    timeline: Timeline,
    frames: broadcast::Sender<Frame>,
    /// Whether the thread runs. Its lock is held while a viewer comes, and while the thread makes
    /// sure that there is none: a viewer is never left without it.
    running: watch::Sender<bool>,
}

impl LiveClock {
    /// A clock that nobody watches yet.
    #[must_use]
    pub fn new(name: &str, timeline: Timeline) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            timeline,
            frames: broadcast::channel(BUFFERED).0,
            running: watch::Sender::new(false),
        })
    }

    /// Starts to watch; the thread is started if need be.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn watch(self: &Arc<Self>) -> std::io::Result<broadcast::Receiver<Frame>> {
        let mut frames = None;
        let mut started = Ok(());
        self.running.send_if_modified(|running| {
            frames = Some(self.frames.subscribe());
            if *running {
                return false;
            }
            started = self.start();
            *running = started.is_ok();
            *running
        });
        started?;
        frames.ok_or_else(|| std::io::Error::other("the clock is gone"))
    }

    /// Whether the encoder runs, and when that changes.
    #[must_use]
    pub fn is_running(&self) -> watch::Receiver<bool> {
        self.running.subscribe()
    }

    fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let clock = Arc::clone(self);
        let encode = move || {
            if let Err(error) = clock.encode() {
                tracing::error!(camera = clock.name, %error, "clock stopped");
                clock.running.send_replace(false);
            }
        };
        thread::Builder::new().name(self.name.clone()).spawn(encode)?;
        Ok(())
    }

    fn encode(&self) -> Result<(), ClockError> {
        let mut encoder = ClockEncoder::new(&self.name)?;
        let mut index = self.timeline.index_at(Instant::now());
        loop {
            // A frame whose time has passed is left out, as a camera does.
            index = (index + 1).max(self.timeline.index_at(Instant::now()));
            thread::sleep(self.timeline.due(index).saturating_duration_since(Instant::now()));
            let unwatched = self.running.send_if_modified(|running| {
                *running = self.frames.receiver_count() > 0;
                !*running
            });
            if unwatched {
                return Ok(());
            }
            let picture = encoder.encode(index, epoch())?;
            let unit = Arc::new(AccessUnit {
                nals: picture.nals,
                key: picture.key,
                delay: 0,
            });
            // Fails only when the last viewer has just gone: seen in the next round.
            let _ = self.frames.send(Frame { index, unit });
        }
    }
}

/// The parameter sets of every clock: one configuration, so one SPS and PPS.
///
/// # Errors
/// When the encoder fails.
pub fn parameters() -> Result<Vec<Bytes>, ClockError> {
    let picture = ClockEncoder::new("")?.encode(0, Duration::ZERO)?;
    let parameters = parameter_sets(Media::H264, &picture);
    if !picture.key || parameters.len() != 2 {
        return Err(ClockError::NoKeyframe);
    }
    Ok(parameters)
}

fn epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

struct ClockEncoder {
    name: String,
    canvas: Canvas,
    encoder: Encoder,
    buffer: Vec<u8>,
}

impl ClockEncoder {
    fn new(name: &str) -> Result<Self, ClockError> {
        let config = EncoderConfig::new()
            .profile(Profile::Baseline)
            .usage_type(UsageType::CameraVideoRealTime)
            .complexity(Complexity::Low)
            .max_frame_rate(FrameRate::from_hz(FRAME_RATE as f32))
            .intra_frame_period(IntraFramePeriod::from_num_frames(FRAME_RATE))
            .rate_control_mode(RateControlMode::Bitrate)
            .bitrate(BitRate::from_bps(BIT_RATE))
            // A frame left out would be a gap in the clock; a keyframe at a cut, a GOP that is
            // not a second.
            .skip_frames(false)
            .scene_change_detect(false)
            .background_detection(false)
            .num_threads(1);
        Ok(Self {
            name: name.to_owned(),
            canvas: Canvas::new(name),
            encoder: Encoder::with_api_config(OpenH264API::from_source(), config)?,
            buffer: Vec::new(),
        })
    }

    fn encode(&mut self, index: u64, epoch: Duration) -> Result<Picture, ClockError> {
        let epoch_ms = u64::try_from(epoch.as_millis()).unwrap_or(u64::MAX);
        self.canvas.draw(&self.name, index, epoch_ms);
        let (blue, red) = self.canvas.chroma();
        let yuv = YUVSlices::new(
            (self.canvas.luma(), blue, red),
            (WIDTH, HEIGHT),
            (WIDTH, WIDTH / 2, WIDTH / 2),
        );
        self.buffer.clear();
        let encoded = self.encoder.encode_at(&yuv, Timestamp::from_millis(epoch_ms))?;
        encoded.write_vec(&mut self.buffer);
        let nals = annexb::nal_units(&Bytes::copy_from_slice(&self.buffer));
        let mut pictures = annexb::pictures(Media::H264, nals);
        // Without frame skipping each picture in is one picture out.
        pictures.pop().ok_or(ClockError::NoKeyframe)
    }
}

/// Annex B of `frames` clock pictures: video for tests that need no FFmpeg.
///
/// # Errors
/// When the encoder fails.
pub fn recorded(name: &str, frames: u64) -> Result<Bytes, ClockError> {
    let mut encoder = ClockEncoder::new(name)?;
    let mut stream = Vec::new();
    for index in 0..frames {
        let due = crate::media::FRAME * u32::try_from(index).unwrap_or(u32::MAX);
        for nal in encoder.encode(index, due)?.nals {
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(&nal);
        }
    }
    Ok(Bytes::from(stream))
}

#[cfg(test)]
mod tests {
    use openh264::decoder::Decoder;
    use openh264::formats::YUVSource;

    use super::*;
    use crate::clock::barcode;

    #[test]
    fn every_second_starts_with_a_keyframe_and_every_frame_tells_its_time() {
        let mut encoder = ClockEncoder::new("clock-7").unwrap();
        let mut decoder = Decoder::new().unwrap();
        let mut bytes = 0;
        for index in 0..75u64 {
            let epoch = Duration::from_millis(1_795_000_000_000 + 40 * index);
            let picture = encoder.encode(index, epoch).unwrap();
            assert_eq!(picture.key, index % 25 == 0, "frame {index}");
            let mut stream = Vec::new();
            for nal in &picture.nals {
                bytes += nal.len();
                stream.extend_from_slice(&[0, 0, 0, 1]);
                stream.extend_from_slice(nal);
            }
            let shown = decoder
                .decode(&stream)
                .unwrap()
                .expect("a picture for every frame");
            let luma: Vec<u8> = shown
                .y()
                .chunks(shown.strides().0)
                .take(16)
                .flat_map(|row| &row[..WIDTH])
                .copied()
                .collect();
            assert_eq!(barcode::read(&luma, WIDTH), Some(epoch.as_millis() as u32));
        }
        let kbps = bytes * 8 / 3 / 1000;
        assert!((500..1500).contains(&kbps), "{kbps} kbit/s");
    }

    #[test]
    fn parameters_are_those_of_every_clock() {
        let stream = recorded("clock-3", 1).unwrap();
        let picture = annexb::pictures(Media::H264, annexb::nal_units(&stream)).remove(0);
        assert_eq!(parameter_sets(Media::H264, &picture), parameters().unwrap());
        // profile_idc 66: baseline.
        assert_eq!(parameters().unwrap()[0][1], 66);
    }
}
