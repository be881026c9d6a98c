//! How a stream of MediaMTX is played, and what retina says when it is not.

use retina::client::{
    Demuxed, Described, PlayOptions, Session, SessionOptions, SetupOptions, Stream, TeardownPolicy,
};
use retina::codec::{FrameFormat, ParametersRef, VideoParameters};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::{Credentials, Failure};

/// A stream that is described and not played yet.
pub(crate) struct Video {
    pub(crate) session: Session<Described>,
    /// Which of the session's streams it is.
    pub(crate) index: usize,
    /// RTP's name of its codec, in capitals.
    pub(crate) codec: String,
}

impl Video {
    /// The video at `url` (`rtsp`, over TCP).
    pub(crate) async fn open(
        url: &str,
        credentials: Option<&Credentials>,
        until: Instant,
    ) -> Result<Self, Failure> {
        let session = describe(url, credentials, until).await?;
        let streams = session.streams().iter().enumerate();
        let (index, codec) = streams
            .filter(|(_, stream)| stream.media() == "video")
            .map(|(index, stream)| (index, stream.encoding_name().to_ascii_uppercase()))
            .next()
            .ok_or(Failure::NoVideo)?;
        Ok(Self {
            session,
            index,
            codec,
        })
    }

    /// What is known of it.
    pub(crate) fn parameters(&self) -> Option<&VideoParameters> {
        parameters(self.session.streams().get(self.index)?)
    }

    /// Plays it, H.264; each NAL of a frame comes after its length in four bytes.
    pub(crate) async fn play(mut self, until: Instant) -> Result<Demuxed, Failure> {
        let setup = SetupOptions::default().frame_format(FrameFormat::MP4);
        within(until, self.session.setup(self.index, setup)).await?;
        let playing = within(until, self.session.play(PlayOptions::default())).await?;
        playing.demuxed().map_err(|error| failure(&error))
    }
}

async fn describe(
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
