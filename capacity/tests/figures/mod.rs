//! Round figures instead of measured ones, so that a test does not change with a measurement; and inputs.

use std::collections::BTreeMap;

use marsad_capacity::{Coefficient, Kind, Measured, Model};
use proptest::prelude::*;

/// Each coefficient another simple number.
pub(crate) fn round() -> Measured {
    let coefficients = Model::new(&[])
        .quantities
        .into_iter()
        .filter(|one| one.kind == Kind::Coefficient);
    let figure = |(number, name): (f64, String)| Coefficient {
        name,
        value: Some(number / 1024.0),
        source: "a test".to_owned(),
        date: String::new(),
        machine: String::new(),
        engine: String::new(),
    };
    let numbers = (1..).map(f64::from);
    Measured {
        coefficients: numbers
            .zip(coefficients.map(|one| one.name))
            .map(figure)
            .collect(),
    }
}

/// A value for every input of the model.
pub(crate) fn inputs(agencies: &[String]) -> impl Strategy<Value = BTreeMap<String, f64>> + use<> {
    let ranges: Vec<(String, _)> = Model::new(agencies)
        .quantities
        .into_iter()
        .filter_map(|quantity| match quantity.kind {
            Kind::Input { range, .. } => Some((quantity.name, range)),
            _ => None,
        })
        .collect();
    let values: Vec<_> = ranges
        .iter()
        .map(|(_, range)| {
            let range = *range;
            (range.least..=range.most).prop_map(move |value| {
                if range.whole {
                    value.floor().max(range.least)
                } else {
                    value
                }
            })
        })
        .collect();
    let names: Vec<String> = ranges.into_iter().map(|(name, _)| name).collect();
    values.prop_map(move |values| names.iter().cloned().zip(values).collect())
}
