//! The cluster under test, as the environment names it.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, LogParams};
use kube::{Api, Client, ResourceExt as _};

/// Namespace of the release, unless `MARSAD_NAMESPACE` says otherwise.
const NAMESPACE: &str = "marsad-system";

/// A client of the cluster and the way into its page.
#[derive(Clone)]
pub struct Cluster {
    /// Of the API server, with every right.
    pub client: Client,
    /// Where the page is, without a slash at the end.
    pub url: String,
    /// Who signs in.
    pub user: String,
    /// With what.
    pub password: String,
    /// Where the release is.
    pub namespace: String,
}

impl Cluster {
    /// The cluster that the environment names.
    ///
    /// # Errors
    /// When a variable is missing, with what to do.
    pub async fn from_env() -> Result<Self> {
        let read = |name: &str| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .with_context(|| {
                    format!(
                        "{name} is not set: run these tests by `cargo xtask test`, which brings a cluster up"
                    )
                })
        };
        // Never whatever cluster a person happens to be logged into.
        read("KUBECONFIG")?;
        let login = read("MARSAD_LOGIN")?;
        let (user, password) = login
            .trim()
            .split_once(' ')
            .context("MARSAD_LOGIN must be `USER PASSWORD`")?;
        Ok(Self {
            client: Client::try_default().await.context("KUBECONFIG")?,
            url: read("MARSAD_URL")?.trim_end_matches('/').to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            namespace: std::env::var("MARSAD_NAMESPACE").unwrap_or_else(|_| NAMESPACE.to_owned()),
        })
    }

    /// Pods of the release's namespace.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Pods of a component (contracts.md 14).
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn pods_of(&self, component: &str) -> Result<Vec<Pod>> {
        let selector = format!("app.kubernetes.io/name=marsad,app.kubernetes.io/component={component}");
        Ok(self
            .pods()
            .list(&ListParams::default().labels(&selector))
            .await?
            .items)
    }

    /// What the pods of a component have logged in the last `seconds`.
    ///
    /// # Errors
    /// When the API server or a kubelet does not answer.
    pub async fn log_lines(&self, component: &str, seconds: i64) -> Result<Vec<String>> {
        let recent = LogParams {
            since_seconds: Some(seconds),
            ..LogParams::default()
        };
        let mut lines = Vec::new();
        for pod in self.pods_of(component).await? {
            let log = self.pods().logs(&pod.name_any(), &recent).await?;
            lines.extend(log.lines().map(str::to_owned));
        }
        Ok(lines)
    }

    /// Kills a pod at once, as a crash would, and returns its uid.
    ///
    /// # Errors
    /// When there is no such pod.
    pub async fn kill(&self, pod: &str) -> Result<String> {
        let uid = self.pods().get(pod).await?.uid().context("uid")?;
        self.pods()
            .delete(pod, &DeleteParams::default().grace_period(0))
            .await?;
        Ok(uid)
    }
}

/// Whether a pod serves.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}
