//! From pods to shards: follows the ingest pods and keeps one observer for each shard's name, whatever pod bears it.

use std::collections::HashMap;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt};
use marsad_crds::Camera;
use marsad_runtime::watch::{Change, Watch};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use super::observe::{Observer, RELIST, Target};
use super::{Fleet, POOL_LABEL};

/// Follows the pods of `namespace` until `stop`, also while another process leads, and removes from each shard what no camera of
/// `cameras` wants there, while this one does ([`Fleet::lead`]).
///
/// # Errors
/// Never; the type fits [`marsad_runtime::role::Role::supervise`].
pub async fn run(
    fleet: Fleet,
    client: Client,
    namespace: String,
    pods: Watch<Pod>,
    cameras: Watch<Camera>,
    stop: CancellationToken,
) -> Result<(), String> {
    cameras.ready().await;
    pods.ready().await;
    let there = pods.store().state();
    let shards = there.iter().filter(|pod| pod.labels().contains_key(POOL_LABEL));
    fleet.expect(shards.map(|pod| pod.name_any()).collect());
    let mut targets: HashMap<String, watch::Sender<Option<Target>>> = HashMap::new();
    let mut uids: HashMap<String, Option<String>> = HashMap::new();
    let mut observers: JoinSet<()> = JoinSet::new();
    let mut changes = std::pin::pin!(pods.changes());
    let mut looks = tokio::time::interval(RELIST);
    loop {
        let change = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            // Observers run for ever: one that ends has panicked, and its shard would be blind.
            Some(ended) = observers.join_next() => return Err(format!("an observer of a shard ended: {ended:?}")),
            _ = looks.tick() => {
                fleet.forget_absent(&cameras);
                continue;
            }
            change = changes.next() => change.ok_or("the watch of ingest pods ended")?,
        };
        let pod = change.object();
        let Some(pool) = pod.labels().get(POOL_LABEL).cloned() else {
            continue;
        };
        let target = match &change {
            Change::Applied(pod) => target(pod),
            Change::Deleted(_) => None,
        };
        let name = pod.name_any();
        // A watch that was broken for a while may show the next pod without the end of the last.
        let uid = pod.uid();
        let last = match &change {
            Change::Applied(_) => uids.insert(name.clone(), uid.clone()).filter(|last| *last != uid),
            Change::Deleted(_) => uids.remove(&name),
        };
        if last.is_some() {
            tracing::warn!(shard = name, "shard_pod_gone");
            fleet.bereave(&name);
        }
        match targets.get(&name) {
            Some(sender) => {
                sender.send_if_modified(|current| {
                    let changed = *current != target;
                    *current = target;
                    changed
                });
            }
            None => {
                let (sender, receiver) = watch::channel(target);
                let observer = Observer::new(
                    fleet.clone(),
                    client.clone(),
                    namespace.clone(),
                    name.clone(),
                    pool,
                    receiver,
                );
                observers.spawn(observer.run());
                observers.spawn(Archive::new(fleet.clone(), cameras.clone(), name.clone()).run());
                targets.insert(name, sender);
            }
        }
    }
}

/// Where a pod's MediaMTX is; none while it has no address or is being deleted.
fn target(pod: &Pod) -> Option<Target> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let address = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
    Some(Target {
        uid: pod.uid()?,
        address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::PodStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    #[test]
    fn only_a_living_pod_with_an_address_is_a_target() {
        let mut pod = Pod::default();
        pod.metadata.uid = Some("u".into());
        assert_eq!(target(&pod), None);
        pod.status = Some(PodStatus {
            pod_ip: Some("10.0.0.7".into()),
            ..PodStatus::default()
        });
        assert_eq!(
            target(&pod),
            Some(Target {
                uid: "u".into(),
                address: "10.0.0.7".parse().unwrap()
            })
        );
        pod.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(target(&pod), None);
    }
}
