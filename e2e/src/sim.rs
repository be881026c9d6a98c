//! The camera simulator, commanded through the API server (docs/architecture.md, "The simulator").

use anyhow::{Context as _, Result};
use http::{Method, Request};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Value, json};

/// Where the simulator runs.
pub const NAMESPACE: &str = "marsad-sim";
/// Its Service.
const SERVICE: &str = "camera-sim";

/// A client of the simulator's control port.
#[derive(Clone)]
pub struct Sim {
    client: Client,
}

impl Sim {
    /// The simulator of the cluster that `client` speaks to.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Address of a simulated camera, for a Camera.
    pub fn url(&self, name: &str) -> String {
        format!("rtsp://{SERVICE}.{NAMESPACE}.svc:8554/{name}")
    }

    /// Address of a simulated camera with a port of its own: the pod's, as the Service knows port 8554 only.
    ///
    /// # Errors
    /// When the simulator has no pod.
    pub async fn url_with_port(&self, name: &str, port: u16) -> Result<String> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.client.clone(), NAMESPACE);
        let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={SERVICE}"));
        let slices = slices.list(&of_service).await?;
        let address = slices
            .iter()
            .flat_map(|slice| slice.endpoints.iter().flatten())
            .find_map(|endpoint| endpoint.addresses.first())
            .context("the simulator has no pod")?;
        Ok(format!("rtsp://{address}:{port}/{name}"))
    }

    /// Makes or changes a camera: `{"video": "clip"}` and so on.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn put(&self, name: &str, what: Value) -> Result<()> {
        self.call(Method::PUT, &format!("cameras/{name}"), Some(what))
            .await
    }

    /// Makes a camera fail: `refuse`, `stall` …; `none` ends it.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn fault(&self, name: &str, fault: &str) -> Result<()> {
        self.call(
            Method::PUT,
            &format!("cameras/{name}/fault"),
            Some(json!({"fault": fault})),
        )
        .await
    }

    /// Removes a camera; one that is not there is fine.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn delete(&self, name: &str) -> Result<()> {
        match self.call(Method::DELETE, &format!("cameras/{name}"), None).await {
            Err(error) if error.downcast_ref::<kube::Error>().is_some_and(is_not_found) => Ok(()),
            other => other,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<()> {
        let uri = format!("/api/v1/namespaces/{NAMESPACE}/services/http:{SERVICE}:8080/proxy/{path}");
        let body = body
            .map(|body| serde_json::to_vec(&body))
            .transpose()?
            .unwrap_or_default();
        let request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header("content-type", "application/json")
            .body(body)?;
        self.client
            .request_text(request)
            .await
            .with_context(|| format!("simulator: {method} {path}"))?;
        Ok(())
    }
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
