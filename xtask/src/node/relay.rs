//! `http://localhost:PORT`, relayed to the Service of the page: a browser takes localhost for a secure
//! context, and a tunnel needs one port.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// The first port that is tried, and how many.
const FIRST_PORT: u16 = 8480;
const PORTS: u16 = 100;

/// Namespace, name and port of the Service behind the page (docs/architecture.md).
const SERVICE: (&str, &str, u16) = ("marsad-system", "marsad-api", 8080);

/// For finding the Service and connecting to it.
const CONNECT: Duration = Duration::from_secs(5);
/// For connecting to an address that is known: one on this machine, or gone.
const KNOWN: Duration = Duration::from_secs(1);

/// A listener on localhost, IPv4 and, where the machine has it, IPv6.
pub(crate) struct Relay {
    listeners: Vec<TcpListener>,
    /// The port it has.
    pub(crate) port: u16,
}

impl Relay {
    /// Listens on the first free port from [`FIRST_PORT`] on.
    pub(crate) async fn listen() -> Result<Self> {
        for port in FIRST_PORT..FIRST_PORT + PORTS {
            if let Some(listeners) = on(port).await? {
                return Ok(Self { listeners, port });
            }
        }
        bail!(
            "no free port on localhost from {FIRST_PORT} to {}",
            FIRST_PORT + PORTS - 1
        );
    }

    /// What a person should hear about the port.
    pub(crate) fn notice(&self) -> Option<String> {
        (self.port != FIRST_PORT).then(|| {
            format!(
                "port {FIRST_PORT} is taken on this machine: the page is at {}",
                self.port
            )
        })
    }

    /// Relays until the task that runs it is dropped.
    pub(crate) async fn run(self, kubeconfig: PathBuf) {
        let target = Rc::new(Target {
            kubeconfig,
            client: OnceCell::new(),
            address: Cell::new(None),
        });
        let tasks = tokio::task::LocalSet::new();
        for listener in self.listeners {
            let target = Rc::clone(&target);
            tasks.spawn_local(accept(listener, target));
        }
        tasks.await;
    }
}

/// None when somebody has the port.
async fn on(port: u16) -> Result<Option<Vec<TcpListener>>> {
    let four = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == ErrorKind::AddrInUse => return Ok(None),
        Err(error) => return Err(error).context("cannot listen on localhost"),
    };
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(six) => Ok(Some(vec![four, six])),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        // A machine without IPv6.
        Err(_) => Ok(Some(vec![four])),
    }
}

struct Target {
    kubeconfig: PathBuf,
    client: OnceCell<Client>,
    /// The Service's address as it was last found.
    address: Cell<Option<IpAddr>>,
}

impl Target {
    /// At the address as it is known, else looked up: a release that is installed anew has a new one.
    async fn connect(&self) -> Result<TcpStream> {
        let (_, _, port) = SERVICE;
        if let Some(address) = self.address.get()
            && let Ok(Ok(stream)) = timeout(KNOWN, TcpStream::connect((address, port))).await
        {
            stream.set_nodelay(true)?;
            self.address.set(Some(address));
            return Ok(stream);
        }
        let address = self.find().await?;
        let stream = TcpStream::connect((address, port)).await?;
        stream.set_nodelay(true)?;
        self.address.set(Some(address));
        Ok(stream)
    }

    async fn find(&self) -> Result<IpAddr> {
        let (namespace, name, _) = SERVICE;
        let client = self
            .client
            .get_or_try_init(|| super::boot::client_of(&self.kubeconfig))
            .await?;
        let service = Api::<Service>::namespaced(client.clone(), namespace)
            .get(name)
            .await?;
        let address = service
            .spec
            .and_then(|spec| spec.cluster_ip)
            .context("a Service without an address")?;
        address.parse().context("a headless Service")
    }
}

async fn accept(listener: TcpListener, target: Rc<Target>) {
    loop {
        match listener.accept().await {
            Ok((near, _)) => {
                let target = Rc::clone(&target);
                tokio::task::spawn_local(async move { relay(near, &target).await });
            }
            // No file descriptor left, or the peer gave up: others may still be served.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A connection that cannot be passed on is closed at once.
async fn relay(mut near: TcpStream, target: &Target) {
    let Ok(Ok(mut far)) = timeout(CONNECT, target.connect()).await else {
        return;
    };
    if near.set_nodelay(true).is_ok() {
        // Either end closing, or failing, ends the relay; there is nobody to tell.
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
