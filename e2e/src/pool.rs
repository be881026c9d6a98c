//! An IngestPool of a test.

use std::time::Duration;

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use marsad_crds::{Camera, IngestPool};
use serde_json::Value;

use crate::camera;
use crate::cluster::Cluster;
use crate::wait;

/// The pools of the release.
pub fn pools(cluster: &Cluster) -> Api<IngestPool> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

/// Changes the pool's spec by a merge.
///
/// # Errors
/// When the API server refuses.
pub async fn edit(cluster: &Cluster, name: &str, spec: Value) -> Result<IngestPool> {
    let patch = Patch::Merge(serde_json::json!({"spec": spec}));
    Ok(pools(cluster)
        .patch(name, &PatchParams::default(), &patch)
        .await?)
}

/// Waits until the pool has done what was asked of it last.
///
/// # Errors
/// After `within`, with what it is instead.
pub async fn settled(cluster: &Cluster, name: &str, within: Duration) -> Result<IngestPool> {
    wait::object(
        &pools(cluster),
        name,
        "Ready for its spec",
        within,
        |pool: &IngestPool| {
            let status = pool.status.as_ref();
            status.is_some_and(|status| {
                status.observed_generation == pool.metadata.generation
                    && status
                        .conditions
                        .iter()
                        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
            })
        },
    )
    .await
}

/// Which cameras have been on the air without a break: the others' names are an error.
///
/// # Errors
/// When a camera is not Online, or has been away since.
pub async fn unbroken(cameras: &Api<Camera>, before: &[Camera]) -> Result<()> {
    for was in before {
        let is = cameras.get(&was.name_any()).await?;
        anyhow::ensure!(
            camera::is_up(&is) && camera::online_since(&is) == camera::online_since(was),
            "{} was broken: {:?}",
            was.name_any(),
            is.status
        );
    }
    Ok(())
}
