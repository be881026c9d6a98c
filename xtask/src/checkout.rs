//! Where things are: this checkout, its state folder, and the cache that checkouts share.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// One checkout of the repository and what belongs to it on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// The workspace's root, canonical: names of interfaces and cgroups are derived from it.
    pub(crate) root: PathBuf,
    /// `${MARSAD_CACHE:-${XDG_CACHE_HOME:-~/.cache}/marsad}`: engines and images, kept by `down`.
    pub(crate) cache: PathBuf,
    /// How the binaries that go into images are built.
    pub(crate) profile: Profile,
}

/// A profile of cargo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Profile {
    /// What tests run: built with them, so that nothing is compiled twice.
    #[default]
    Dev,
    /// What is shipped and what is measured.
    Release,
}

impl Profile {
    /// Its folder in cargo's target.
    const fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    /// What makes `cargo build` use it.
    pub(crate) const fn flag(self) -> Option<&'static str> {
        match self {
            Self::Dev => None,
            Self::Release => Some("--release"),
        }
    }
}

impl Checkout {
    /// The checkout this command was started in: cargo says where (`cargo xtask`), else the nearest
    /// folder upwards that holds `xtask/Cargo.toml`.
    pub(crate) fn find() -> Result<Self> {
        let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => std::env::current_dir().context("the current folder cannot be read")?,
        };
        let root = start
            .ancestors()
            .find(|dir| dir.join("xtask/Cargo.toml").is_file());
        match root {
            Some(root) => Self::at(root),
            None => bail!("{} is not inside a checkout of Marsad", start.display()),
        }
    }

    /// The checkout whose root is `root`.
    pub(crate) fn at(root: &Path) -> Result<Self> {
        let root = root
            .canonicalize()
            .with_context(|| format!("no folder {}", root.display()))?;
        let cache = match std::env::var_os("MARSAD_CACHE").filter(|v| !v.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => match std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()) {
                Some(dir) => PathBuf::from(dir).join("marsad"),
                None => std::env::home_dir()
                    .context("no home folder: set MARSAD_CACHE")?
                    .join(".cache/marsad"),
            },
        };
        let cache = std::path::absolute(&cache)?;
        fs::create_dir_all(&cache).with_context(|| format!("cannot make the cache {}", cache.display()))?;
        Ok(Self {
            root,
            cache,
            profile: Profile::default(),
        })
    }

    /// The same checkout, with images of another build.
    pub(crate) fn with_profile(&self, profile: Profile) -> Self {
        Self {
            profile,
            ..self.clone()
        }
    }

    /// Eight hexadecimal digits that are this checkout's own on this machine.
    pub(crate) fn id(&self) -> String {
        short_hash(self.root.as_os_str().as_encoded_bytes(), 8)
    }

    /// The state of the local cluster. `down` removes it.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join(".marsad")
    }

    /// Logs of the node's components.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.state().join("log").join(format!("{name}.log"))
    }

    /// Administrator's kubeconfig of the local cluster.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.state().join("kubeconfig")
    }

    /// Where cargo puts the binaries that go into images (`.cargo/config.toml` names the target).
    pub(crate) fn binaries(&self) -> PathBuf {
        let target = match std::env::var_os("CARGO_TARGET_DIR").filter(|v| !v.is_empty()) {
            Some(dir) => self.root.join(dir),
            None => self.root.join("target"),
        };
        target
            .join("x86_64-unknown-linux-gnu")
            .join(self.profile.folder())
    }
}

/// The first `digits` hexadecimal digits of a SHA-256.
pub(crate) fn short_hash(bytes: &[u8], digits: usize) -> String {
    hex(&Sha256::digest(bytes)).chars().take(digits).collect()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An exclusive lock on a file, held until dropped; the kernel ends it with the process, so a crash
/// leaves no stale lock.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock; `waiting` is called once if another process has it.
    pub(crate) fn wait(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        if let Some(lock) = Self::try_now(path)? {
            return Ok(lock);
        }
        waiting();
        loop {
            let file = open(path)?;
            file.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
            if still_there(&file, path) {
                return Ok(Self { _file: file });
            }
        }
    }

    /// The lock, or None when another process has it.
    pub(crate) fn try_now(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) if still_there(&file, path) => Ok(Some(Self { _file: file })),
            Ok(()) | Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Whether some process holds the lock.
    pub(crate) fn held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// False when `down` removed the file while we waited: the lock is then on nothing.
fn still_there(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(named)) => ours.ino() == named.ino(),
        _ => false,
    }
}

/// Writes a file whole or not at all, so that a reader never sees half of it.
pub(crate) fn write_atomically(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let partial = path.with_extension("partial");
    let write = || -> std::io::Result<()> {
        remove_if_there(&partial)?;
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .mode(mode)
            .open(&partial)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&partial, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file; that it is gone already is no error.
pub(crate) fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_seen_by_others_and_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/lock");
        let held = Lock::try_now(&path).unwrap().expect("free");
        assert!(Lock::held(&path));
        assert!(Lock::try_now(&path).unwrap().is_none());
        drop(held);
        assert!(!Lock::held(&path));
        assert!(Lock::try_now(&path).unwrap().is_some());
    }

    #[test]
    fn two_checkouts_have_two_names() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (
            Checkout::at(one.path()).unwrap(),
            Checkout::at(two.path()).unwrap(),
        );
        assert_ne!(one.id(), two.id());
        assert_eq!(one.id().len(), 8);
    }
}
