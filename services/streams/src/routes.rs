//! `/api/v1/stream/*`: contracts.md 14a and 17, section 1.3 of the requirements, docs/architecture.md.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use marsad_identity::{Claims, Verifier, bearer};
use marsad_ledger::{MARGIN, TTL};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::live::{Ask, Live, wall_clock};
use crate::problem::{Refusal, request_id, respond};
use crate::stats_routes;

/// A page renews a lease four times in its life.
const HEARTBEAT_DIVISOR: u64 = 4;
const LARGEST_BODY: usize = 4096;
const LONGEST_CLIENT: usize = 64;
/// Longest time that can be asked for, seconds: a day.
const LONGEST: u64 = 86_400;

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) live: Live,
    pub(crate) verifier: Verifier,
}

#[derive(Debug, Deserialize)]
struct Watch {
    camera_id: Uuid,
    client_id: Option<String>,
    user_id: Option<String>,
}

/// Block 1.3-B.
#[derive(Debug, Deserialize)]
struct Reserve {
    camera_id: Uuid,
    source: Option<String>,
    user_id: Option<String>,
    duration_seconds: Option<u64>,
    client_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Reservation {
    reservation_id: Uuid,
}

#[derive(Debug, Serialize)]
struct Watched {
    reservation_id: Uuid,
    camera_id: Uuid,
    room: String,
    identity: String,
    /// Empty: the page's own origin relays LiveKit.
    url: &'static str,
    token: String,
    expires_at: Timestamp,
    lease: LeaseTerms,
}

/// Block 1.3-B.
#[derive(Debug, Serialize)]
struct Reserved {
    reservation_id: Uuid,
    /// The end of the grant (contracts.md 17): of what was asked for, else of a lease that nobody renews.
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_usage: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    lease: LeaseTerms,
}

#[derive(Debug, Serialize)]
struct LeaseTerms {
    ttl_seconds: u64,
    heartbeat_interval_seconds: u64,
}

impl LeaseTerms {
    fn ours() -> Self {
        let ttl_seconds = TTL.as_secs();
        Self {
            ttl_seconds,
            heartbeat_interval_seconds: (ttl_seconds / HEARTBEAT_DIVISOR).max(1),
        }
    }
}

#[derive(Debug, Serialize)]
struct Renewed {
    reservation_id: Uuid,
    expires_at: Timestamp,
    ttl_seconds: u64,
}

/// The routes.
pub fn router(live: Live, verifier: Verifier) -> Router {
    Router::new()
        .route("/api/v1/stream/live", post(watch).delete(leave))
        .route("/api/v1/stream/reserve", post(reserve))
        .route("/api/v1/stream/heartbeat", post(beat))
        .route("/api/v1/stream/heartbeat/{reservation_id}", post(heartbeat))
        .route("/api/v1/stream/release/{reservation_id}", delete(release))
        .route("/api/v1/stream/stats", get(stats_routes::stats))
        .route("/ws/stream/stats", get(stats_routes::connect))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Shared { live, verifier })
}

async fn watch(State(shared): State<Shared>, uri: OriginalUri, headers: HeaderMap, body: Bytes) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        let asked: Watch = read(&body)?;
        for_oneself(&caller, asked.user_id.as_deref())?;
        let ask = Ask {
            camera: asked.camera_id,
            client: client(asked.client_id)?,
            client_ip: client_ip(&headers),
            source: None,
            duration: None,
        };
        let granted = shared.live.watch(&caller, &ask).await?;
        let watched = Watched {
            reservation_id: granted.lease.reservation,
            camera_id: asked.camera_id,
            room: granted.lease.room,
            identity: granted.lease.identity,
            url: "",
            token: granted.ticket.token,
            expires_at: granted.ticket.expires_at,
            lease: LeaseTerms::ours(),
        };
        // The token is nobody else's.
        Ok(([(header::CACHE_CONTROL, "no-store")], Json(watched)).into_response())
    };
    answer(outcome.await, &uri, &headers)
}

