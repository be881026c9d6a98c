//! From the figures of `bench ingest` to the coefficients of the model. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use marsad_capacity::{Coefficient, Measured};
use serde::Deserialize;

/// What the benchmark has written.
#[derive(Debug)]
pub(super) struct Figures(BTreeMap<String, f64>);

/// How they were measured.
pub(super) struct Provenance {
    pub(super) date: String,
    pub(super) machine: String,
    pub(super) engine: String,
}

#[derive(Deserialize)]
struct Figure {
    figure: String,
    value: f64,
}

/// `fixed` for each and `rate` for each Mbit/s.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cost {
    fixed: f64,
    rate: f64,
}

/// A point: Mbit/s, and what they cost.
type Point = (f64, f64);

impl Cost {
    /// The straight line through two points, of which neither part is negative: a negative one is noise, and leaving it out
    /// counts rather too much than too little at the rates in between.
    fn through(low: Point, high: Point) -> Self {
        let rate = (high.1 - low.1) / (high.0 - low.0);
        let fixed = low.1 - rate * low.0;
        if rate < 0.0 {
            let fixed = low.1.max(high.1).max(0.0);
            return Self { fixed, rate: 0.0 };
        }
        if fixed < 0.0 {
            let rate = (high.1 / high.0).max(0.0);
            return Self { fixed: 0.0, rate };
        }
        Self { fixed, rate }
    }

    fn at(self, mbit: f64) -> f64 {
        self.fixed + self.rate * mbit
    }
}

impl Figures {
    /// Reads `target/bench/ingest.json`.
    ///
    /// # Errors
    /// When it is of the short form: that measures next to nothing.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let figures: Vec<Figure> = serde_json::from_str(text)?;
        let figures = Self(figures.into_iter().map(|one| (one.figure, one.value)).collect());
        ensure!(
            figures.value("full")? > 0.5,
            "these are figures of the short form"
        );
        Ok(figures)
    }

    fn value(&self, figure: &str) -> Result<f64> {
        let value = self.0.get(figure);
        value
            .copied()
            .with_context(|| format!("there is no figure {figure}"))
    }

    /// What cameras of arm `arm` cost on top of `pull`, by their bit rate on the wire.
    fn cost(&self, suffix: &str, figure: &str, pull: Option<Cost>) -> Result<Cost> {
        let point = |rate: &str| -> Result<Point> {
            let mbit = self.value(&format!("{rate}{suffix}_mbit"))?;
            let cost = self.value(&format!("{rate}{suffix}_{figure}"))?;
            Ok((mbit, cost - pull.map_or(0.0, |pull| pull.at(mbit))))
        };
        let (low, high) = (point("low")?, point("high")?);
        ensure!(
            low.0 > 0.0 && high.0 > 1.5 * low.0,
            "the two bit rates are {:.2} and {:.2} Mbit/s: too near",
            low.0,
            high.0
        );
        Ok(Cost::through(low, high))
    }

    /// `before` with the coefficients that these figures tell.
    ///
    /// # Errors
    /// When a figure is missing, or makes no sense.
    pub(super) fn measured(&self, before: Measured, provenance: &Provenance) -> Result<Measured> {
        let (cpu, memory) = (self.cost("", "cpu", None)?, self.cost("", "rss", None)?);
        let recorded = self.cost("_recorded", "cpu", Some(cpu))?;
        let recorded_memory = self.cost("_recorded", "rss", Some(memory))?;
        let forwarded = self.cost("_forwarded", "cpu", Some(cpu))?;
        let forwarded_memory = self.cost("_forwarded", "rss", Some(memory))?;
        let at = self.value("high_forwarded_mbit")?;
        // The benchmark counts in % of a core.
        let found = BTreeMap::from([
            (
                "empty_shard_cpu",
                (self.value("empty_cpu")?.max(0.0) / 100.0, "empty"),
            ),
            ("empty_shard_memory", (self.value("empty_rss")?.max(0.0), "empty")),
            ("camera_cpu", (cpu.fixed / 100.0, "low, high")),
            ("mbit_cpu", (cpu.rate / 100.0, "low, high")),
            ("camera_memory", (memory.fixed, "low, high")),
            ("mbit_memory", (memory.rate, "low, high")),
            (
                "recording_cpu",
                (recorded.fixed / 100.0, "low_recorded, high_recorded"),
            ),
            (
                "recording_mbit_cpu",
                (recorded.rate / 100.0, "low_recorded, high_recorded"),
            ),
            (
                "recording_memory",
                (recorded_memory.fixed, "low_recorded, high_recorded"),
            ),
            (
                "recording_mbit_memory",
                (recorded_memory.rate, "low_recorded, high_recorded"),
            ),
            (
                "forward_cpu",
                (forwarded.fixed / 100.0, "low_forwarded, high_forwarded"),
            ),
            (
                "forward_mbit_cpu",
                (forwarded.rate / 100.0, "low_forwarded, high_forwarded"),
            ),
            ("forward_memory", (forwarded_memory.at(at), "high_forwarded")),
        ]);
        let (low, high) = (self.value("low_mbit")?, self.value("high_mbit")?);
        let coefficients = before
            .coefficients
            .into_iter()
            .map(|one| match found.get(one.name.as_str()) {
                None => one,
                Some((value, shards)) => Coefficient {
                    value: Some(rounded(*value)),
                    source: format!(
                        "bench ingest, shards {shards}; cameras of {low:.2} and {high:.2} Mbit/s on the wire"
                    ),
                    date: provenance.date.clone(),
                    machine: provenance.machine.clone(),
                    engine: provenance.engine.clone(),
                    name: one.name,
                },
            });
        Ok(Measured {
            coefficients: coefficients.collect(),
        })
    }
}

