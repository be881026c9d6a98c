//! What comes from Debian: found, installed when we are root, or named in one message.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::checkout::Checkout;
use crate::command::{find_program, logged};
use crate::progress::Step;

/// Chromium alone is 80 MB.
const INSTALL: Duration = Duration::from_secs(20 * 60);

/// How a package is known to be there.
#[derive(Clone, Copy, Debug)]
enum Sign {
    Program(&'static str),
    File(&'static str),
}

/// Package and sign.
type Package = (&'static str, Sign);

/// What the node needs.
const NODE: [Package; 9] = [
    ("etcd-server", Sign::Program("etcd")),
    ("etcd-client", Sign::Program("etcdctl")),
    ("containerd", Sign::Program("containerd")),
    ("runc", Sign::Program("runc")),
    ("containernetworking-plugins", Sign::File("/usr/lib/cni/bridge")),
    ("iptables", Sign::Program("iptables")),
    ("iproute2", Sign::Program("ip")),
    ("util-linux", Sign::Program("setpriv")),
    ("mount", Sign::Program("mount")),
];

/// What is copied into images. By its list of files: the package `busybox` has the same program, which needs libraries.
const IMAGES: [Package; 1] = [(
    "busybox-static",
    Sign::File("/var/lib/dpkg/info/busybox-static.list"),
)];

/// Where busybox-static has its program.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// What the simulator's clips are made with.
const CLIPS: [Package; 1] = [("ffmpeg", Sign::Program("ffmpeg"))];

/// The browser of the tests, with Arabic letters.
const BROWSER: [Package; 3] = [
    ("chromium", Sign::Program("chromium")),
    ("chromium-driver", Sign::Program("chromedriver")),
    (
        "fonts-noto-core",
        Sign::File("/usr/share/fonts/truetype/noto/NotoSansArabic-Regular.ttf"),
    ),
];

/// Sees to it that the node can be started.
pub(crate) fn for_node(checkout: &Checkout) -> Result<()> {
    ensure(checkout, &NODE)
}

/// Sees to it that images can be packed.
pub(crate) fn for_images(checkout: &Checkout) -> Result<()> {
    ensure(checkout, &IMAGES)
}

/// Sees to it that the simulator's clips can be made.
pub(crate) fn for_clips(checkout: &Checkout) -> Result<()> {
    ensure(checkout, &CLIPS)
}

/// Sees to it that the page can be looked at.
pub(crate) fn for_browser(checkout: &Checkout) -> Result<()> {
    ensure(checkout, &BROWSER)
}

fn ensure(checkout: &Checkout, packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(_, sign)| !is_there(*sign))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    let Some(apt) = find_program("apt-get") else {
        bail!(
            "these are missing, by their names in Debian 12: {}",
            missing.join(" ")
        );
    };
    if !rustix::process::geteuid().is_root() {
        bail!("packages are missing; run\n  sudo apt-get update && sudo {install}");
    }
    let step = Step::start(format!(
        "{} Debian packages: {}",
        missing.len(),
        missing.join(" ")
    ));
    let log = checkout.cache.join("apt.log");
    logged(Command::new(&apt).arg("update"), &log, INSTALL)?;
    let mut command = Command::new(&apt);
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "--no-install-recommends"]);
    logged(command.args(&missing), &log, INSTALL)?;
    step.done();
    Ok(())
}

fn is_there(sign: Sign) -> bool {
    match sign {
        Sign::Program(name) => find_program(name).is_some(),
        Sign::File(path) => Path::new(path).exists(),
    }
}
