//! `GET /api/v1/cameras`.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::auth::extract::SignedIn;
use crate::problem::{Code, Problem};
use crate::router::Api;

pub(crate) async fn list(
    State(api): State<Api>,
    _: SignedIn,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !api.cameras().is_ready() {
        return Err(Problem::from(Code::CamerasNotReady).retry_after(1));
    }
    let listing = api.cameras().listing();
    let about = [
        (header::ETAG, listing.etag.clone()),
        // Kept by the browser for one person only, and asked about each time.
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
        (
            header::VARY,
            HeaderValue::from_static("Accept-Encoding, Authorization, Cookie"),
        ),
    ];
    if matches_etag(&headers, &listing.etag) {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    if accepts_gzip(&headers)
        && let Some(compressed) = listing.gzip()
    {
        let encoding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        return Ok((about, json, encoding, compressed).into_response());
    }
    Ok((about, json, listing.json.clone()).into_response())
}

/// Whether `If-None-Match` names this tag (RFC 9110 §13.1.2: weak comparison).
pub(crate) fn matches_etag(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(wanted) = etag.to_str().map(opaque) else {
        return false;
    };
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == wanted)
}

/// Whether `Accept-Encoding` takes gzip, by name or by `*`, with a weight above zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut any = false;
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|weight| {
            weight
                .strip_prefix("q=")
                .and_then(|q| q.trim().parse::<f32>().ok())
                .is_some_and(|q| q <= 0.0)
        });
        if name.eq_ignore_ascii_case("gzip") {
            return !refused;
        }
        any |= name == "*" && !refused;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn tags_compare_weakly_and_in_lists() {
        let etag = HeaderValue::from_static("W/\"abc\"");
        for (given, same) in [
            ("W/\"abc\"", true),
            ("\"abc\"", true),
            ("\"x\", W/\"abc\"", true),
            ("*", true),
            ("\"ab\"", false),
            ("", false),
        ] {
            assert_eq!(
                matches_etag(&headers(header::IF_NONE_MATCH, given), &etag),
                same,
                "{given}"
            );
        }
        assert!(!matches_etag(&HeaderMap::new(), &etag));
    }

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        for (given, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip; q=0.0, *", false),
            ("identity", false),
        ] {
            assert_eq!(
                accepts_gzip(&headers(header::ACCEPT_ENCODING, given)),
                takes,
                "{given}"
            );
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
