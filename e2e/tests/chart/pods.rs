//! Pods: security, limits, probes (style.md 24).

use anyhow::Result;
use marsad_e2e::helm::Helm;
use serde_json::json;

use super::objects::{env, id, list, selects, text, variants};

/// Pod Security "restricted", a read-only root besides.
#[test]
fn every_pod_is_restricted() -> Result<()> {
    for variant in variants()? {
        assert!(variant.workloads().count() >= 4, "{}", variant.name);
        for workload in variant.workloads() {
            let whose = format!("{}: {}", variant.name, id(workload));
            let pod = &workload["spec"]["template"]["spec"];
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{whose}");
            assert_eq!(pod["securityContext"]["runAsUser"], 65532, "{whose}");
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
                "{whose}"
            );
            for key in ["hostPID", "hostIPC"] {
                assert!(pod.get(key).is_none(), "{whose}: {key}");
            }
            for volume in list(pod, "/volumes") {
                assert!(volume.get("hostPath").is_none(), "{whose}: {volume}");
            }
            for container in list(pod, "/containers") {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false, "{whose}");
                assert_eq!(context["readOnlyRootFilesystem"], true, "{whose}");
                assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{whose}");
                assert!(context.get("privileged").is_none(), "{whose}");
            }
        }
    }
    Ok(())
}

/// The one exception to "restricted" is LiveKit, and only in the mode that says so.
#[test]
fn only_livekit_is_on_the_host_network() -> Result<()> {
    for variant in variants()? {
        for workload in variant.workloads() {
            let host = workload["spec"]["template"]["spec"].get("hostNetwork").is_some();
            let wanted = id(workload) == "Deployment/marsad-livekit"
                && !["everything", "load balancer"].contains(&variant.name);
            assert_eq!(host, wanted, "{}: {}", variant.name, id(workload));
        }
    }
    Ok(())
}

#[test]
fn every_container_has_limits_and_probes() -> Result<()> {
    for variant in variants()? {
        for workload in variant.workloads() {
            for container in list(workload, "/spec/template/spec/containers") {
                let whose = format!("{}: {}", variant.name, id(workload));
                for resource in ["cpu", "memory"] {
                    assert!(
                        !container["resources"]["limits"][resource].is_null(),
                        "{whose}: limit of {resource}"
                    );
                    assert!(
                        !container["resources"]["requests"][resource].is_null(),
                        "{whose}: request of {resource}"
                    );
                }
                for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                    assert!(container[probe].is_object(), "{whose}: {probe}");
                }
                let ports: Vec<&str> = list(container, "/ports")
                    .iter()
                    .map(|port| text(port, "/name"))
                    .collect();
                for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                    for how in ["/httpGet/port", "/tcpSocket/port"] {
                        let port = text(&container[probe], how);
                        assert!(
                            port.is_empty() || ports.contains(&port),
                            "{whose}: {probe} asks port {port}"
                        );
                    }
                }
            }
        }
    }
    Ok(())
}

/// Only who talks to the API server has a token; a service account each.
#[test]
fn tokens_are_for_those_who_need_them() -> Result<()> {
    for variant in variants()? {
        for workload in variant.workloads() {
            let pod = &workload["spec"]["template"]["spec"];
            let component = text(workload, "/metadata/labels/app.kubernetes.io~1component");
            let role = ["operator", "api", "streams"].contains(&component);
            assert_eq!(
                pod["automountServiceAccountToken"], role,
                "{}: {component}",
                variant.name
            );
            assert_eq!(
                pod["serviceAccountName"],
                format!("marsad-{component}"),
                "{}",
                variant.name
            );
            variant.find(&format!("ServiceAccount/marsad-{component}"))?;
        }
    }
    Ok(())
}

/// A drain takes one pod at a time; pods spread over nodes.
#[test]
fn every_workload_has_a_budget_and_spreads() -> Result<()> {
    for variant in variants()? {
        for workload in variant.workloads() {
            let labels = &workload["spec"]["template"]["metadata"]["labels"];
            let spread = list(workload, "/spec/template/spec/topologySpreadConstraints");
            assert_eq!(spread.len(), 1, "{}: {}", variant.name, id(workload));
            assert!(
                selects(&spread[0]["labelSelector"]["matchLabels"], labels),
                "{}",
                id(workload)
            );
            let budgets = variant
                .kind("PodDisruptionBudget")
                .filter(|budget| selects(&budget["spec"]["selector"]["matchLabels"], labels))
                .count();
            assert_eq!(budgets, 1, "{}: {}", variant.name, id(workload));
        }
    }
    Ok(())
}

