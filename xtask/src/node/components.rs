//! The programs of the node: their arguments and their configuration files (testbed.md §1).

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::plan::{NODE, Plan};

/// Sandbox image of containerd; `images` builds it.
pub(crate) const PAUSE_IMAGE: &str = "localhost/pause:dev";

/// containerd's socket. Inside the node `/run` is the node's own.
pub(crate) const CONTAINERD_SOCKET: &str = "/run/marsad/containerd.sock";

/// A program that the node keeps running.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    /// Its name, and that of its log.
    pub(crate) name: &'static str,
    /// Its binary.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
}

/// Everything that is needed for an API server with storage.
pub(crate) struct ApiOptions<'a> {
    /// etcd's client address, `http://…`.
    pub(crate) etcd: &'a str,
    /// Keys.
    pub(crate) pki: &'a super::pki::Pki,
    /// Where clients reach it.
    pub(crate) advertise: String,
    /// Where it listens.
    pub(crate) bind: String,
    /// Its port.
    pub(crate) port: u16,
    /// ClusterIPs.
    pub(crate) services: String,
}

/// etcd. It need not survive a power cut: `--unsafe-no-fsync` makes writes twice as fast (testbed.md §8).
pub(crate) fn etcd(data: &std::path::Path, client: &str, peer: &str) -> Component {
    let args = [
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
    ];
    Component {
        name: "etcd",
        program: PathBuf::from("etcd"),
        args: args.to_vec(),
    }
}

/// kube-apiserver.
pub(crate) fn apiserver(program: PathBuf, options: &ApiOptions<'_>) -> Component {
    let file = |name: &str| options.pki.file(name).display().to_string();
    let args = vec![
        format!("--etcd-servers={}", options.etcd),
        format!("--advertise-address={}", options.advertise),
        format!("--bind-address={}", options.bind),
        format!("--secure-port={}", options.port),
        format!("--service-cluster-ip-range={}", options.services),
        // Without it `kubectl logs` and `exec` fail: the node's name does not resolve.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--kubelet-client-certificate={}", file("kubelet-client.crt")),
        format!("--kubelet-client-key={}", file("kubelet-client.key")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
    ];
    Component {
        name: "kube-apiserver",
        program,
        args,
    }
}

/// etcd and the API server of the node, and containerd, which waits for nobody.
pub(crate) fn first(plan: &Plan) -> Vec<Component> {
    let pki = super::pki::Pki::in_dir(&plan.pki());
    let options = ApiOptions {
        etcd: "http://127.0.0.1:2379",
        pki: &pki,
        advertise: plan.ranges.node().to_string(),
        bind: "0.0.0.0".to_owned(),
        port: 6443,
        services: plan.ranges.services().to_string(),
    };
    vec![
        etcd(
            &plan.state.join("etcd"),
            "http://127.0.0.1:2379",
            "http://127.0.0.1:2380",
        ),
        apiserver(plan.kubernetes.join("kube-apiserver"), &options),
        Component {
            name: "containerd",
            program: PathBuf::from("containerd"),
            args: vec![
                "-c".to_owned(),
                plan.state.join("containerd.toml").display().to_string(),
            ],
        },
    ]
}

/// What needs an API server that answers.
pub(crate) fn second(plan: &Plan) -> Vec<Component> {
    let pki = super::pki::Pki::in_dir(&plan.pki());
    let file = |name: &str| pki.file(name).display().to_string();
    let config = |who: &str| file(&format!("{who}.kubeconfig"));
    let part = |name: &'static str, args: Vec<String>| Component {
        name,
        program: plan.kubernetes.join(name),
        args,
    };
    let of = |who: &str| {
        let config = config(who);
        vec![
            format!("--kubeconfig={config}"),
            format!("--authentication-kubeconfig={config}"),
            format!("--authorization-kubeconfig={config}"),
            "--leader-elect=false".to_owned(),
        ]
    };
    let mut controllers = of("controller-manager");
    controllers.extend([
        format!("--service-account-private-key-file={}", file("sa.key")),
        format!("--root-ca-file={}", file("ca.crt")),
        format!("--cluster-signing-cert-file={}", file("ca.crt")),
        format!("--cluster-signing-key-file={}", file("ca.key")),
        format!("--cluster-cidr={}", plan.ranges.pods()),
        format!("--service-cluster-ip-range={}", plan.ranges.services()),
        "--allocate-node-cidrs=true".to_owned(),
        "--node-cidr-mask-size=24".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
    ]);
    let kubelet = vec![
        format!("--config={}", plan.state.join("kubelet.json").display()),
        format!("--kubeconfig={}", config("kubelet")),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={}", plan.ranges.node()),
        format!("--root-dir={}", plan.state.join("kubelet").display()),
    ];
    let proxy = vec![format!("--config={}", plan.state.join("proxy.json").display())];
    vec![
        part("kubelet", kubelet),
        part("kube-controller-manager", controllers),
        part("kube-scheduler", of("scheduler")),
        part("kube-proxy", proxy),
    ]
}

