//! What frames every request: its id, a deadline, the error document, security headers, one line in the log.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::{Code, Problem};
use crate::router::Api;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Nothing takes longer to begin its answer; relays have shorter deadlines of their own.
const DEADLINE: Duration = Duration::from_secs(30);
/// Longest request id taken over from the caller.
const LONGEST_ID: usize = 64;
/// Longest User-Agent in the log.
const LONGEST_AGENT: usize = 200;

/// Id of the request, taken from the caller or made here; it travels on to `streams` and back to the caller.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Who sent the request, for the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Address of the peer: a gateway's, where one stands in front.
    pub(crate) ip: String,
    /// `X-Forwarded-For` as sent: worth as much as whoever set it.
    pub(crate) forwarded_for: String,
    pub(crate) user_agent: String,
    pub(crate) request_id: String,
    /// Whether the browser's side of the connection is encrypted, as the gateway in front says.
    pub(crate) https: bool,
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = |name: HeaderName| {
            let value = parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            value.chars().take(LONGEST_AGENT).collect::<String>()
        };
        Ok(Self {
            ip: parts
                .extensions
                .get::<ConnectInfo<SocketAddr>>()
                .map(|peer| peer.0.ip().to_string())
                .unwrap_or_default(),
            forwarded_for: text(HeaderName::from_static("x-forwarded-for")),
            user_agent: text(header::USER_AGENT),
            request_id: parts
                .extensions
                .get::<RequestId>()
                .map(|id| id.0.clone())
                .unwrap_or_default(),
            https: text(HeaderName::from_static("x-forwarded-proto")).eq_ignore_ascii_case("https"),
        })
    }
}

/// The outermost layer.
pub(crate) async fn frame(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    // The path without its query, which may hold a ticket or LiveKit's token.
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("page", MatchedPath::as_str)
        .to_owned();
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    request.extensions_mut().insert(RequestId(id.clone()));

    let mut response = match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Code::RequestTimeout.into_response(),
    };
    let mut code = None;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        code = Some(problem.code.name());
        // What the handler set beside it (Allow, a cookie to clear) stays.
        let kept = std::mem::take(response.headers_mut());
        response = problem.render(&path, &id);
        for (name, value) in &kept {
            if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
                response.headers_mut().append(name.clone(), value.clone());
            }
        }
    }
    let status = response.status();
    decorate(&api, &mut response, &id);
    let seconds = began.elapsed().as_secs_f64();
    api.metrics().request(&route, &method, status, seconds);
    let milliseconds = (seconds * 1e3).round();
    if status.is_server_error() {
        tracing::warn!(%method, path, status = status.as_u16(), code, request_id = id, milliseconds, "request_failed");
    } else if status.is_client_error() {
        tracing::info!(%method, path, status = status.as_u16(), code, request_id = id, milliseconds, "request_refused");
    } else {
        tracing::debug!(%method, path, status = status.as_u16(), request_id = id, milliseconds, "request");
    }
    response
}

fn decorate(api: &Api, response: &mut Response, id: &str) {
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    if switching {
        return;
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, api.content_policy().clone());
}

/// The caller's id when it is short and plain: it is written to logs and headers.
fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=LONGEST_ID).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        })
        .map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r0_17_a_plain_id_is_kept_and_a_strange_one_replaced() {
        let id = |value: &str| request_id(&HeaderMap::from_iter([(REQUEST_ID, value.parse().unwrap())]));
        assert_eq!(id("abc-1.2_3"), "abc-1.2_3");
        for strange in ["", "a b", "a\"b", &"x".repeat(65)] {
            assert_eq!(id(strange).len(), 36, "{strange:?}");
        }
    }
}
