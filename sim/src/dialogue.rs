//! What a connection says in answer to each request: RTSP 1.0 (RFC 2326) as cameras speak it.

use std::sync::Arc;

use rtsp_types::headers::{
    AUTHORIZATION, CONTENT_BASE, RTP_INFO, RtpLowerTransport, SESSION, TRANSPORT, Transport, Transports,
};
use rtsp_types::{Method, Request, StatusCode, Url};

use crate::auth;
use crate::camera::{Camera, Counted, Fault};
use crate::feed::Feed;
use crate::media::Media;
use crate::reply::Reply;
use crate::rtp::Sender;
use crate::sdp;

/// A session that SETUP has made.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    /// What is sent.
    pub(crate) media: Media,
    /// The packets' numbers and channels.
    pub(crate) sender: Sender,
    /// The frames, once PLAY has been asked for.
    pub(crate) playing: Option<Playing>,
}

/// A session that plays.
#[derive(Debug)]
pub(crate) struct Playing {
    /// Where the frames come from.
    pub(crate) feed: Feed,
    _counted: Counted,
}

/// The path's first segment: the camera's name.
#[must_use]
pub(crate) fn camera_name(url: &Url) -> &str {
    url.path_segments()
        .and_then(|mut segments| segments.next())
        .unwrap_or("")
}

/// Answers a request for a camera. `None` when the fault is that the connection ends.
pub(crate) fn answer(
    camera: &Arc<Camera>,
    nonce: &str,
    session: &mut Option<Session>,
    request: &Request<Vec<u8>>,
) -> Option<Reply> {
    let fault = camera.fault();
    if fault == Fault::Refuse {
        return None;
    }
    if *request.method() == Method::Options {
        return Some(Reply::options());
    }
    if fault == Fault::NotFound {
        return Some(Reply::new(StatusCode::NotFound));
    }
    if fault == Fault::Unauthorized || !is_allowed(camera, nonce, request) {
        return Some(Reply::unauthorized(auth::challenges(nonce)));
    }
    let given = request
        .header(&SESSION)
        .map(|value| value.as_str().split(';').next().unwrap_or("").trim());
    let known = session.as_ref().map(|session| session.id.as_str());
    if given.is_some() && given != known {
        return Some(Reply::new(StatusCode::SessionNotFound));
    }
    Some(match request.method() {
        Method::Describe => describe(camera, request),
        Method::Setup => setup(camera, session, request),
        Method::Play => play(camera, session, request),
        Method::GetParameter | Method::SetParameter => with_session(Reply::new(StatusCode::Ok), session),
        Method::Teardown => match session.take() {
            Some(_) => Reply::new(StatusCode::Ok),
            None => Reply::new(StatusCode::SessionNotFound),
        },
        _ => Reply::new(StatusCode::NotImplemented),
    })
}

fn is_allowed(camera: &Camera, nonce: &str, request: &Request<Vec<u8>>) -> bool {
    let Some(credentials) = &camera.spec.credentials else {
        return true;
    };
    let header = request.header(&AUTHORIZATION);
    header.is_some_and(|header| auth::proves(credentials, header.as_str(), request.method().into(), nonce))
}

/// The camera's own URL with a slash at its end, from the one in the request.
fn base(camera: &Camera, request: &Request<Vec<u8>>) -> String {
    let Some(url) = request.request_uri() else {
        return format!("/{}/", camera.name);
    };
    let mut url = url.clone();
    url.set_path(&format!("/{}/", camera.name));
    url.set_query(None);
    url.set_fragment(None);
    // Fails for URLs without a host only; these have no credentials either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn describe(camera: &Camera, request: &Request<Vec<u8>>) -> Reply {
    let sdp = sdp::describe(&camera.name, camera.media(), camera.parameters());
    Reply::new(StatusCode::Ok)
        .with(CONTENT_BASE, base(camera, request))
        .with_sdp(sdp)
}

fn setup(camera: &Camera, session: &mut Option<Session>, request: &Request<Vec<u8>>) -> Reply {
    if session.is_some() {
        // There is but one track.
        return Reply::new(StatusCode::AggregateOperationNotAllowed);
    }
    let Ok(Some(transports)) = request.typed_header::<Transports>() else {
        return Reply::new(StatusCode::BadRequest);
    };
    let interleaved = transports.iter().find_map(|transport| match transport {
        Transport::Rtp(rtp) if rtp.lower_transport == Some(RtpLowerTransport::Tcp) => {
            Some(rtp.params.interleaved)
        }
        _ => None,
    });
    let Some(channels) = interleaved else {
        return Reply::new(StatusCode::UnsupportedTransport);
    };
    let (channel, control) = match channels {
        Some((first, Some(second))) => (first, second),
        Some((first, None)) => (first, first.wrapping_add(1)),
        None => (0, 1),
    };
    let media = camera.media();
    let sender = Sender::new(media, channel, control);
    let transport = format!(
        "RTP/AVP/TCP;unicast;interleaved={channel}-{control};ssrc={:08X}",
        sender.ssrc()
    );
    *session = Some(Session {
        id: format!("{:016x}", rand::random::<u64>()),
        media,
        sender,
        playing: None,
    });
    with_session(Reply::new(StatusCode::Ok).with(TRANSPORT, transport), session)
}

fn play(camera: &Arc<Camera>, session: &mut Option<Session>, request: &Request<Vec<u8>>) -> Reply {
    let Some(open) = session.as_mut() else {
        return Reply::new(StatusCode::MethodNotValidInThisState);
    };
    if open.playing.is_none() {
        match camera.play(open.media) {
            Ok(feed) => {
                open.playing = Some(Playing {
                    feed,
                    _counted: Counted::new(camera, |counters| &counters.playing),
                });
            }
            Err(error) => {
                tracing::error!(camera = camera.name, %error, "play");
                return Reply::new(StatusCode::InternalServerError);
            }
        }
    }
    let info = format!(
        "url={}{};seq={};rtptime={}",
        base(camera, request),
        sdp::TRACK,
        open.sender.next_sequence(),
        camera.next_timestamp(open.media),
    );
    with_session(Reply::new(StatusCode::Ok).with(RTP_INFO, info), session)
}

/// How long a session lives without a word from the client, seconds. It is said so that clients
/// send keepalives as to a camera; a connection that is open is proof enough here.
const TIMEOUT: u32 = 60;

fn with_session(reply: Reply, session: &Option<Session>) -> Reply {
    match session {
        Some(session) => reply.with(SESSION, format!("{};timeout={TIMEOUT}", session.id)),
        None => reply,
    }
}
