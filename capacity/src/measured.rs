//! What was measured, each figure with where it comes from.

use serde::{Deserialize, Serialize};

/// A figure of `measured.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    /// The quantity of the model.
    pub name: String,
    /// In the model's unit; none when nobody has measured it.
    pub value: Option<f64>,
    /// Who measured it, where and how, and at what bit rate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Day of the measurement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub date: String,
    /// On which machine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// Which engine, at which version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
}

/// All that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// In the order of the model.
    pub coefficients: Vec<Coefficient>,
}

/// The text holds no coefficients.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableMeasured {
    /// It is no JSON of this shape.
    #[error("not a list of coefficients: {0}")]
    Json(#[from] serde_json::Error),
    /// A cost below nothing.
    #[error("{0} must be a number that is not negative")]
    Negative(String),
    /// A figure that the model does not know, or twice.
    #[error("{0} is no coefficient of the model, or is there twice")]
    Unknown(String),
}

impl Measured {
    /// What is committed as `capacity/measured.json`.
    ///
    /// # Errors
    /// Never for a file that its test has seen.
    pub fn committed() -> Result<Self, UnreadableMeasured> {
        Self::parse(include_str!("../measured.json"))
    }

    /// Reads such a file. A coefficient that is not in it is not measured.
    ///
    /// # Errors
    /// See [`UnreadableMeasured`].
    pub fn parse(text: &str) -> Result<Self, UnreadableMeasured> {
        let measured: Self = serde_json::from_str(text)?;
        let mut known = crate::model::coefficient_names();
        for coefficient in &measured.coefficients {
            if !known.remove(coefficient.name.as_str()) {
                return Err(UnreadableMeasured::Unknown(coefficient.name.clone()));
            }
            if coefficient
                .value
                .is_some_and(|value| value.is_nan() || value < 0.0)
            {
                return Err(UnreadableMeasured::Negative(coefficient.name.clone()));
            }
        }
        Ok(measured)
    }

    /// The figure of a coefficient, when it was measured.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.coefficient(name)?.value
    }

    /// A coefficient by its name.
    #[must_use]
    pub fn coefficient(&self, name: &str) -> Option<&Coefficient> {
        self.coefficients.iter().find(|one| one.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_names_its_sources() {
        let measured = Measured::committed().expect("readable");
        let named: std::collections::BTreeSet<&str> = measured
            .coefficients
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(named, crate::model::coefficient_names());
        for one in &measured.coefficients {
            let known = [&one.source, &one.date, &one.machine, &one.engine];
            let said = known.iter().filter(|text| !text.is_empty()).count();
            assert_eq!(said, if one.value.is_some() { 4 } else { 0 }, "{}", one.name);
        }
    }

    #[test]
    fn nonsense_is_refused_by_its_name() {
        let of = |text: &str| Measured::parse(text).expect_err("refused").to_string();
        let with = |name: &str, value: &str| {
            format!(r#"{{"coefficients": [{{"name": "{name}", "value": {value}}}]}}"#)
        };
        assert!(of(&with("camera_cpu", "-1")).contains("camera_cpu"));
        assert!(of(&with("camera_cups", "1")).contains("camera_cups"));
        assert!(of(r#"{"coefficient": []}"#).contains("coefficient"));
        let known = Measured::parse(&with("camera_cpu", "0.5")).expect("fine");
        assert_eq!(known.value("camera_cpu"), Some(0.5));
        assert_eq!(known.value("mbit_cpu"), None);
    }
}
