//! Which operator leads.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _};

use crate::cluster::{Cluster, is_ready};
use crate::wait;

/// The Lease of the operators.
const LEASE: &str = "marsad-operator";

/// An operator that leads.
pub struct Leader {
    /// Its identity in the Lease: a process's, not a pod's.
    pub identity: String,
    /// Its pod.
    pub pod: Pod,
}

/// The leader of now.
///
/// # Errors
/// When nobody leads, or the leader's pod is gone.
pub async fn leader(cluster: &Cluster) -> Result<Leader> {
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let lease = leases.get(LEASE).await?;
    let identity = lease
        .spec
        .and_then(|spec| spec.holder_identity)
        .filter(|holder| !holder.is_empty())
        .context("nobody leads")?;
    let (pod, _) = identity.rsplit_once('_').context("an identity is POD_RANDOM")?;
    Ok(Leader {
        pod: cluster.pods().get(pod).await?,
        identity,
    })
}

/// Waits until one leads and all others stand by, and returns the leader.
///
/// # Errors
/// When that takes longer than `within`.
pub async fn leader_and_standby(cluster: &Cluster, within: Duration) -> Result<Leader> {
    wait::answer("a leader and a standby", within, async || {
        let operators = cluster.pods_of("operator").await?;
        let ready = operators.iter().filter(|pod| is_ready(pod)).count();
        ensure!(
            ready >= 2 && ready == operators.len(),
            "{ready} of {} are Ready",
            operators.len()
        );
        let leader = leader(cluster).await?;
        ensure!(is_ready(&leader.pod), "{} is not Ready", leader.pod.name_any());
        Ok(leader)
    })
    .await
}
