//! Rights of service accounts and people (style.md 23).

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};
use marsad_e2e::helm::{Helm, chart_dir, checkout};
use marsad_e2e::rights::{self, ACCOUNTS, Place, Right};
use serde_json::{Value, json};

use super::objects::{Variant, id, list, text, variants};

#[test]
fn no_rule_says_everything() -> Result<()> {
    for variant in variants()? {
        let mut rules = 0;
        for role in variant.kind("ClusterRole").chain(variant.kind("Role")) {
            for rule in list(role, "/rules") {
                rules += 1;
                assert!(!rule.to_string().contains('*'), "{}: {rule}", id(role));
                assert!(rule.get("nonResourceURLs").is_none(), "{}: {rule}", id(role));
                for verb in list(rule, "/verbs") {
                    assert!(
                        !["escalate", "bind", "impersonate"].contains(&verb.as_str().unwrap_or("")),
                        "{}",
                        id(role)
                    );
                }
            }
        }
        assert!(rules > 20, "{}: {rules}", variant.name);
    }
    Ok(())
}

/// One resource a rule of a service account, its reason above it.
#[test]
fn every_rule_has_its_reason() -> Result<()> {
    for file in fs::read_dir(chart_dir().join("templates/rbac"))? {
        let path = file?.path();
        let source = fs::read_to_string(&path)?;
        let lines: Vec<&str> = source.lines().collect();
        for (number, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.starts_with("  - apiGroups:"))
        {
            let above = lines[number - 1].trim_start();
            assert!(
                above.starts_with("# ") && above.len() > 12,
                "{}:{}: {line}",
                path.display(),
                number + 1
            );
        }
    }
    for variant in variants()? {
        for role in variant.kind("ClusterRole").chain(variant.kind("Role")) {
            let people = ["ClusterRole/marsad-view", "ClusterRole/marsad-edit"].contains(&id(role).as_str());
            for rule in list(role, "/rules") {
                assert!(
                    people || list(rule, "/resources").len() == 1,
                    "{}: {rule}",
                    id(role)
                );
            }
        }
    }
    Ok(())
}

/// Secrets are read in the release's namespace and where an agency binds the role; nowhere else.
#[test]
fn secrets_are_never_read_cluster_wide() -> Result<()> {
    for variant in variants()? {
        for role in variant.kind("ClusterRole") {
            for rule in list(role, "/rules")
                .iter()
                .filter(|rule| rule["resources"].to_string().contains("secrets"))
            {
                assert_eq!(
                    id(role),
                    "ClusterRole/marsad-camera-credentials",
                    "{}",
                    variant.name
                );
                assert_eq!(rule["verbs"], json!(["get"]));
            }
        }
        for binding in variant.kind("ClusterRoleBinding") {
            assert_ne!(
                text(binding, "/roleRef/name"),
                "marsad-camera-credentials",
                "{}",
                id(binding)
            );
        }
    }
    let objects = Helm::from_env()?.template(&["--set", "agencies[0].namespace=police"])?;
    let bindings: Vec<&Value> = objects
        .iter()
        .filter(|object| id(object) == "RoleBinding/marsad-camera-credentials")
        .collect();
    assert_eq!(bindings.len(), 1);
    assert_eq!(text(bindings[0], "/metadata/namespace"), "police");
    assert_eq!(
        bindings[0]["subjects"],
        json!([{"kind": "ServiceAccount", "name": "marsad-operator", "namespace": "marsad-system"}])
    );
    Ok(())
}

/// Specs are people's: no service account writes one, or a status by anything but a patch.
#[test]
fn nobody_but_people_writes_specs() -> Result<()> {
    for variant in variants()? {
        for role in variant.kind("ClusterRole").chain(variant.kind("Role")) {
            if ["ClusterRole/marsad-view", "ClusterRole/marsad-edit"].contains(&id(role).as_str()) {
                continue;
            }
            for rule in list(role, "/rules")
                .iter()
                .filter(|rule| rule["apiGroups"] == json!(["marsad.dev"]))
            {
                let resource = text(rule, "/resources/0");
                let verbs: Vec<&str> = list(rule, "/verbs").iter().filter_map(Value::as_str).collect();
                let allowed: &[&str] = match resource {
                    // The default pool is made when there is none (contracts.md 9b).
                    "ingestpools" => &["get", "list", "watch", "create", "patch"],
                    _ if resource.ends_with("/status") => &["patch"],
                    _ if resource.ends_with("/finalizers") => &["update"],
                    _ => &["get", "list", "watch"],
                };
                assert!(
                    verbs.iter().all(|verb| allowed.contains(verb)),
                    "{}: {resource} {verbs:?}",
                    id(role)
                );
            }
        }
    }
    Ok(())
}

/// The cluster's own view and edit get the kinds only when asked for.
#[test]
fn roles_of_people_join_the_clusters_own_only_when_asked() -> Result<()> {
    for variant in variants()? {
        for role in variant.kind("ClusterRole") {
            let aggregated = role["metadata"]["labels"].to_string().contains("aggregate-to");
            let people = ["ClusterRole/marsad-view", "ClusterRole/marsad-edit"].contains(&id(role).as_str());
            assert_eq!(
                aggregated,
                people && variant.name == "everything",
                "{}: {}",
                variant.name,
                id(role)
            );
        }
    }
    Ok(())
}

