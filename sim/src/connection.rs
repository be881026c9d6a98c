//! One RTSP connection, from accept to close, as one task: requests in, frames out, faults.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rtsp_types::headers::CSEQ;
use rtsp_types::{Message, Method, ParseError, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::camera::{Camera, Conduct, Counted, Fault};
use crate::dialogue::{self, Session, camera_name};
use crate::feed::Frame;
use crate::fleet::Fleet;
use crate::reply::Reply;

/// Unread bytes of a client that are kept. Requests of real clients are under 2 KiB.
const MOST_UNREAD: usize = 64 * 1024;

/// How long a client may take nothing at all.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// How often a sender report is sent (RFC 3550 6.2 has 5 s as the least).
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Bytes that are sent at once on a thin line: about one packet.
const PACED_BYTES: usize = 1400;

/// The camera that a connection is about.
struct Bound {
    camera: Arc<Camera>,
    conduct: watch::Receiver<Conduct>,
    fault: Fault,
    /// When the connection is to be dropped.
    ends: Option<Instant>,
    _counted: Counted,
}

impl Bound {
    fn new(camera: Arc<Camera>) -> Self {
        let mut conduct = camera.watch();
        let fault = conduct.borrow_and_update().fault;
        // Long enough that the stream had been judged healthy, short enough for a test.
        let ends = (fault == Fault::Drop)
            .then(|| Instant::now() + Duration::from_millis(rand::random_range(2_000..6_000)));
        Self {
            conduct,
            fault,
            ends,
            _counted: Counted::new(&camera, |counters| &counters.connections),
            camera,
        }
    }

    /// Waits for a change: false when the connection ends by it.
    async fn changed(&mut self) -> bool {
        if self.conduct.changed().await.is_err() {
            return false;
        }
        let now = *self.conduct.borrow_and_update();
        let breaks = now.removed || self.fault.breaks(now.fault);
        self.fault = now.fault;
        if now.fault != Fault::Drop {
            self.ends = None;
        }
        !breaks
    }
}

struct Connection<'a> {
    fleet: Arc<Fleet>,
    own: Option<Arc<Camera>>,
    out: WriteHalf<'a>,
    nonce: String,
    bound: Option<Bound>,
    session: Option<Session>,
    /// A request that a hanging camera has not answered.
    unanswered: Option<Request<Vec<u8>>>,
    buffer: Vec<u8>,
    next_report: Instant,
    /// When a thin line has carried what was sent.
    line_free: Instant,
}

enum Next {
    Read(io::Result<usize>),
    Changed(bool),
    Frame(Option<Frame>),
    Dropped,
}

/// Serves a connection to its end. On a camera's own port, `own` is the only one there is.
pub(crate) async fn serve(mut stream: TcpStream, fleet: Arc<Fleet>, own: Option<Arc<Camera>>) {
    let (mut reader, out) = stream.split();
    let mut connection = Connection {
        fleet,
        bound: own.clone().map(Bound::new),
        own,
        out,
        nonce: format!("{:016x}", rand::random::<u64>()),
        session: None,
        unanswered: None,
        buffer: Vec::new(),
        next_report: Instant::now(),
        line_free: Instant::now(),
    };
    let mut unread = Vec::new();
    loop {
        match connection.read_requests(&mut unread).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::debug!(%error, "connection lost");
                return;
            }
        }
        let next = {
            let Connection { bound, session, .. } = &mut connection;
            let fault = bound.as_ref().map_or(Fault::None, |bound| bound.fault);
            let ends = bound.as_ref().and_then(|bound| bound.ends);
            let playing = session.as_mut().and_then(|session| session.playing.as_mut());
            tokio::select! {
                read = reader.read_buf(&mut unread) => Next::Read(read),
                stays = async { match bound { Some(bound) => bound.changed().await, None => std::future::pending().await } } => Next::Changed(stays),
                frame = async { match playing { Some(playing) if !fault.is_silent() => playing.feed.next().await, _ => std::future::pending().await } } => Next::Frame(frame),
                () = async { match ends { Some(ends) => sleep_until(ends).await, None => std::future::pending().await } } => Next::Dropped,
            }
        };
        let stays = match next {
            Next::Read(Ok(0) | Err(_)) | Next::Dropped | Next::Frame(None) => false,
            Next::Read(Ok(_)) => unread.len() <= MOST_UNREAD,
            Next::Changed(stays) => stays,
            Next::Frame(Some(frame)) => connection.send_frame(&frame).await.is_ok(),
        };
        if !stays {
            return;
        }
    }
}

