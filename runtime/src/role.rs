//! A role's process: settings that all roles share, probes and metrics that listen first, tasks whose end
//! is never silent, an orderly stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::heartbeat::Heartbeats;
use crate::metrics::Metrics;
use crate::telemetry::{self, TelemetryError};
use crate::trace::{self, Traces};

/// How long tasks may take to end after SIGTERM before the process ends without them.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Settings of every role; flatten it into the role's own arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct RoleArgs {
    /// Address of the role's own endpoints, `/health` and `/ready` among them.
    #[arg(long, env = "MARSAD_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Address of `/metrics`.
    #[arg(long, env = "MARSAD_METRICS_LISTEN", default_value = "0.0.0.0:9090")]
    pub metrics_listen: SocketAddr,
    /// error, warn, info, debug or trace, or module=level pairs.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// Collector of traces that speaks OTLP over HTTP, such as http://collector:4318; none: nothing is sent.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Namespace of the release.
    #[arg(long, env = "POD_NAMESPACE", default_value = "marsad-system")]
    pub pod_namespace: String,
    /// Name of this pod; the host name when absent.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
}

/// Why a role ended.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// Logging could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A port is taken or not allowed.
    #[error("can't listen on {address}: {source}; is another process there? set {setting}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The setting to change.
        setting: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// SIGTERM can't be caught.
    #[error("can't watch for signals: {0}")]
    Signal(#[source] std::io::Error),
    /// A task that should run as long as the process ended or panicked.
    #[error("task {name} ended: {why}; the process ends so that it starts afresh")]
    TaskEnded {
        /// The task.
        name: &'static str,
        /// Its error, or that it returned.
        why: String,
    },
}

/// Whether the role may be given work. Starts as "no".
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether work may come from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// What was said last.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

type TaskEnd = (&'static str, Result<(), String>);

/// A running role.
#[derive(Debug)]
pub struct Role {
    /// Cancelled at SIGTERM or SIGINT, and when a task ends.
    pub shutdown: CancellationToken,
    /// Answers `/ready`.
    pub readiness: Readiness,
    /// The registry behind `/metrics`.
    pub metrics: Metrics,
    /// Who is late fails `/health`.
    pub heartbeats: Heartbeats,
    listen: SocketAddr,
    metrics_listen: SocketAddr,
    tasks: JoinSet<TaskEnd>,
    traces: Traces,
}

impl Role {
    /// Sets up logging and signals. Nothing listens yet.
    ///
    /// # Errors
    /// When the log level can't be read or signals can't be watched.
    pub fn start(name: &'static str, args: &RoleArgs) -> Result<Self, RoleError> {
        let endpoint = args.otlp_endpoint.as_deref().filter(|given| !given.is_empty());
        let traces = telemetry::init(name, &args.log_level, endpoint)?;
        let shutdown = CancellationToken::new();
        let mut term = signal(SignalKind::terminate()).map_err(RoleError::Signal)?;
        let mut int = signal(SignalKind::interrupt()).map_err(RoleError::Signal)?;
        let stop = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            tracing::info!("stop_requested");
            stop.cancel();
        });
        tracing::info!(role = name, version = env!("CARGO_PKG_VERSION"), "role_started");
        Ok(Self {
            shutdown,
            readiness: Readiness::default(),
            metrics: Metrics::default(),
            heartbeats: Heartbeats::default(),
            listen: args.listen,
            metrics_listen: args.metrics_listen,
            tasks: JoinSet::new(),
            traces,
        })
    }

    /// Runs `task` as long as the process: when it returns, fails or panics before the stop, the role ends with its name.
    pub fn supervise<F, E>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        self.tasks.spawn(async move {
            // A panic must carry the task's name, so it is caught here rather than at the join.
            let end = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(task)).await;
            let end = match end {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("it panicked".to_owned()),
            };
            (name, end)
        });
    }

    /// As [`Role::supervise`], for a task with nothing to finish: it is dropped at the stop.
    pub fn supervise_until_stop<F, E>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        let stop = self.shutdown.clone();
        self.supervise(name, async move {
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                end = task => end,
            }
        });
    }

    /// Listens with the role's routes plus `/health` and `/ready` (and `/metrics` on its own port) and runs
    /// until the stop. Returns when tasks have ended or after five seconds.
    ///
    /// # Errors
    /// When a port can't be had or a supervised task ends before the stop.
    pub async fn serve(mut self, routes: Router) -> Result<(), RoleError> {
        let probes = Router::new()
            .route("/health", get(health).with_state(self.heartbeats.clone()))
            .route("/ready", get(ready).with_state(self.readiness.clone()));
        let main = listen(self.listen, "MARSAD_LISTEN").await?;
        let metrics = listen(self.metrics_listen, "MARSAD_METRICS_LISTEN").await?;
        let metrics_router = self.metrics.router();
        for (name, listener, router) in [
            ("http", main, routes.layer(from_fn(trace::request)).merge(probes)),
            ("metrics", metrics, metrics_router),
        ] {
            let stop = self.shutdown.clone().cancelled_owned();
            // A relayed WebSocket speaks in short messages: each would wait for the other side's delayed acknowledgement.
            let listener = listener.tap_io(|connection| {
                if let Err(error) = connection.set_nodelay(true) {
                    tracing::debug!(%error, "nodelay_refused");
                }
            });
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            self.supervise(name, async move {
                axum::serve(listener, service).with_graceful_shutdown(stop).await
            });
        }
        self.wait().await
    }

    async fn wait(mut self) -> Result<(), RoleError> {
        let mut verdict = Ok(());
        tokio::select! {
            // First: tasks that end because of the stop have not ended early.
            biased;
            () = self.shutdown.cancelled() => {}
            Some(ended) = self.tasks.join_next() => {
                verdict = Err(ended_early(ended));
                self.shutdown.cancel();
            }
        }
        self.readiness.set(false);
        let drained = tokio::time::timeout(STOP_DEADLINE, async {
            while self.tasks.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!(still_running = self.tasks.len(), "stop_deadline_passed");
        }
        let traces = self.traces.clone();
        // It waits for its own thread.
        let _ = tokio::task::spawn_blocking(move || traces.end()).await;
        verdict
    }
}

