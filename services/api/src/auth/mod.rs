//! Sign-in of people (docs/architecture.md, Tokens of people).

pub(crate) mod extract;
pub(crate) mod throttle;
pub(crate) mod tickets;
pub(crate) mod tokens;
pub(crate) mod users;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use marsad_identity::{Caller, Claims, LIFETIME, user_id};
use serde::Deserialize;
use serde_json::json;

use crate::problem::{Code, Problem};
use crate::request::Client;
use crate::router::Api;
use extract::{COOKIE, SignedIn};
use users::{UsersError, well_formed};

/// Longest user name and password looked at, bytes.
const LONGEST_NAME: usize = 128;
const LONGEST_PASSWORD: usize = 1024;

/// Not `Debug`: it holds a password.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

pub(crate) async fn login(
    State(api): State<Api>,
    client: Client,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Credentials { username, password }) = body.map_err(|rejection| unreadable(&rejection))?;
    if username.is_empty()
        || username.len() > LONGEST_NAME
        || password.is_empty()
        || password.len() > LONGEST_PASSWORD
    {
        return Err(Problem::from(Code::InvalidRequest).detail("username and password must both be given"));
    }
    let keys = api.keyring().keys().ok_or(Code::KeysNotReady)?;
    let now = api.now();
    if let Err(wait) = api.throttle().begin(&username, now.steady) {
        let seconds = wait
            .as_secs()
            .saturating_add(u64::from(wait.subsec_nanos() > 0))
            .max(1);
        judged(&api, &client, &username, None, "throttled");
        return Err(Problem::from(Code::TooManyAttempts).retry_after(seconds));
    }
    match api.users().check(&username, password).await {
        Ok(true) => api.throttle().forgive(&username),
        Ok(false) => {
            judged(&api, &client, &username, None, "refused");
            return Err(Code::BadCredentials.into());
        }
        Err(UsersError::Busy) => {
            judged(&api, &client, &username, None, "busy");
            return Err(Problem::from(Code::Busy).retry_after(2));
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "users_unavailable");
            judged(&api, &client, &username, None, "unavailable");
            return Err(Code::UsersUnavailable.into());
        }
    }
    let claims = Claims::new(user_id(&username).to_string(), &username, now.wall);
    let token = keys.sign(&claims).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "signing_failed");
        Problem::from(Code::Internal)
    })?;
    let caller = Caller::from(claims);
    judged(&api, &client, &username, Some(&caller), "ok");
    let cookie = session_cookie(&token, LIFETIME.as_secs(), client.https)?;
    let answer = json!({"token": token, "expires_at": caller.expires_at.to_string(), "user": caller});
    Ok((
        [(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, NO_STORE)],
        Json(answer),
    )
        .into_response())
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Clears the cookie. The token itself ends by itself; nobody holds it but this browser.
pub(crate) async fn logout(
    State(api): State<Api>,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if extract::cookie(&headers).is_some() {
        extract::require_csrf_header(&headers)?;
    }
    if let Ok(SignedIn { caller, .. }) = extract::signed_in(&api, &headers, false).await {
        tracing::info!(
            audit = "logout",
            user_id = caller.id,
            user = caller.name,
            token_id = caller.token_id,
            ip = client.ip,
            request_id = client.request_id,
            "audit"
        );
    }
    let cookie = session_cookie("", 0, client.https)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

pub(crate) async fn me(signed_in: SignedIn) -> Response {
    let caller = signed_in.caller;
    let answer = json!({"user": caller, "expires_at": caller.expires_at.to_string()});
    ([(header::CACHE_CONTROL, NO_STORE)], Json(answer)).into_response()
}

pub(crate) async fn ws_ticket(State(api): State<Api>, signed_in: SignedIn) -> Response {
    let now = api.now();
    let ticket = api.tickets().issue(signed_in.caller, now.steady);
    let expires_at = now
        .wall
        .saturating_add(jiff::SignedDuration::try_from(tickets::LIFETIME).unwrap_or_default());
    let expires_at = expires_at.unwrap_or(now.wall);
    (
        [(header::CACHE_CONTROL, NO_STORE)],
        Json(json!({"ticket": ticket, "expires_at": expires_at.to_string()})),
    )
        .into_response()
}

pub(crate) async fn jwks(State(api): State<Api>) -> Result<Response, Problem> {
    let keys = api.keyring().keys().ok_or(Code::KeysNotReady)?;
    // Short: a verifier that sees an unknown key asks again within seconds.
    let caching = [(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=60"),
    )];
    Ok((caching, Json(keys.jwks())).into_response())
}

fn unreadable(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => Code::UnsupportedMediaType.into(),
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge.into(),
        _ => Problem::from(Code::InvalidRequest).detail("send {\"username\": \"…\", \"password\": \"…\"}"),
    }
}

/// Counts a sign-in and writes it to the audit log.
fn judged(api: &Api, client: &Client, username: &str, caller: Option<&Caller>, result: &'static str) {
    api.metrics().login(result);
    // What is no user name may be a password typed into the wrong field.
    let user = if well_formed(username) {
        username
    } else {
        "(not a user name)"
    };
    tracing::info!(
        audit = if caller.is_some() { "login" } else { "login_failed" },
        user,
        user_id = caller.map(|caller| caller.id.as_str()).unwrap_or_default(),
        token_id = caller.map(|caller| caller.token_id.as_str()).unwrap_or_default(),
        result,
        ip = client.ip,
        forwarded_for = client.forwarded_for,
        user_agent = client.user_agent,
        request_id = client.request_id,
        "audit"
    );
}

fn session_cookie(token: &str, seconds: u64, https: bool) -> Result<HeaderValue, Problem> {
    let secure = if https { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    ))
    .map_err(|_| Code::Internal.into())
}
