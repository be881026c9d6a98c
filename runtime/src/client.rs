//! The way to the API server, counted: every request by verb, resource and outcome, so that "a quiet minute writes
//! nothing" is a number, and a loop that writes for ever is seen.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::ClientBuilder;
use kube::{Client, Config};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tower::{Layer, Service};

use crate::metrics::Metrics;

/// There is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Neither in a cluster nor a usable kubeconfig.
    #[error("no cluster: run in one, or set KUBECONFIG")]
    Config(#[from] kube::config::InferConfigError),
    /// The configuration can't be used.
    #[error("the cluster's configuration can't be used")]
    Client(#[from] kube::Error),
}

/// A client for the cluster that the process is in, or that KUBECONFIG names; its requests are counted in `metrics`.
///
/// # Errors
/// When there is no configuration, or it can't be used.
pub async fn counted(metrics: &Metrics) -> Result<Client, ClientError> {
    let config = Config::infer().await?;
    let requests = metrics.register(
        "marsad_kube_requests",
        "Requests to the API server by verb, resource (with its subresource) and HTTP status; `error`: no answer",
        Family::default(),
    );
    let client = ClientBuilder::try_from(config)?.with_layer(&Counting { requests });
    Ok(client.build())
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    verb: &'static str,
    resource: String,
    code: String,
}

type Requests = Family<Labels, Counter>;

#[derive(Clone)]
struct Counting {
    requests: Requests,
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            requests: self.requests.clone(),
        }
    }
}

#[derive(Clone)]
struct Counted<S> {
    inner: S,
    requests: Requests,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (resource, named) = resource(request.uri().path());
        let verb = verb(&request, named);
        let requests = self.requests.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = match &answer {
                Ok(response) => response.status().as_str().to_owned(),
                Err(_) => "error".to_owned(),
            };
            let labels = Labels { verb, resource, code };
            requests.get_or_create(&labels).inc();
            answer
        })
    }
}

/// The API's own word for what a request does.
fn verb<B>(request: &Request<B>, named: bool) -> &'static str {
    let query = request.uri().query().unwrap_or_default();
    match *request.method() {
        Method::GET
            if query
                .split('&')
                .any(|part| matches!(part, "watch=true" | "watch=1")) =>
        {
            "watch"
        }
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "other",
    }
}

/// `cameras/status` of `/apis/marsad.dev/v1alpha1/namespaces/police/cameras/szr-12/status`, and whether one object is meant: never
/// a name, so that there are as many labels as kinds.
fn resource(path: &str) -> (String, bool) {
    let mut parts = path.trim_matches('/').split('/');
    let known = match parts.next() {
        Some("api") => parts.next().is_some(),
        Some("apis") => parts.next().is_some() && parts.next().is_some(),
        _ => false,
    };
    let rest: Vec<&str> = parts.collect();
    match rest.as_slice() {
        _ if !known => ("other".to_owned(), false),
        ["namespaces", _, kind] | [kind] => ((*kind).to_owned(), false),
        ["namespaces", _, kind, _] | [kind, _] => ((*kind).to_owned(), true),
        ["namespaces", _, kind, _, sub] | [kind, _, sub] => (format!("{kind}/{sub}"), true),
        _ => ("other".to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt;

    #[test]
    fn resources_are_named_without_their_objects() {
        for (path, wanted, named) in [
            ("/api/v1/namespaces", "namespaces", false),
            ("/api/v1/namespaces/police", "namespaces", true),
            ("/api/v1/namespaces/police/secrets", "secrets", false),
            ("/api/v1/namespaces/police/secrets/camera", "secrets", true),
            ("/api/v1/namespaces/police/pods/a/log", "pods/log", true),
            ("/apis/marsad.dev/v1alpha1/cameras", "cameras", false),
            (
                "/apis/marsad.dev/v1alpha1/streamquotas/default/status",
                "streamquotas/status",
                true,
            ),
            (
                "/apis/marsad.dev/v1alpha1/namespaces/police/cameras/szr-12/status",
                "cameras/status",
                true,
            ),
            ("/version", "other", false),
            ("/apis", "other", false),
        ] {
            assert_eq!(resource(path), (wanted.to_owned(), named), "{path}");
        }
    }

    #[tokio::test]
    async fn requests_are_counted_by_verb_and_outcome() {
        let requests = Requests::default();
        let layer = Counting {
            requests: requests.clone(),
        };
        let service = layer.layer(tower::service_fn(|request: Request<()>| async move {
            let status = if request.method() == Method::PATCH {
                409
            } else {
                200
            };
            Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(()).unwrap())
        }));
        for (method, uri) in [
            (
                Method::PATCH,
                "/apis/marsad.dev/v1alpha1/namespaces/a/cameras/b/status?force=true",
            ),
            (
                Method::GET,
                "/apis/marsad.dev/v1alpha1/cameras?watch=true&limit=5",
            ),
            (Method::GET, "/apis/marsad.dev/v1alpha1/cameras?limit=5"),
            (Method::GET, "/apis/marsad.dev/v1alpha1/cameras?limit=5"),
        ] {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            service.clone().oneshot(request).await.unwrap();
        }
        let count = |verb, resource: &str, code: &str| {
            let labels = Labels {
                verb,
                resource: resource.into(),
                code: code.into(),
            };
            requests.get_or_create(&labels).get()
        };
        assert_eq!(count("patch", "cameras/status", "409"), 1);
        assert_eq!(count("watch", "cameras", "200"), 1);
        assert_eq!(count("list", "cameras", "200"), 2);
    }
}