fn ended_early(ended: Result<TaskEnd, tokio::task::JoinError>) -> RoleError {
    match ended {
        Ok((name, Ok(()))) => RoleError::TaskEnded {
            name,
            why: "it returned".into(),
        },
        Ok((name, Err(why))) => RoleError::TaskEnded { name, why },
        Err(error) => RoleError::TaskEnded {
            name: "unknown",
            why: error.to_string(),
        },
    }
}

/// Reads a time such as `10s` or `1m`, for settings.
///
/// # Errors
/// Says what is wrong and gives an example.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|error| format!("{error}; give a time such as 10s"))?;
    Duration::try_from(span).map_err(|_| "the time must not be negative".to_owned())
}

async fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, RoleError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| RoleError::Listen {
            address,
            setting,
            source,
        })
}

async fn health(State(heartbeats): State<Heartbeats>) -> (StatusCode, String) {
    let late = heartbeats.late();
    if late.is_empty() {
        return (StatusCode::OK, "ok".to_owned());
    }
    let late: Vec<String> = late
        .iter()
        .map(|(name, silent)| format!("{name} has made no progress for {} s", silent.as_secs()))
        .collect();
    let late = late.join("; ");
    tracing::error!(late, "stuck");
    (StatusCode::SERVICE_UNAVAILABLE, late)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.get() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> Role {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Role {
            shutdown: CancellationToken::new(),
            readiness: Readiness::default(),
            metrics: Metrics::default(),
            heartbeats: Heartbeats::default(),
            listen: any,
            metrics_listen: any,
            tasks: JoinSet::new(),
            traces: Traces::new("test", None).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_task_that_panics_ends_the_role_with_its_name() {
        let mut role = role();
        role.supervise("camera", async {
            if true {
                panic!("planted");
            }
            Ok::<(), std::io::Error>(())
        });
        let error = role.serve(Router::new()).await.unwrap_err();
        assert!(
            error.to_string().contains("task camera ended: it panicked"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_task_that_returns_is_noticed_too() {
        let mut role = role();
        role.supervise("camera", async { Ok::<(), std::io::Error>(()) });
        let error = role.serve(Router::new()).await.unwrap_err();
        assert!(
            matches!(error, RoleError::TaskEnded { name: "camera", .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_stop_is_no_error() {
        let mut role = role();
        let (stop, seen) = (role.shutdown.clone(), role.shutdown.clone());
        role.supervise("camera", async move {
            seen.cancelled().await;
            Ok::<(), std::io::Error>(())
        });
        stop.cancel();
        role.serve(Router::new()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn r1_1_22_health_names_what_is_stuck() {
        let heartbeats = Heartbeats::default();
        let ask = || health(State(heartbeats.clone()));
        let _stuck = heartbeats.expect("camera", Duration::from_secs(90));
        assert_eq!(ask().await, (StatusCode::OK, "ok".to_owned()));
        tokio::time::advance(Duration::from_secs(91)).await;
        let (status, text) = ask().await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "camera has made no progress for 91 s");
    }

    #[tokio::test]
    async fn tasks_that_end_because_of_the_stop_are_no_error() {
        // Often enough that a choice by chance between the two would show.
        for _ in 0..32 {
            let mut role = role();
            role.supervise_until_stop("watch", std::future::pending::<Result<(), String>>());
            tokio::task::yield_now().await;
            role.shutdown.cancel();
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            role.wait().await.unwrap();
        }
    }

    #[test]
    fn times_are_read() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        assert!(duration("ten").is_err());
        assert!(duration("-1s").is_err());
    }

    #[tokio::test]
    async fn a_taken_port_names_the_setting() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut role = role();
        role.listen = taken.local_addr().unwrap();
        let error = role.serve(Router::new()).await.unwrap_err();
        assert!(error.to_string().contains("MARSAD_LISTEN"), "{error}");
    }
}