async fn reserve(
    State(shared): State<Shared>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        let asked: Reserve = read(&body)?;
        for_oneself(&caller, asked.user_id.as_deref())?;
        let duration = asked.duration_seconds.map(duration).transpose()?;
        let ask = Ask {
            camera: asked.camera_id,
            client: client(asked.client_id)?,
            client_ip: client_ip(&headers),
            source: asked.source,
            duration,
        };
        let taken = shared.live.reserve(&caller, &ask).await?;
        let reserved = Reserved {
            reservation_id: taken.lease.reservation,
            expires_at: wall_clock(taken.lease.ends.unwrap_or(taken.lease.expires + MARGIN)),
            current_usage: taken.usage.map(|(current, _)| current),
            limit: taken.usage.map(|(_, limit)| limit),
            lease: LeaseTerms::ours(),
        };
        Ok(Json(reserved).into_response())
    };
    answer(outcome.await, &uri, &headers)
}

async fn beat(State(shared): State<Shared>, uri: OriginalUri, headers: HeaderMap, body: Bytes) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        let Reservation { reservation_id } = read(&body)?;
        renew(&shared, &caller, reservation_id).await
    };
    answer(outcome.await, &uri, &headers)
}

async fn heartbeat(
    State(shared): State<Shared>,
    uri: OriginalUri,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        renew(&shared, &caller, reservation_id(&id)?).await
    };
    answer(outcome.await, &uri, &headers)
}

async fn renew(shared: &Shared, caller: &Claims, reservation_id: Uuid) -> Result<Response, Refusal> {
    let lease = shared.live.leases().renew(reservation_id, &caller.sub).await?;
    // The ledger's own end; we stop a margin before.
    let renewed = Renewed {
        reservation_id,
        expires_at: wall_clock(lease.ends.unwrap_or(lease.expires + MARGIN)),
        ttl_seconds: TTL.as_secs(),
    };
    Ok(Json(renewed).into_response())
}

async fn leave(State(shared): State<Shared>, uri: OriginalUri, headers: HeaderMap, body: Bytes) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        let Reservation { reservation_id } = read(&body)?;
        shared.live.leases().release(reservation_id, &caller.sub).await;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    answer(outcome.await, &uri, &headers)
}

async fn release(
    State(shared): State<Shared>,
    uri: OriginalUri,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        let reservation = reservation_id(&id)?;
        shared.live.leases().release(reservation, &caller.sub).await;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    answer(outcome.await, &uri, &headers)
}

pub(crate) fn answer(outcome: Result<Response, Refusal>, uri: &OriginalUri, headers: &HeaderMap) -> Response {
    outcome.unwrap_or_else(|refusal| respond(&refusal, uri.path(), &request_id(headers)))
}

pub(crate) async fn caller(verifier: &Verifier, headers: &HeaderMap) -> Result<Claims, Refusal> {
    let token = bearer(headers)
        .ok_or_else(|| Refusal::Unauthorized("the request carries no bearer token".to_owned()))?;
    verifier.verify(token).await.map_err(|refused| match refused {
        marsad_identity::Refused::KeysUnavailable => Refusal::NotReady,
        refused => Refusal::Unauthorized(refused.to_string()),
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::InvalidRequest(error.to_string()))
}

fn for_oneself(caller: &Claims, user: Option<&str>) -> Result<(), Refusal> {
    match user {
        Some(user) if user != caller.sub => Err(Refusal::Forbidden),
        _ => Ok(()),
    }
}

fn reservation_id(text: &str) -> Result<Uuid, Refusal> {
    text.parse()
        .map_err(|_| Refusal::InvalidRequest("reservation_id must be a UUID".to_owned()))
}

fn duration(seconds: u64) -> Result<Duration, Refusal> {
    if (1..=LONGEST).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Refusal::InvalidRequest(format!(
        "duration_seconds must be 1 to {LONGEST}"
    )))
}

/// A client's own name for one of its sessions goes into an identity and into logs.
fn client(client: Option<String>) -> Result<Option<String>, Refusal> {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match client {
        Some(client) if client.is_empty() || client.len() > LONGEST_CLIENT || !client.bytes().all(fit) => {
            let text = format!("client_id must be 1 to {LONGEST_CLIENT} letters, digits, - or _");
            Err(Refusal::InvalidRequest(text))
        }
        client => Ok(client),
    }
}

/// Where the request came from, as `api` says; for people, nothing is decided by it.
fn client_ip(headers: &HeaderMap) -> String {
    let forwarded = headers
        .get("x-forwarded-for")
        .and_then(|value| value.to_str().ok());
    let first = forwarded.and_then(|list| list.split(',').next());
    first
        .and_then(|text| text.trim().parse::<std::net::IpAddr>().ok())
        .map_or_else(String::new, |ip| ip.to_string())
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
