//! Every metric that a rule names is one that our code gives, under that very name and with that label's value.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use marsad_e2e::helm::checkout;

use super::{alerts, dashboards};

/// Crates whose code runs in a role.
const ROLES: [&str; 5] = ["controllers", "operator", "runtime", "ledger", "services"];

/// Words of PromQL that rules of ours use.
const WORDS: &[&str] = &[
    "absent",
    "and",
    "by",
    "changes",
    "histogram_quantile",
    "increase",
    "max",
    "offset",
    "on",
    "or",
    "rate",
    "resets",
    "sum",
    "topk",
    "unless",
];

/// The sources of all roles, tests left out where they are files of their own.
fn sources() -> Result<Vec<String>> {
    let mut folders: Vec<PathBuf> = ROLES.iter().map(|name| checkout().join(name)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                if !path.ends_with("tests") && !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

/// Every name under which a metric of `sources` is exposed. One whose kind can't be told is left out: a rule that names it fails here.
fn exposed<'a>(sources: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources {
        // Tests of a file register what no role gives.
        let source = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (before, name) in calls(source, ".register(") {
            let declared = declared(source, before).unwrap_or_default();
            if declared.contains("Counter") {
                names.insert(format!("{name}_total"));
            } else if declared.contains("Histogram") {
                names.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
            } else if declared.contains("Gauge") {
                names.insert(name);
            }
        }
        for (_, name) in calls(source, "encode_descriptor(") {
            names.insert(name);
        }
    }
    names
}

/// The type of the field or the variable that is given a metric: of `failed` when `before` ends with `failed: metrics` or
/// `let failed = metrics`. A name for a type is followed to the type.
fn declared<'a>(source: &'a str, before: &str) -> Option<&'a str> {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let before = before.trim_end_matches(word).trim_end();
    let before = before.strip_suffix(':').or_else(|| before.strip_suffix('='))?;
    let field = before.trim_end().rsplit(|letter| !word(letter)).next()?;
    let lines = || source.lines().map(str::trim_start);
    let declared = lines()
        .filter_map(|line| {
            line.trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ")
                .strip_prefix(field)?
                .strip_prefix(": ")
        })
        .find(|declared| !declared.contains("register("))?;
    let alias = format!("type {} = ", declared.trim_end_matches(','));
    Some(
        lines()
            .find_map(|line| line.strip_prefix(alias.as_str()))
            .unwrap_or(declared),
    )
}

/// Text before a call, and its first argument, where that is a literal.
fn calls<'a>(source: &'a str, call: &'a str) -> impl Iterator<Item = (&'a str, String)> {
    source.match_indices(call).filter_map(move |(at, _)| {
        let (before, after) = source.split_at(at);
        let literal = after.get(call.len()..)?.trim_start().strip_prefix('"')?;
        Some((before, literal.split_once('"')?.0.to_owned()))
    })
}

/// What an expression names: metrics and everything else that is no word of PromQL, and values of labels.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    metrics: BTreeSet<String>,
    /// By label.
    values: BTreeMap<String, BTreeSet<String>>,
}

