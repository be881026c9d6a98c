//! MediaMTX, LiveKit, Valkey and FFmpeg as processes of the test, gone with it.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use marsad_ledger::client::{Address, Place};
use marsad_livekit::Tokens;
use marsad_mediamtx::{Client, Credentials};
use marsad_streams::shards::Rtsp;

pub(crate) const KEY: &str = "testkey";
pub(crate) const SECRET: &str = "only for tests: 32 characters or more";
const API_USER: (&str, &str) = ("operator", "only-for-tests");

/// A process that is killed when the test lets go of it.
pub(crate) struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn engine(name: &str) -> PathBuf {
    let folder = std::env::var("MARSAD_ENGINES")
        .expect("MARSAD_ENGINES names the folder with mediamtx and livekit-server");
    Path::new(&folder).join(name)
}

fn free_tcp() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn free_udp() -> u16 {
    UdpSocket::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A MediaMTX that can be stopped and started again at the same place.
pub(crate) struct MediaMtx {
    config: PathBuf,
    pub(crate) base: String,
    pub(crate) rtsp: u16,
    process: Option<Process>,
}

impl MediaMtx {
    pub(crate) async fn start(folder: &Path, name: &str) -> Self {
        let (api, rtsp) = (free_tcp(), free_tcp());
        let (user, pass) = API_USER;
        // Cameras publish under any name; a shard has only the paths it is given.
        let paths = if name == "cameras" { "all_others: {}" } else { "" };
        let config = folder.join(format!("{name}.yml"));
        let text = format!(
            "logLevel: error\napi: true\napiAddress: 127.0.0.1:{api}\nrtspTransports: [tcp]\nrtspAddress: 127.0.0.1:{rtsp}\n\
             rtmp: false\nhls: false\nwebrtc: false\nsrt: false\nmoq: false\nauthMethod: internal\nauthInternalUsers:\n\
             - {{user: {user}, pass: {pass}, ips: [], permissions: [{{action: api}}]}}\n\
             - {{user: any, pass: '', ips: [], permissions: [{{action: read}}, {{action: publish}}]}}\n\
             paths: {{{paths}}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut this = Self {
            config,
            base: format!("http://127.0.0.1:{api}"),
            rtsp,
            process: None,
        };
        this.go().await;
        this
    }

    pub(crate) fn credentials() -> Credentials {
        Credentials::new(API_USER.0, API_USER.1)
    }

    /// Anybody may read here.
    pub(crate) fn reader(&self) -> Rtsp {
        Rtsp {
            base: format!("rtsp://127.0.0.1:{}", self.rtsp),
            reader: marsad_rtsp::Credentials::new("reader", "only-for-tests"),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.base, &Self::credentials(), None).unwrap()
    }

    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    pub(crate) async fn go(&mut self) {
        self.process = Some(Process::start(Command::new(engine("mediamtx")).arg(&self.config)));
        let client = self.client();
        until("MediaMTX answers", Duration::from_secs(20), async || {
            client.info().await.is_ok()
        })
        .await;
    }
}

/// A LiveKit that can be killed and started again at the same place.
pub(crate) struct LiveKit {
    config: PathBuf,
    pub(crate) port: u16,
    process: Option<Process>,
}

impl LiveKit {
    pub(crate) async fn start(folder: &Path) -> Self {
        let (port, udp) = (free_tcp(), free_udp());
        let config = folder.join("livekit.yml");
        let text = format!(
            "port: {port}\nbind_addresses: ['127.0.0.1']\nrtc: {{tcp_port: 0, udp_port: {udp}, use_external_ip: false, \
             node_ip: 127.0.0.1, enable_loopback_candidate: true, interfaces: {{includes: [lo]}}}}\n\
             keys: {{{KEY}: '{SECRET}'}}\nroom: {{auto_create: false}}\nlogging: {{level: error}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut this = Self {
            config,
            port,
            process: None,
        };
        this.go().await;
        this
    }

    pub(crate) fn client(&self) -> marsad_livekit::Client {
        marsad_livekit::Client::new(&format!("http://127.0.0.1:{}", self.port), KEY, SECRET).unwrap()
    }

    pub(crate) fn tokens() -> Tokens {
        Tokens::new(KEY, SECRET)
    }

    pub(crate) fn whip(&self) -> String {
        format!("whip://127.0.0.1:{}/whip/v1", self.port)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) async fn go(&mut self) {
        self.process = Some(Process::start(
            Command::new(engine("livekit-server"))
                .arg("--config")
                .arg(&self.config),
        ));
        let client = self.client();
        until("LiveKit answers", Duration::from_secs(20), async || {
            client.list_rooms().await.is_ok()
        })
        .await;
    }
}

/// A Valkey on a socket, with nothing in it.
pub(crate) struct Valkey {
    pub(crate) socket: PathBuf,
    _process: Process,
}

impl Valkey {
    pub(crate) async fn start(folder: &Path) -> Self {
        let socket = folder.join("valkey.sock");
        let mut command = Command::new(engine("valkey-server"));
        command
            .current_dir(folder)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket);
        let process = Process::start(&mut command);
        until("Valkey answers", Duration::from_secs(20), async || {
            tokio::net::UnixStream::connect(&socket).await.is_ok()
        })
        .await;
        Self {
            socket,
            _process: process,
        }
    }

    /// A client that waits for no replica.
    pub(crate) fn ledger(&self) -> marsad_ledger::Settings {
        let place = Place::Standalone(Address::Unix(self.socket.clone()));
        marsad_ledger::Settings {
            replicas: 0,
            connections: 2,
            ..marsad_ledger::Settings::new(place)
        }
    }
}

/// A small moving picture, published to `server` under `name` until dropped.
pub(crate) fn film(server: &MediaMtx, name: &str, encoder: &[&str]) -> Process {
    let mut command = Command::new("ffmpeg");
    command.args([
        "-loglevel",
        "error",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=320x180:rate=15",
        "-pix_fmt",
        "yuv420p",
    ]);
    command
        .args(encoder)
        .args(["-g", "15", "-f", "rtsp", "-rtsp_transport", "tcp"]);
    Process::start(command.arg(format!("rtsp://127.0.0.1:{}/{name}", server.rtsp)))
}

pub(crate) const H264: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-profile:v",
    "baseline",
];
pub(crate) const BFRAMES: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-bf",
    "2",
    "-profile:v",
    "main",
];
pub(crate) const H265: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=error",
];

/// Waits for `condition`; fails with what was waited for.
pub(crate) async fn until(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Duration {
    let started = tokio::time::Instant::now();
    while !condition().await {
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}
