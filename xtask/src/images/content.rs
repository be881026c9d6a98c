//! From the table to files: what lies where in an image.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{Image, Item, Origin, PASSWD, valkey};
use crate::checkout::{Checkout, hex};
use crate::command;
use crate::packages::BUSYBOX;

/// What an entry of a layer is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A folder.
    Folder,
    /// A file whose bytes are here.
    Text(&'static str),
    /// A file of this machine.
    File(PathBuf),
}

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place, without a slash in front.
    pub(crate) path: PathBuf,
    /// Permissions.
    pub(crate) mode: u32,
    /// What it is.
    pub(crate) body: Body,
}

/// Everything in an image, parents before children, each place once.
pub(crate) fn entries(checkout: &Checkout, image: &Image) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for item in image.items {
        let target = item.target.trim_start_matches('/');
        let of = entries_of(checkout, item, Path::new(target));
        all.extend(of.with_context(|| format!("{} of image {}", item.source, image.name))?);
    }
    Ok(with_parents(all))
}

fn entries_of(checkout: &Checkout, item: &Item, target: &Path) -> Result<Vec<Entry>> {
    let file = |path: PathBuf, mode| Entry {
        path: target.to_path_buf(),
        mode,
        body: Body::File(path),
    };
    Ok(match item.origin {
        Origin::Passwd => vec![Entry {
            path: target.to_path_buf(),
            mode: 0o644,
            body: Body::Text(PASSWD),
        }],
        Origin::Tmp => vec![Entry {
            path: target.to_path_buf(),
            mode: 0o1777,
            body: Body::Folder,
        }],
        Origin::Engine(engine, binary) => vec![file(engine.binary(&checkout.cache, binary), 0o755)],
        Origin::Cargo(binary) => vec![file(checkout.binaries().join(binary), 0o755)],
        Origin::Busybox => vec![file(PathBuf::from(BUSYBOX), 0o755)],
        Origin::Pause => vec![file(pause(checkout)?, 0o755)],
        Origin::Dashboard => folder(&checkout.root.join("dashboard/dist"), target)?,
        Origin::Clips => folder(&clips(checkout)?, target)?,
        Origin::Valkey => folder(&valkey::root(checkout)?, target)?,
    })
}

/// A folder's files, in the order of their names.
fn folder(from: &Path, to: &Path) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut names: Vec<_> = fs::read_dir(from)
        .with_context(|| format!("no folder {}", from.display()))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    names.sort();
    for name in names {
        let (source, path) = (from.join(&name), to.join(&name));
        let about = fs::metadata(&source)?;
        if about.is_dir() {
            found.extend(folder(&source, &path)?);
        } else {
            let mode = if about.permissions().mode() & 0o111 == 0 {
                0o644
            } else {
                0o755
            };
            found.push(Entry {
                path,
                mode,
                body: Body::File(source),
            });
        }
    }
    Ok(found)
}

fn with_parents(entries: Vec<Entry>) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for entry in entries {
        let parents: Vec<&Path> = entry
            .path
            .ancestors()
            .skip(1)
            .filter(|p| !p.as_os_str().is_empty())
            .collect();
        for parent in parents.into_iter().rev() {
            if !all.iter().any(|other| other.path == parent) {
                all.push(Entry {
                    path: parent.to_path_buf(),
                    mode: 0o755,
                    body: Body::Folder,
                });
            }
        }
        if !all.iter().any(|other| other.path == entry.path) {
            all.push(entry);
        }
    }
    all
}

/// A hash that changes when a file was written, without reading any: size and time.
pub(crate) fn fingerprint(entries: &[Entry], configuration: &str) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(configuration);
    for entry in entries {
        hash.update(format!("\n{:o} {} ", entry.mode, entry.path.display()));
        match &entry.body {
            Body::Folder => {}
            Body::Text(text) => hash.update(text),
            Body::File(path) => {
                let about = fs::metadata(path).with_context(|| format!("no {}", path.display()))?;
                hash.update(format!(
                    "{} {} {}",
                    about.size(),
                    about.mtime(),
                    about.mtime_nsec()
                ));
            }
        }
    }
    Ok(hex(&hash.finalize()))
}

