//! The table of manifests, judged without a cluster; `e2e/tests/crds.rs` has it judged by a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

mod cases;
mod judge;

use std::collections::BTreeMap;

use judge::Judge;

fn judges() -> BTreeMap<String, Judge> {
    marsad_crds::all()
        .iter()
        .map(|crd| (crd.spec.names.kind.clone(), Judge::new(crd)))
        .collect()
}

#[test]
fn every_manifest_meets_its_verdict() {
    let judges = judges();
    let cases = cases::all();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| !case.server_only)
        .filter_map(|case| {
            let refusal = judges[&case.kind].refusal(&case.object, case.old.as_ref());
            case.wrong(refusal.as_deref())
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The schemas that kubeconform reads: they take all that the API server takes, and see through what needs no CEL.
#[test]
fn offline_schemas_judge_what_they_can() {
    let judges = judges();
    let mut refused = 0;
    for case in cases::all() {
        let taken = judges[&case.kind].offline_takes(&case.object);
        if case.verdict == cases::Verdict::Accept && !case.title.contains("null") {
            assert!(taken, "{}", case.title);
        }
        refused += usize::from(!taken);
        for offline in [
            "Arabic in the path",
            "another scheme",
            "in words",
            "unknown field",
        ] {
            assert!(!case.title.contains(offline) || !taken, "{}", case.title);
        }
    }
    assert!(refused > 60, "only {refused} are refused offline");
}

/// Whatever `old` a case stores before must be sound itself, or the case proves something else.
#[test]
fn what_is_updated_was_sound() {
    let judges = judges();
    for case in cases::all() {
        if let Some(old) = &case.old {
            assert_eq!(judges[&case.kind].refusal(old, None), None, "{}", case.title);
        }
    }
}

/// Every kind has manifests that are taken, refused, and (where something is immutable) refused as an update.
#[test]
fn every_kind_is_in_the_table() {
    let cases = cases::all();
    for crd in marsad_crds::all() {
        let kind = &crd.spec.names.kind;
        let of = |verdict| {
            cases
                .iter()
                .filter(|case| case.kind == *kind && case.verdict == verdict)
                .count()
        };
        assert!(of(cases::Verdict::Accept) >= 2, "{kind}");
        assert!(of(cases::Verdict::Reject) >= 5, "{kind}");
    }
}

/// Each rule is the reason of a refusal in the table: a rule that could be taken out unseen is not tested.
#[test]
fn every_rule_refuses_something() {
    let judges = judges();
    let cases = cases::all();
    let mut untested = Vec::new();
    for crd in marsad_crds::all() {
        let kind = &crd.spec.names.kind;
        let refusals: Vec<String> = cases
            .iter()
            .filter(|case| case.kind == *kind)
            .filter_map(|case| judges[kind].refusal(&case.object, case.old.as_ref()))
            .collect();
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let mut messages = Vec::new();
        messages_of(&schema, "", &mut messages);
        // The grammar of a value is one function used in many places; here it counts once a kind.
        messages.sort();
        messages.dedup();
        messages.retain(|message| !refusals.iter().any(|refusal| refusal.contains(message)));
        untested.extend(messages.into_iter().map(|message| format!("{kind}: {message}")));
    }
    assert!(
        untested.is_empty(),
        "no manifest is refused with\n{}",
        untested.join("\n")
    );
}

fn messages_of(schema: &serde_json::Value, path: &str, messages: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let message = rule["message"].as_str();
        messages.push(
            message
                .unwrap_or_else(|| panic!("{path}: a rule without a message"))
                .to_owned(),
        );
    }
    for (name, part) in schema.as_object().into_iter().flatten() {
        if part.is_object() {
            messages_of(part, &format!("{path}.{name}"), messages);
        }
    }
}
