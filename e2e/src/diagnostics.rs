//! What one wants to see when a test has failed.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt as _};
use marsad_crds::Camera;

use crate::cluster::Cluster;

/// Lines of log of each of our pods.
const LINES: i64 = 60;

/// Pods, events and cameras of `namespace`, pods and logs of the release and of the simulator. Whatever can't be had is
/// said in its place: the reason why a test failed must not be hidden by another.
pub async fn dump(cluster: &Cluster, namespace: &str) -> String {
    let mut out = String::new();
    for name in [namespace, &cluster.namespace, crate::sim::NAMESPACE] {
        pods(cluster, name, &mut out).await;
        events(cluster, name, &mut out).await;
    }
    cameras(cluster, namespace, &mut out).await;
    for name in [&cluster.namespace, crate::sim::NAMESPACE] {
        logs(cluster, name, &mut out).await;
    }
    out
}

/// A line of the report; writing to a String can't fail.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {
        let _ = writeln!($out, $($text)*);
    };
}

async fn pods(cluster: &Cluster, namespace: &str, out: &mut String) {
    line!(out, "--- pods of {namespace}");
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    match api.list(&ListParams::default()).await {
        Err(error) => {
            line!(out, "{error}");
        }
        Ok(pods) => {
            for pod in pods {
                let status = pod.status.clone().unwrap_or_default();
                line!(
                    out,
                    "{} {} {} {}",
                    pod.name_any(),
                    status.phase.unwrap_or_default(),
                    status.pod_ip.unwrap_or_default(),
                    status.reason.unwrap_or_default()
                );
                for container in status.container_statuses.unwrap_or_default() {
                    let state = serde_json::to_string(&container.state).unwrap_or_default();
                    let last = serde_json::to_string(&container.last_state).unwrap_or_default();
                    let (name, ready, restarts) = (container.name, container.ready, container.restart_count);
                    line!(
                        out,
                        "    {name} ready={ready} restarts={restarts} {state} last={last}"
                    );
                }
            }
        }
    }
}

async fn events(cluster: &Cluster, namespace: &str, out: &mut String) {
    line!(out, "--- events of {namespace}");
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), namespace);
    match api.list(&ListParams::default()).await {
        Err(error) => {
            line!(out, "{error}");
        }
        Ok(mut events) => {
            events.items.sort_by_key(|event| event.creation_timestamp());
            let skipped = events.items.len().saturating_sub(40);
            for event in events.items.iter().skip(skipped) {
                let object = &event.involved_object;
                line!(
                    out,
                    "{}/{}: {} {}",
                    object.kind.as_deref().unwrap_or_default(),
                    object.name.as_deref().unwrap_or_default(),
                    event.reason.as_deref().unwrap_or_default(),
                    event.message.as_deref().unwrap_or_default()
                );
            }
        }
    }
}

async fn cameras(cluster: &Cluster, namespace: &str, out: &mut String) {
    let api: Api<Camera> = Api::namespaced(cluster.client.clone(), namespace);
    match api.list(&ListParams::default()).await {
        Err(error) => {
            line!(out, "{error}");
        }
        Ok(cameras) => {
            for mut camera in cameras {
                camera.metadata.managed_fields = None;
                line!(
                    out,
                    "--- {}",
                    serde_saphyr::to_string(&camera).unwrap_or_default()
                );
            }
        }
    }
}

async fn logs(cluster: &Cluster, namespace: &str, out: &mut String) {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let Ok(pods) = api.list(&ListParams::default()).await else {
        return;
    };
    for pod in pods {
        let name = pod.name_any();
        line!(out, "--- log of {namespace}/{name}");
        let parameters = LogParams {
            tail_lines: Some(LINES),
            ..Default::default()
        };
        match api.logs(&name, &parameters).await {
            Ok(text) => {
                line!(out, "{text}");
            }
            Err(error) => {
                line!(out, "{error}");
            }
        }
    }
}
