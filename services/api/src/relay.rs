//! Passes calls on to `streams` and to LiveKit, so that the browser knows one origin (contracts.md 14a).

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum_reverse_proxy::{ProxyError, ProxyPolicy, ReverseProxy};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use marsad_identity::{Caller, Claims, bearer};
use serde_json::Value;
use url::Url;

use crate::auth::extract::{CSRF_HEADER, SignedIn, signed_in};
use crate::problem::{Code, Problem};
use crate::request::Client;
use crate::router::{Api, SettingsError};
use crate::updates::Asked;

/// A neighbour in the cluster connects within this or is away.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// `streams` answers a view request when the publisher has let the viewer in, which may take its time.
const STREAMS_DEADLINE: Duration = Duration::from_secs(20);
/// LiveKit answers the first message of signalling within this.
const LIVEKIT_DEADLINE: Duration = Duration::from_secs(5);
/// Largest body passed on, bytes; both sides speak short JSON here.
const BODY_LIMIT: usize = 64 * 1024;
const LIVE: &str = "/api/v1/stream/live";

/// Ways to the two neighbours.
pub(crate) struct Relay {
    streams: ReverseProxy<HttpConnector>,
    livekit: ReverseProxy<HttpConnector>,
    public: Option<Url>,
    public_origin: Option<String>,
}

impl Relay {
    pub(crate) fn new(streams: &Url, livekit: &Url, public: &str) -> Result<Self, SettingsError> {
        let public = match public.trim() {
            "" => None,
            given => {
                let refused = || SettingsError::Public {
                    given: given.to_owned(),
                };
                let url = Url::parse(given).map_err(|_| refused())?;
                if !matches!(url.scheme(), "ws" | "wss" | "http" | "https") || url.host().is_none() {
                    return Err(refused());
                }
                Some(url)
            }
        };
        Ok(Self {
            streams: proxy("", "STREAMS_URL", streams, STREAMS_DEADLINE)?,
            livekit: proxy("/livekit", "LIVEKIT_URL", livekit, LIVEKIT_DEADLINE)?,
            public_origin: public.as_ref().and_then(http_origin),
            public,
        })
    }

    /// Origin of a LiveKit that browsers reach by itself, as `http` or `https`.
    pub(crate) fn public_origin(&self) -> Option<&str> {
        self.public_origin.as_deref()
    }
}

fn http_origin(url: &Url) -> Option<String> {
    let scheme = if matches!(url.scheme(), "wss" | "https") {
        "https"
    } else {
        "http"
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{}{port}", url.host()?))
}

fn proxy(
    prefix: &str,
    setting: &'static str,
    target: &Url,
    deadline: Duration,
) -> Result<ReverseProxy<HttpConnector>, SettingsError> {
    if target.scheme() != "http" || target.host().is_none() {
        return Err(SettingsError::Neighbour {
            setting,
            given: target.to_string(),
        });
    }
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_DEADLINE));
    let client = HttpClient::builder(TokioExecutor::new())
        // Shorter than the neighbours keep a connection, so that one about to be closed is not used.
        .pool_idle_timeout(Duration::from_secs(20))
        .build(connector);
    let policy = ProxyPolicy::new()
        .with_upstream_timeout(deadline)
        .with_websocket_connect_timeout(deadline)
        .with_max_request_body_bytes(BODY_LIMIT as u64);
    Ok(
        ReverseProxy::new_with_client(prefix, target.as_str().trim_end_matches('/'), client)
            .with_policy(policy),
    )
}

/// `/api/v1/stream/*` and a camera's last picture: to `streams`, with the caller's token as bearer, whichever way it came.
pub(crate) async fn streams(
    State(api): State<Api>,
    signed_in: SignedIn,
    client: Client,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT)
        .await
        .map_err(|_| Problem::from(Code::PayloadTooLarge))?;
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let named = Named::read(&body);
    let bearer = HeaderValue::from_str(&format!("Bearer {}", signed_in.token))
        .map_err(|_| Problem::from(Code::TokenInvalid))?;
    parts.headers.insert(header::AUTHORIZATION, bearer);
    parts.headers.remove(header::COOKIE);
    parts.headers.remove(CSRF_HEADER);
    marsad_runtime::trace::inject(&mut parts.headers);
    // A tunnel has no place here.
    parts.headers.remove(header::UPGRADE);

    let Ok(response) = api
        .relay()
        .streams
        .proxy_request(Request::from_parts(parts, Body::from(body)))
        .await;
    let status = response.status();
    let failure = response.extensions().get::<ProxyError>().cloned();
    if method != Method::GET {
        audit(&signed_in.caller, &client, &method, &path, &named, status);
    }
    if let Some(failure) = failure {
        return Err(unreachable(&api, "streams", &failure, status));
    }
    api.metrics().relayed("streams", "ok");
    match &api.relay().public {
        Some(url) if method == Method::POST && path == LIVE && status == StatusCode::OK => {
            with_url(response, url).await
        }
        _ => Ok(response),
    }
}