impl Connection<'_> {
    /// Answers what has arrived whole: false when the connection ends.
    async fn read_requests(&mut self, unread: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            if self.is_hanging() {
                return Ok(true);
            }
            if let Some(request) = self.unanswered.take() {
                if !self.answer(request).await? {
                    return Ok(false);
                }
                continue;
            }
            if unread.is_empty() {
                return Ok(true);
            }
            match Message::<Vec<u8>>::parse(unread.as_slice()) {
                Ok((message, used)) => {
                    unread.drain(..used);
                    // RTCP receiver reports are data; answers to questions never asked are nothing.
                    if let Message::Request(request) = message {
                        self.bind(&request);
                        self.unanswered = Some(request);
                    }
                }
                Err(ParseError::Incomplete(_)) => return Ok(true),
                Err(ParseError::Error) => {
                    self.write(&Reply::new(StatusCode::BadRequest).into_bytes("0"))
                        .await?;
                    return Ok(false);
                }
            }
        }
    }

    fn is_hanging(&self) -> bool {
        self.bound
            .as_ref()
            .is_some_and(|bound| bound.fault == Fault::Hang)
    }

    /// Finds the camera that a request is about. A session stays with its camera.
    fn bind(&mut self, request: &Request<Vec<u8>>) {
        if self.own.is_some() || self.session.is_some() {
            return;
        }
        let name = request.request_uri().map_or("", camera_name);
        if self.bound.as_ref().is_some_and(|bound| bound.camera.name == name) {
            return;
        }
        let camera = self.fleet.get(name).filter(|camera| camera.spec.port.is_none());
        self.bound = camera.map(Bound::new);
    }

    async fn answer(&mut self, request: Request<Vec<u8>>) -> io::Result<bool> {
        let Some(cseq) = request.header(&CSEQ).map(|value| value.as_str().to_owned()) else {
            self.write(&Reply::new(StatusCode::BadRequest).into_bytes("0"))
                .await?;
            return Ok(false);
        };
        let named = request.request_uri().map(camera_name);
        let camera = self.bound.as_ref().map(|bound| bound.camera.clone());
        let reply = match camera {
            Some(camera) if named.is_none_or(|name| name == camera.name) => {
                match dialogue::answer(&camera, &self.nonce, &mut self.session, &request) {
                    Some(reply) => reply,
                    None => return Ok(false),
                }
            }
            _ if *request.method() == Method::Options => Reply::options(),
            _ => Reply::new(StatusCode::NotFound),
        };
        self.write(&reply.into_bytes(&cseq)).await?;
        Ok(true)
    }

    async fn send_frame(&mut self, frame: &Frame) -> io::Result<()> {
        let (Some(bound), Some(session)) = (self.bound.as_ref(), self.session.as_mut()) else {
            return Ok(());
        };
        let camera = bound.camera.clone();
        let shown = frame.index + u64::from(frame.unit.delay);
        let timestamp = camera.timeline.timestamp(session.media, shown);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let now = Instant::now();
        if now >= self.next_report {
            self.next_report = now + REPORT_EVERY;
            // Of this frame: the time it is shown at is when it is due.
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let ahead = camera.timeline.due(shown).saturating_duration_since(now);
            session.sender.report(timestamp, since_1970 + ahead, &mut buffer);
        }
        let packets = session.sender.write(&frame.unit, timestamp, &mut buffer);
        let sent = self.write(&buffer).await;
        if sent.is_ok() {
            camera.counters.packets.fetch_add(packets, Ordering::Relaxed);
            camera
                .counters
                .bytes
                .fetch_add(buffer.len() as u64, Ordering::Relaxed);
        }
        self.buffer = buffer;
        sent
    }

    /// Sends bytes, as fast as the line is said to be.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(kbps) = self.thin_line().await else {
                return send(&mut self.out, rest).await;
            };
            let (part, after) = rest.split_at(rest.len().min(PACED_BYTES));
            send(&mut self.out, part).await?;
            let carried = Duration::from_secs_f64(part.len() as f64 * 8.0 / 1000.0 / f64::from(kbps));
            self.line_free = self.line_free.max(Instant::now()) + carried;
            rest = after;
        }
        Ok(())
    }

    /// Waits until a thin line is free and says how many kbit/s it carries; `None`, at once, when
    /// the line is not thin, or not any more.
    async fn thin_line(&self) -> Option<u32> {
        // A copy: the change itself is for the loop in `serve` to notice.
        let mut conduct = self.bound.as_ref()?.conduct.clone();
        let Fault::Bandwidth { kbps } = conduct.borrow().fault else {
            return None;
        };
        tokio::select! {
            () = sleep_until(self.line_free) => Some(kbps),
            _ = conduct.wait_for(|conduct| conduct.removed || !matches!(conduct.fault, Fault::Bandwidth { .. })) => None,
        }
    }
}

async fn send(out: &mut WriteHalf<'_>, bytes: &[u8]) -> io::Result<()> {
    timeout(WRITE_DEADLINE, out.write_all(bytes)).await?
}
