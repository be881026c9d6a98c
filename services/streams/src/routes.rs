//! `/api/v1/stream/*`: contracts.md 14a and 17, docs/architecture.md.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use marsad_identity::{Claims, Verifier, bearer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::live::Live;
use crate::problem::{Refusal, request_id, respond};

/// A page renews a lease four times in its life.
const HEARTBEAT_DIVISOR: u64 = 4;
const LARGEST_BODY: usize = 4096;
const LONGEST_CLIENT: usize = 64;

#[derive(Clone)]
struct Shared {
    live: Live,
    verifier: Verifier,
}

#[derive(Debug, Deserialize)]
struct Reserve {
    camera_id: Uuid,
    client_id: Option<String>,
    user_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Reservation {
    reservation_id: Uuid,
}

#[derive(Debug, Serialize)]
struct Reserved {
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

#[derive(Debug, Serialize)]
struct LeaseTerms {
    ttl_seconds: u64,
    heartbeat_interval_seconds: u64,
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
        .route("/api/v1/stream/live", post(reserve).delete(release))
        .route("/api/v1/stream/heartbeat", post(heartbeat))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Shared { live, verifier })
}

async fn reserve(
    State(shared): State<Shared>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        let Reserve {
            camera_id,
            client_id,
            user_id,
        } = read(&body)?;
        if user_id.is_some_and(|user| user != caller.sub) {
            return Err(Refusal::Forbidden);
        }
        if let Some(client) = &client_id {
            check_client(client)?;
        }
        let granted = shared.live.reserve(&caller, camera_id, client_id).await?;
        let ttl_seconds = shared.live.ttl().as_secs();
        let lease = LeaseTerms {
            ttl_seconds,
            heartbeat_interval_seconds: (ttl_seconds / HEARTBEAT_DIVISOR).max(1),
        };
        let reserved = Reserved {
            reservation_id: granted.reservation,
            camera_id,
            room: granted.room,
            identity: granted.identity,
            url: "",
            token: granted.ticket.token,
            expires_at: granted.ticket.expires_at,
            lease,
        };
        // The token is nobody else's.
        Ok(([(header::CACHE_CONTROL, "no-store")], Json(reserved)).into_response())
    };
    answer(outcome.await, &uri, &headers)
}

async fn heartbeat(
    State(shared): State<Shared>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        let Reservation { reservation_id } = read(&body)?;
        let expires_at = shared.live.heartbeat(&caller, reservation_id)?;
        let ttl_seconds = shared.live.ttl().as_secs();
        Ok(Json(Renewed {
            reservation_id,
            expires_at,
            ttl_seconds,
        })
        .into_response())
    };
    answer(outcome.await, &uri, &headers)
}

async fn release(
    State(shared): State<Shared>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = async {
        let caller = caller(&shared.verifier, &headers).await?;
        let Reservation { reservation_id } = read(&body)?;
        shared.live.release(&caller, reservation_id);
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

/// A client's own name for one of its sessions goes into an identity and into logs.
fn check_client(client: &str) -> Result<(), Refusal> {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if client.is_empty() || client.len() > LONGEST_CLIENT || !client.bytes().all(fit) {
        let text = format!("client_id must be 1 to {LONGEST_CLIENT} letters, digits, - or _");
        return Err(Refusal::InvalidRequest(text));
    }
    Ok(())
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