/// Every binding names a role and a service account that exist.
#[test]
fn bindings_lead_somewhere() -> Result<()> {
    for variant in variants()? {
        let ids = variant.ids();
        for binding in variant
            .kind("ClusterRoleBinding")
            .chain(variant.kind("RoleBinding"))
        {
            let role = format!(
                "{}/{}",
                text(binding, "/roleRef/kind"),
                text(binding, "/roleRef/name")
            );
            assert!(ids.contains(&role), "{}: {role}", id(binding));
            for subject in list(binding, "/subjects") {
                let account = format!("ServiceAccount/{}", text(subject, "/name"));
                assert!(ids.contains(&account), "{}: {account}", id(binding));
                assert_eq!(text(subject, "/namespace"), "marsad-system", "{}", id(binding));
            }
        }
    }
    Ok(())
}

/// Every right that the bindings of a rendered chart give to our service accounts.
fn rendered(variant: &Variant) -> Result<BTreeSet<Right>> {
    let mut all = BTreeSet::new();
    let bindings = variant
        .kind("ClusterRoleBinding")
        .chain(variant.kind("RoleBinding"));
    for binding in bindings {
        let place = match (text(binding, "/kind"), text(binding, "/metadata/namespace")) {
            ("ClusterRoleBinding", _) => Place::Cluster,
            ("RoleBinding", "marsad-system") => Place::Release,
            // An agency's own binding, which `secrets_are_never_read_cluster_wide` looks at.
            _ => continue,
        };
        let role = variant.find(&format!(
            "{}/{}",
            text(binding, "/roleRef/kind"),
            text(binding, "/roleRef/name")
        ))?;
        for subject in list(binding, "/subjects") {
            let name = text(subject, "/name");
            let account = ACCOUNTS
                .into_iter()
                .find(|component| name.strip_prefix("marsad-") == Some(component))
                .with_context(|| format!("{name} is in no table of rights"))?;
            for rule in list(role, "/rules") {
                expand(rule, account, place, &mut all);
            }
        }
    }
    Ok(all)
}

fn expand(rule: &Value, account: &'static str, place: Place, into: &mut BTreeSet<Right>) {
    let texts = |key: &str| list(rule, key).iter().filter_map(Value::as_str);
    let mut names: Vec<&str> = texts("/resourceNames").collect();
    if names.is_empty() {
        names.push("");
    }
    for group in texts("/apiGroups") {
        for resource in texts("/resources") {
            for name in &names {
                for verb in texts("/verbs") {
                    into.insert(Right {
                        account,
                        place,
                        group: group.to_owned(),
                        resource: resource.to_owned(),
                        name: (*name).to_owned(),
                        verb: verb.to_owned(),
                    });
                }
            }
        }
    }
}

/// The table that `tests/rbac.rs` asks a real API server about: no right more, none less, whatever the values.
#[test]
fn the_table_of_rights_is_what_the_chart_grants() -> Result<()> {
    let table = rights::granted();
    for variant in variants()? {
        let rendered = rendered(&variant)?;
        let more: Vec<&Right> = rendered.difference(&table).collect();
        let less: Vec<&Right> = table.difference(&rendered).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "{}: not in e2e/src/rights.rs {more:#?}, only there {less:#?}",
            variant.name
        );
    }
    Ok(())
}

/// Plurals of the kinds, from the definitions.
fn kinds() -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for file in fs::read_dir(checkout().join("manifests/crds"))? {
        let crd: Value = serde_saphyr::from_str(&fs::read_to_string(file?.path())?)?;
        all.insert(text(&crd, "/spec/names/plural").to_owned());
    }
    Ok(all)
}

/// `marsad-view` shows every kind and changes none; `marsad-edit` keeps what an agency keeps. Neither reaches status or a Secret.
#[test]
fn people_see_all_kinds_and_keep_their_own() -> Result<()> {
    let see = ["get", "list", "watch"];
    let keep = ["create", "update", "patch", "delete", "deletecollection"];
    let kept = ["cameras", "camerasources", "playbackjobs"];
    for variant in variants()? {
        for (role, resources, verbs) in [
            ("marsad-view", kinds()?, see.to_vec()),
            (
                "marsad-edit",
                kept.map(str::to_owned).into(),
                [&see[..], &keep[..]].concat(),
            ),
        ] {
            let object = variant.find(&format!("ClusterRole/{role}"))?;
            let mut found = BTreeSet::new();
            for rule in list(object, "/rules") {
                assert_eq!(rule["apiGroups"], json!(["marsad.dev"]), "{role}");
                assert_eq!(rule["verbs"], json!(verbs), "{role}");
                let resources = list(rule, "/resources").iter().filter_map(Value::as_str);
                found.extend(resources.map(str::to_owned));
            }
            assert_eq!(found, resources, "{}: {role}", variant.name);
        }
    }
    Ok(())
}