/// A hash of what is in the image.
pub(crate) fn digest(entries: &[Entry], configuration: &str) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(configuration);
    for entry in entries {
        hash.update(format!("\n{:o} {}\n", entry.mode, entry.path.display()));
        match &entry.body {
            Body::Folder => {}
            Body::Text(text) => hash.update(text),
            Body::File(path) => {
                let mut file = File::open(path).with_context(|| format!("no {}", path.display()))?;
                let mut one = Sha256::new();
                std::io::copy(&mut file, &mut HashWriter(&mut one))?;
                hash.update(one.finalize());
            }
        }
    }
    Ok(hex(&hash.finalize()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn pause(checkout: &Checkout) -> Result<PathBuf> {
    let source = checkout.root.join("xtask/engines/pause/pause.rs");
    let folder = checkout.cache.join("engines/pause");
    let version = crate::checkout::short_hash(&fs::read(&source)?, 12);
    let binary = folder.join(version);
    if !binary.exists() {
        fs::create_dir_all(&folder)?;
        let partial = folder.join(format!(".{}", std::process::id()));
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut rustc = Command::new(compiler);
        rustc.args([
            "--edition=2024",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "opt-level=s",
        ]);
        rustc.args([
            "-C",
            "panic=abort",
            "-C",
            "strip=symbols",
            "--target",
            "x86_64-unknown-linux-gnu",
            "-o",
        ]);
        command::output(rustc.arg(&partial).arg(&source), Duration::from_secs(120))?;
        fs::rename(&partial, &binary)?;
    }
    Ok(binary)
}

/// The clips, made once for each version of their script.
fn clips(checkout: &Checkout) -> Result<PathBuf> {
    let script = checkout.root.join("sim/clips.sh");
    let text = fs::read(&script).with_context(|| format!("no {}", script.display()))?;
    let folder = checkout
        .cache
        .join("clips")
        .join(crate::checkout::short_hash(&text, 12));
    let done = folder.join("done");
    if !done.exists() {
        // The script keeps what is whole, so an interrupted run is resumed.
        let mut make = Command::new("sh");
        command::output(
            make.arg(&script).arg(folder.join("clips")),
            Duration::from_secs(600),
        )?;
        fs::write(&done, "")?;
    }
    Ok(folder.join("clips"))
}

/// Lays the context of an image's Dockerfile out in `context`, anew.
pub(crate) fn stage(checkout: &Checkout, image: &Image, context: &Path) -> Result<()> {
    if context.exists() {
        fs::remove_dir_all(context)?;
    }
    fs::create_dir_all(context)?;
    for item in image.items {
        if item.origin.is_folder() {
            fs::create_dir_all(context.join(item.source))?;
        }
        for entry in entries_of(checkout, item, Path::new(item.source))? {
            write(&entry, &context.join(&entry.path))?;
        }
    }
    Ok(())
}

fn write(entry: &Entry, place: &Path) -> Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    match &entry.body {
        Body::Folder => fs::create_dir_all(place)?,
        Body::Text(text) => fs::write(place, text)?,
        Body::File(path) if path.is_file() => {
            fs::copy(path, place).with_context(|| format!("cannot copy {}", path.display()))?;
        }
        Body::File(path) => bail!("{} is not there", path.display()),
    }
    Ok(fs::set_permissions(
        place,
        fs::Permissions::from_mode(entry.mode),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Entry {
        Entry {
            path: path.into(),
            mode: 0o644,
            body: Body::Text("x"),
        }
    }

    #[test]
    fn parents_come_first_and_once() {
        let all = with_parents(vec![file("etc/passwd"), file("a/b/c"), file("a/d"), file("a/d")]);
        let paths: Vec<_> = all.iter().map(|entry| entry.path.display().to_string()).collect();
        assert_eq!(paths, ["etc", "etc/passwd", "a", "a/b", "a/b/c", "a/d"]);
    }

    #[test]
    fn a_fingerprint_changes_with_content_mode_and_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "one").unwrap();
        let entry = |mode| {
            vec![Entry {
                path: "f".into(),
                mode,
                body: Body::File(path.clone()),
            }]
        };
        let first = fingerprint(&entry(0o644), "c").unwrap();
        assert_eq!(first, fingerprint(&entry(0o644), "c").unwrap());
        assert_ne!(first, fingerprint(&entry(0o755), "c").unwrap());
        assert_ne!(first, fingerprint(&entry(0o644), "d").unwrap());
        fs::write(&path, "another").unwrap();
        assert_ne!(first, fingerprint(&entry(0o644), "c").unwrap());
    }
}
