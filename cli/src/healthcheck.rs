//! `marsad healthcheck`: what a container without `curl` asks its own health with (R1.1-40, R4.1-12).

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Url;

/// Settings of `marsad healthcheck`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is asked: `/health` of a role, or MediaMTX's `/v3/info`
    #[arg(default_value = "http://127.0.0.1:8080/health")]
    url: Url,
    /// Seconds after which no answer is a bad one
    #[arg(long, default_value_t = 10)]
    timeout: u64,
    /// Who asks, where that matters; the password is in HEALTHCHECK_PASSWORD, so that no list of processes shows it
    #[arg(long, env = "HEALTHCHECK_USER")]
    user: Option<String>,
}

/// Asks once.
///
/// # Errors
/// When nothing answers in time, or another status than 2xx, with what was answered.
pub(crate) async fn run(args: Args) -> Result<()> {
    let Args { url, timeout, user } = args;
    // No proxy of the environment stands between a container and itself.
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(timeout))
        .no_proxy()
        .build()?;
    let mut request = client.get(url);
    if let Some(user) = user {
        request = request.basic_auth(user, std::env::var("HEALTHCHECK_PASSWORD").ok());
    }
    let request = request.build()?;
    // Without the login that it was given with: that has become a header.
    let url = request.url().clone();
    let answer = client
        .execute(request)
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("{url} does not answer within {timeout} s"))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let said = answer.text().await.unwrap_or_default();
    let said: String = said.trim().chars().take(500).collect();
    bail!("{url} answers {status}: {said}")
}
