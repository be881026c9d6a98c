//! The runbooks: a page for every alert, an alert for every page, and a line for every reason of a camera (R1.1-42).

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result};
use marsad_crds::Reason;
use marsad_e2e::helm::checkout;

use super::alerts;

const HEADINGS: [&str; 5] = [
    "## What it means",
    "## See it",
    "## Causes, the likeliest first",
    "## What to do",
    "## When it is over",
];

fn page(name: &str) -> Result<String> {
    Ok(fs::read_to_string(checkout().join("docs/runbooks").join(name))?)
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() -> Result<()> {
    let mut pages = BTreeSet::new();
    for file in fs::read_dir(checkout().join("docs/runbooks"))? {
        pages.insert(file?.file_name().to_string_lossy().into_owned());
    }
    assert!(pages.remove("README.md"));
    let alerts: BTreeSet<String> = alerts::names()?
        .into_iter()
        .map(|name| format!("{name}.md"))
        .collect();
    assert_eq!(pages, alerts);
    Ok(())
}

#[test]
fn every_page_says_what_how_to_see_why_what_to_do_and_when_it_is_over() -> Result<()> {
    for name in alerts::names()? {
        let page = page(&format!("{name}.md"))?;
        assert_eq!(page.lines().next(), Some(format!("# {name}").as_str()));
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        assert!(page.contains("```sh\nkubectl "), "{name} shows no command");
        assert!(page.contains("\n1. "), "{name} lists no cause");
    }
    Ok(())
}

#[test]
fn the_index_lists_every_page() -> Result<()> {
    let index = page("README.md")?;
    for (name, severity) in alerts::severities()? {
        let row = format!("| [{name}]({name}.md) | {severity} | ");
        assert!(index.contains(&row), "docs/runbooks/README.md lacks `{row}…`");
    }
    Ok(())
}

/// The reasons of a page's tables, each with what to do.
fn listed(text: &str) -> Result<Vec<Reason>> {
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let mut listed = Vec::new();
    for row in rows {
        let (reason, rest) = row.split_once("` | ").context("a reason in its own column")?;
        let reason = Reason::parse(reason).with_context(|| format!("{reason} is no reason of ours"))?;
        let (means, way_out) = rest.split_once(" | ").context("three columns")?;
        assert!(!means.is_empty() && !way_out.is_empty(), "{reason}");
        listed.push(reason);
    }
    listed.sort_unstable();
    Ok(listed)
}

/// Reasons of a Camera, which are those before the first of other kinds, once each, with what to do; and those of a pool.
#[test]
fn r1_1_42_every_reason_of_a_camera_has_its_line() -> Result<()> {
    let index = page("README.md")?;
    let (of_cameras, of_pools) = index
        .split_once("## Reasons of an IngestPool")
        .expect("a chapter on pools");
    let mut wanted: Vec<Reason> = Reason::ALL
        .iter()
        .copied()
        .take_while(|reason| *reason != Reason::Reachable)
        .collect();
    assert!(wanted.len() > 30);
    wanted.sort_unstable();
    assert_eq!(listed(of_cameras)?, wanted);
    let mut wanted = vec![
        Reason::Serving,
        Reason::PodsNotReady,
        Reason::Draining,
        Reason::Enough,
        Reason::TooLittle,
        Reason::WrongNamespace,
        Reason::OtherVolumes,
    ];
    wanted.sort_unstable();
    assert_eq!(listed(of_pools)?, wanted);
    Ok(())
}
