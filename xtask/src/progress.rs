//! What is being done, how many of how many, and since when.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One step of a longer work, shown while it runs and with its time when it is done.
pub(crate) struct Step {
    bar: ProgressBar,
    what: String,
    started: Instant,
}

impl Step {
    /// Starts a step. On a terminal a line with the elapsed time moves; elsewhere (CI) the start is
    /// printed once, so that a log shows what a long silence is about.
    pub(crate) fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} … {elapsed}") {
            bar.set_style(style);
        }
        if bar.is_hidden() {
            eprintln!("… {what}");
        } else {
            bar.set_message(what.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            bar,
            what,
            started: Instant::now(),
        }
    }

    /// Says what the step is at now.
    pub(crate) fn at(&self, detail: &str) {
        self.bar.set_message(format!("{}: {detail}", self.what));
    }

    /// Ends the step and prints its time.
    pub(crate) fn done(self) {
        self.done_as("");
    }

    /// Ends the step with a word on what came of it.
    pub(crate) fn done_as(self, result: &str) {
        let took = self.started.elapsed().as_secs_f32();
        let colon = if result.is_empty() { "" } else { ": " };
        self.bar.finish_and_clear();
        eprintln!("✓ {}{colon}{result} ({took:.1} s)", self.what);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
