//! The operator as a process of this machine.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::metrics::{Writes, writes_of};

/// A running `marsad operator`. Killed when dropped.
pub struct Operator {
    child: Child,
    metrics: String,
}

impl Operator {
    /// Starts the binary that `MARSAD_BINARY` names; it leads once the lease of the one before has ended.
    ///
    /// # Errors
    /// When it can't be started or ends at once.
    pub async fn start() -> Result<Self> {
        let binary = std::env::var_os("MARSAD_BINARY")
            .context("MARSAD_BINARY names no marsad: run `cargo xtask bench`")?;
        let log =
            fs::File::create(std::env::temp_dir().join(format!("marsad-edge-{}.log", std::process::id())))?;
        let (listen, metrics) = (free_address()?, free_address()?);
        let child = Command::new(binary)
            .arg("operator")
            .env("MARSAD_LISTEN", &listen)
            .env("MARSAD_METRICS_LISTEN", &metrics)
            .env("MEDIAMTX_IMAGE", "none")
            .env("POD_NAMESPACE", super::SYSTEM)
            .env("POD_NAME", "edge")
            .env("LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("can't start marsad")?;
        let operator = Self { child, metrics };
        operator.answers().await?;
        Ok(operator)
    }

    async fn answers(&self) -> Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..600 {
            ticks.tick().await;
            if self.text().await.is_ok() {
                return Ok(());
            }
        }
        bail!("the operator does not answer at {}", self.metrics)
    }

    async fn text(&self) -> Result<String> {
        Ok(reqwest::get(format!("http://{}/metrics", self.metrics))
            .await?
            .error_for_status()?
            .text()
            .await?)
    }

    /// What it has written to the API server, Leases aside.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn writes(&self) -> Result<Writes> {
        Ok(writes_of(&self.text().await?).into_iter().collect())
    }

    /// Memory in MB (10^6 bytes): resident now, and at most so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Result<f64> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .context("no such field")?;
            let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
            Ok(kibibytes * 1024.0 / 1e6)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Seconds of processor time so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn processor(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").context("stat")?;
        // User and system time are fields 14 and 15 of all; after the name the third comes first.
        let ticks: u64 = fields
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u64>)
            .sum::<Result<u64, _>>()?;
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Ends it as Kubernetes does, and waits for that.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("pid")?;
        kill_process(pid, Signal::TERM)?;
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..200 {
            ticks.tick().await;
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the operator ended with {status}");
                return Ok(());
            }
        }
        bail!("the operator does not end after SIGTERM")
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Ended already when `stop` has been called.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .to_string())
}