/// Three digits that count: no measurement has more.
fn rounded(value: f64) -> f64 {
    if value == 0.0 {
        return value;
    }
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty shard of 0.1 % and 50 MiB; a camera costs 0.1 % and 2 MiB, a Mbit/s 0.05 % and 0.5 MiB; recording 0.02 % and 1 MiB, and
    /// 0.01 % and 0.25 MiB a Mbit/s; a forward 0.1 % and 3 MiB, and 0.2 % a Mbit/s.
    fn text() -> String {
        let (low, high) = (1.0, 4.0);
        let mut figures = vec![
            ("full".to_owned(), 1.0),
            ("empty_cpu".to_owned(), 0.1),
            ("empty_rss".to_owned(), 50.0),
        ];
        for (rate, mbit) in [("low", low), ("high", high)] {
            let (cpu, rss) = (0.1 + 0.05 * mbit, 2.0 + 0.5 * mbit);
            for (suffix, cpu, rss) in [
                ("", cpu, rss),
                ("_recorded", cpu + 0.02 + 0.01 * mbit, rss + 1.0 + 0.25 * mbit),
                ("_forwarded", cpu + 0.1 + 0.2 * mbit, rss + 3.0),
            ] {
                figures.push((format!("{rate}{suffix}_mbit"), mbit));
                figures.push((format!("{rate}{suffix}_cpu"), cpu));
                figures.push((format!("{rate}{suffix}_rss"), rss));
            }
        }
        let figures: Vec<_> = figures
            .into_iter()
            .map(|(figure, value)| serde_json::json!({"figure": figure, "value": value, "unit": ""}))
            .collect();
        serde_json::to_string(&figures).unwrap()
    }

    fn provenance() -> Provenance {
        Provenance {
            date: "2026-11-26".to_owned(),
            machine: "a machine".to_owned(),
            engine: "an engine".to_owned(),
        }
    }

    #[test]
    fn what_the_arms_cost_is_taken_apart() {
        let before = Measured::committed().unwrap();
        let measured = Figures::parse(&text())
            .unwrap()
            .measured(before.clone(), &provenance())
            .unwrap();
        let wanted = [
            ("empty_shard_cpu", 0.001),
            ("empty_shard_memory", 50.0),
            ("camera_cpu", 0.001),
            ("mbit_cpu", 0.0005),
            ("camera_memory", 2.0),
            ("mbit_memory", 0.5),
            ("recording_cpu", 0.0002),
            ("recording_mbit_cpu", 0.0001),
            ("recording_memory", 1.0),
            ("recording_mbit_memory", 0.25),
            ("forward_cpu", 0.001),
            ("forward_mbit_cpu", 0.002),
            ("forward_memory", 3.0),
        ];
        for (name, value) in wanted {
            let found = measured.value(name).unwrap();
            assert!((found - value).abs() < 1e-9, "{name}: {found}");
            assert_eq!(measured.coefficient(name).unwrap().date, "2026-11-26", "{name}");
        }
        for one in &before.coefficients {
            let told = wanted.iter().any(|(name, _)| *name == one.name);
            assert_eq!(
                measured.coefficient(&one.name) == Some(one),
                !told,
                "{}",
                one.name
            );
        }
    }

    #[test]
    fn no_part_of_a_cost_is_negative() {
        let cases = [
            (
                (1.0, 0.2),
                (4.0, 0.5),
                Cost {
                    fixed: 0.1,
                    rate: 0.1,
                },
            ),
            (
                (1.0, 0.5),
                (4.0, 0.2),
                Cost {
                    fixed: 0.5,
                    rate: 0.0,
                },
            ),
            (
                (1.0, 0.1),
                (4.0, 0.8),
                Cost {
                    fixed: 0.0,
                    rate: 0.2,
                },
            ),
            (
                (1.0, -0.1),
                (4.0, -0.2),
                Cost {
                    fixed: 0.0,
                    rate: 0.0,
                },
            ),
        ];
        for (low, high, wanted) in cases {
            let found = Cost::through(low, high);
            let near = (found.fixed - wanted.fixed).abs() < 1e-12 && (found.rate - wanted.rate).abs() < 1e-12;
            assert!(near, "{low:?} {high:?}: {found:?}");
        }
    }

    #[test]
    fn what_was_not_measured_in_full_is_refused() {
        let refused = |text: &str| {
            let measured = Figures::parse(text)
                .and_then(|figures| figures.measured(Measured::committed().unwrap(), &provenance()));
            measured.unwrap_err().to_string()
        };
        let short = text().replacen("\"full\",\"value\":1.0", "\"full\",\"value\":0.0", 1);
        assert!(refused(&short).contains("short form"));
        assert!(refused(&text().replace("low_recorded_cpu", "other")).contains("low_recorded_cpu"));
        assert!(refused("[]").contains("full"));
        let near = text().replacen("\"high_mbit\",\"value\":4.0", "\"high_mbit\",\"value\":1.2", 1);
        assert!(refused(&near).contains("too near"));
    }

    #[test]
    fn digits_that_do_not_count_are_left_out() {
        assert_eq!(rounded(0.001_234_56), 0.001_23);
        assert_eq!(rounded(477.77), 478.0);
        assert_eq!(rounded(0.0), 0.0);
    }
}
