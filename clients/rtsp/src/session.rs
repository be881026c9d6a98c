//! How a stream of MediaMTX is played, and what retina says when it is not.

use retina::client::{
    Demuxed, Described, PlayOptions, Session, SessionOptions, SetupOptions, Stream, TeardownPolicy,
};
use retina::codec::{FrameFormat, ParametersRef, VideoParameters};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::{Credentials, Failure};

/// Asks what there is at `url` (`rtsp`, over TCP).
pub(crate) async fn describe(
    url: &str,
    credentials: Option<&Credentials>,
    until: Instant,
) -> Result<Session<Described>, Failure> {
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
    within(until, Session::describe(url, options)).await
}

/// Which of the streams is the video.
pub(crate) fn video(session: &Session<Described>) -> Result<usize, Failure> {
    session
        .streams()
        .iter()
        .position(|stream| stream.media() == "video")
        .ok_or(Failure::NoVideo)
}

/// Plays one stream of H.264; each NAL of a frame comes after its length in four bytes.
pub(crate) async fn play(
    mut session: Session<Described>,
    video: usize,
    until: Instant,
) -> Result<Demuxed, Failure> {
    let setup = SetupOptions::default().frame_format(FrameFormat::MP4);
    within(until, session.setup(video, setup)).await?;
    let playing = within(until, session.play(PlayOptions::default())).await?;
    playing.demuxed().map_err(|error| failure(&error))
}

/// What is known of a stream's video.
pub(crate) fn parameters(stream: &Stream) -> Option<&VideoParameters> {
    match stream.parameters()? {
        ParametersRef::Video(parameters) => Some(parameters),
        _ => None,
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
pub(crate) fn failure(error: &retina::Error) -> Failure {
    match error.status_code() {
        // A bad description comes with the status of the answer that it was in.
        Some(code) if code >= 300 => Failure::status(code),
        _ => Failure::Protocol {
            why: error.to_string().lines().next().unwrap_or_default().to_owned(),
        },
    }
}
