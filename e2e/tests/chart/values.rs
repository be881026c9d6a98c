//! The values schema refuses what can't work, and says where.

use std::fs;

use anyhow::Result;
use marsad_e2e::helm::{Helm, chart_dir};
use serde_json::Value;

/// What is refused, and what the message must name.
const REFUSED: &[(&str, &str)] = &[
    ("unknown=1", "unknown"),
    ("operator.replica=1", "replica"),
    ("images.marsad.name=x", "name"),
    ("logLevel=loud", "logLevel"),
    ("images.pullPolicy=Sometimes", "pullPolicy"),
    ("images.marsad.digest=sha256:12", "digest"),
    ("agencies[0].namespace=Police", "agencies"),
    ("agencies[0].name=police", "agencies"),
    ("operator.defaultPool.replicas=0", "replicas"),
    ("operator.defaultPool.recordings.size=lots", "size"),
    ("streams.linger=10", "linger"),
    ("api.service.type=ExternalName", "type"),
    ("api.ingress.enabled=true", "host"),
    ("livekit.media.mode=HostPort", "mode"),
    ("livekit.media.mode=LoadBalancer", "address"),
    ("livekit.media.address=media.example.org", "address"),
    ("livekit.media.nodePorts.udp=70000", "udp"),
    ("livekit.publicUrl=https://example.org", "publicUrl"),
    ("livekit.replicas=2", "redis"),
    ("livekit.redis.enabled=true,valkey.enabled=false", "valkey"),
    ("valkey.maxMemory=lots", "maxMemory"),
    ("api.resources.limits.cpu=much", "cpu"),
    ("api.resources.limits=null", "resources"),
    ("networkPolicy.cameraCIDRs={anywhere}", "cameraCIDRs"),
    ("networkPolicy.metricsFrom=null", "metricsFrom"),
    ("serviceMonitor.interval=often", "interval"),
    (
        "monitoring.prometheusRule.runbookBaseUrl=runbooks",
        "runbookBaseUrl",
    ),
];

#[test]
fn wrong_values_are_refused_and_named() -> Result<()> {
    let helm = Helm::from_env()?;
    for (values, named) in REFUSED {
        let error = match helm.template(&["--set", values]) {
            Ok(_) => panic!("{values} was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(
            error.contains("schema") || error.contains("values"),
            "{values}: {error}"
        );
        assert!(
            error.contains(named),
            "{values}: the message does not name {named}: {error}"
        );
    }
    Ok(())
}

/// Every object of the schema is closed and every key is described.
#[test]
fn the_schema_is_closed_and_described() -> Result<()> {
    let schema: Value = serde_json::from_str(&fs::read_to_string(chart_dir().join("values.schema.json"))?)?;
    let mut described = 0;
    walk(&schema, "", &mut described);
    assert!(described > 60, "{described}");
    Ok(())
}

fn walk(node: &Value, path: &str, described: &mut usize) {
    let Some(properties) = node.get("properties").and_then(Value::as_object) else {
        return;
    };
    assert_eq!(node["additionalProperties"], false, "{path} takes unknown keys");
    for (key, property) in properties {
        let path = format!("{path}.{key}");
        assert!(
            property["description"]
                .as_str()
                .is_some_and(|text| text.ends_with('.')),
            "{path} is not described"
        );
        *described += 1;
        walk(property, &path, described);
    }
}

/// The README's table is the values file, key by key and default by default.
#[test]
fn the_readme_lists_every_value() -> Result<()> {
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(chart_dir().join("values.yaml"))?)?;
    let readme = fs::read_to_string(chart_dir().join("README.md"))?;
    let mut wanted = Vec::new();
    rows("", &values, &mut wanted);
    assert!(wanted.len() > 60);
    let listed = readme
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('`').count() >= 4);
    let listed: Vec<&str> = listed
        .skip_while(|line| !line.starts_with("| `fullnameOverride`"))
        .collect();
    for row in &wanted {
        assert!(
            listed.iter().any(|line| line.starts_with(row)),
            "charts/marsad/README.md lacks `{row}`"
        );
    }
    assert_eq!(
        listed.len(),
        wanted.len(),
        "charts/marsad/README.md lists a value that is gone"
    );
    Ok(())
}

/// Starts of the table's rows; resources are one row.
fn rows(path: &str, value: &Value, into: &mut Vec<String>) {
    match value.as_object() {
        Some(keys) if !keys.is_empty() && !path.ends_with(".resources") => {
            for (key, value) in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                rows(&path, value, into);
            }
        }
        _ => into.push(format!("| `{path}` | `{value}` |")),
    }
}
