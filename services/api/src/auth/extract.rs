//! Who is calling: bearer header first, else the page's cookie.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use marsad_identity::{Caller, Refused, bearer};

use crate::problem::{Code, Problem};
use crate::router::Api;

/// The page's session.
pub(crate) const COOKIE: &str = "marsad_session";
/// A form on another site cannot set it, so a request with the cookie that has it comes from our page.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-marsad-request");

/// A caller with a good token.
pub(crate) struct SignedIn {
    pub(crate) caller: Caller,
    /// The token as it came; to pass on, never to log.
    pub(crate) token: String,
}

impl FromRequestParts<Api> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let safe = matches!(parts.method.as_str(), "GET" | "HEAD");
        signed_in(api, &parts.headers, !safe).await
    }
}

/// The caller of a request with these headers; `effects`: the request may change something.
pub(crate) async fn signed_in(api: &Api, headers: &HeaderMap, effects: bool) -> Result<SignedIn, Problem> {
    let keys = api.keyring().keys().ok_or(Code::KeysNotReady)?;
    let token = match bearer(headers) {
        Some(token) => token,
        None => {
            let token = cookie(headers).ok_or(Code::Unauthenticated)?;
            if effects {
                require_csrf_header(headers)?;
            }
            token
        }
    };
    let claims = keys
        .verifier()
        .verify_at(token, api.now().wall)
        .await
        .map_err(|refused| {
            api.metrics().refused(refused.reason());
            match refused {
                Refused::Expired => Problem::from(Code::TokenExpired),
                Refused::KeysUnavailable => Problem::from(Code::KeysNotReady),
                other => Problem::from(Code::TokenInvalid).detail(other.to_string()),
            }
        })?;
    Ok(SignedIn {
        caller: claims.into(),
        token: token.to_owned(),
    })
}

pub(crate) fn require_csrf_header(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(CSRF_HEADER).is_some_and(|value| value == "1") {
        return Ok(());
    }
    Err(Problem::from(Code::CsrfHeaderMissing)
        .detail("a request that comes with the cookie needs the header X-Marsad-Request: 1; tools send a bearer token"))
}

/// The token in the cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE && !value.is_empty()).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        for (value, token) in [
            ("marsad_session=abc", Some("abc")),
            ("a=b; marsad_session=abc; c=d", Some("abc")),
            ("xmarsad_session=abc", None),
            ("marsad_session=", None),
            ("marsad_session", None),
        ] {
            let headers = HeaderMap::from_iter([(header::COOKIE, value.parse().unwrap())]);
            assert_eq!(cookie(&headers), token, "{value}");
        }
    }
}
