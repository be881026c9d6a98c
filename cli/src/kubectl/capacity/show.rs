//! A plan as text.

use anyhow::{Context as _, Result};
use marsad_capacity::{Kind, Line, NOT_MEASURED, Plan, pools};
use serde_json::{Value, json};

/// Aligned columns under headings.
pub(super) fn table(plan: &Plan) -> String {
    let rows: Vec<(&Line, String)> = plan.lines.iter().map(|line| (line, shown(line))).collect();
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
    let name = width(&mut rows.iter().map(|(line, _)| line.quantity.name.len()));
    let value = width(&mut rows.iter().map(|(_, shown)| shown.len()));
    let unit = width(&mut rows.iter().map(|(line, _)| line.quantity.unit.len()));
    let mut text = String::new();
    let mut group = None;
    for (line, shown) in rows {
        let quantity = &line.quantity;
        if group.replace(quantity.group) != Some(quantity.group) {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", quantity.group.title().to_uppercase()));
        }
        text.push_str(&format!(
            "  {:name$}  {shown:>value$} {:unit$}  {}\n",
            quantity.name, quantity.unit, quantity.explanation
        ));
    }
    text
}

/// A number that a person can read: whole above a hundred, else three digits that count.
fn shown(line: &Line) -> String {
    let Some(value) = line.value else {
        return NOT_MEASURED.to_owned();
    };
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 1.0 => 2,
        _ => 5,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// One line a quantity (RFC 4180), with its formula.
pub(super) fn csv(plan: &Plan) -> String {
    let mut text = String::from("name,value,unit,formula,explanation\r\n");
    for line in &plan.lines {
        let value = line
            .value
            .map_or_else(|| NOT_MEASURED.to_owned(), |value| value.to_string());
        let quantity = &line.quantity;
        let formula = formula(line).unwrap_or_default();
        let fields = [
            &quantity.name,
            &value,
            quantity.unit,
            &formula,
            &quantity.explanation,
        ]
        .map(field);
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

fn formula(line: &Line) -> Option<String> {
    match &line.quantity.kind {
        Kind::Result(expression) => Some(expression.to_string()),
        Kind::Input { .. } | Kind::Coefficient => None,
    }
}

/// Every quantity as an object; a value that is unknown is null.
pub(super) fn json(plan: &Plan) -> Result<String> {
    let quantities: Vec<Value> = plan
        .lines
        .iter()
        .map(|line| {
            json!({
                "name": line.quantity.name,
                "value": line.value,
                "unit": line.quantity.unit,
                "formula": formula(line),
                "explanation": line.quantity.explanation,
            })
        })
        .collect();
    let text = serde_json::to_string_pretty(&json!({"quantities": quantities, "notes": plan.warnings()}))?;
    Ok(format!("{text}\n"))
}

/// The pools, to apply in the release's namespace.
pub(super) fn yaml(plan: &Plan) -> Result<String> {
    let mut documents = Vec::new();
    for pool in pools(plan) {
        let text = serde_saphyr::to_string(&pool).context("a pool as YAML")?;
        documents.push(format!("{}\n", text.trim_end()));
    }
    let mut comments = String::from("# For the namespace of the release.\n");
    if documents.len() > 1 {
        comments.push_str("# Cameras say by spec.poolRef.name which pool is theirs.\n");
    }
    for warning in plan.warnings() {
        comments.push_str(&format!("# Note: {warning}.\n"));
    }
    Ok(format!("{comments}{}", documents.join("---\n")))
}