/// `/ws/stream/stats`: to `streams`, for who has a bearer token or, as a page can't send one, a ticket.
pub(crate) async fn stream_stats(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
    mut request: Request,
) -> Result<Response, Problem> {
    // First, so that a plain GET does not use the ticket up.
    if !request.headers().contains_key(header::UPGRADE) {
        return Err(Problem::from(Code::UpgradeRequired));
    }
    let token = if bearer(request.headers()).is_some() {
        signed_in(&api, request.headers(), false).await?.token
    } else {
        token_for_ticket(&api, &asked.ticket)?
    };
    let authorization =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| Problem::from(Code::TokenInvalid))?;
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, authorization);
    headers.remove(header::COOKIE);
    // A ticket is nobody else's business, used up as it is.
    *request.uri_mut() = Uri::from_static("/ws/stream/stats");
    let Ok(response) = api.relay().streams.proxy_request(request).await;
    match response.extensions().get::<ProxyError>() {
        Some(failure) => Err(unreachable(&api, "streams", failure, response.status())),
        None => {
            api.metrics().relayed("streams", "ok");
            Ok(response)
        }
    }
}

/// A token of the ticket's owner that ends when the one does that the ticket was given for.
fn token_for_ticket(api: &Api, ticket: &str) -> Result<String, Problem> {
    let now = api.now();
    let caller = api
        .tickets()
        .redeem(ticket, now.steady)
        .ok_or(Code::TicketInvalid)?;
    let keys = api.keyring().keys().ok_or(Code::KeysNotReady)?;
    let mut claims = Claims::new(caller.id, caller.name, now.wall);
    claims.exp = caller.expires_at.as_second();
    keys.sign(&claims)
        .map_err(|error| Problem::from(Code::Internal).detail(error.to_string()))
}

/// `/livekit/rtc*`: LiveKit's signalling, HTTP and WebSocket, without the prefix. LiveKit checks its own token; its
/// server API (Twirp, WHIP) is not reachable from outside this way. Our cookie is none of its business.
pub(crate) async fn livekit(State(api): State<Api>, mut request: Request) -> Result<Response, Problem> {
    request.headers_mut().remove(header::COOKIE);
    let Ok(response) = api.relay().livekit.proxy_request(request).await;
    match response.extensions().get::<ProxyError>() {
        Some(failure) => Err(unreachable(&api, "livekit", failure, response.status())),
        None => {
            api.metrics().relayed("livekit", "ok");
            Ok(response)
        }
    }
}

fn unreachable(api: &Api, target: &'static str, failure: &ProxyError, status: StatusCode) -> Problem {
    let late = status == StatusCode::GATEWAY_TIMEOUT;
    api.metrics()
        .relayed(target, if late { "timeout" } else { "unavailable" });
    tracing::warn!(
        target_role = target,
        error = failure.message(),
        late,
        "relay_failed"
    );
    match (target, late) {
        ("streams", true) => Problem::from(Code::StreamsTimeout),
        ("streams", false) => Problem::from(Code::StreamsUnavailable).retry_after(1),
        _ => Problem::from(Code::LiveKitUnavailable).retry_after(1),
    }
}

/// What a body names, for the audit log. `streams` judges the body; here nothing is refused.
#[derive(Debug, Default)]
struct Named {
    camera_id: String,
    reservation_id: String,
}

impl Named {
    fn read(body: &Bytes) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        let text = |name: &str| {
            let value = body.get(name).and_then(Value::as_str).unwrap_or_default();
            value.chars().take(64).collect()
        };
        Self {
            camera_id: text("camera_id"),
            reservation_id: text("reservation_id"),
        }
    }
}

fn audit(caller: &Caller, client: &Client, method: &Method, path: &str, named: &Named, status: StatusCode) {
    let event = match (method.as_str(), path) {
        ("POST", LIVE) => "stream_requested",
        ("DELETE", LIVE) => "stream_released",
        // Four a minute from every viewer of every tile: they say nothing about who did what.
        (_, "/api/v1/stream/heartbeat") => return,
        _ => "stream_call",
    };
    tracing::info!(
        audit = event,
        user_id = caller.id,
        user = caller.name,
        token_id = caller.token_id,
        camera_id = named.camera_id,
        reservation_id = named.reservation_id,
        status = status.as_u16(),
        ip = client.ip,
        forwarded_for = client.forwarded_for,
        user_agent = client.user_agent,
        request_id = client.request_id,
        "audit"
    );
}

/// Fills in where the browser finds LiveKit, where it does not pass through us.
async fn with_url(response: Response, url: &Url) -> Result<Response, Problem> {
    let (mut parts, body) = response.into_parts();
    let internal = |what: &str| Problem::from(Code::Internal).detail(format!("the answer of streams {what}"));
    let body = to_bytes(body, BODY_LIMIT)
        .await
        .map_err(|_| internal("could not be read"))?;
    let mut grant: Value = serde_json::from_slice(&body).map_err(|_| internal("is not JSON"))?;
    if let Some(slot) = grant.get_mut("url").filter(|given| given.as_str() == Some("")) {
        *slot = Value::String(url.as_str().trim_end_matches('/').to_owned());
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok((parts.status, clean(parts.headers), grant.to_string()).into_response())
}

fn clean(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(header::TRANSFER_ENCODING);
    headers
}
