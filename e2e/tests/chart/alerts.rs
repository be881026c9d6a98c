//! The alerts: what is installed is the file that promtool tests.

use std::fs;

use anyhow::Result;
use marsad_e2e::helm::{Helm, chart_dir};
use serde_json::Value;

use super::objects::{list, text, variants};

const ENABLED: &str = "monitoring.prometheusRule.enabled=true";

/// The rule file, as Prometheus would read it.
fn file() -> Result<Value> {
    let source = fs::read_to_string(chart_dir().join("files/alerts.yaml"))?;
    Ok(serde_saphyr::from_str(&source)?)
}

/// Every rule of a rule file.
fn rules(groups: &Value) -> impl Iterator<Item = &Value> {
    list(groups, "/groups")
        .iter()
        .flat_map(|group| list(group, "/rules"))
}

/// Names of all alerts.
pub(crate) fn names() -> Result<Vec<String>> {
    Ok(column("/alert")?.into_iter().map(|(name, _)| name).collect())
}

/// How bad each alert is.
pub(crate) fn severities() -> Result<Vec<(String, String)>> {
    column("/labels/severity")
}

/// What each alert looks at.
pub(crate) fn expressions() -> Result<Vec<(String, String)>> {
    column("/expr")
}

fn column(pointer: &str) -> Result<Vec<(String, String)>> {
    let file = file()?;
    let all = rules(&file).map(|rule| (text(rule, "/alert").to_owned(), text(rule, pointer).to_owned()));
    Ok(all.collect())
}

#[test]
fn what_is_installed_is_the_file() -> Result<()> {
    let file = file()?;
    let objects = Helm::from_env()?.template(&["--set", ENABLED])?;
    let installed: Vec<&Value> = objects
        .iter()
        .filter(|object| text(object, "/kind") == "PrometheusRule")
        .collect();
    assert_eq!(installed.len(), 1);
    assert_eq!(installed[0]["spec"], file);
    Ok(())
}

/// A site's own address of the pages changes nothing but the links.
#[test]
fn links_lead_to_the_sites_pages() -> Result<()> {
    let file = file()?;
    let everything = variants()?
        .into_iter()
        .find(|variant| variant.name == "everything");
    let everything = everything.expect("the variant with everything");
    let rule = everything.find("PrometheusRule/marsad")?;
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    let mut seen = 0;
    for (ours, theirs) in rules(&file).zip(rules(&rule["spec"])) {
        let name = text(ours, "/alert");
        assert_eq!(
            text(theirs, "/annotations/runbook_url"),
            format!("https://docs.example.org/runbooks/{name}.md")
        );
        let mut theirs = theirs.clone();
        theirs["annotations"]["runbook_url"] = ours["annotations"]["runbook_url"].clone();
        assert_eq!(&theirs, ours);
        seen += 1;
    }
    assert_eq!(seen, rules(&file).count());
    Ok(())
}

/// Its kind is the Prometheus operator's, which a cluster need not have.
#[test]
fn there_are_none_unless_asked_for() -> Result<()> {
    for variant in variants()? {
        assert_eq!(
            variant.kind("PrometheusRule").count(),
            usize::from(variant.name == "everything"),
            "{}",
            variant.name
        );
    }
    Ok(())
}

#[test]
fn every_alert_says_how_bad_what_and_the_way_out() -> Result<()> {
    let file = file()?;
    let mut names = Vec::new();
    for rule in rules(&file) {
        let name = text(rule, "/alert");
        names.push(name);
        assert!(name.starts_with("Marsad"), "{name}");
        assert!(
            ["critical", "warning"].contains(&text(rule, "/labels/severity")),
            "{name}"
        );
        assert!(!text(rule, "/annotations/summary").is_empty(), "{name}");
        // A sentence on what is so, and one on what to do.
        assert!(
            text(rule, "/annotations/description").matches(['.', ':']).count() >= 2,
            "{name}"
        );
        assert_eq!(
            text(rule, "/annotations/runbook_url"),
            format!("docs/runbooks/{name}.md")
        );
    }
    assert!(names.len() >= 8, "{names:?}");
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name twice");
    Ok(())
}
