//! The HTTP edge of a MediaMTX: configured paths, all of whose cameras send from the moment of their making. Answers are as long as
//! the real one's (2.7 kB a configured path: research/whip-lab.md §5), since reading them is work for the operator.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, patch, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_rustls::TlsAcceptor;

use super::tls::Listener;

/// MediaMTX's API, as the operator expects it.
const PORT: u16 = 9997;
/// Bytes a second that a camera sends.
const RATE: f64 = 250_000.0;

/// One shard's edge.
pub(super) struct Engine {
    /// Its pod's address: of loopback, one for each shard.
    pub(super) address: Ipv4Addr,
    state: Shared,
}

type Shared = Arc<Mutex<BTreeMap<String, Configured>>>;

struct Configured {
    fields: Map<String, Value>,
    since: Instant,
}

impl Engine {
    /// Listens for shard number `shard`.
    pub(super) async fn start(shard: usize, acceptor: TlsAcceptor) -> Result<Self> {
        let [high, low] = u16::try_from(shard + 1)?.to_be_bytes();
        let address = Ipv4Addr::new(127, 77, high, low);
        let state: Shared = Arc::default();
        let router = Router::new()
            .route("/v3/info", get(info))
            .route("/v3/config/paths/list", get(configs))
            .route("/v3/config/paths/add/{*name}", post(add))
            .route("/v3/config/paths/get/{*name}", get(config))
            .route("/v3/config/paths/patch/{*name}", patch(change))
            .route("/v3/config/paths/delete/{*name}", delete(remove))
            .route("/v3/paths/list", get(paths))
            .route("/v3/recordings/list", get(recordings))
            .route("/v3/recordings/get/{*name}", get(recording))
            .with_state(state.clone());
        let tcp = tokio::net::TcpListener::bind(SocketAddr::from((address, PORT)))
            .await
            .with_context(|| format!("{address}:{PORT} is taken"))?;
        let listener = Listener { tcp, acceptor };
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, state })
    }

    /// How many paths it has.
    pub(super) fn paths(&self) -> usize {
        lock(&self.state).len()
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, BTreeMap<String, Configured>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paging {
    items_per_page: usize,
    page: usize,
}

fn page(items: Vec<Value>, paging: &Paging) -> Json<Value> {
    let count = items.len();
    let size = paging.items_per_page.max(1);
    let items: Vec<Value> = items.into_iter().skip(paging.page * size).take(size).collect();
    Json(json!({"itemCount": count, "pageCount": count.div_ceil(size), "items": items}))
}

async fn info() -> Json<Value> {
    Json(json!({"version": "v1.20.1", "started": "2026-11-25T08:00:00Z"}))
}

async fn configs(State(state): State<Shared>, Query(paging): Query<Paging>) -> Json<Value> {
    let items = lock(&state)
        .iter()
        .map(|(name, configured)| whole(name, configured))
        .collect();
    page(items, &paging)
}

/// A path's configuration with the fields that nobody sets.
fn whole(name: &str, configured: &Configured) -> Value {
    let mut fields = configured.fields.clone();
    fields.insert("name".to_owned(), json!(name));
    fields.entry("recordDeleteAfter").or_insert_with(|| json!("1d"));
    fields.entry("forward").or_insert(Value::Null);
    // About sixty fields of some forty bytes in the real one.
    for number in 0..60 {
        fields.insert(
            format!("fieldThatNobodySets{number:02}"),
            json!("its default value"),
        );
    }
    Value::Object(fields)
}

/// Nothing is recorded here.
async fn recordings(Query(paging): Query<Paging>) -> Json<Value> {
    page(Vec::new(), &paging)
}

async fn recording(Path(name): Path<String>) -> Json<Value> {
    Json(json!({"name": name, "segments": []}))
}

async fn config(State(state): State<Shared>, Path(name): Path<String>) -> Response {
    match lock(&state).get(&name) {
        Some(configured) => Json(whole(&name, configured)).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "path configuration not found"),
    }
}

async fn add(
    State(state): State<Shared>,
    Path(name): Path<String>,
    Json(fields): Json<Map<String, Value>>,
) -> Response {
    let mut paths = lock(&state);
    if paths.contains_key(&name) {
        return refusal(StatusCode::BAD_REQUEST, "path already exists");
    }
    let since = Instant::now();
    paths.insert(name, Configured { fields, since });
    ok()
}

async fn change(
    State(state): State<Shared>,
    Path(name): Path<String>,
    Json(fields): Json<Map<String, Value>>,
) -> Response {
    match lock(&state).get_mut(&name) {
        Some(configured) => {
            configured.fields.extend(fields);
            configured.since = Instant::now();
            ok()
        }
        None => refusal(StatusCode::NOT_FOUND, "path configuration not found"),
    }
}

async fn remove(State(state): State<Shared>, Path(name): Path<String>) -> Response {
    match lock(&state).remove(&name) {
        Some(_) => ok(),
        None => refusal(StatusCode::NOT_FOUND, "path configuration not found"),
    }
}

async fn paths(State(state): State<Shared>, Query(paging): Query<Paging>) -> Json<Value> {
    let items = lock(&state)
        .iter()
        .map(|(name, configured)| {
            let pulls = configured.fields.get("source").and_then(Value::as_str) != Some("publisher");
            let bytes = configured.since.elapsed().as_secs_f64() * RATE;
            json!({
                "name": name, "confName": name, "ready": pulls, "available": pulls, "online": true,
                "availableTime": pulls.then_some("2026-11-25T08:00:00.5Z"),
                "readyTime": pulls.then_some("2026-11-25T08:00:00.5Z"),
                "source": {"type": "rtspSource", "id": ""},
                "tracks": ["H264"],
                "tracks2": if pulls { json!([{"codec": "H264", "codecProps": {"width": 1920, "height": 1080, "profile": "Main",
                    "level": "4.1"}}]) } else { json!([]) },
                "readers": [], "inboundBytes": bytes as u64, "outboundBytes": 0, "inboundFramesInError": 0,
                "bytesReceived": bytes as u64, "bytesSent": 0,
            })
        })
        .collect();
    page(items, &paging)
}

fn ok() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({"status": "error", "error": error}))).into_response()
}
