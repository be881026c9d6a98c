//! The `helm` binary that `HELM` names.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Helm with caches of its own, so that a person's repositories and plugins change nothing.
pub struct Helm {
    binary: PathBuf,
    home: tempfile::TempDir,
}

impl Helm {
    /// The binary that environment variable `HELM` names.
    ///
    /// # Errors
    /// When the variable is not set, with what to do.
    pub fn from_env() -> Result<Self> {
        let binary = std::env::var_os("HELM").context(
            "HELM must name a helm 4 binary: run these tests by `cargo xtask test`, or set HELM=/path/to/helm",
        )?;
        Ok(Self {
            binary: binary.into(),
            home: tempfile::tempdir()?,
        })
    }

    /// Runs it, whatever comes of it.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        Command::new(&self.binary)
            .args(args)
            .env("HELM_CACHE_HOME", self.home.path().join("cache"))
            .env("HELM_CONFIG_HOME", self.home.path().join("config"))
            .env("HELM_DATA_HOME", self.home.path().join("data"))
            .output()
            .with_context(|| format!("HELM={}", self.binary.display()))
    }

    /// Runs it to success and returns what it printed.
    ///
    /// # Errors
    /// What it said on its error output.
    pub fn check(&self, args: &[&str]) -> Result<String> {
        let output = self.run(args)?;
        if !output.status.success() {
            bail!(
                "helm {}: {}",
                args.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The objects that the chart makes of `more` arguments, as the API server would get them.
    ///
    /// # Errors
    /// When the chart or the values are wrong.
    pub fn template(&self, more: &[&str]) -> Result<Vec<Value>> {
        let chart = chart_dir();
        let chart = chart.to_str().context("path of the chart")?;
        let mut args = vec!["template", "marsad", chart, "--namespace", "marsad-system"];
        args.extend_from_slice(more);
        let text = self.check(&args)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        Ok(documents
            .into_iter()
            .filter(|document| !document.is_null())
            .collect())
    }
}

/// The root of the checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// `charts/marsad` of this checkout.
pub fn chart_dir() -> PathBuf {
    checkout().join("charts/marsad")
}