/// Writes the configuration files.
pub(crate) fn write_configuration(plan: &Plan) -> Result<()> {
    let cni = plan.state.join("cni");
    fs::create_dir_all(&cni)?;
    fs::write(
        cni.join("10-node.conflist"),
        format!("{:#}\n", network_configuration(plan)),
    )?;
    fs::write(
        plan.state.join("kubelet.json"),
        format!("{:#}\n", kubelet_configuration(plan)),
    )?;
    fs::write(
        plan.state.join("proxy.json"),
        format!("{:#}\n", proxy_configuration(plan)),
    )?;
    fs::write(plan.state.join("containerd.toml"), containerd_configuration(plan))?;
    Ok(())
}

/// No masquerading: the host has routes to the pods, and NetworkPolicies see who really speaks (testbed.md §9).
fn network_configuration(plan: &Plan) -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "node",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": plan.state.join("leases"),
                    "ranges": [[{"subnet": plan.ranges.node_pods().to_string()}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn kubelet_configuration(plan: &Plan) -> serde_json::Value {
    let pki = super::pki::Pki::in_dir(&plan.pki());
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki.file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDomain": "cluster.local",
        "clusterDNS": [plan.ranges.dns_service().to_string()],
        "tlsCertFile": pki.file("kubelet.crt"),
        "tlsPrivateKeyFile": pki.file("kubelet.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", plan.cgroup()),
        "failCgroupV1": false,
        "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "podLogsDir": plan.state.join("pods"),
        "resolvConf": "/etc/resolv.conf",
        // Images come from no registry: one that is collected is gone.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%",
        },
        "localStorageCapacityIsolation": false,
    })
}

fn proxy_configuration(plan: &Plan) -> serde_json::Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": super::pki::Pki::in_dir(&plan.pki()).file("proxy.kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": plan.ranges.pods().to_string(),
        "hostnameOverride": NODE,
        // The limits are the whole machine's and cannot be set from a namespace.
        "conntrack": {"maxPerCore": 0, "min": 0},
    })
}

/// `restrict_oom_score_adj`: without CAP_SYS_RESOURCE a score cannot be lowered (testbed.md §1).
fn containerd_configuration(plan: &Plan) -> String {
    let state = plan.state.display();
    format!(
        r#"version = 2
root = "{state}/containerd"
state = "/run/marsad/containerd"
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
path = "{state}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{state}/cni"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            id: "0123abcd".to_owned(),
            root: "/w".into(),
            cache: "/c".into(),
            state: "/w/.marsad".into(),
            kubernetes: "/c/k".into(),
            ranges: crate::node::ranges::choose(7, &[]).unwrap(),
        }
    }

    #[test]
    fn every_address_comes_from_the_plan() {
        let plan = plan();
        let all: Vec<String> = first(&plan)
            .into_iter()
            .chain(second(&plan))
            .flat_map(|part| part.args)
            .collect();
        for wanted in [
            "--advertise-address=10.64.112.2",
            "--service-cluster-ip-range=10.64.116.0/22",
            "--cluster-cidr=10.64.120.0/21",
            "--node-ip=10.64.112.2",
        ] {
            assert!(all.iter().any(|arg| arg == wanted), "{wanted}");
        }
        assert_eq!(kubelet_configuration(&plan)["clusterDNS"][0], "10.64.116.10");
        assert_eq!(
            network_configuration(&plan)["plugins"][0]["ipam"]["ranges"][0][0]["subnet"],
            "10.64.120.0/24"
        );
    }

    #[test]
    fn nothing_is_kept_outside_the_state_folder() {
        let plan = plan();
        let containerd = containerd_configuration(&plan);
        for line in containerd.lines().filter(|line| line.contains('/')) {
            assert!(
                ["/w/.marsad", "/run/marsad", "/usr/lib/cni", "localhost/"]
                    .iter()
                    .any(|p| line.contains(p)),
                "{line}"
            );
        }
        assert_eq!(kubelet_configuration(&plan)["podLogsDir"], "/w/.marsad/pods");
        assert_eq!(
            network_configuration(&plan)["plugins"][0]["ipam"]["dataDir"],
            "/w/.marsad/leases"
        );
    }
}
