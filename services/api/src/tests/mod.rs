//! The role as a browser and a tool see it: every endpoint and every error, through the whole router.

mod cameras;
mod page;
mod relay;
mod sign_in;
mod updates;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use argon2::password_hash::PasswordHasher;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use jiff::Timestamp;
use marsad_identity::{Claims, testing};
use marsad_runtime::metrics::Metrics;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::auth::tokens::Keyring;
use crate::cameras::store::Cameras;
use crate::cameras::testing::listed;
use crate::router::{Api, Now, Settings, router};

pub(crate) const PASSWORD: &str = "correct horse";

/// The role in one test: a user `admin`, no camera, a clock that stands still until it is turned.
struct House {
    router: Router,
    cameras: Cameras,
    metrics: Metrics,
    stop: CancellationToken,
    clock: Arc<Mutex<Now>>,
    _users: tempfile::TempDir,
    dashboard: tempfile::TempDir,
}

/// What a test may want otherwise.
struct Plan {
    keyring: Keyring,
    streams_url: String,
    livekit_url: String,
    public_url: String,
    listed: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            keyring: Keyring::with(testing::signer()),
            // Port 9 of loopback: nobody there.
            streams_url: "http://127.0.0.1:9".into(),
            livekit_url: "http://127.0.0.1:9".into(),
            public_url: String::new(),
            listed: true,
        }
    }
}

impl Plan {
    fn build(self) -> House {
        static HASH: LazyLock<String> = LazyLock::new(|| {
            let params = argon2::Params::new(argon2::Params::MIN_M_COST, 1, 1, None).unwrap();
            let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
            argon2.hash_password(PASSWORD.as_bytes()).unwrap().to_string()
        });
        let (users, dashboard) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(users.path().join("admin"), HASH.as_str()).unwrap();
        let (cameras, metrics, stop) = (Cameras::default(), Metrics::default(), CancellationToken::new());
        if self.listed {
            listed(&cameras, &[]);
        }
        let clock = Arc::new(Mutex::new(Now {
            wall: Timestamp::now(),
            steady: Instant::now(),
        }));
        let hands = clock.clone();
        let settings = Settings {
            streams_url: self.streams_url.parse().unwrap(),
            livekit_url: self.livekit_url.parse().unwrap(),
            livekit_public_url: self.public_url,
            users_dir: users.path().to_owned(),
            dashboard_dir: dashboard.path().to_owned(),
        };
        let read = Arc::new(move || *hands.lock().unwrap());
        let api = Api::with_clock(
            settings,
            cameras.clone(),
            self.keyring,
            &metrics,
            stop.clone(),
            read,
        )
        .unwrap();
        House {
            router: router(api),
            cameras,
            metrics,
            stop,
            clock,
            _users: users,
            dashboard,
        }
    }
}

impl House {
    fn new() -> Self {
        Plan::default().build()
    }

    fn wait(&self, seconds: u64) {
        let mut now = self.clock.lock().unwrap();
        now.wall += Duration::from_secs(seconds);
        now.steady += Duration::from_secs(seconds);
    }

    fn wall(&self) -> Timestamp {
        self.clock.lock().unwrap().wall
    }

    /// A token for `admin`, as if signed in now.
    fn token(&self) -> String {
        testing::signer()
            .sign(&Claims::new("user-1", "admin", self.wall()))
            .unwrap()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await.unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(call("GET", path).body(Body::empty()).unwrap()).await
    }

    /// With a bearer token.
    async fn as_admin(&self, method: &str, path: &str) -> Answer {
        let request = call(method, path).header("authorization", format!("Bearer {}", self.token()));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn login(&self, name: &str, password: &str) -> Answer {
        let body = serde_json::json!({"username": name, "password": password}).to_string();
        let request = call("POST", "/api/v1/auth/login").header("content-type", "application/json");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Serves the same router on loopback.
    async fn listen(&self) -> SocketAddr {
        listen(self.router.clone()).await
    }
}

async fn listen(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

fn call(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path)
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    /// Asserts a whole problem document (contracts.md 16).
    #[track_caller]
    fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status);
        assert_eq!(document["request_id"], self.header("x-request-id"));
        for member in ["type", "title", "detail", "instance", "message_en", "message_ar"] {
            assert!(
                document[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {document}"
            );
        }
    }
}
