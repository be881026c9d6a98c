//! Plays a stream from MediaMTX for a moment, to see what it is like.

use std::time::Duration;

use futures::StreamExt as _;
use retina::client::{PlayOptions, Session, SessionOptions, SetupOptions, TeardownPolicy};
use retina::codec::{
    CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParameters, VideoParametersCodec,
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::h264::{self, Sequence};
use crate::look::{Frame, Look};
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
    let url = Url::parse(url).map_err(|error| Failure::Url {
        why: error.to_string(),
    })?;
    let options = SessionOptions::default()
        .creds(credentials.map(|credentials| retina::client::Credentials {
            username: credentials.username().to_owned(),
            password: credentials.password().to_owned(),
        }))
        .user_agent("marsad".to_owned())
        // Closing the connection ends the session at MediaMTX.
        .teardown(TeardownPolicy::Never);
    let mut session = within(until, Session::describe(url, options)).await?;
    let video = session
        .streams()
        .iter()
        .position(|stream| stream.media() == "video")
        .ok_or(Failure::NoVideo)?;
    let stream = session.streams().get(video).ok_or(Failure::NoVideo)?;
    let codec = stream.encoding_name().to_ascii_uppercase();
    if codec != "H264" {
        let size = parameters(stream).map(VideoParameters::pixel_dimensions);
        let (width, height) = size.unzip();
        return Ok(Inspection {
            codec,
            width,
            height,
            ..Inspection::default()
        });
    }
    let setup = SetupOptions::default().frame_format(FrameFormat::MP4);
    within(until, session.setup(video, setup)).await?;
    let playing = within(until, session.play(PlayOptions::default())).await?;
    let mut frames = playing.demuxed().map_err(|error| failure(&error))?;

    let mut look = Look::default();
    let mut known = frames.streams().get(video).and_then(Known::of);
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
            known = frames.streams().get(video).and_then(Known::of);
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

fn parameters(stream: &retina::client::Stream) -> Option<&VideoParameters> {
    match stream.parameters()? {
        ParametersRef::Video(parameters) => Some(parameters),
        _ => None,
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

async fn within<T>(
    until: Instant,
    step: impl Future<Output = Result<T, retina::Error>>,
) -> Result<T, Failure> {
    timeout_at(until, step)
        .await
        .map_err(|_| Failure::Timeout)?
        .map_err(|error| failure(&error))
}

/// retina tells the status and hides the rest; beneath its first line are addresses and ports that differ each time.
fn failure(error: &retina::Error) -> Failure {
    match error.status_code() {
        // A bad description comes with the status of the answer that it was in.
        Some(code) if code >= 300 => Failure::status(code),
        _ => Failure::Protocol {
            why: error.to_string().lines().next().unwrap_or_default().to_owned(),
        },
    }
}
