//! A headless Chromium, driven by chromedriver.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// What the browser is started with: no window, no sound, pictures that start by themselves, and the addresses of media
/// as they are.
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
    "--window-size=1280,800",
];

/// A browser that ends when this is dropped, also by a panic.
pub struct Browser {
    client: Client,
    driver: Driver,
    session: Option<String>,
    // Removed after the browser has ended: fields are dropped in order, and `drop` runs before them.
    _profile: tempfile::TempDir,
}

struct Driver {
    child: Child,
    port: u16,
}

impl Browser {
    /// Starts chromedriver (`CHROMEDRIVER`, else from the PATH) and a browser (`CHROMIUM`, else its own choice).
    ///
    /// # Errors
    /// When they are not installed or do not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same, with more arguments.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(more: &[&str]) -> Result<Self> {
        let driver = Driver::start()?;
        let profile = tempfile::tempdir()?;
        let mut arguments: Vec<String> = ARGUMENTS
            .iter()
            .chain(more)
            .map(|&argument| argument.to_owned())
            .collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut options = json!({"args": arguments});
        if let (Ok(binary), Some(options)) = (std::env::var("CHROMIUM"), options.as_object_mut()) {
            options.insert("binary".to_owned(), json!(binary));
        }
        let capabilities = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": 60_000, "pageLoad": 30_000},
        });
        let Value::Object(capabilities) = capabilities else {
            anyhow::bail!("capabilities are an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .context("chromedriver does not start a browser")?;
        let session = client.session_id().await?;
        Ok(Self {
            client,
            driver,
            session,
            _profile: profile,
        })
    }

    /// Goes to an address.
    ///
    /// # Errors
    /// When the browser can't.
    pub async fn goto(&self, url: &str) -> Result<()> {
        self.client.goto(url).await.with_context(|| url.to_owned())
    }

    /// Runs a script; `return` gives the answer.
    ///
    /// # Errors
    /// When it throws.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        Ok(self.client.execute(script, arguments).await?)
    }

    /// Runs a script that calls its last argument with the answer.
    ///
    /// # Errors
    /// When it throws, or does not answer within a minute.
    pub async fn run_async(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        Ok(self.client.execute_async(script, arguments).await?)
    }

    /// The underlying client, for what is not here.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Driver {
    fn start() -> Result<Self> {
        let program = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let mut child = Command::new(&program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{program}: set CHROMEDRIVER or install chromium-driver"))?;
        let lines = BufReader::new(child.stdout.take().context("output of chromedriver")?).lines();
        let port = lines.map_while(Result::ok).find_map(|line| started_on(&line));
        match port {
            Some(port) => Ok(Self { child, port }),
            None => {
                child.kill()?;
                child.wait()?;
                anyhow::bail!("{program} ended before it said on which port it listens");
            }
        }
    }
}

/// The port in chromedriver's greeting.
fn started_on(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?
        .1
        .trim_end_matches('.')
        .parse()
        .ok()
}

impl Drop for Browser {
    /// Asks chromedriver to end the browser, which its own death would leave running. Without async: a drop has none.
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            let _ = end_session(self.driver.port, session);
        }
        let _ = self.driver.child.kill();
        let _ = self.driver.child.wait();
    }
}

fn end_session(port: u16, session: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_tells_the_port() {
        assert_eq!(
            started_on("ChromeDriver was started successfully on port 40273."),
            Some(40_273)
        );
        assert_eq!(started_on("Starting ChromeDriver 156.0 on port 0"), None);
    }
}
