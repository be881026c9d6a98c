//! Reads one key frame of a stream from MediaMTX: a picture that needs no other.

use std::time::Duration;

use futures::StreamExt as _;
use retina::client::Stream;
use retina::codec::{CodecItem, VideoParametersCodec};
use tokio::time::{Instant, timeout_at};

use crate::session::{Video, failure, parameters};
use crate::{Credentials, Failure, h264};

/// MediaMTX lets a reader in amid a picture, and retina calls each packet an error of which it has missed the beginning; until
/// the first whole picture they are let pass. The largest picture has no more packets.
const MISSED: usize = 2_000;

/// A picture of H.264 that can be decoded alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFrame {
    /// Sequence parameter set, with its NAL header.
    pub sps: Vec<u8>,
    /// Picture parameter set, with its NAL header.
    pub pps: Vec<u8>,
    /// The slices of the IDR picture, each after its length in four bytes, as MP4 holds them.
    pub slices: Vec<u8>,
    /// Pixels, as the picture is shown.
    pub width: u16,
    /// Pixels, as the picture is shown.
    pub height: u16,
}

/// Reads the stream at `url` (`rtsp`, over TCP) until its next key frame, at most for `longest`. Meant for MediaMTX, which already
/// has the stream; it adds a reader to the path for at most one group of pictures.
///
/// # Errors
/// When the stream is not to be had or not H.264, or no key frame came in time ([`Failure::NoFrames`]).
pub async fn key_frame(
    url: &str,
    credentials: Option<&Credentials>,
    longest: Duration,
) -> Result<KeyFrame, Failure> {
    let until = Instant::now() + longest;
    let video = Video::open(url, credentials, until).await?;
    if video.codec != "H264" {
        return Err(Failure::UnsupportedCodec { codec: video.codec });
    }
    let index = video.index;
    let mut frames = video.play(until).await?;
    let mut missed = 0;
    loop {
        let item = match timeout_at(until, frames.next()).await {
            Err(_) => return Err(Failure::NoFrames),
            Ok(None) => return Err(Failure::Closed),
            Ok(Some(item)) => item,
        };
        let frame = match item {
            Ok(CodecItem::VideoFrame(frame)) => frame,
            Ok(_) => continue,
            Err(_) if missed < MISSED => {
                missed += 1;
                continue;
            }
            Err(error) => return Err(failure(&error)),
        };
        missed = MISSED;
        if !frame.is_random_access_point() {
            continue;
        }
        let stream = frames.streams().get(index).ok_or(Failure::NoVideo)?;
        if let Some(found) = picture(stream, frame.data()) {
            return Ok(found);
        }
    }
}

/// The key frame `data` with the parameter sets that the stream has now; none while it has not sent them, and when the beginning
/// of the picture was missed.
fn picture(stream: &Stream, data: &[u8]) -> Option<KeyFrame> {
    let parameters = parameters(stream)?;
    let VideoParametersCodec::H264 { sps, pps } = parameters.codec_params() else {
        return None;
    };
    let (width, height) = parameters.pixel_dimensions();
    Some(KeyFrame {
        sps: sps.to_vec(),
        pps: pps.to_vec(),
        slices: h264::idr_slices(data)?,
        width: width.try_into().ok()?,
        height: height.try_into().ok()?,
    })
}
