//! The objects of a pool, from values to values: a StatefulSet of MediaMTX, its headless Service, disruption
//! budget and network policy. Secrets are another file, since their passwords are random once and kept.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, KeyToPath, ObjectFieldSelector,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretVolumeSource, SecurityContext, Service, ServicePort, ServiceSpec, TCPSocketAction,
    TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::plan::Plan;
use super::validate::ValidPool;
use super::volumes;
use crate::fleet::{API_PORT, METRICS_PORT, POOL_LABEL, RTSP_PORT};

/// User and group of the engine: the images have no other.
const USER: i64 = 65532;
/// A shard's configuration.
const CONFIG: &str = "/config/mediamtx.yml";
/// Which shard it is.
const POD_NAME: &str = "POD_NAME";
/// Time a shard has to close its sessions.
const GRACE_SECONDS: i64 = 10;

/// Everything a pool consists of, to be applied in this order.
#[derive(Debug, Clone)]
pub(crate) struct Children {
    /// Names the pods.
    pub service: Service,
    /// No voluntary disruption of a shard that has cameras.
    pub budget: PodDisruptionBudget,
    /// Who may speak to a shard.
    pub policy: NetworkPolicy,
    /// The shards.
    pub shards: StatefulSet,
}

/// Name of every object of the pool.
pub(crate) fn child_name(pool: &str) -> String {
    format!("ingest-{pool}")
}

/// Labels that select the pool's pods.
pub(crate) fn selector(pool: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "marsad".to_owned()),
        ("app.kubernetes.io/component".to_owned(), "mediamtx".to_owned()),
        (POOL_LABEL.to_owned(), pool.to_owned()),
    ])
}

/// Builds the children. `config_hash` changes when the shards' configuration does, and rolls them, as `plan` lets it.
pub(crate) fn build(pool: &ValidPool, plan: &Plan, config_hash: &str) -> Children {
    Children {
        service: service(pool),
        budget: budget(pool, plan),
        policy: policy(pool),
        shards: shards(pool, plan, config_hash),
    }
}

fn meta(pool: &ValidPool) -> ObjectMeta {
    let mut labels = crate::labels::of("mediamtx");
    labels.insert(POOL_LABEL.to_owned(), pool.name.clone());
    ObjectMeta {
        name: Some(child_name(&pool.name)),
        namespace: Some(pool.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![OwnerReference {
            controller: Some(true),
            ..pool.owner.clone()
        }]),
        ..ObjectMeta::default()
    }
}

fn label_selector(pool: &ValidPool) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector(&pool.name)),
        ..LabelSelector::default()
    }
}

fn service(pool: &ValidPool) -> Service {
    let port = |name: &str, port: u16| ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(port),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    };
    Service {
        metadata: meta(pool),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            // A shard is judged by its MediaMTX, not by the pod's readiness (contracts.md 10).
            publish_not_ready_addresses: Some(true),
            selector: Some(selector(&pool.name)),
            ports: Some(vec![
                port("api", API_PORT),
                port("metrics", METRICS_PORT),
                port("rtsp", RTSP_PORT),
            ]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn budget(pool: &ValidPool, plan: &Plan) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: meta(pool),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(plan.evictable)),
            selector: Some(label_selector(pool)),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

fn policy(pool: &ValidPool) -> NetworkPolicy {
    let from = |component: &str| NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from([
                ("app.kubernetes.io/name".to_owned(), "marsad".to_owned()),
                ("app.kubernetes.io/component".to_owned(), component.to_owned()),
            ])),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    };
    let port = |port: u16| NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(port))),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    };
    NetworkPolicy {
        metadata: meta(pool),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(label_selector(pool)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule {
                    from: Some(vec![from("operator"), from("streams")]),
                    ports: Some(vec![port(API_PORT), port(RTSP_PORT)]),
                },
                // Scrapers live in namespaces that we do not know; the port needs credentials.
                NetworkPolicyIngressRule {
                    from: None,
                    ports: Some(vec![port(METRICS_PORT)]),
                },
            ]),
            // Cameras and the media ports of LiveKit may be anywhere.
            egress: Some(vec![NetworkPolicyEgressRule::default()]),
        }),
    }
}

