//! Real servers, each a test's own: on a socket in a folder of its own, or on loopback where replication wants a port.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use marsad_ledger::client::Address;
use tempfile::TempDir;

/// A `valkey-server` that is killed with this value.
pub struct Valkey {
    child: Child,
    folder: TempDir,
    settings: Vec<String>,
    pub port: Option<u16>,
}

fn binary() -> PathBuf {
    let folder = std::env::var_os("MARSAD_ENGINES")
        .expect("MARSAD_ENGINES must name the folder that holds valkey-server; `cargo xtask test` sets it");
    let path = Path::new(&folder).join("valkey-server");
    path.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A port of loopback below those that the kernel gives to outgoing connections. Tests in other processes begin elsewhere.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 1000).unwrap() * 12;
    loop {
        let port = 20_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn spawn(folder: &TempDir, port: Option<u16>, settings: &[String]) -> Child {
    let binary = binary();
    let mut command = Command::new(&binary);
    // Beside a binary that was unpacked and not installed are its libraries.
    let libraries = binary
        .ancestors()
        .nth(3)
        .map(|root| root.join("lib/x86_64-linux-gnu"));
    if let Some(libraries) = libraries.filter(|libraries| libraries.join("libjemalloc.so.2").is_file()) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    if settings.first().is_none_or(|first| first != "--sentinel") {
        command
            .args(["--bind", "127.0.0.1", "--port", &port.unwrap_or(0).to_string()])
            .args(["--unixsocket", "socket", "--save", "", "--appendonly", "no"])
            .args([
                "--maxmemory-policy",
                "noeviction",
                "--repl-diskless-sync-delay",
                "0",
            ]);
    } else {
        command.arg("sentinel.conf");
    }
    command
        .args(settings)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("valkey-server does not start: {error}"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("valkey-server ended:\n{said}"))
            .unwrap();
        if line.contains("Ready to accept connections unix") || line.contains("Sentinel ID is") {
            break;
        }
        said.push_str(&line);
        said.push('\n');
    }
    // It must not be held up by a pipe that nobody reads.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

impl Valkey {
    /// A Sentinel that watches the primary on this port as `marsad`.
    pub fn sentinel(primary: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "bind 127.0.0.1\nport {port}\nsentinel monitor marsad 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds marsad 500\nsentinel failover-timeout marsad 5000\n"
        );
        std::fs::write(folder.path().join("sentinel.conf"), config).unwrap();
        let settings = vec!["--sentinel".to_owned()];
        let child = spawn(&folder, Some(port), &settings);
        let port = Some(port);
        Self {
            child,
            folder,
            settings,
            port,
        }
    }

    /// Alone, without a port.
    pub fn start() -> Self {
        Self::with(None, &[])
    }

    /// With a port, and settings such as `["--replicaof", "127.0.0.1 20001"]`.
    pub fn on_port(settings: &[&str]) -> Self {
        Self::with(Some(free_port()), settings)
    }

    fn with(port: Option<u16>, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<String> = settings.iter().map(|text| (*text).to_owned()).collect();
        let child = spawn(&folder, port, &settings);
        Self {
            child,
            folder,
            settings,
            port,
        }
    }

    /// A copy of this one, in step with it.
    pub fn replica(&self) -> Self {
        let replica = Self::on_port(&["--replicaof", &format!("127.0.0.1 {}", self.port.unwrap())]);
        self.until_in_step();
        replica
    }

    /// Waits until a replica has everything that this one has.
    pub fn until_in_step(&self) {
        let mut connection = self.connection();
        let _: () = redis::cmd("SET")
            .arg("step")
            .arg(1)
            .query(&mut connection)
            .unwrap();
        let acknowledged: u32 = redis::cmd("WAIT")
            .arg(1)
            .arg(20_000)
            .query(&mut connection)
            .unwrap();
        assert!(acknowledged >= 1, "no replica is in step");
    }

    /// Kills it, if it runs, and starts it anew, empty, as a replica of `primary`.
    pub fn follow(&mut self, primary: &Self) {
        self.settings = vec![
            "--replicaof".to_owned(),
            format!("127.0.0.1 {}", primary.port.unwrap()),
        ];
        self.restart();
    }

    /// Kills it, if it runs, and starts it anew, empty.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.folder, self.port, &self.settings);
    }

    pub fn socket(&self) -> Address {
        Address::Unix(self.folder.path().join("socket"))
    }

    /// On loopback.
    pub fn address(&self) -> Address {
        Address::Tcp("127.0.0.1".to_owned(), self.port.unwrap())
    }

    /// A connection that waits.
    pub fn connection(&self) -> redis::Connection {
        let address = redis::ConnectionAddr::Unix(self.folder.path().join("socket"));
        redis::Client::open(address).unwrap().get_connection().unwrap()
    }

    /// The same by its port.
    pub fn port_connection(&self) -> redis::Connection {
        let address = redis::ConnectionAddr::Tcp("127.0.0.1".to_owned(), self.port.unwrap());
        redis::Client::open(address).unwrap().get_connection().unwrap()
    }

    /// SIGKILL, and the end of it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        self.kill();
    }
}
