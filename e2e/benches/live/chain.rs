//! The bare chain: MediaMTX and LiveKit as they are, beside the cluster, and a viewer without any code of ours.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use livekit_api::access_token::{AccessToken, VideoGrants};
use marsad_e2e::browser::Browser;
use marsad_e2e::page::{Frame, Page};
use marsad_e2e::wait;
use serde_json::{Value, json};

const KEY: &str = "bench";
const SECRET: &str = "of a bench that listens on loopback only";
const VIEWER: &str = include_str!("bare.html");
const WATCH: &str = include_str!("bare.js");
/// livekit-client as the dashboard has it.
const LIVEKIT_CLIENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../dashboard/node_modules/livekit-client/dist/livekit-client.umd.js"
);
/// How long the engines may take to pull all cameras.
const PULLED: Duration = Duration::from_secs(30);

/// Engines, a browser, and the cameras that they pull.
pub(crate) struct Chain {
    page: Page,
    http: reqwest::Client,
    api: String,
    whip: String,
    signalling: String,
    tries: u32,
    _mediamtx: Process,
    _livekit: Process,
    _folder: tempfile::TempDir,
}

struct Process(Child);

impl Process {
    fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self(command.spawn().with_context(|| {
            format!("{}: `cargo xtask bench` builds it", program.display())
        })?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Chain {
    /// Starts the engines, pulls `cameras` (name and address), and opens a viewer. It is a file and calls MediaMTX, which is
    /// another origin: its browser must not mind.
    pub(crate) async fn start(cameras: &[(String, String)]) -> Result<Self> {
        let engines = PathBuf::from(
            std::env::var_os("MARSAD_ENGINES")
                .context("MARSAD_ENGINES: run this by `cargo xtask bench live`")?,
        );
        let folder = tempfile::tempdir()?;
        let ([api, rtsp, livekit], media) = free_ports()?;
        let paths: serde_json::Map<String, Value> = cameras
            .iter()
            .map(|(name, url)| (name.clone(), json!({"source": url, "rtspTransport": "tcp"})))
            .collect();
        // JSON is YAML. What is left out is research/whip-lab.md's: every protocol but RTSP off.
        let mediamtx = json!({
            "logLevel": "error", "api": true, "apiAddress": format!("127.0.0.1:{api}"),
            "rtspTransports": ["tcp"], "rtspAddress": format!("127.0.0.1:{rtsp}"),
            "rtmp": false, "hls": false, "webrtc": false, "srt": false, "moq": false, "paths": paths,
        });
        let rooms = json!({
            "port": livekit, "bind_addresses": ["127.0.0.1"], "keys": {KEY: SECRET}, "logging": {"level": "error"},
            "rtc": {
                "tcp_port": 0, "udp_port": media, "use_external_ip": false, "node_ip": "127.0.0.1",
                "enable_loopback_candidate": true, "interfaces": {"includes": ["lo"]},
            },
        });
        let write = |name: &str, text: String| -> Result<String> {
            let file = folder.path().join(name);
            std::fs::write(&file, text)?;
            Ok(file.display().to_string())
        };
        let mediamtx = write("mediamtx.yml", mediamtx.to_string())?;
        let rooms = write("livekit.yaml", rooms.to_string())?;
        let viewer = write("viewer.html", VIEWER.to_owned())?;
        std::fs::copy(LIVEKIT_CLIENT, folder.path().join("livekit-client.umd.js")).context(LIVEKIT_CLIENT)?;

        let chain = Self {
            _mediamtx: Process::start(&engines.join("mediamtx"), &[&mediamtx])?,
            _livekit: Process::start(&engines.join("livekit-server"), &["--config", &rooms])?,
            page: Page::of(Browser::start_with(&["--disable-web-security"]).await?),
            http: reqwest::Client::new(),
            api: format!("http://127.0.0.1:{api}/v3"),
            whip: format!("whip://127.0.0.1:{livekit}/whip/v1"),
            signalling: format!("ws://127.0.0.1:{livekit}"),
            tries: 0,
            _folder: folder,
        };
        wait::answer("the bare LiveKit answers", PULLED, async || {
            let url = format!("http://127.0.0.1:{livekit}/");
            chain.http.get(url).send().await?.error_for_status()?;
            Ok(())
        })
        .await?;
        wait::answer("the bare MediaMTX has all cameras", PULLED, async || {
            let url = format!("{}/paths/list", chain.api);
            let found: Value = chain.http.get(url).send().await?.json().await?;
            let items = found.get("items").and_then(Value::as_array).context("items")?;
            let there = items
                .iter()
                .filter(|path| path.get("available") == Some(&json!(true)))
                .count();
            if there < cameras.len() {
                bail!("{there} of {}", cameras.len());
            }
            Ok(())
        })
        .await?;
        chain.page.browser().goto(&format!("file://{viewer}")).await?;
        Ok(chain)
    }

    /// Nobody publishes the camera: forward and join at the click. Milliseconds to the first frame.
    pub(crate) async fn first_frame(&mut self, camera: &str, phase: u32, within: Duration) -> Result<f64> {
        self.tries += 1;
        let room = format!("{camera}-{}", self.tries);
        let forward = json!({"url": self.path(camera), "body": self.forward(&room)?.to_string()});
        let took = self.watch(&room, phase, forward, within).await;
        self.publish(camera, None).await?;
        took
    }

    /// The camera is in its room (see [`Self::publish`]): join at the click. Milliseconds to the first frame.
    pub(crate) async fn first_frame_on(&mut self, camera: &str, phase: u32, within: Duration) -> Result<f64> {
        self.watch(camera, phase, Value::Null, within).await
    }

    /// Publishes the camera into `room`, or ends that.
    pub(crate) async fn publish(&self, camera: &str, room: Option<&str>) -> Result<()> {
        let forward = match room {
            Some(room) => self.forward(room)?,
            None => json!({"forward": []}),
        };
        let patch = self.http.patch(self.path(camera)).json(&forward);
        patch.send().await?.error_for_status()?;
        Ok(())
    }

    /// The next frames of a camera that is in its room.
    pub(crate) async fn frames(
        &mut self,
        camera: &str,
        count: usize,
        within: Duration,
    ) -> Result<Vec<Frame>> {
        let script = "const [url, token, done] = arguments;
            window.join(url, token, () => done(null)).catch((error) => done(String(error)));";
        let arguments = vec![json!(self.signalling), json!(self.viewer_token(camera)?)];
        let error = self.page.browser().run_async(script, arguments).await?;
        if !error.is_null() {
            bail!("bare chain: {error}");
        }
        let frames = self.page.frames("bare", count, within).await;
        self.leave().await?;
        frames
    }

    async fn watch(&mut self, room: &str, phase: u32, forward: Value, within: Duration) -> Result<f64> {
        self.tries += 1;
        let arguments = vec![
            json!(phase),
            json!(self.signalling),
            json!(self.viewer_token(room)?),
            forward,
            json!(u64::try_from(within.as_millis())?),
        ];
        let answer = self.page.browser().run_async(WATCH, arguments).await?;
        self.leave().await?;
        crate::took(&answer).context("bare chain")
    }

    async fn leave(&self) -> Result<()> {
        let script = "const [done] = arguments; window.leave().then(() => done(null), (error) => done(String(error)));";
        self.page.browser().run_async(script, vec![]).await.map(drop)
    }

    fn path(&self, camera: &str) -> String {
        format!("{}/config/paths/patch/{camera}", self.api)
    }

    fn forward(&self, room: &str) -> Result<Value> {
        let grants = VideoGrants {
            can_publish: Some(true),
            can_publish_sources: vec!["camera".to_owned()],
            can_subscribe: Some(false),
            can_publish_data: Some(false),
            ..joins(room)
        };
        Ok(json!({"forward": [{"dest": self.whip, "whipBearerToken": token("camera", grants)?}]}))
    }

    fn viewer_token(&self, room: &str) -> Result<String> {
        let grants = VideoGrants {
            can_publish: Some(false),
            can_subscribe: Some(true),
            ..joins(room)
        };
        token(&format!("viewer-{}", self.tries), grants)
    }
}

fn joins(room: &str) -> VideoGrants {
    VideoGrants {
        room_join: true,
        room: room.to_owned(),
        ..VideoGrants::default()
    }
}

fn token(identity: &str, grants: VideoGrants) -> Result<String> {
    let token = AccessToken::with_api_key(KEY, SECRET)
        .with_identity(identity)
        .with_grants(grants)
        .with_ttl(Duration::from_secs(4 * 60 * 60));
    Ok(token.to_jwt()?)
}

/// Three TCP ports and a UDP port that nobody has.
fn free_ports() -> Result<([u16; 3], u16)> {
    let tcp = || TcpListener::bind(("127.0.0.1", 0));
    // All held at once, so that no two are the same.
    let held = [tcp()?, tcp()?, tcp()?];
    let [a, b, c] = &held;
    let port = |listener: &TcpListener| Ok::<_, anyhow::Error>(listener.local_addr()?.port());
    let media = UdpSocket::bind(("127.0.0.1", 0))?;
    Ok(([port(a)?, port(b)?, port(c)?], media.local_addr()?.port()))
}