/// R2.1-06, -08, -09; LiveKit listens on the very port that it tells browsers.
#[test]
fn livekit_tells_browsers_the_port_and_address_that_are_open() -> Result<()> {
    let helm = Helm::from_env()?;
    let cases: [(&str, &[&str], u64, u64); 3] = [
        ("HostNetwork", &[], 7881, 7882),
        (
            "NodePort",
            &[
                "--set",
                "livekit.media.mode=NodePort,livekit.media.nodePorts.udp=31000",
            ],
            30881,
            31000,
        ),
        (
            "LoadBalancer",
            &[
                "--set",
                "livekit.media.mode=LoadBalancer,livekit.media.address=192.0.2.7",
            ],
            7881,
            7882,
        ),
    ];
    for (mode, arguments, tcp, udp) in cases {
        let objects = helm.template(arguments)?;
        let find = |wanted: &str| objects.iter().find(|object| id(object) == wanted);
        let livekit = find("Deployment/marsad-livekit").expect("LiveKit");
        let container = &livekit["spec"]["template"]["spec"]["containers"][0];
        let config: serde_json::Value =
            serde_saphyr::from_str(text(env(container, "LIVEKIT_CONFIG").unwrap(), "/value"))?;
        assert_eq!(config["rtc"]["tcp_port"], tcp, "{mode}");
        assert_eq!(config["rtc"]["udp_port"], udp, "{mode}");
        assert_eq!(
            config["room"],
            json!({"auto_create": false, "empty_timeout": 300, "max_participants": 100}),
            "{mode}"
        );
        assert!(config.get("keys").is_none(), "{mode}: keys are a file");
        let ports: Vec<u64> = list(container, "/ports")
            .iter()
            .filter_map(|port| port["containerPort"].as_u64())
            .collect();
        assert_eq!(ports, [7880, tcp, udp, 6789], "{mode}");
        let address = env(container, "NODE_IP").unwrap();
        let media = find("Service/marsad-livekit-media");
        match mode {
            "HostNetwork" => assert!(media.is_none()),
            "NodePort" => {
                let media = media.expect("media Service");
                assert_eq!(media["spec"]["ports"][0]["nodePort"], tcp);
                assert_eq!(media["spec"]["ports"][1]["nodePort"], udp);
            }
            _ => assert_eq!(media.expect("media Service")["spec"]["type"], "LoadBalancer"),
        }
        if mode == "LoadBalancer" {
            assert_eq!(text(address, "/value"), "192.0.2.7");
        } else {
            assert_eq!(
                text(address, "/valueFrom/fieldRef/fieldPath"),
                "status.hostIP",
                "{mode}"
            );
        }
    }
    Ok(())
}

/// R0-11, R0-12: LiveKit refuses a key file that others may read, and arguments are there for all to see.
#[test]
fn secrets_are_files_for_the_group_or_references() -> Result<()> {
    for variant in variants()? {
        for workload in variant.workloads() {
            let pod = &workload["spec"]["template"]["spec"];
            for volume in list(pod, "/volumes")
                .iter()
                .filter(|volume| volume.get("secret").is_some())
            {
                assert_eq!(
                    volume["secret"]["defaultMode"],
                    0o440,
                    "{}: {volume}",
                    id(workload)
                );
                assert_eq!(pod["securityContext"]["fsGroup"], 65532, "{}", id(workload));
            }
            for container in list(pod, "/containers") {
                for variable in list(container, "/env") {
                    let name = text(variable, "/name");
                    let secret = |word| ["SECRET", "PASSWORD", "AUTH", "KEY"].contains(&word);
                    if name.split('_').any(secret) {
                        assert!(
                            variable["valueFrom"]["secretKeyRef"].is_object(),
                            "{}: {name}",
                            id(workload)
                        );
                    }
                }
                let arguments = container["args"].to_string();
                assert!(
                    !arguments.contains("requirepass"),
                    "{}: {arguments}",
                    id(workload)
                );
            }
        }
    }
    Ok(())
}
