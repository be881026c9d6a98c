//! The tables of `docs/capacity.md`, between marks in a page that people write.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use marsad_capacity::{ALL_AGENCIES, Kind, Measured, Model, NOT_MEASURED, Plan, viewers_of};

/// Cameras of the rows of the sizing table, each with a viewer for so many cameras.
const SIZES: [f64; 5] = [100.0, 500.0, 1000.0, 2500.0, 10_000.0];
const CAMERAS_OF_A_VIEWER: f64 = 25.0;

/// The page with its tables made anew.
///
/// # Errors
/// When it is not there or lacks a mark.
pub(crate) fn page(root: &Path) -> Result<String> {
    let file = root.join("docs/capacity.md");
    let mut text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let measured = Measured::committed()?;
    let model = Model::new(&[]);
    let made = [
        ("sizes", sizes(&model, &measured)?),
        ("inputs", inputs(&model)),
        ("coefficients", coefficients(&model, &measured)),
        ("results", results(&model)),
    ];
    for (name, table) in made {
        text = between_marks(&text, name, &table).with_context(|| file.display().to_string())?;
    }
    Ok(text)
}

/// `text` with `table` between the marks of `name`.
fn between_marks(text: &str, name: &str, table: &str) -> Result<String> {
    let begin = format!("<!-- {name}: made by `cargo xtask generate`, do not edit -->\n");
    let end = format!("<!-- end of {name} -->\n");
    let (before, rest) = text
        .split_once(&begin)
        .with_context(|| format!("no line {begin:?}"))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("no line {end:?}"))?;
    Ok(format!("{before}{begin}\n{table}\n{end}{after}"))
}

fn row<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| cell.as_ref().replace('|', "\\|"))
        .collect();
    format!("| {} |\n", cells.join(" | "))
}

fn head(cells: &[&str]) -> String {
    format!("{}{}", row(cells), row(&vec!["---"; cells.len()]))
}

fn sizes(model: &Model, measured: &Measured) -> Result<String> {
    let mut table = head(&[
        "cameras",
        "people watching",
        "shards",
        "pools × replicas",
        "a shard asks for",
        "all shards use",
        "LiveKit",
        "network in / out",
        "written",
        "recordings",
        "machines (by network alone)",
    ]);
    for cameras in SIZES {
        let viewers = cameras / CAMERAS_OF_A_VIEWER;
        let inputs = BTreeMap::from([
            ("cameras".to_owned(), cameras),
            (viewers_of(ALL_AGENCIES), viewers),
        ]);
        let plan = model.evaluate(&inputs, measured)?;
        table.push_str(&row(&size(&plan, cameras, viewers)));
    }
    Ok(table)
}

fn size(plan: &Plan, cameras: f64, viewers: f64) -> [String; 11] {
    let value = |name: &str, scale: f64, digits: usize| {
        plan.value(name)
            .map(|value| format!("{:.digits$}", value / scale))
    };
    let whole = |name: &str| value(name, 1.0, 0).unwrap_or_else(|| NOT_MEASURED.to_owned());
    let both = |cores: &str, memory: &str| match (value(cores, 1.0, 2), value(memory, 1024.0, 2)) {
        (Some(cores), Some(memory)) => format!("{cores} cores, {memory} GiB"),
        (Some(cores), None) => format!("{cores} cores, memory {NOT_MEASURED}"),
        (None, Some(memory)) => format!("cores {NOT_MEASURED}, {memory} GiB"),
        (None, None) => NOT_MEASURED.to_owned(),
    };
    let gbit = |name: &str| value(name, 1000.0, 2).unwrap_or_default();
    [
        format!("{cameras:.0}"),
        format!("{viewers:.0}"),
        whole("shards"),
        format!("{} × {}", whole("pools"), whole("replicas")),
        both("shard_cpu_request", "shard_memory_request"),
        both("ingest_cpu", "ingest_memory"),
        both("livekit_cpu", "livekit_memory"),
        format!("{} / {} Gbit/s", gbit("network_in"), gbit("network_out")),
        format!("{} MB/s", whole("write_rate")),
        format!("{} TiB", value("recordings", 1024.0, 1).unwrap_or_default()),
        format!("{} ({})", whole("machines"), whole("machines_by_network")),
    ]
}

