//! Which containers were started again, and why.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;

use crate::cluster::Cluster;

/// How often the containers of a pod were started again.
pub fn of(pod: &Pod) -> i32 {
    containers(pod).iter().map(|one| one.restart_count).sum()
}

/// Pods of the release, without those of tests' own pools, and how often their containers were started again.
///
/// # Errors
/// When the API server does not answer.
pub async fn of_ours(cluster: &Cluster) -> Result<BTreeMap<String, i32>> {
    let mut all = BTreeMap::new();
    for component in ["operator", "api", "streams", "mediamtx", "livekit"] {
        for pod in cluster.pods_of(component).await? {
            let name = pod.name_any();
            // A test's pool bears the name of its namespace.
            if !name.starts_with("ingest-e2e-") {
                all.insert(name, of(&pod));
            }
        }
    }
    Ok(all)
}

/// Whether a container of the pod has ended for `reason` and runs again.
pub fn after(pod: &Pod, reason: &str) -> bool {
    containers(pod).iter().any(|container| {
        let last = container
            .last_state
            .as_ref()
            .and_then(|state| state.terminated.as_ref());
        let runs = container
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some());
        runs && last.is_some_and(|ended| ended.reason.as_deref() == Some(reason))
    })
}

fn containers(pod: &Pod) -> &[ContainerStatus] {
    let status = pod.status.as_ref();
    status
        .and_then(|status| status.container_statuses.as_deref())
        .unwrap_or_default()
}
