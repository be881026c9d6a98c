//! `GET /api/v1/cameras/{id}/still`: docs/architecture.md.

use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use marsad_identity::Verifier;
use uuid::Uuid;

use crate::problem::Refusal;
use crate::reconcile::now;
use crate::routes::{answer, caller};
use crate::stills::Stills;
use crate::stills::shelf::Still;

#[derive(Clone)]
struct Shared {
    stills: Stills,
    verifier: Verifier,
}

/// The route.
pub fn router(stills: Stills, verifier: Verifier) -> Router {
    Router::new()
        .route("/api/v1/cameras/{id}/still", get(still))
        .with_state(Shared { stills, verifier })
}

async fn still(
    State(shared): State<Shared>,
    uri: OriginalUri,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        caller(&shared.verifier, &headers).await?;
        // What is no id is no camera's.
        let camera: Uuid = id.parse().map_err(|_| Refusal::CameraNotFound)?;
        let still = shared.stills.get(camera)?;
        Ok(send(&still, &headers))
    };
    answer(outcome.await, &uri, &headers)
}

/// The picture with its age, or that the caller has it already.
fn send(still: &Still, request: &HeaderMap) -> Response {
    let etag = etag(still);
    let mut about = HeaderMap::new();
    about.insert(header::AGE, HeaderValue::from(still.age(now()).as_secs()));
    // For one person only, and asked about each time: the age is told with the answer.
    about.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    about.insert(header::VARY, HeaderValue::from_static("Authorization, Cookie"));
    about.extend(http_date(still.taken()).map(|date| (header::LAST_MODIFIED, date)));
    let known = is_known(request, &etag);
    about.extend(HeaderValue::from_str(&etag).ok().map(|etag| (header::ETAG, etag)));
    if known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"))];
    (about, kind, still.mp4().clone()).into_response()
}

/// A camera has one picture at a time.
fn etag(still: &Still) -> String {
    format!("\"{:x}\"", still.taken().as_millisecond())
}

fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// Whether `If-None-Match` names this tag (RFC 9110 §13.1.2: weak comparison).
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_in_lists() {
        for (given, known) in [
            ("\"1a\"", true),
            ("W/\"1a\"", true),
            ("\"x\", \"1a\"", true),
            ("*", true),
            ("\"1\"", false),
            ("1a", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, given.parse().unwrap())]);
            assert_eq!(is_known(&headers, "\"1a\""), known, "{given}");
        }
        assert!(!is_known(&HeaderMap::new(), "\"1a\""));
    }

    #[test]
    fn dates_are_those_of_http() {
        let at: Timestamp = "2026-11-23T06:43:05.9Z".parse().unwrap();
        assert_eq!(http_date(at).unwrap(), "Mon, 23 Nov 2026 06:43:05 GMT");
    }
}
