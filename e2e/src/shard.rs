//! What the MediaMTX of a camera's shard says of it.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use marsad_mediamtx::{Access, Transport};
use serde_json::Value;

use crate::scenario::Scenario;

/// What the shard of the scenario's camera `name` answers to `what` (`config/paths/get`, `paths/get`, `recordings/get`) about its
/// main path; none when it knows nothing of it.
///
/// # Errors
/// When the camera is on no shard, or the shard does not answer.
pub async fn ask(test: &Scenario, name: &str, what: &str) -> Result<Option<Value>> {
    let camera = test.cameras().get(name).await?;
    let ingest = camera.status.and_then(|status| status.ingest).context("ingest")?;
    let (shard, path) = (ingest.shard.context("shard")?, ingest.path.context("path")?);
    ask_one(test, &ingest.pool.context("pool")?, &shard, what, &path).await
}

/// What `shard` of `pool` answers to `what` about `path`, wherever its camera is; none when it knows nothing of it.
///
/// # Errors
/// When the shard does not answer.
pub async fn ask_one(
    test: &Scenario,
    pool: &str,
    shard: &str,
    what: &str,
    path: &str,
) -> Result<Option<Value>> {
    let pods = test.cluster.pods_of("mediamtx").await?;
    let pod = pods
        .into_iter()
        .find(|pod| pod.name_any() == shard)
        .context("pod")?;
    let address = pod.status.and_then(|status| status.pod_ip).context("address")?;
    let secret = format!("ingest-{pool}");
    let secrets: Api<Secret> = Api::namespaced(test.cluster.client.clone(), &test.cluster.namespace);
    let data = secrets.get(&secret).await?.data.context("data")?;
    let get = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    let Access { logins, trust } = Access::read(&secret, &test.cluster.namespace, get)?;
    let request = http::Request::get(format!("https://{address}:9997/v3/{what}/{path}"))
        .header("authorization", logins.api(shard).basic()?)
        .body(Bytes::new())?;
    let (status, body) = Transport::new(Some(&trust))?.send(request).await?;
    if status == http::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    anyhow::ensure!(status.is_success(), "{shard} answers {status} to {what}");
    Ok(Some(serde_json::from_slice(&body)?))
}
