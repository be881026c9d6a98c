//! Traces: every request and every reconcile has an id that its log lines carry, that travels on in `traceparent` (W3C Trace Context)
//! (R0-17), and under which a collector, if one is given, finds its spans.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::HeaderValue;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Where spans go. Dropped with the role; what is on its way is sent by [`Traces::end`].
#[derive(Debug, Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Traces of `role`. With the `endpoint` of a collector (`http://collector:4318`) spans are sent there by OTLP over HTTP, as many of
    /// them as `OTEL_TRACES_SAMPLER` says; without one nothing is recorded and only the ids are there.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub(crate) fn new(role: &'static str, endpoint: Option<&str>) -> Result<Self, ExporterBuildError> {
        let provider = SdkTracerProvider::builder();
        let provider = match endpoint {
            None => provider.with_sampler(Sampler::AlwaysOff),
            Some(endpoint) => {
                let exporter = SpanExporter::builder()
                    .with_http()
                    .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
                    .build()?;
                let resource = Resource::builder()
                    .with_service_name(format!("marsad-{role}"))
                    .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
                provider
                    .with_resource(resource.build())
                    .with_batch_exporter(exporter)
            }
        };
        Ok(Self {
            provider: provider.build(),
        })
    }

    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("marsad")
    }

    /// Sends what is left; a collector that is away is not waited for long.
    pub(crate) fn end(&self) {
        if let Err(error) = self
            .provider
            .shutdown_with_timeout(std::time::Duration::from_secs(2))
        {
            tracing::debug!(%error, "traces_not_sent");
        }
    }
}

/// The id of what is being done now, in hexadecimal; none outside a request or a reconcile.
pub fn id() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    let id = span.span_context().trace_id();
    (id != opentelemetry::TraceId::INVALID).then(|| id.to_string())
}

/// Sends the id of what is being done now on with a request.
pub fn inject(headers: &mut HeaderMap) {
    let context = tracing::Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut Headers(headers));
}

/// The layer around a role's own routes: a span for each request, continued from the caller's.
pub(crate) async fn request(request: Request, next: Next) -> Response {
    // The route, not the path: a path may hold a session's secret.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        otel.kind = "server",
        otel.name = format!("{} {route}", request.method()),
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    let parent = TraceContextPropagator::new().extract(&Read(request.headers()));
    // Refused only when the span is not recorded at all, by a filter.
    let _ = span.set_parent(parent);
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

struct Read<'a>(&'a HeaderMap);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::from_bytes(key.as_bytes()),
            HeaderValue::from_str(&value),
        ) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// What a handler behind the layer sees as its id, and what it would send on.
    async fn seen(parent: Option<&str>) -> (String, String) {
        let handler = || async {
            let mut headers = HeaderMap::new();
            inject(&mut headers);
            let on = headers
                .get("traceparent")
                .map(|value| value.to_str().unwrap().to_owned());
            format!("{} {}", id().unwrap_or_default(), on.unwrap_or_default())
        };
        let router = Router::new()
            .route("/a", get(handler))
            .layer(axum::middleware::from_fn(request));
        let mut request = Request::builder().uri("/a");
        if let Some(parent) = parent {
            request = request.header("traceparent", parent);
        }
        let answer = router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let bytes = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (id, on) = text.split_once(' ').unwrap();
        (id.to_owned(), on.to_owned())
    }

    #[tokio::test]
    async fn r0_17_an_id_travels_through_and_one_without_is_given_one() {
        let traces = Traces::new("test", None).unwrap();
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let (id, on) = seen(Some(PARENT)).await;
        assert_eq!(id, "0af7651916cd43dd8448eb211c80319c");
        assert!(
            on.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && on != PARENT,
            "{on}"
        );
        let (first, on) = seen(None).await;
        assert!(first.len() == 32 && on.contains(&first), "{first} {on}");
        assert_ne!(seen(None).await.0, first);
        let (garbage, _) = seen(Some("00-zz")).await;
        assert!(garbage.len() == 32, "{garbage}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_come_to_the_collector() {
        let (sender, mut posted) = tokio::sync::mpsc::unbounded_channel();
        let collect = move |body: axum::body::Bytes| {
            let _ = sender.send(body);
            async { "" }
        };
        let collector = Router::new().route("/v1/traces", axum::routing::post(collect));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, collector).await });
        tokio::task::spawn_blocking(move || {
            let traces = Traces::new("test", Some(&endpoint)).unwrap();
            let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer());
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::with_default(subscriber, || {
                tracing::info_span!("reconcile", name = "szr").in_scope(|| {});
            });
            traces.end();
        })
        .await
        .unwrap();
        let body = posted.recv().await.unwrap();
        for wanted in ["marsad-test", "reconcile", "szr"] {
            assert!(
                body.windows(wanted.len()).any(|part| part == wanted.as_bytes()),
                "{wanted}"
            );
        }
    }

    #[test]
    fn an_endpoint_that_is_none_is_refused() {
        assert!(Traces::new("test", Some("not a url")).is_err());
    }
}
