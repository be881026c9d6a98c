//! Names, labels, references between objects, the kinds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use marsad_e2e::helm::{Helm, chart_dir, checkout};
use serde_json::{Value, json};

use super::objects::{id, list, selects, text, variants};

/// docs/architecture.md, "Namespaces and names".
#[test]
fn names_and_ports_are_those_of_the_architecture() -> Result<()> {
    let variants = variants()?;
    let default = &variants[0];
    let services = [
        ("marsad-api", json!({"http": 8080, "metrics": 9090})),
        ("marsad-streams", json!({"http": 8080, "metrics": 9090})),
        ("marsad-livekit", json!({"signal": 7880, "metrics": 6789})),
        ("marsad-valkey", json!({"valkey": 6379})),
    ];
    for (name, ports) in services {
        let service = default.find(&format!("Service/{name}"))?;
        let found: serde_json::Map<String, Value> = list(service, "/spec/ports")
            .iter()
            .map(|port| (text(port, "/name").to_owned(), port["port"].clone()))
            .collect();
        assert_eq!(Value::Object(found), ports, "{name}");
    }
    for name in [
        "marsad-operator",
        "marsad-api",
        "marsad-streams",
        "marsad-livekit",
    ] {
        default.find(&format!("Deployment/{name}"))?;
    }
    default.find("StatefulSet/marsad-valkey")?;
    Ok(())
}

/// contracts.md 14: Services and pods; here every object but the kinds.
#[test]
fn every_object_is_labelled() -> Result<()> {
    let components = ["operator", "api", "streams", "livekit", "valkey"];
    for variant in variants()? {
        for object in variant
            .objects
            .iter()
            .filter(|object| text(object, "/kind") != "CustomResourceDefinition")
        {
            let whose = format!("{}: {}", variant.name, id(object));
            assert_eq!(
                object["metadata"]["labels"]["app.kubernetes.io/name"], "marsad",
                "{whose}"
            );
            assert_eq!(
                object["metadata"]["labels"]["app.kubernetes.io/part-of"], "marsad",
                "{whose}"
            );
        }
        let pods = variant
            .workloads()
            .map(|workload| (id(workload), &workload["spec"]["template"]["metadata"]["labels"]));
        let services = variant
            .kind("Service")
            .map(|service| (id(service), &service["metadata"]["labels"]));
        for (whose, labels) in pods.chain(services) {
            let component = labels["app.kubernetes.io/component"].as_str().unwrap_or_default();
            assert!(
                components.contains(&component),
                "{}: {whose}: {component}",
                variant.name
            );
            if component == "valkey" && whose.starts_with("StatefulSet") {
                assert_eq!(labels["marsad.dev/valkey-role"], "primary");
            }
        }
    }
    Ok(())
}

#[test]
fn services_and_selectors_find_their_pods() -> Result<()> {
    for variant in variants()? {
        for workload in variant.workloads() {
            let labels = &workload["spec"]["template"]["metadata"]["labels"];
            assert!(
                selects(&workload["spec"]["selector"]["matchLabels"], labels),
                "{}",
                id(workload)
            );
        }
        for service in variant.kind("Service") {
            let found: Vec<&Value> = variant
                .workloads()
                .filter(|workload| {
                    selects(
                        &service["spec"]["selector"],
                        &workload["spec"]["template"]["metadata"]["labels"],
                    )
                })
                .collect();
            assert_eq!(found.len(), 1, "{}: {}", variant.name, id(service));
            let ports: Vec<&str> = list(found[0], "/spec/template/spec/containers/0/ports")
                .iter()
                .map(|port| text(port, "/name"))
                .collect();
            for port in list(service, "/spec/ports") {
                assert!(
                    ports.contains(&text(port, "/targetPort")),
                    "{}: {}: {port}",
                    variant.name,
                    id(service)
                );
            }
        }
    }
    Ok(())
}

/// Namespaced objects say their namespace, so that `helm template | kubectl apply` works too.
#[test]
fn nothing_lands_in_another_namespace() -> Result<()> {
    let cluster_wide = ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"];
    for variant in variants()? {
        for object in &variant.objects {
            let namespace = text(object, "/metadata/namespace");
            if cluster_wide.contains(&text(object, "/kind")) {
                assert_eq!(namespace, "", "{}", id(object));
            } else if id(object) != "RoleBinding/marsad-camera-credentials" {
                assert_eq!(namespace, "marsad-system", "{}", id(object));
            }
        }
    }
    Ok(())
}

/// The chart's copies are the generated kinds, to the byte.
#[test]
fn the_charts_kinds_are_the_generated_ones() -> Result<()> {
    let generated = files(&checkout().join("manifests/crds"))?;
    assert!(generated.len() >= 4, "manifests/crds has {:?}", generated.keys());
    assert_eq!(
        files(&chart_dir().join("files/crds"))?,
        generated,
        "run `cargo xtask generate`"
    );
    Ok(())
}

fn files(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        found.insert(
            file.file_name().to_string_lossy().into_owned(),
            fs::read_to_string(file.path())?,
        );
    }
    Ok(found)
}

#[test]
fn the_kinds_are_installed_kept_or_left_out() -> Result<()> {
    let helm = Helm::from_env()?;
    let kinds = |objects: &[Value]| -> Vec<Value> {
        objects
            .iter()
            .filter(|object| text(object, "/kind") == "CustomResourceDefinition")
            .cloned()
            .collect()
    };
    let kept = kinds(&helm.template(&[])?);
    let gone = kinds(&helm.template(&["--set", "crds.keep=false"])?);
    assert_eq!(kept.len(), files(&checkout().join("manifests/crds"))?.len());
    assert_eq!(kept.len(), gone.len());
    for (kept, gone) in kept.iter().zip(&gone) {
        assert_eq!(
            text(kept, "/metadata/annotations/helm.sh~1resource-policy"),
            "keep",
            "{}",
            id(kept)
        );
        assert_eq!(
            kept["metadata"]["labels"]["app.kubernetes.io/part-of"],
            "marsad",
            "{}",
            id(kept)
        );
        assert!(gone["metadata"].get("annotations").is_none(), "{}", id(gone));
        assert_eq!(kept["spec"], gone["spec"], "{}", id(kept));
    }
    assert_eq!(
        kinds(&helm.template(&["--set", "crds.enabled=false"])?),
        Vec::<Value>::new()
    );
    Ok(())
}

#[test]
fn helm_finds_no_fault() -> Result<()> {
    let helm = Helm::from_env()?;
    let chart = chart_dir();
    for values in [
        "charts/marsad/values.yaml",
        "deploy/local/values.yaml",
        "e2e/tests/chart/everything.yaml",
    ] {
        let values = checkout().join(values);
        helm.check(&[
            "lint",
            "--strict",
            &chart.to_string_lossy(),
            "-f",
            &values.to_string_lossy(),
        ])?;
    }
    Ok(())
}

/// Nothing of ours is a finalizer or a hook that could hang the uninstall.
#[test]
fn nothing_can_hold_up_the_uninstall() -> Result<()> {
    for variant in variants()? {
        for object in &variant.objects {
            assert!(object["metadata"].get("finalizers").is_none(), "{}", id(object));
            assert!(
                !object["metadata"]["annotations"]
                    .to_string()
                    .contains("helm.sh/hook"),
                "{}",
                id(object)
            );
        }
    }
    Ok(())
}
