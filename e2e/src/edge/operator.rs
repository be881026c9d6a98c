//! The operator as a process of this machine.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::metrics::{Writes, writes_of};
use crate::process::{self, Usage};

/// A running `marsad operator`. Killed when dropped.
pub struct Operator {
    child: Child,
    /// `host:port` of its endpoints.
    listen: String,
    /// `host:port` of its metrics.
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
        let operator = Self {
            child,
            listen,
            metrics,
        };
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
        body(&format!("http://{}/metrics", self.metrics)).await
    }

    /// How long it takes to say how it is (R1.1-22), and to tell all of its metrics (R1.1-23).
    ///
    /// # Errors
    /// When it does not answer, or is not well.
    pub async fn answer_times(&self) -> Result<(Duration, Duration)> {
        let (health, metrics) = (
            format!("http://{}/health", self.listen),
            format!("http://{}/metrics", self.metrics),
        );
        let asked = Instant::now();
        body(&health).await?;
        let well = asked.elapsed();
        body(&metrics).await?;
        Ok((well, asked.elapsed().saturating_sub(well)))
    }

    /// What it has written to the API server, Leases aside.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn writes(&self) -> Result<Writes> {
        Ok(writes_of(&self.text().await?).into_iter().collect())
    }

    /// What it has used.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn usage(&self) -> Result<Usage> {
        process::usage(self.pid()?)
    }

    fn pid(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.child.id())?).context("pid")
    }

    /// Ends it as Kubernetes does, and waits for that.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> Result<()> {
        kill_process(self.pid()?, Signal::TERM)?;
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

async fn body(url: &str) -> Result<String> {
    Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
}

fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .to_string())
}
