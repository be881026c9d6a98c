//! The HTTP API that adds, removes and breaks cameras.
//!
//! | call | answer |
//! |---|---|
//! | `GET /health` | 200 |
//! | `GET /cameras` | `{"items": […], "count"}`, sorted by name |
//! | `GET /cameras/{name}` | one of them |
//! | `PUT /cameras/{name} {"video", "username"?, "password"?, "port"?}` | 201 new, 200 as it was or replaced |
//! | `DELETE /cameras/{name}` | 204 |
//! | `PUT /cameras/{name}/fault {"fault", "kbps"?}` | 200 |
//!
//! Errors are `{"field", "error"}`: 400 for what is not understood, 404 for an unknown camera,
//! 409 for a port that is taken, 422 for a video that there is no clip of.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Serialize;

use crate::camera::{Camera, Fault, Video};
use crate::fleet::{Fleet, FleetError, Put};
use crate::wish::{self, Refusal};

/// The API of a fleet.
pub fn router(fleet: Arc<Fleet>) -> Router {
    Router::new()
        .route(
            "/health",
            get(|| async { Json(serde_json::json!({"status": "ok"})) }),
        )
        .route("/cameras", get(list))
        .route("/cameras/{name}", get(show).put(put_camera).delete(delete))
        .route("/cameras/{name}/fault", put(put_fault))
        .with_state(fleet)
}

#[derive(Serialize)]
struct View {
    name: String,
    video: Video,
    /// The camera's own port; null on the shared one.
    port: Option<u16>,
    /// Whether a password is needed. Which, nobody is told.
    auth: bool,
    /// `idle`, `connected` or `playing`.
    state: &'static str,
    connections: usize,
    playing: usize,
    packets: u64,
    bytes: u64,
    #[serde(flatten)]
    fault: Fault,
}

impl View {
    fn of(camera: &Camera) -> Self {
        let connections = camera.counters.connections.load(Ordering::Relaxed);
        let playing = camera.counters.playing.load(Ordering::Relaxed);
        Self {
            name: camera.name.clone(),
            video: camera.spec.video,
            port: camera.spec.port,
            auth: camera.spec.credentials.is_some(),
            state: match (connections, playing) {
                (0, _) => "idle",
                (_, 0) => "connected",
                _ => "playing",
            },
            connections,
            playing,
            packets: camera.counters.packets.load(Ordering::Relaxed),
            bytes: camera.counters.bytes.load(Ordering::Relaxed),
            fault: camera.fault(),
        }
    }
}

struct Failure(StatusCode, Refusal);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self(StatusCode::BAD_REQUEST, refusal)
    }
}

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Self {
        match &error {
            FleetError::NoClip => Self(
                StatusCode::UNPROCESSABLE_ENTITY,
                Refusal::new("video", error.to_string()),
            ),
            FleetError::Port { .. } => Self(StatusCode::CONFLICT, Refusal::new("port", error.to_string())),
        }
    }
}

fn unknown(name: &str) -> Failure {
    Failure(
        StatusCode::NOT_FOUND,
        Refusal::new("name", format!("there is no camera {name:?}")),
    )
}

async fn list(State(fleet): State<Arc<Fleet>>) -> Json<serde_json::Value> {
    let items: Vec<_> = fleet.list().iter().map(|camera| View::of(camera)).collect();
    Json(serde_json::json!({"count": items.len(), "items": items}))
}

async fn show(State(fleet): State<Arc<Fleet>>, Path(name): Path<String>) -> Result<Json<View>, Failure> {
    let camera = fleet.get(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(View::of(&camera)))
}

async fn put_camera(
    State(fleet): State<Arc<Fleet>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<View>), Failure> {
    wish::check_name(&name)?;
    let (camera, put) = fleet.put(&name, wish::camera(&body)?).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced | Put::Unchanged => StatusCode::OK,
    };
    Ok((status, Json(View::of(&camera))))
}

async fn delete(State(fleet): State<Arc<Fleet>>, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    if fleet.remove(&name).await {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(unknown(&name))
}

async fn put_fault(
    State(fleet): State<Arc<Fleet>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<View>, Failure> {
    let fault = wish::fault(&body)?;
    let camera = fleet
        .set_fault(&name, fault)
        .await?
        .ok_or_else(|| unknown(&name))?;
    Ok(Json(View::of(&camera)))
}
