//! Plays a stream from MediaMTX for a moment, to see what it is like.

use std::time::Duration;

use futures::StreamExt as _;
use retina::codec::{CodecItem, VideoFrame, VideoParameters, VideoParametersCodec};
use tokio::time::{Instant, timeout_at};

use crate::h264::{self, Sequence};
use crate::look::{Frame, Look};
use crate::session::{Video, failure, parameters};
use crate::{Credentials, Failure, Inspection};

/// Reads the stream at `url` (`rtsp`, over TCP) until one whole group of pictures was seen, or that it has B-frames; at most
/// for `longest`. Meant for MediaMTX, which already has the stream; it adds a reader to the path.
///
/// A codec other than H.264 is no error: nothing is played then.
///
/// # Errors
/// When the stream is not to be had, or no frame came in time.
pub async fn inspect(
    url: &str,
    credentials: Option<&Credentials>,
    longest: Duration,
) -> Result<Inspection, Failure> {
    let until = Instant::now() + longest;
    let video = Video::open(url, credentials, until).await?;
    if video.codec != "H264" {
        let size = video.parameters().map(VideoParameters::pixel_dimensions);
        let (width, height) = size.unzip();
        return Ok(Inspection {
            codec: video.codec,
            width,
            height,
            ..Inspection::default()
        });
    }
    let index = video.index;
    let mut frames = video.play(until).await?;

    let mut look = Look::default();
    let mut known = frames.streams().get(index).and_then(Known::of);
    loop {
        let item = match timeout_at(until, frames.next()).await {
            // What was seen is told, also when the stream broke off.
            Err(_) | Ok(None) => break,
            Ok(Some(item)) => item,
        };
        let CodecItem::VideoFrame(frame) = item.map_err(|error| failure(&error))? else {
            continue;
        };
        if frame.has_new_parameters() || known.is_none() {
            known = frames.streams().get(index).and_then(Known::of);
        }
        look.frame(seen(&frame));
        if look.enough(known.as_ref().map(|known| &known.sequence)) {
            break;
        }
    }
    if !look.begun() {
        return Err(Failure::NoFrames);
    }
    Ok(look.end(
        known.as_ref().map(|known| &known.sequence),
        known.as_ref().map(|known| known.size),
    ))
}

/// What the stream's parameter sets tell.
struct Known {
    sequence: Sequence,
    size: (u32, u32),
}

impl Known {
    fn of(stream: &retina::client::Stream) -> Option<Self> {
        let parameters = parameters(stream)?;
        let VideoParametersCodec::H264 { sps, .. } = parameters.codec_params() else {
            return None;
        };
        Some(Self {
            sequence: h264::sequence(sps)?,
            size: parameters.pixel_dimensions(),
        })
    }
}

fn seen(frame: &VideoFrame) -> Frame {
    let ticks = u128::try_from(frame.timestamp().elapsed()).unwrap_or_default();
    let nanoseconds = ticks * 1_000_000_000 / u128::from(frame.timestamp().clock_rate().get());
    Frame {
        shown: Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)),
        key: frame.is_random_access_point(),
        b_slice: h264::has_b_slice(frame.data()),
    }
}
