//! What the role counts. Every label has a bounded set of values.

use axum::http::{Method, StatusCode};
use marsad_runtime::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Relayed {
    target: &'static str,
    result: &'static str,
}

/// The role's metrics.
#[derive(Debug)]
pub(crate) struct ApiMetrics {
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram>,
    logins: Family<Outcome, Counter>,
    refused: Family<Reason, Counter>,
    relayed: Family<Relayed, Counter>,
    /// Open connections of `/ws/updates`.
    pub(crate) updates_open: Gauge,
    snapshots: Family<Reason, Counter>,
}

impl ApiMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.register(
                "marsad_api_requests",
                "Requests by route (its pattern, never the path), method and status",
                Family::default(),
            ),
            seconds: metrics.register(
                "marsad_api_request_duration_seconds",
                "Time until the answer's head, by route",
                Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.0, 16))),
            ),
            logins: metrics.register(
                "marsad_api_logins",
                "Sign-ins by result: ok, refused, throttled, busy, unavailable",
                Family::default(),
            ),
            refused: metrics.register("marsad_api_tokens_refused", "Tokens refused, by reason", Family::default()),
            relayed: metrics.register(
                "marsad_api_relayed",
                "Requests passed on by target (streams, livekit) and result: ok, unavailable, timeout",
                Family::default(),
            ),
            updates_open: metrics.register(
                "marsad_api_updates_connections",
                "Open connections of /ws/updates",
                Gauge::default(),
            ),
            snapshots: metrics.register(
                "marsad_api_updates_snapshots",
                "Snapshots sent over /ws/updates: to a new connection (first) or to one that fell behind (lagged)",
                Family::default(),
            ),
        }
    }

    pub(crate) fn request(&self, route: &str, method: &Method, status: StatusCode, seconds: f64) {
        let method = match method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => "other",
        };
        let labels = Request {
            route: route.to_owned(),
            method,
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        self.seconds
            .get_or_create(&Route {
                route: route.to_owned(),
            })
            .observe(seconds);
    }

    pub(crate) fn login(&self, result: &'static str) {
        self.logins.get_or_create(&Outcome { result }).inc();
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn relayed(&self, target: &'static str, result: &'static str) {
        self.relayed.get_or_create(&Relayed { target, result }).inc();
    }

    pub(crate) fn snapshot(&self, reason: &'static str) {
        self.snapshots.get_or_create(&Reason { reason }).inc();
    }
}
