//! A model with its numbers.

use std::collections::BTreeMap;

use crate::measured::Measured;
use crate::model::{Kind, Model, OutOfRange, Quantity};

/// Every quantity of a model and its value, in the model's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The quantities.
    pub lines: Vec<Line>,
}

/// A quantity and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is.
    pub quantity: Quantity,
    /// None when it needs what nobody has measured.
    pub value: Option<f64>,
}

/// An input that the model can't take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InputError {
    /// It is no input of the model.
    #[error("{0} is no input of the model")]
    Unknown(String),
    /// Its value.
    #[error("{name} {error}, not {value}")]
    Value {
        /// Which.
        name: String,
        /// What was given.
        value: f64,
        /// What would be right.
        #[source]
        error: OutOfRange,
    },
}

impl Model {
    /// Every quantity for these inputs; those that are not given are at their defaults.
    ///
    /// # Errors
    /// When an input is unknown or out of its range.
    pub fn evaluate(&self, inputs: &BTreeMap<String, f64>, measured: &Measured) -> Result<Plan, InputError> {
        for name in inputs.keys() {
            let known = self
                .quantity(name)
                .is_some_and(|one| matches!(one.kind, Kind::Input { .. }));
            if !known {
                return Err(InputError::Unknown(name.clone()));
            }
        }
        let mut values: BTreeMap<&str, Option<f64>> = BTreeMap::new();
        let mut lines = Vec::new();
        for quantity in &self.quantities {
            let name = quantity.name.as_str();
            let value = match &quantity.kind {
                Kind::Input { default, range } => {
                    let value = inputs.get(name).copied().unwrap_or(*default);
                    let checked = range.check(value).map_err(|error| InputError::Value {
                        name: name.to_owned(),
                        value,
                        error,
                    })?;
                    Some(checked)
                }
                Kind::Coefficient => measured.value(name),
                Kind::Result(expression) => expression.evaluate(&|name| values.get(name).copied().flatten()),
            };
            values.insert(name, value);
            lines.push(Line {
                quantity: quantity.clone(),
                value,
            });
        }
        Ok(Plan { lines })
    }
}

impl Plan {
    /// The value of a quantity; none when it is unknown.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.lines.iter().find(|line| line.quantity.name == name)?.value
    }

    /// Coefficients that nobody has measured.
    #[must_use]
    pub fn not_measured(&self) -> Vec<&str> {
        let missing = self
            .lines
            .iter()
            .filter(|line| line.quantity.kind == Kind::Coefficient && line.value.is_none());
        missing.map(|line| line.quantity.name.as_str()).collect()
    }

    /// What a person should know before using the figures.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let missing = self.not_measured();
        if !missing.is_empty() {
            warnings.push(format!(
                "not measured, so what needs it is unknown: {}; run `cargo xtask bench ingest` and `cargo xtask capacity`",
                missing.join(", ")
            ));
        }
        let limit = crate::manifest::MEMORY_LIMIT_MIB;
        if let Some(memory) = self
            .value("shard_memory_request")
            .filter(|memory| *memory > limit)
        {
            warnings.push(format!(
                "a full shard asks for {memory:.0} MiB, more than the limit of {limit:.0} MiB (R1.1-20): lower cameras_per_shard"
            ));
        }
        warnings
    }
}
