//! The workbook, computed by a spreadsheet that knows only its text, gives what the model gives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only the #[test] functions of such a file for tests, not what they call"
)]

mod figures;
mod spreadsheet;

use std::collections::BTreeMap;

use marsad_capacity::{Kind, Measured, Model, NOT_MEASURED, Plan, workbook};
use proptest::prelude::*;
use spreadsheet::{Spreadsheet, Value};

fn agencies() -> Vec<String> {
    vec!["police".to_owned(), "metro-line-2".to_owned()]
}

fn read(model: &Model, plan: &Plan, measured: &Measured) -> Spreadsheet {
    Spreadsheet::read(workbook(model, plan, measured).expect("a workbook"))
}

/// Every formula gives what the plan has.
fn agree(sheet: &Spreadsheet, plan: &Plan) {
    let mut compared = 0;
    for name in sheet.formulas() {
        match (sheet.value(name), plan.value(name)) {
            (Value::Number(theirs), Some(ours)) => {
                let near = (theirs - ours).abs() <= 1e-9 * ours.abs().max(1.0);
                assert!(near, "{name} is {theirs} in the workbook and {ours} in the model");
            }
            (Value::Text(text), None) => assert_eq!(text, NOT_MEASURED, "{name}"),
            (theirs, ours) => panic!("{name} is {theirs:?} in the workbook and {ours:?} in the model"),
        }
        compared += 1;
    }
    let results = plan
        .lines
        .iter()
        .filter(|line| matches!(line.quantity.kind, Kind::Result(_)));
    assert_eq!(compared, results.count(), "a formula for each result");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn r1_1_43_a_person_changes_the_inputs_and_the_formulas_follow_the_model(inputs in figures::inputs(&agencies())) {
        let (model, measured) = (Model::new(&agencies()), figures::round());
        let untouched = model.evaluate(&BTreeMap::new(), &measured).expect("defaults");
        let mut sheet = read(&model, &untouched, &measured);
        for (name, value) in &inputs {
            let before = sheet.values.insert(name.clone(), Value::Number(*value));
            prop_assert!(before.is_some(), "{name} has no cell");
        }
        agree(&sheet, &model.evaluate(&inputs, &measured).expect("in range"));
    }
}

#[test]
fn r1_1_43_what_is_not_measured_is_said_and_not_counted_as_nothing() {
    let model = Model::new(&[]);
    let measured = figures::round();
    for missing in measured.coefficients.iter().map(|one| one.name.clone()) {
        let mut measured = measured.clone();
        measured.coefficients.retain(|one| one.name != missing);
        let plan = model.evaluate(&BTreeMap::new(), &measured).expect("defaults");
        assert_eq!(plan.not_measured(), [missing.as_str()]);
        let unknown = plan.lines.iter().filter(|line| line.value.is_none()).count();
        assert!(unknown > 1, "{missing} is missed by nobody");
        let mut sheet = read(&model, &plan, &measured);
        agree(&sheet, &plan);
        // A person has measured it.
        sheet.values.insert(
            missing.clone(),
            Value::Number(figures::round().value(&missing).expect("a figure")),
        );
        agree(
            &sheet,
            &model
                .evaluate(&BTreeMap::new(), &figures::round())
                .expect("defaults"),
        );
    }
}

#[test]
fn r1_1_43_what_is_shown_before_anything_is_computed_is_right() {
    let model = Model::new(&agencies());
    for measured in [
        figures::round(),
        Measured {
            coefficients: Vec::new(),
        },
    ] {
        let plan = model.evaluate(&BTreeMap::new(), &measured).expect("defaults");
        let sheet = read(&model, &plan, &measured);
        for (name, shown) in &sheet.shown {
            let wanted = plan
                .value(name)
                .map_or_else(|| Value::Text(NOT_MEASURED.to_owned()), Value::Number);
            assert_eq!(*shown, wanted, "{name}");
        }
    }
}

#[test]
fn the_spreadsheet_is_strict() {
    let model = Model::new(&[]);
    let plan = model
        .evaluate(&BTreeMap::new(), &figures::round())
        .expect("defaults");
    let mut sheet = read(&model, &plan, &figures::round());
    sheet.values.insert("cameras".to_owned(), Value::Number(501.0));
    let differs = std::panic::catch_unwind(|| agree(&sheet, &plan));
    assert!(differs.is_err(), "another number of cameras gives other results");
}