fn shards(pool: &ValidPool, plan: &Plan, config_hash: &str) -> StatefulSet {
    let labels = {
        let mut labels = crate::labels::of("mediamtx");
        labels.extend(selector(&pool.name));
        labels
    };
    StatefulSet {
        metadata: meta(pool),
        spec: Some(StatefulSetSpec {
            replicas: Some(plan.replicas),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateStatefulSetStrategy {
                    partition: Some(plan.partition),
                    ..RollingUpdateStatefulSetStrategy::default()
                }),
            }),
            service_name: Some(child_name(&pool.name)),
            pod_management_policy: Some("Parallel".to_owned()),
            selector: label_selector(pool),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(BTreeMap::from([(
                        "marsad.dev/config-hash".to_owned(),
                        config_hash.to_owned(),
                    )])),
                    ..ObjectMeta::default()
                }),
                spec: Some(volumes::with_recordings(pod(pool), pool)),
            },
            volume_claim_templates: volumes::claims(pool),
            persistent_volume_claim_retention_policy: volumes::retention(pool),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn pod(pool: &ValidPool) -> PodSpec {
    PodSpec {
        // MediaMTX never speaks to the API server.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(label_selector(pool)),
            ..TopologySpreadConstraint::default()
        }]),
        containers: vec![container(pool)],
        volumes: Some(vec![
            of_secret(pool, "config", None),
            of_secret(pool, "certificate", Some(super::secret::PAIR)),
        ]),
        ..PodSpec::default()
    }
}

/// The shards' Secret as files, all or those named.
fn of_secret(pool: &ValidPool, name: &str, keys: Option<[&str; 2]>) -> Volume {
    let item = |key: &str| KeyToPath {
        key: key.to_owned(),
        path: key.to_owned(),
        mode: None,
    };
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(super::secret::shards_name(&pool.name)),
            items: keys.map(|keys| keys.map(item).to_vec()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn container(pool: &ValidPool) -> Container {
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        ..ContainerPort::default()
    };
    // MediaMTX has no health endpoint (R1.1-22): an open API port is what can be asked without credentials.
    let probe = |period: i32, failures: i32| Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::String("api".to_owned()),
            host: None,
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        ..Probe::default()
    };
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(read_only),
        ..VolumeMount::default()
    };
    Container {
        name: "mediamtx".to_owned(),
        image: Some(pool.image.clone()),
        image_pull_policy: Some(pool.image_pull_policy.clone()),
        args: Some(vec![CONFIG.to_owned()]),
        env: Some(vec![EnvVar {
            name: POD_NAME.to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    field_path: "metadata.name".to_owned(),
                    ..ObjectFieldSelector::default()
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(vec![
            port("api", API_PORT),
            port("metrics", METRICS_PORT),
            port("rtsp", RTSP_PORT),
        ]),
        readiness_probe: Some(probe(2, 2)),
        startup_probe: Some(probe(1, 60)),
        liveness_probe: Some(probe(10, 3)),
        resources: Some(pool.resources.clone()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![
            VolumeMount {
                // Each sees its own file only; and one that is mounted so never changes. MediaMTX would read it anew when another
                // shard's is added, and forget its paths (research/media-plane.md §1).
                sub_path_expr: Some(format!("$({POD_NAME}){}", super::secret::CONFIG_SUFFIX)),
                ..mount("config", CONFIG, true)
            },
            // Kubelet renews these, and MediaMTX takes them while it runs.
            mount("certificate", super::secret::CERTIFICATE, true),
            mount(volumes::RECORDINGS, super::secret::RECORDINGS, false),
        ]),
        ..Container::default()
    }
}

/// Limits of a shard when the pool names none: 4 GiB (R1.1-20), no CPU limit, since throttling a relay freezes pictures
/// of cameras that did nothing; 0.25 core and 256 MiB are asked for, about 50 idle cameras (research/whip-lab.md §4).
pub(super) fn default_resources() -> ResourceRequirements {
    let quantities = |pairs: &[(&str, &str)]| {
        Some(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Quantity((*value).to_owned())))
                .collect(),
        )
    };
    ResourceRequirements {
        requests: quantities(&[("cpu", "250m"), ("memory", "256Mi")]),
        limits: quantities(&[("memory", "4Gi")]),
        ..ResourceRequirements::default()
    }
}
