//! Which pods are shards, and how those of their pool are reached: from a watch of pods and the Secret `ingest-{pool}`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use marsad_crds::labels;
use marsad_mediamtx::Access;
use marsad_runtime::watch::Watch;

use crate::shards::{Rtsp, Shards};

const API_PORT: u16 = 9997;
const RTSP_PORT: u16 = 8554;
/// A Secret that was not there, or whose password or authority is no longer right, is read again this often.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a shard is, as its pod says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    uid: String,
    ip: IpAddr,
    pool: String,
}

/// The shards among `pods`: those with an address that are not done for. Their own readiness does not matter: a shard is
/// judged by its MediaMTX (contracts.md 10).
fn addresses<'a>(pods: impl Iterator<Item = &'a Pod>) -> BTreeMap<String, Address> {
    pods.filter_map(|pod| {
        let status = pod.status.as_ref()?;
        let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let ip = status.pod_ip.as_ref().filter(|_| !ended)?.parse().ok()?;
        let pool = pod.labels().get(labels::INGEST_POOL)?.clone();
        Some((
            pod.name_any(),
            Address {
                uid: pod.uid().unwrap_or_default(),
                ip,
                pool,
            },
        ))
    })
    .collect()
}

/// Keeps `shards` true as long as the process runs.
///
/// # Errors
/// Never; it ends with the process.
pub async fn run(client: Client, namespace: String, shards: Shards) -> Result<(), std::convert::Infallible> {
    let api: Api<DeserializeGuard<Pod>> = Api::namespaced(client.clone(), &namespace);
    let selector = format!("{}={}", labels::COMPONENT, labels::COMPONENT_MEDIAMTX);
    let (pods, feed) = Watch::new(api, watcher::Config::default().labels(&selector));
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let keep = async {
        pods.ready().await;
        let mut changes = std::pin::pin!(pods.changes());
        let mut known = BTreeMap::new();
        let mut again = tokio::time::interval(AGAIN);
        loop {
            tokio::select! {
                Some(_) = changes.next() => {}
                _ = again.tick() => {}
            }
            let state = pods.store().state();
            follow(
                &shards,
                &secrets,
                &namespace,
                &mut known,
                addresses(state.iter().map(AsRef::as_ref)),
            )
            .await;
        }
    };
    tokio::select! {
        ended = feed => ended,
        never = keep => never,
    }
}

async fn follow(
    shards: &Shards,
    secrets: &Api<Secret>,
    namespace: &str,
    known: &mut BTreeMap<String, Address>,
    present: BTreeMap<String, Address>,
) {
    known.retain(|name, _| {
        let stays = present.contains_key(name);
        if !stays {
            shards.remove(name);
        }
        stays
    });
    let mut pools: BTreeMap<String, Option<Access>> = BTreeMap::new();
    for (name, address) in present {
        if known.get(&name) == Some(&address) && !shards.is_refused(&name) {
            continue;
        }
        let access = match pools.get(&address.pool) {
            Some(read) => read.clone(),
            None => {
                let read = read(secrets, namespace, &address.pool).await;
                pools.insert(address.pool.clone(), read.clone());
                read
            }
        };
        let Some(Access { logins, trust }) = access else {
            continue;
        };
        let rtsp = Rtsp {
            base: format!("rtsp://{}", SocketAddr::new(address.ip, RTSP_PORT)),
            reader: marsad_rtsp::Credentials::new(logins.reader.username(), logins.reader.password()),
        };
        let base = format!("https://{}", SocketAddr::new(address.ip, API_PORT));
        match marsad_mediamtx::Client::new(&base, &logins.api(&name), Some(&trust)) {
            Ok(client) => {
                shards.put(&name, client, Some(rtsp));
                tracing::info!(shard = name, pool = address.pool, "shard_found");
                known.insert(name, address);
            }
            Err(error) => tracing::error!(
                shard = name,
                error = &error as &dyn std::error::Error,
                "shard_unusable"
            ),
        }
    }
}

async fn read(secrets: &Api<Secret>, namespace: &str, pool: &str) -> Option<Access> {
    let name = format!("ingest-{pool}");
    match secrets.get_opt(&name).await {
        Ok(Some(secret)) => {
            let get = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
            Access::read(&name, namespace, get)
                .inspect_err(|missing| {
                    tracing::warn!(
                        secret = name,
                        error = missing as &dyn std::error::Error,
                        "secret_incomplete"
                    );
                })
                .ok()
        }
        Ok(None) => {
            tracing::debug!(secret = name, "secret_not_there_yet");
            None
        }
        Err(error) => {
            tracing::warn!(
                secret = name,
                error = &error as &dyn std::error::Error,
                "secret_unreadable"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, phase: &str, ip: Option<&str>) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": name, "labels": {"marsad.dev/ingest-pool": "default"}},
            "status": {"phase": phase, "podIP": ip},
        }))
        .unwrap()
    }

    #[test]
    fn shards_are_pods_with_an_address_ready_or_not() {
        let pods = [
            pod("ingest-default-0", "Running", Some("10.1.0.4")),
            pod("ingest-default-1", "Pending", None),
            pod("ingest-default-2", "Failed", Some("10.1.0.5")),
        ];
        let found = addresses(pods.iter());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["ingest-default-0"]);
        assert_eq!(found["ingest-default-0"].pool, "default");
    }
}
