//! The role's addresses, and what answers them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use jiff::Timestamp;
use marsad_runtime::metrics::Metrics;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::auth::{self, throttle::Throttle, tickets::Tickets, tokens::Keyring, users::Users};
use crate::cameras::{self, store::Cameras};
use crate::metrics::ApiMetrics;
use crate::problem::Code;
use crate::relay::{self, Relay};
use crate::{page, request, updates};

/// Largest body of our own endpoints, bytes.
const BODY_LIMIT: usize = 16 * 1024;

/// What the role is told from outside.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where `streams` answers.
    pub streams_url: url::Url,
    /// Where LiveKit answers.
    pub livekit_url: url::Url,
    /// Where browsers reach LiveKit; empty: through us.
    pub livekit_public_url: String,
    /// One file a user.
    pub users_dir: PathBuf,
    /// The built page.
    pub dashboard_dir: PathBuf,
}

/// Both faces of now: one for people and tokens, one that never jumps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) steady: Instant,
}

/// A clock; tests turn it.
pub(crate) type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

struct Inner {
    users: Users,
    keyring: Keyring,
    throttle: Throttle,
    tickets: Tickets,
    cameras: Cameras,
    relay: Relay,
    metrics: ApiMetrics,
    dashboard_dir: PathBuf,
    content_policy: HeaderValue,
    stop: CancellationToken,
    clock: Clock,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// A setting can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An address of a neighbour is not one.
    #[error("{setting} is {given}: give an http address with a host, such as http://marsad-streams:8080")]
    Neighbour {
        /// The environment variable.
        setting: &'static str,
        /// What was given.
        given: String,
    },
    /// The public address of LiveKit is not one.
    #[error(
        "LIVEKIT_PUBLIC_URL is {given}: give a ws, wss, http or https address, or nothing to relay through api"
    )]
    Public {
        /// What was given.
        given: String,
    },
}

impl Api {
    /// Everything in place; nothing is contacted yet.
    ///
    /// # Errors
    /// When an address is unusable.
    pub fn new(
        settings: Settings,
        cameras: Cameras,
        keyring: Keyring,
        metrics: &Metrics,
        stop: CancellationToken,
    ) -> Result<Self, SettingsError> {
        let clock: Clock = Arc::new(|| Now {
            wall: Timestamp::now(),
            steady: Instant::now(),
        });
        Self::with_clock(settings, cameras, keyring, metrics, stop, clock)
    }

    pub(crate) fn with_clock(
        settings: Settings,
        cameras: Cameras,
        keyring: Keyring,
        metrics: &Metrics,
        stop: CancellationToken,
        clock: Clock,
    ) -> Result<Self, SettingsError> {
        let relay = Relay::new(
            &settings.streams_url,
            &settings.livekit_url,
            &settings.livekit_public_url,
        )?;
        Ok(Self(Arc::new(Inner {
            users: Users::new(settings.users_dir),
            keyring,
            throttle: Throttle::default(),
            tickets: Tickets::default(),
            cameras,
            content_policy: page::content_policy(relay.public_origin()),
            relay,
            metrics: ApiMetrics::new(metrics),
            dashboard_dir: settings.dashboard_dir,
            stop,
            clock,
        })))
    }

    pub(crate) fn users(&self) -> &Users {
        &self.0.users
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    pub(crate) fn tickets(&self) -> &Tickets {
        &self.0.tickets
    }

    pub(crate) fn cameras(&self) -> &Cameras {
        &self.0.cameras
    }

    pub(crate) fn relay(&self) -> &Relay {
        &self.0.relay
    }

    pub(crate) fn metrics(&self) -> &ApiMetrics {
        &self.0.metrics
    }

    pub(crate) fn dashboard_dir(&self) -> &PathBuf {
        &self.0.dashboard_dir
    }

    pub(crate) fn content_policy(&self) -> &HeaderValue {
        &self.0.content_policy
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    pub(crate) fn now(&self) -> Now {
        (self.0.clock)()
    }
}

/// All routes but `/health`, `/ready` and `/metrics`, which every role has.
pub fn router(api: Api) -> Router {
    let page = Router::new()
        .fallback(page::serve)
        .layer(CompressionLayer::new())
        .with_state(api.clone());
    Router::new()
        .route("/api/v1/auth/login", post(auth::login))
        .route("/api/v1/auth/logout", post(auth::logout))
        .route("/api/v1/auth/me", get(auth::me))
        .route("/api/v1/auth/ws-ticket", post(auth::ws_ticket))
        .route("/.well-known/jwks.json", get(auth::jwks))
        .route("/api/v1/cameras", get(cameras::routes::list))
        .route("/api/v1/cameras/{id}/still", get(relay::streams))
        .route("/api/v1/stream/{*rest}", any(relay::streams))
        .route("/livekit/rtc", any(relay::livekit))
        .route("/livekit/rtc/{*rest}", any(relay::livekit))
        .route("/ws/updates", get(updates::connect))
        .route("/ws/stream/stats", get(relay::stream_stats))
        .method_not_allowed_fallback(|| async { Code::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .fallback_service(page)
        .layer(CatchPanicLayer::custom(|_| Code::Internal.into_response()))
        .layer(middleware::from_fn_with_state(api.clone(), request::frame))
        .with_state(api)
}
