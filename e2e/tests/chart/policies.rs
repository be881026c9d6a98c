//! Network policies (R0-10).

use anyhow::Result;
use marsad_e2e::helm::Helm;
use serde_json::{Value, json};

use super::objects::{id, list, selects, text, variants};

#[test]
fn every_component_has_one_policy_for_both_directions() -> Result<()> {
    for variant in variants()? {
        for workload in variant.workloads() {
            let labels = &workload["spec"]["template"]["metadata"]["labels"];
            let policies: Vec<&Value> = variant
                .kind("NetworkPolicy")
                .filter(|policy| selects(&policy["spec"]["podSelector"]["matchLabels"], labels))
                .collect();
            assert_eq!(policies.len(), 1, "{}: {}", variant.name, id(workload));
            assert_eq!(
                policies[0]["spec"]["policyTypes"],
                json!(["Ingress", "Egress"]),
                "{}",
                id(workload)
            );
        }
    }
    Ok(())
}

/// Nothing but the page and media is open to everybody.
#[test]
fn only_the_page_and_media_are_open_to_everybody() -> Result<()> {
    for variant in variants()? {
        for policy in variant.kind("NetworkPolicy") {
            for rule in list(policy, "/spec/ingress") {
                // Neither absent nor empty: both mean everybody.
                if !list(rule, "/from").is_empty() {
                    continue;
                }
                let ports: Vec<u64> = list(rule, "/ports")
                    .iter()
                    .filter_map(|port| port["port"].as_u64())
                    .collect();
                match id(policy).as_str() {
                    "NetworkPolicy/marsad-api" => assert_eq!(ports, [8080], "{}", variant.name),
                    "NetworkPolicy/marsad-livekit" => {
                        assert!(
                            ports == [7881, 7882] || ports == [30881, 30882],
                            "{}: {ports:?}",
                            variant.name
                        );
                    }
                    other => panic!("{}: {other} is open to everybody on {ports:?}", variant.name),
                }
            }
        }
    }
    Ok(())
}

/// Whatever one component calls lets it in, and on the same port.
#[test]
fn what_one_may_call_lets_it_in() -> Result<()> {
    for variant in variants()? {
        let mut seen = 0;
        for policy in variant.kind("NetworkPolicy") {
            let caller = text(policy, "/metadata/labels/app.kubernetes.io~1component");
            for rule in list(policy, "/spec/egress") {
                for target in list(rule, "/to")
                    .iter()
                    .map(component)
                    .filter(|target| !target.is_empty())
                {
                    // The operator makes the policy of ingest pods.
                    if target == "mediamtx" {
                        continue;
                    }
                    seen += 1;
                    let answer = variant.find(&format!("NetworkPolicy/marsad-{target}"))?;
                    for port in list(rule, "/ports") {
                        let open = list(answer, "/spec/ingress").iter().any(|rule| {
                            let from = list(rule, "/from");
                            list(rule, "/ports")
                                .iter()
                                .any(|open| open["port"] == port["port"])
                                && (from.is_empty() || from.iter().any(|peer| component(peer) == caller))
                        });
                        assert!(
                            open,
                            "{}: {caller} may call {target} on {port}, which does not let it in",
                            variant.name
                        );
                    }
                }
            }
        }
        assert!(seen >= 3, "{}: {seen}", variant.name);
    }
    Ok(())
}

fn component(peer: &Value) -> &str {
    text(peer, "/podSelector/matchLabels/app.kubernetes.io~1component")
}

#[test]
fn policies_can_be_left_out() -> Result<()> {
    let objects = Helm::from_env()?.template(&["--set", "networkPolicy.enabled=false"])?;
    assert!(
        objects
            .iter()
            .all(|object| text(object, "/kind") != "NetworkPolicy")
    );
    Ok(())
}
