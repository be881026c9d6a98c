//! Real engines for tests, each test its own: MediaMTX, LiveKit, and a camera made of MediaMTX and ffmpeg.
//! They listen on loopback and end with the value that started them. Shared by the tests of the other clients.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use marsad_mediamtx::{Client, Credentials, ServerConfig, Trust, render_config};
use tempfile::TempDir;

/// How long a test waits for anything before it says what it waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The folder with `mediamtx` and `livekit-server`.
fn engine(name: &str) -> PathBuf {
    let folder = std::env::var_os("MARSAD_ENGINES")
        .expect("MARSAD_ENGINES must name the folder that holds mediamtx and livekit-server; `cargo xtask test` sets it");
    let path = Path::new(&folder).join(name);
    assert!(
        path.is_file(),
        "{} is not there: MARSAD_ENGINES must name the folder that holds it",
        path.display()
    );
    path
}

/// A port of loopback that nobody listens on, below those that the kernel gives to outgoing connections: none of them
/// takes it before the engine does. Tests in other processes begin elsewhere.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 1000).unwrap() * 12;
    loop {
        let port = 20_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until `look` gives something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let end = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(25));
    loop {
        tick.tick().await;
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
    }
}

/// A process that ends with this value.
struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    fn start(command: &mut Command, folder: &Path, name: &str) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self {
            child,
            name: name.to_owned(),
            log,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let from = log.len().saturating_sub(4_000);
            eprintln!(
                "--- the end of {}'s log ---\n{}",
                self.name,
                log.get(from..).unwrap_or_default()
            );
        }
    }
}

async fn listening(port: u16) {
    until(&format!("port {port} to answer"), || async move {
        TcpStream::connect(("127.0.0.1", port)).ok()
    })
    .await;
}

/// Puts a certificate and its key into `folder`, as kubelet does: both change in one step. Returns who vouches for it.
fn certify(folder: &Path) -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let made = rcgen::generate_simple_self_signed([MediaMtx::NAME.to_owned()]).unwrap();
    let data = folder.join(format!("..{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(data.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let next = folder.join("..next");
    std::os::unix::fs::symlink(&data, &next).unwrap();
    std::fs::rename(next, folder.join("..data")).unwrap();
    for file in ["tls.crt", "tls.key"] {
        let link = folder.join(file);
        if !link.is_symlink() {
            std::os::unix::fs::symlink(Path::new("..data").join(file), link).unwrap();
        }
    }
    made.cert.pem()
}

/// A shard, with the configuration that Marsad gives to shards.
pub struct MediaMtx {
    process: Option<Process>,
    folder: TempDir,
    pub config: ServerConfig,
    pub trust: Trust,
}

impl MediaMtx {
    /// The name in a shard's certificate.
    pub const NAME: &str = "ingest-default.test.svc";

    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authorities = certify(folder.path());
        let config = ServerConfig {
            api_port: free_port(),
            metrics_port: free_port(),
            rtsp_port: free_port(),
            // With letters that MediaMTX does not take in plain text.
            api: Credentials::new("marsad", "a p\"ss: wörd %"),
            metrics: Credentials::new("metrics", "a third"),
            reader: Credentials::new("reader", "anöther/one"),
            recordings: folder.path().join("recordings").display().to_string(),
            certificate: folder.path().display().to_string(),
        };
        std::fs::write(folder.path().join("mediamtx.yml"), render_config(&config)).unwrap();
        let mut server = Self {
            process: None,
            folder,
            config,
            trust: Trust {
                authorities,
                name: Self::NAME.to_owned(),
            },
        };
        server.restart().await;
        server
    }

    /// Kills it, if it runs, and starts it anew.
    pub async fn restart(&mut self) {
        self.process = None;
        let mut command = Command::new(engine("mediamtx"));
        command
            .arg(self.folder.path().join("mediamtx.yml"))
            .current_dir(self.folder.path());
        self.process = Some(Process::start(&mut command, self.folder.path(), "mediamtx"));
        let client = self.client();
        until("MediaMTX to answer", || {
            let client = client.clone();
            async move { client.info().await.ok() }
        })
        .await;
    }

    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.config.api_port)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.address(), &self.config.api, Some(&self.trust)).unwrap()
    }

    /// Gives it another certificate while it runs, and returns who vouches for that.
    pub fn certify_anew(&self) -> Trust {
        Trust {
            authorities: certify(self.folder.path()),
            name: Self::NAME.to_owned(),
        }
    }

    pub fn rtsp(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{path}", self.config.rtsp_port)
    }

    /// Files that were recorded of a path.
    pub fn recorded(&self, path: &str) -> Vec<PathBuf> {
        let folder = Path::new(&self.config.recordings).join(path);
        std::fs::read_dir(folder)
            .map(|files| files.map(|file| file.unwrap().path()).collect())
            .unwrap_or_default()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("mediamtx.log")).unwrap()
    }
}

/// A camera: whatever ffmpeg makes, published into a MediaMTX of its own that wants a user for one of its paths.
pub struct Camera {
    sender: Option<Process>,
    _server: Process,
    folder: TempDir,
    port: u16,
}

