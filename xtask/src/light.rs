//! Only etcd and the API server, as processes of this host on an address of loopback: enough for what
//! the API server alone decides (definitions, CEL, strict decoding), in three seconds and without root.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::checkout::Checkout;
use crate::command::tail_of;
use crate::engines;
use crate::node::components::{self, ApiOptions, Component};
use crate::node::pki::Pki;
use crate::node::{answers, client_of};

/// Three seconds on an idle machine.
const START: Duration = Duration::from_secs(120);

/// An API server with its etcd. Both end when this is dropped, and when the thread that started them ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct ApiServer {
    dir: tempfile::TempDir,
    children: Vec<(&'static str, Child)>,
}

impl ApiServer {
    /// Starts both and waits until they answer.
    pub(crate) fn start(checkout: &Checkout) -> Result<Self> {
        engines::ensure(checkout, &[engines::KUBERNETES])?;
        let dir = tempfile::Builder::new().prefix("marsad-api-").tempdir()?;
        let address = address_of(std::process::id());
        let url = |scheme: &str, port: u16| format!("{scheme}://{address}:{port}");
        let pki = Pki::create(
            &dir.path().join("pki"),
            &url("https", 6443),
            &[address],
            "none",
            address,
        )?;
        let mut server = Self {
            dir,
            children: Vec::new(),
        };
        server.run(&components::etcd(
            &server.dir.path().join("etcd"),
            &url("http", 2379),
            &url("http", 2380),
        ))?;
        let etcd = url("http", 2379);
        let options = ApiOptions {
            etcd: &etcd,
            pki: &pki,
            advertise: address.to_string(),
            bind: address.to_string(),
            port: 6443,
            services: "10.0.0.0/24".to_owned(),
        };
        let mut api = components::apiserver(
            engines::KUBERNETES.binary(&checkout.cache, "kube-apiserver"),
            &options,
        );
        // An endpoint on loopback is refused.
        api.args.push("--endpoint-reconciler-type=none".to_owned());
        server.run(&api)?;
        server.ready()?;
        Ok(server)
    }

    /// Administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("pki/admin.kubeconfig")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    fn run(&mut self, part: &Component) -> Result<()> {
        let log = File::create(self.log(part.name))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(&part.program)
            .args(&part.args);
        command
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", part.name))?;
        self.children.push((part.name, child));
        Ok(())
    }

    fn ready(&mut self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let kubeconfig = self.kubeconfig();
        runtime.block_on(async {
            let client = client_of(&kubeconfig).await?;
            let logs: Vec<PathBuf> = self.children.iter().map(|(name, _)| self.log(name)).collect();
            tokio::select! {
                () = answers(&client) => Ok(()),
                dead = any_ends(&mut self.children, &logs) => bail!("{dead}"),
                () = tokio::time::sleep(START) => {
                    bail!("the API server does not answer after {} s", START.as_secs())
                }
            }
        })
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // The API server first: without its etcd it would be long in ending.
        for (_, child) in self.children.iter_mut().rev() {
            // That it has ended already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn any_ends(children: &mut [(&'static str, Child)], logs: &[PathBuf]) -> String {
    loop {
        for ((name, child), log) in children.iter_mut().zip(logs) {
            if let Ok(Some(status)) = child.try_wait() {
                return format!("{name} ended ({status}); {}", tail_of(Path::new(log)));
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An address of 127.0.0.0/8 that no other process of this machine picks: no port has to be looked for, and
/// none can be taken between the look and the use.
fn address_of(pid: u32) -> Ipv4Addr {
    let [_, high, middle, low] = pid.to_be_bytes();
    Ipv4Addr::new(127, high.wrapping_add(1).clamp(1, 254), middle, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_has_its_own_address_and_none_has_localhost() {
        assert_eq!(address_of(1), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(address_of(4_194_303), Ipv4Addr::new(127, 64, 255, 255));
        assert_ne!(address_of(1), Ipv4Addr::LOCALHOST);
    }
}
