//! Which pods are shards, and the passwords of their pool: from a watch of pods and the Secret `ingest-{pool}`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use marsad_crds::labels;
use marsad_mediamtx::Credentials;
use marsad_runtime::watch::Watch;

use crate::shards::{Rtsp, Shards};

const API_PORT: u16 = 9997;
const RTSP_PORT: u16 = 8554;
/// A Secret that was not there, or a password that was refused, is read again this often.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a shard is, as its pod says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    uid: String,
    ip: String,
    pool: String,
}

/// The shards among `pods`: those with an address that are not done for. Their own readiness does not matter: a shard is
/// judged by its MediaMTX (contracts.md 10).
fn addresses<'a>(pods: impl Iterator<Item = &'a Pod>) -> BTreeMap<String, Address> {
    pods.filter_map(|pod| {
        let status = pod.status.as_ref()?;
        let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let ip = status.pod_ip.clone().filter(|ip| !ip.is_empty() && !ended)?;
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

fn base(scheme: &str, ip: &str, port: u16) -> String {
    if ip.contains(':') {
        format!("{scheme}://[{ip}]:{port}")
    } else {
        format!("{scheme}://{ip}:{port}")
    }
}

/// What a pool's Secret holds.
#[derive(Debug, Clone)]
struct Passwords {
    api: Credentials,
    /// Without it there are no last pictures; the rest works.
    reader: Option<marsad_rtsp::Credentials>,
}

fn passwords(secret: &Secret) -> Option<Passwords> {
    let value = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
    let reader = value(labels::READER_USERNAME_KEY).zip(value(labels::READER_PASSWORD_KEY));
    Some(Passwords {
        api: Credentials::new(value(labels::USERNAME_KEY)?, value(labels::PASSWORD_KEY)?),
        reader: reader.map(|(username, password)| marsad_rtsp::Credentials::new(username, password)),
    })
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
    let mut pools: BTreeMap<String, Option<Passwords>> = BTreeMap::new();
    for (name, address) in present {
        if known.get(&name) == Some(&address) && !shards.is_unauthorized(&name) {
            continue;
        }
        let passwords = match pools.get(&address.pool) {
            Some(read) => read.clone(),
            None => {
                let read = read(secrets, &address.pool).await;
                pools.insert(address.pool.clone(), read.clone());
                read
            }
        };
        let Some(Passwords { api, reader }) = passwords else {
            continue;
        };
        let rtsp = reader.map(|reader| Rtsp {
            base: base("rtsp", &address.ip, RTSP_PORT),
            reader,
        });
        match shards.put(&name, &base("http", &address.ip, API_PORT), api, rtsp) {
            Ok(()) => {
                tracing::info!(shard = name, pool = address.pool, "shard_found");
                known.insert(name, address);
            }
            Err(error) => tracing::error!(
                shard = name,
                error = &error as &dyn std::error::Error,
                "shard_address_unusable"
            ),
        }
    }
}

async fn read(secrets: &Api<Secret>, pool: &str) -> Option<Passwords> {
    let name = format!("ingest-{pool}");
    match secrets.get_opt(&name).await {
        Ok(Some(secret)) => {
            let passwords = passwords(&secret);
            match &passwords {
                None => tracing::warn!(secret = name, "secret_lacks_username_or_password"),
                Some(Passwords { reader: None, .. }) => {
                    tracing::warn!(secret = name, "secret_lacks_reader");
                }
                Some(_) => {}
            }
            passwords
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
        assert_eq!(base("http", "10.1.0.4", API_PORT), "http://10.1.0.4:9997");
        assert_eq!(base("rtsp", "fd00::4", RTSP_PORT), "rtsp://[fd00::4]:8554");
    }

    #[test]
    fn a_secret_without_a_reader_still_opens_the_api() {
        let secret = |keys: &[&str]| Secret {
            data: Some(
                keys.iter()
                    .map(|key| ((*key).to_owned(), k8s_openapi::ByteString(b"x".to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        };
        let (api, reader) = (["username", "password"], ["reader-username", "reader-password"]);
        assert!(passwords(&secret(&reader)).is_none());
        assert!(passwords(&secret(&api)).unwrap().reader.is_none());
        let whole = passwords(&secret(&[api, reader].concat())).unwrap();
        assert_eq!(whole.reader, Some(marsad_rtsp::Credentials::new("x", "x")));
    }
}