fn inputs(model: &Model) -> String {
    let mut table = head(&["flag", "default", "may be", "what it is"]);
    for quantity in &model.quantities {
        if let Kind::Input { default, range } = quantity.kind {
            let all = quantity.name == viewers_of(ALL_AGENCIES);
            let flag = if all {
                "viewers".to_owned()
            } else {
                quantity.name.replace('_', "-")
            };
            table.push_str(&row(&[
                format!("`--{flag}`"),
                format!("{default} {}", quantity.unit),
                format!("{} to {}", range.least, range.most),
                quantity.explanation.clone(),
            ]));
        }
    }
    table
}

fn coefficients(model: &Model, measured: &Measured) -> String {
    let mut table = head(&["coefficient", "value", "what it is", "where it was measured"]);
    for quantity in model
        .quantities
        .iter()
        .filter(|one| one.kind == Kind::Coefficient)
    {
        let known = measured
            .coefficient(&quantity.name)
            .and_then(|one| Some((one, one.value?)));
        let (value, source) = known.map_or_else(
            || (NOT_MEASURED.to_owned(), String::new()),
            |(one, value)| {
                let source = format!("{}; {}, {}, {}", one.source, one.date, one.engine, one.machine);
                (format!("{value} {}", quantity.unit), source)
            },
        );
        table.push_str(&row(&[
            format!("`{}`", quantity.name),
            value,
            quantity.explanation.clone(),
            source,
        ]));
    }
    table
}

fn results(model: &Model) -> String {
    let mut table = head(&["result", "unit", "formula", "what it is"]);
    let mut group = None;
    for quantity in &model.quantities {
        if let Kind::Result(expression) = &quantity.kind {
            if group.replace(quantity.group) != Some(quantity.group) {
                table.push_str(&row(&[
                    format!("**{}**", quantity.group.title()).as_str(),
                    "",
                    "",
                    "",
                ]));
            }
            table.push_str(&row(&[
                format!("`{}`", quantity.name),
                quantity.unit.to_owned(),
                format!("`{expression}`"),
                quantity.explanation.clone(),
            ]));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_made() {
        let page = "# A\n<!-- sizes: made by `cargo xtask generate`, do not edit -->\nold\n<!-- end of sizes -->\nlast\n";
        let made = between_marks(page, "sizes", "new\n").unwrap();
        assert!(made.starts_with("# A\n") && made.ends_with("last\n"), "{made}");
        assert!(made.contains("\nnew\n") && !made.contains("old"), "{made}");
        assert_eq!(
            between_marks(&made, "sizes", "new\n").unwrap(),
            made,
            "again the same"
        );
        assert!(between_marks(page, "inputs", "").is_err());
        assert!(between_marks(&page.replace("end of", ""), "sizes", "").is_err());
    }

    #[test]
    fn r1_1_24_the_sizing_table_has_a_row_for_each_size_and_says_what_was_not_measured() {
        let nothing = Measured {
            coefficients: Vec::new(),
        };
        let table = sizes(&Model::new(&[]), &nothing).unwrap();
        assert_eq!(table.lines().count(), 2 + SIZES.len());
        let of = |cameras: &str| {
            table
                .lines()
                .find(|line| line.starts_with(&format!("| {cameras} |")))
                .unwrap()
        };
        for cameras in ["100", "500", "1000", "2500", "10000"] {
            assert!(of(cameras).contains(NOT_MEASURED), "{}", of(cameras));
        }
        assert!(of("10000").contains("| 2 × 51 |"), "{}", of("10000"));
        assert!(of("500").contains("| 6 | 1 × 6 |"), "{}", of("500"));
    }
}