fn named(expression: &str) -> Named {
    let mut found = Named::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let end = |inside: fn(char) -> bool| rest.find(|letter| !inside(letter)).unwrap_or(rest.len());
        let taken = match first {
            '{' => {
                let matchers = rest
                    .get(1..)
                    .unwrap_or_default()
                    .split('}')
                    .next()
                    .unwrap_or_default();
                for matcher in matchers.split(',') {
                    let mut parts = matcher.split('"');
                    let label = parts
                        .next()
                        .unwrap_or_default()
                        .trim()
                        .trim_end_matches(['=', '!', '~']);
                    let value = parts.next().unwrap_or_default();
                    found
                        .values
                        .entry(label.to_owned())
                        .or_default()
                        .insert(value.to_owned());
                }
                matchers.len() + 2
            }
            '[' => rest.find(']').unwrap_or(rest.len()) + 1,
            letter if letter.is_ascii_alphabetic() => {
                let end = end(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':');
                let word = rest.get(..end).unwrap_or_default();
                let after = rest.get(end..).unwrap_or_default().trim_start();
                if !WORDS.contains(&word) {
                    found.metrics.insert(word.to_owned());
                }
                // A list of labels follows.
                let labels = ["by", "on"].contains(&word) && after.starts_with('(');
                if labels {
                    rest.find(')').unwrap_or(end)
                } else {
                    end
                }
            }
            // Numbers with their units: 0.1, 15m.
            letter if letter.is_ascii_digit() => {
                end(|letter| letter.is_ascii_alphanumeric() || letter == '.')
            }
            letter => letter.len_utf8(),
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    found
}

#[test]
fn every_metric_of_a_panel_exists() -> Result<()> {
    let sources = sources()?;
    let exposed = exposed(sources.iter().map(String::as_str));
    for (panel, expression) in dashboards::expressions()? {
        let Named { metrics, .. } = named(&expression);
        assert!(!metrics.is_empty(), "{panel} shows nothing");
        let unknown: Vec<&String> = metrics.difference(&exposed).collect();
        assert!(
            unknown.is_empty(),
            "{panel}: no role gives {unknown:?}: {exposed:?}"
        );
    }
    Ok(())
}

#[test]
fn every_metric_of_a_rule_exists() -> Result<()> {
    let sources = sources()?;
    let exposed = exposed(sources.iter().map(String::as_str));
    assert!(exposed.len() > 15, "{exposed:?}");
    for (alert, expression) in alerts::expressions()? {
        let Named { metrics, values } = named(&expression);
        assert!(!metrics.is_empty(), "{alert} looks at nothing");
        for metric in &metrics {
            assert!(
                exposed.contains(metric),
                "{alert}: no role gives {metric}: {exposed:?}"
            );
        }
        for (label, values) in &values {
            let literals = [format!("    {label}: "), format!("\"{label}\"")];
            assert!(
                sources
                    .iter()
                    .any(|source| literals.iter().any(|literal| source.contains(literal))),
                "{alert}: no metric has label {label}"
            );
            for value in values.iter().filter(|value| !value.is_empty()) {
                let literal = format!("\"{value}\"");
                assert!(
                    sources.iter().any(|source| source.contains(&literal)),
                    "{alert}: nothing says {label}={literal}"
                );
            }
        }
    }
    Ok(())
}

/// Each alert is seen to fire and to be silent in what promtool plays through.
#[test]
fn every_alert_is_played_through() -> Result<()> {
    let path: &Path = &checkout().join("charts/marsad/tests/alerts_test.yaml");
    let file: serde_json::Value = serde_saphyr::from_str(&fs::read_to_string(path)?)?;
    let mut fired = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for test in super::objects::list(&file, "/tests") {
        for look in super::objects::list(test, "/alert_rule_test") {
            let name = super::objects::text(look, "/alertname").to_owned();
            if super::objects::list(look, "/exp_alerts").is_empty() {
                silent.insert(name);
            } else {
                fired.insert(name);
            }
        }
    }
    let alerts: BTreeSet<String> = alerts::names()?.into_iter().collect();
    assert_eq!(fired, alerts, "alerts that were seen to fire");
    assert_eq!(silent, alerts, "alerts that were seen to be silent");
    Ok(())
}

/// The two halves of the comparison see what they should: else it could not fail.
#[test]
fn names_are_read_from_code_and_from_rules() {
    let source = r#"
        struct Metrics {
            failed: Family<Reason, Counter>,
            pub open: Gauge,
            took: Family<Route, Histogram>,
        }
        Self {
            failed: metrics.register("a_failed", "help", Family::default()),
            open: metrics.register(
                "a_open",
                "help",
            ),
            took: metrics.register("a_seconds", "help", Family::default()),
        }
        encoder.encode_descriptor(
            "a_cameras", "help", None)
#[cfg(test)]
mod tests {
        failed: metrics.register("a_test", "", y),
    "#;
    let exposed = exposed([source]);
    let wanted = [
        "a_cameras",
        "a_failed_total",
        "a_open",
        "a_seconds_bucket",
        "a_seconds_count",
        "a_seconds_sum",
    ];
    assert_eq!(exposed, wanted.map(str::to_owned).into());

    let named = named(
        "sum by (x) (up{job!=\"a\", b=\"c\"} and on (instance) y == 1) / increase(z_total[15m] offset 5m) > 0.1",
    );
    assert_eq!(named.metrics, ["up", "y", "z_total"].map(str::to_owned).into());
    assert_eq!(named.values["job"], ["a".to_owned()].into());
    assert_eq!(named.values["b"], ["c".to_owned()].into());
}
