//! A simulator in this process, and two clients for it: `retina`, which was written against real
//! cameras by others, and a raw one that can say what no good client says.
#![allow(dead_code, reason = "each test file uses its part")]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt;
use marsad_sim::auth::Credentials;
use marsad_sim::camera::{Camera, Spec, Video};
use marsad_sim::clip::Clip;
use marsad_sim::clock;
use marsad_sim::fleet::{Clips, Fleet};
use marsad_sim::media::Media;
use marsad_sim::server;
use retina::client::{Demuxed, Described, PlayOptions, Session, SessionOptions, SetupOptions};
use retina::codec::{CodecItem, FrameFormat, VideoFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

/// Nothing here takes this long on the slowest machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Long against the 40 ms between frames: what has not come by then does not come.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, wait).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// A clip of one second, encoded here: these tests need no FFmpeg.
fn clips() -> Clips {
    static CLIP: OnceLock<Arc<Clip>> = OnceLock::new();
    let clip = CLIP
        .get_or_init(|| Arc::new(Clip::parse(&clock::recorded("clip", 25).unwrap(), Media::H264).unwrap()));
    Clips {
        loops: vec![clip.clone()],
        ..Clips::default()
    }
}

/// A running simulator.
pub(crate) struct Sim {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Sim {
    pub(crate) async fn start() -> Self {
        Self::with(clips()).await
    }

    pub(crate) async fn with(clips: Clips) -> Self {
        let ip = Ipv4Addr::LOCALHOST.into();
        let fleet = Fleet::new(clips, ip).unwrap();
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(server::accept(listener, fleet.clone(), None));
        Self { fleet, address, task }
    }

    pub(crate) async fn add(&self, name: &str, spec: Spec) -> Arc<Camera> {
        self.fleet.put(name, spec).await.unwrap().0
    }

    pub(crate) fn url(&self, name: &str) -> Url {
        Url::parse(&format!("rtsp://{}/{name}", self.address)).unwrap()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn shows(video: Video) -> Spec {
    Spec {
        video,
        credentials: None,
        port: None,
    }
}

pub(crate) fn locked(username: &str, password: &str) -> Spec {
    Spec {
        credentials: Some(Credentials {
            username: username.to_owned(),
            password: password.to_owned(),
        }),
        ..shows(Video::Clip)
    }
}

pub(crate) fn as_user(username: &str, password: &str) -> SessionOptions {
    SessionOptions::default().creds(Some(retina::client::Credentials {
        username: username.to_owned(),
        password: password.to_owned(),
    }))
}

pub(crate) async fn describe(url: Url, options: SessionOptions) -> Result<Session<Described>, retina::Error> {
    soon("DESCRIBE", Session::describe(url, options)).await
}

/// The status that DESCRIBE is refused with; `None` when the connection just ends.
pub(crate) async fn refusal(url: Url, options: SessionOptions) -> Option<u16> {
    let refused = describe(url, options).await.err().expect("to be refused");
    refused.status_code()
}

/// A player that plays.
pub(crate) struct Player(pub(crate) Demuxed);

impl Player {
    pub(crate) async fn play(url: Url) -> Self {
        let mut session = describe(url, SessionOptions::default()).await.unwrap();
        let setup = SetupOptions::default().frame_format(FrameFormat::SIMPLE);
        soon("SETUP", session.setup(0, setup)).await.unwrap();
        let playing = soon("PLAY", session.play(PlayOptions::default())).await.unwrap();
        Self(playing.demuxed().unwrap())
    }

    /// The next frame of video or audio; `None` when the connection has ended.
    pub(crate) async fn item(&mut self) -> Option<CodecItem> {
        loop {
            match soon("a frame", self.0.next()).await {
                Some(Ok(CodecItem::Rtcp(_))) => {}
                Some(Ok(item)) => return Some(item),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> VideoFrame {
        match self.item().await {
            Some(CodecItem::VideoFrame(frame)) => frame,
            other => panic!("no video frame but {other:?}"),
        }
    }

    /// Reads until the camera ends the connection.
    pub(crate) async fn ended(&mut self) {
        soon("the end of the connection", async {
            while self.item().await.is_some() {}
        })
        .await;
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn is_silent(&mut self) -> bool {
        // What was on its way may still come: only then it counts.
        while let Ok(item) = tokio::time::timeout(Duration::from_millis(100), self.0.next()).await {
            item.expect("the connection to stay").expect("no error");
        }
        tokio::time::timeout(SILENCE, self.0.next()).await.is_err()
    }
}

/// The RTP timestamp on the wire.
pub(crate) fn timestamp(frame: &VideoFrame) -> u32 {
    frame.timestamp().timestamp() as u32
}

/// A response, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A client that says what it is told.
pub(crate) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
    url: String,
    cseq: u32,
    session: Option<String>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr, name: &str) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            unread: Vec::new(),
            url: format!("rtsp://{address}/{name}"),
            cseq: 0,
            session: None,
        }
    }

    /// Sends bytes; a connection that has ended meanwhile is noticed by the next read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends a request; headers each end with CRLF.
    pub(crate) async fn ask(&mut self, method: &str, headers: &str) {
        self.cseq += 1;
        let session = self
            .session
            .as_ref()
            .map(|id| format!("Session: {id}\r\n"))
            .unwrap_or_default();
        let text = format!(
            "{method} {} RTSP/1.0\r\nCSeq: {}\r\n{session}{headers}\r\n",
            self.url, self.cseq
        );
        self.send(text.as_bytes()).await;
    }

    /// Sends a request and waits for its answer, passing over packets; `None` when the
    /// connection ends instead.
    pub(crate) async fn request(&mut self, method: &str, headers: &str) -> Option<Answer> {
        self.ask(method, headers).await;
        self.answer().await
    }

    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        soon("an answer", async {
            loop {
                if let Some(answer) = self.take_answer() {
                    if let Some((_, id)) = answer.head.split_once("Session: ") {
                        self.session = id.split([';', '\r']).next().map(str::to_owned);
                    }
                    return Some(answer);
                }
                if self.read().await == 0 {
                    return None;
                }
            }
        })
        .await
    }

    /// Reads some bytes, and says how many: 0 when the connection has ended.
    pub(crate) async fn read(&mut self) -> usize {
        self.stream.read_buf(&mut self.unread).await.unwrap_or(0)
    }

    /// SETUP over TCP and PLAY.
    pub(crate) async fn play(&mut self) {
        let setup = self
            .request("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n")
            .await
            .unwrap();
        assert_eq!(setup.status, 200, "{setup:?}");
        assert_eq!(self.request("PLAY", "").await.unwrap().status, 200);
    }

    fn take_answer(&mut self) -> Option<Answer> {
        while let [b'$', _, high, low, ..] = self.unread[..] {
            let size = 4 + usize::from(u16::from_be_bytes([high, low]));
            if self.unread.len() < size {
                return None;
            }
            self.unread.drain(..size);
        }
        let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.unread[..end].to_vec()).unwrap();
        let length = head
            .split_once("Content-Length: ")
            .and_then(|(_, after)| after.split("\r\n").next());
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if self.unread.len() < end + length {
            return None;
        }
        let body = String::from_utf8(self.unread[end..end + length].to_vec()).unwrap();
        self.unread.drain(..end + length);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer { status, head, body })
    }
}
