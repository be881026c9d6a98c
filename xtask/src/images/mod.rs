//! Images without a registry: each is described once, in [`ALL`]; packed as an archive that containerd
//! imports, or laid out as the context of its Dockerfile in `deploy/images`.

mod archive;
mod content;
mod dockerfile;
mod load;
pub(crate) mod valkey;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use self::load::load;
use crate::checkout::Checkout;
use crate::engines::{self, Engine};

/// The user that images run as, and its line in `/etc/passwd`.
const USER: &str = "65532:65532";
const PASSWD: &str = "marsad:x:65532:65532:marsad:/:/sbin/nologin\n";

/// Where an item of an image comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// A binary of an engine.
    Engine(Engine, &'static str),
    /// A binary of this workspace.
    Cargo(&'static str),
    /// The process that holds a pod open, compiled from `xtask/engines/pause/pause.rs`.
    Pause,
    /// The built page.
    Dashboard,
    /// The simulator's clips, made by `sim/clips.sh`.
    Clips,
    /// Valkey and the libraries that it needs.
    Valkey,
    /// Debian's static busybox, as this machine has it.
    Busybox,
    /// The line of [`USER`].
    Passwd,
    /// An empty folder that everybody may write.
    Tmp,
}

impl Origin {
    /// Whether it is a folder.
    fn is_folder(self) -> bool {
        matches!(self, Self::Dashboard | Self::Clips | Self::Valkey | Self::Tmp)
    }
}

/// One COPY of a Dockerfile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    /// Its name in the build context.
    source: &'static str,
    /// Its place in the image.
    target: &'static str,
    origin: Origin,
}

/// What is in an image and how it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    /// Its name; the repository is `localhost/NAME` and the tag `dev`.
    pub(crate) name: &'static str,
    items: &'static [Item],
    entrypoint: &'static [&'static str],
}

const PASSWD_ITEM: Item = Item {
    source: "passwd",
    target: "/etc/passwd",
    origin: Origin::Passwd,
};
const TMP_ITEM: Item = Item {
    source: "tmp",
    target: "/tmp",
    origin: Origin::Tmp,
};

/// Holds a pod's namespaces.
pub(crate) const PAUSE: Image = Image {
    name: "pause",
    items: &[
        PASSWD_ITEM,
        Item {
            source: "pause",
            target: "/pause",
            origin: Origin::Pause,
        },
    ],
    entrypoint: &["/pause"],
};

/// Cluster DNS.
pub(crate) const COREDNS: Image = Image {
    name: "coredns",
    items: &[
        PASSWD_ITEM,
        Item {
            source: "coredns",
            target: "/coredns",
            origin: Origin::Engine(engines::COREDNS, "coredns"),
        },
    ],
    entrypoint: &["/coredns"],
};

/// Makes the volumes of the local node.
pub(crate) const LOCAL_PATH: Image = Image {
    name: "local-path-provisioner",
    items: &[
        PASSWD_ITEM,
        Item {
            source: "local-path-provisioner",
            target: "/local-path-provisioner",
            origin: Origin::Engine(engines::LOCAL_PATH, "local-path-provisioner"),
        },
    ],
    entrypoint: &["/local-path-provisioner"],
};

/// The shell with which [`LOCAL_PATH`] makes and removes a volume's folder.
pub(crate) const BUSYBOX: Image = Image {
    name: "busybox",
    items: &[
        PASSWD_ITEM,
        Item {
            source: "busybox",
            target: "/bin/sh",
            origin: Origin::Busybox,
        },
    ],
    entrypoint: &["/bin/sh"],
};

const MEDIAMTX: Image = Image {
    name: "mediamtx",
    items: &[
        PASSWD_ITEM,
        TMP_ITEM,
        Item {
            source: "mediamtx",
            target: "/mediamtx",
            origin: Origin::Engine(engines::MEDIAMTX, "mediamtx"),
        },
    ],
    entrypoint: &["/mediamtx"],
};

const LIVEKIT: Image = Image {
    name: "livekit",
    items: &[
        PASSWD_ITEM,
        TMP_ITEM,
        Item {
            source: "livekit-server",
            target: "/livekit-server",
            origin: Origin::Engine(engines::LIVEKIT, "livekit-server"),
        },
    ],
    entrypoint: &["/livekit-server"],
};

const VALKEY: Image = Image {
    name: "valkey",
    items: &[
        PASSWD_ITEM,
        TMP_ITEM,
        Item {
            source: "valkey",
            target: "/",
            origin: Origin::Valkey,
        },
    ],
    entrypoint: &["/usr/bin/valkey-server"],
};

/// All roles and the page.
pub(crate) const MARSAD: Image = Image {
    name: "marsad",
    items: &[
        PASSWD_ITEM,
        TMP_ITEM,
        Item {
            source: "dashboard",
            target: "/dashboard",
            origin: Origin::Dashboard,
        },
        Item {
            source: "marsad",
            target: "/marsad",
            origin: Origin::Cargo("marsad"),
        },
    ],
    entrypoint: &["/marsad"],
};

/// The camera simulator.
pub(crate) const SIM: Image = Image {
    name: "marsad-sim",
    items: &[
        PASSWD_ITEM,
        TMP_ITEM,
        Item {
            source: "clips",
            target: "/clips",
            origin: Origin::Clips,
        },
        Item {
            source: "marsad-sim",
            target: "/marsad-sim",
            origin: Origin::Cargo("marsad-sim"),
        },
    ],
    entrypoint: &["/marsad-sim"],
};

/// Every image.
pub(crate) const ALL: [Image; 9] = [
    PAUSE, COREDNS, LOCAL_PATH, BUSYBOX, MEDIAMTX, LIVEKIT, VALKEY, MARSAD, SIM,
];

impl Image {
    /// `localhost/NAME:dev`.
    pub(crate) fn reference(&self) -> String {
        format!("localhost/{}:dev", self.name)
    }
}

/// Those that the chart runs, by the names of its values.
pub(crate) const RELEASE: [Image; 4] = [MARSAD, MEDIAMTX, LIVEKIT, VALKEY];

/// Lays out the contexts of all Dockerfiles under `target/images`, for buildah or docker.
pub(crate) fn stage(checkout: &Checkout) -> Result<PathBuf> {
    for image in &ALL {
        stage_one(checkout, image)?;
    }
    Ok(checkout.root.join("target/images"))
}

/// Lays out one context and returns its folder.
pub(crate) fn stage_one(checkout: &Checkout, image: &Image) -> Result<PathBuf> {
    let context = checkout.root.join("target/images").join(image.name);
    content::stage(checkout, image, &context)?;
    Ok(context)
}

/// A tag that changes with the image's content.
pub(crate) fn tag(checkout: &Checkout, image: &Image) -> Result<String> {
    let entries = content::entries(checkout, image)?;
    let digest = content::digest(&entries, &archive::settings(image).to_string())?;
    Ok(digest.chars().take(16).collect())
}
