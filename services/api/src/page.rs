//! The dashboard's files. Unknown paths are the page's own routes and get `index.html`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use tower_http::services::ServeDir;

use crate::cameras::routes::matches_etag;
use crate::problem::{Code, Problem};
use crate::router::Api;

/// What Vite puts a hash in the name of.
const HASHED: &str = "/assets/";
/// Never the page's.
const RESERVED: [&str; 6] = ["/api", "/ws", "/livekit", "/health", "/ready", "/.well-known"];

/// Scripts from here only. `connect-src` lets livekit-client reach a LiveKit of its own address by WebSocket, and
/// by HTTP at `public_origin` where there is one; media and workers of livekit-client come as blobs.
pub(crate) fn content_policy(public_origin: Option<&str>) -> HeaderValue {
    let policy = format!(
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
         font-src 'self' data:; media-src 'self' blob: mediastream:; worker-src 'self' blob:; \
         connect-src 'self' ws: wss:{}{}; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
        if public_origin.is_some() { " " } else { "" },
        public_origin.unwrap_or_default(),
    );
    // The origin comes out of a parsed URL, so this is always a header value; without it nothing may load.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

pub(crate) async fn serve(State(api): State<Api>, mut request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if RESERVED.iter().any(|prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }) {
        return Code::NotFound.into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Code::MethodNotAllowed.into_response();
    }
    let headers = request.headers().clone();
    if path == "/" || path == "/index.html" {
        return index(&api, &headers).await;
    }
    let hashed = path.starts_with(HASHED);
    if !hashed {
        // Images are built with one date for all files: by date, an old file would be taken for the new one.
        request.headers_mut().remove(header::IF_MODIFIED_SINCE);
        request.headers_mut().remove(header::IF_UNMODIFIED_SINCE);
    }
    let files = ServeDir::new(api.dashboard_dir())
        .append_index_html_on_directories(false)
        .precompressed_gzip();
    let Ok(response) = files.oneshot(request).await;
    let mut response = response.map(Body::new).into_response();
    match response.status() {
        StatusCode::NOT_FOUND if hashed || names_a_file(&path) => Code::NotFound.into_response(),
        StatusCode::NOT_FOUND => index(&api, &headers).await,
        status if status.is_client_error() || status.is_server_error() => response,
        _ => {
            let caching = if hashed {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            };
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
            if !hashed {
                response.headers_mut().remove(header::LAST_MODIFIED);
            }
            response
        }
    }
}

/// A missing script must not be answered with HTML: the browser would say "syntax error" instead of "not found".
fn names_a_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

async fn index(api: &Api, request: &HeaderMap) -> Response {
    let page = match tokio::fs::read(api.dashboard_dir().join("index.html")).await {
        Ok(page) => page,
        Err(error) => {
            tracing::warn!(dir = %api.dashboard_dir().display(), %error, "page_missing");
            return Problem::from(Code::PageMissing)
                .detail("index.html can't be read: is --dashboard-dir (DASHBOARD_DIR) the built dashboard?")
                .into_response();
        }
    };
    let etag = etag(&page);
    let caching = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, etag.clone()),
    ];
    if matches_etag(request, &etag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let kind = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    )];
    (caching, kind, page).into_response()
}

/// A weak tag (the bytes may be compressed on the way) of the content.
pub(crate) fn etag(content: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(content);
    let text: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("W/\"{text}\"")).unwrap_or(HeaderValue::from_static("W/\"0\""))
}