/// What ffmpeg makes.
#[derive(Clone, Copy)]
pub enum Video {
    /// H.264 Baseline, key frames 1 s apart.
    Plain,
    /// The same with sound.
    WithSound,
    /// H.264 High with B-frames.
    BFrames,
    /// Key frames 60 s apart.
    LongGop,
    /// H.265.
    Hevc,
    /// Sound only.
    Sound,
}

impl Video {
    fn arguments(self) -> Vec<&'static str> {
        let picture = ["-re", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25"];
        let sound = ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000"];
        let plain = [
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-profile:v",
            "baseline",
        ];
        let alaw = ["-c:a", "pcm_alaw", "-ac", "1", "-ar", "8000"];
        let key = |frames| {
            [
                "-pix_fmt",
                "yuv420p",
                "-g",
                frames,
                "-keyint_min",
                frames,
                "-sc_threshold",
                "0",
            ]
        };
        match self {
            Self::Plain => [&picture[..], &plain, &key("25")].concat(),
            Self::WithSound => [&picture[..], &sound, &plain, &key("25"), &alaw].concat(),
            Self::LongGop => [&picture[..], &plain, &key("1500")].concat(),
            Self::BFrames => {
                let b = [
                    "-c:v",
                    "libx264",
                    "-preset",
                    "veryfast",
                    "-profile:v",
                    "high",
                    "-bf",
                    "2",
                    "-x264-params",
                    "b-adapt=0",
                ];
                [&picture[..], &b, &key("25")].concat()
            }
            Self::Hevc => {
                let hevc = [
                    "-c:v",
                    "libx265",
                    "-preset",
                    "ultrafast",
                    "-x265-params",
                    "log-level=error",
                ];
                [&picture[..], &hevc, &key("25")].concat()
            }
            Self::Sound => [&sound[..], &alaw].concat(),
        }
    }
}

impl Camera {
    /// User and password of the path `secret`.
    pub const USER: (&str, &str) = ("op", "geheim");

    pub async fn start() -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let (user, password) = Self::USER;
        let config = format!(
            "rtspAddress: 127.0.0.1:{port}\nrtspTransports: [tcp]\nrtmp: false\nhls: false\nwebrtc: false\nsrt: false\nmoq: false\n\
             authInternalUsers:\n\
             - {{user: any, ips: [], permissions: [{{action: publish}}, {{action: read, path: cam}}]}}\n\
             - {{user: {user}, pass: {password}, ips: [], permissions: [{{action: read}}]}}\n\
             paths: {{cam: {{}}, secret: {{}}}}\n"
        );
        std::fs::write(folder.path().join("mediamtx.yml"), config).unwrap();
        let mut command = Command::new(engine("mediamtx"));
        command
            .arg(folder.path().join("mediamtx.yml"))
            .current_dir(folder.path());
        let server = Process::start(&mut command, folder.path(), "camera");
        listening(port).await;
        Self {
            sender: None,
            _server: server,
            folder,
            port,
        }
    }

    /// A camera that sends `video` at the path `cam`.
    pub async fn sending(video: Video) -> Self {
        let mut camera = Self::start().await;
        camera.send("cam", video);
        camera
    }

    /// Sends `video` at `path`, from soon after.
    pub fn send(&mut self, path: &str, video: Video) {
        let mut command = Command::new("ffmpeg");
        command
            .args(["-hide_banner", "-loglevel", "warning"])
            .args(video.arguments())
            .args(["-f", "rtsp", "-rtsp_transport", "tcp", &self.rtsp(path)]);
        self.sender = Some(Process::start(&mut command, self.folder.path(), "ffmpeg"));
    }

    /// Stops sending.
    pub fn stop(&mut self) {
        self.sender = None;
    }

    pub fn rtsp(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{path}", self.port)
    }
}

/// A LiveKit alone, on loopback.
pub struct LiveKit {
    _process: Process,
    _folder: TempDir,
    pub port: u16,
}

impl LiveKit {
    pub const KEY: &str = "labkey";
    pub const SECRET: &str = "a secret of at least thirty-two characters";

    pub async fn start() -> Self {
        let (port, media) = (free_port(), free_port());
        let config = format!(
            "port: {port}\nbind_addresses: [127.0.0.1]\n\
             rtc: {{tcp_port: 0, udp_port: {media}, use_external_ip: false, node_ip: 127.0.0.1, enable_loopback_candidate: true, interfaces: {{includes: [lo]}}}}\n\
             keys: {{{}: \"{}\"}}\nlogging: {{level: info, json: true}}\n",
            Self::KEY,
            Self::SECRET
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("livekit.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(engine("livekit-server"));
        command.arg("--config").arg(file).current_dir(folder.path());
        let process = Process::start(&mut command, folder.path(), "livekit");
        listening(port).await;
        Self {
            _process: process,
            _folder: folder,
            port,
        }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn whip(&self) -> String {
        format!("whip://127.0.0.1:{}/whip/v1", self.port)
    }
}
