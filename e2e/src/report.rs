//! Figures of a benchmark: printed as lines `figure value unit`, written to `target/bench/NAME.json` and gated
//! (contracts.md 20).

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

/// What one run of a benchmark has measured.
pub struct Report {
    name: &'static str,
    figures: Vec<Figure>,
    broken: Vec<String>,
}

#[derive(Serialize)]
struct Figure {
    figure: String,
    value: f64,
    unit: &'static str,
}

impl Report {
    /// An empty report of benchmark `name`.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            figures: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Adds a figure and prints its line.
    ///
    /// # Errors
    /// When there is no value: nothing was measured.
    pub fn figure(&mut self, figure: &str, value: Option<f64>, unit: &'static str) -> Result<f64> {
        let value = value.with_context(|| format!("{figure}: nothing was measured"))?;
        println!("{figure} {value:.3} {unit}");
        self.figures.push(Figure {
            figure: figure.to_owned(),
            value,
            unit,
        });
        Ok(value)
    }

    /// Remembers an aim that is not reached.
    pub fn broken(&mut self, aim: impl Into<String>) {
        self.broken.push(aim.into());
    }

    /// Writes the figures to the folder `MARSAD_BENCH` and says which aims are not reached.
    ///
    /// # Errors
    /// When the file can't be written, or, if `gated`, when an aim is not reached.
    pub fn finish(self, gated: bool) -> Result<()> {
        if let Some(folder) = std::env::var_os("MARSAD_BENCH") {
            let folder = PathBuf::from(folder);
            std::fs::create_dir_all(&folder)?;
            let file = folder.join(format!("{}.json", self.name));
            std::fs::write(&file, serde_json::to_vec_pretty(&self.figures)?)
                .with_context(|| file.display().to_string())?;
        }
        if self.broken.is_empty() {
            return Ok(());
        }
        let aims = self.broken.join("\n");
        if gated {
            bail!("{} does not reach its aims:\n{aims}", self.name);
        }
        eprintln!("not gated in this form:\n{aims}");
        Ok(())
    }
}
