//! From archives into the node's containerd, only when something changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::content::{self, Entry};
use super::{Image, archive};
use crate::checkout::{Checkout, write_atomically};
use crate::command;
use crate::node;
use crate::progress::Step;

/// About 2 s per 100 MB on an idle machine (testbed.md §5).
const IMPORT: Duration = Duration::from_secs(300);

/// Archives of one image that the cache keeps: two checkouts on different branches, and one more.
const KEPT: usize = 3;

/// What the node has of an image.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Loaded {
    fingerprint: String,
    digest: String,
}

/// Brings images into the node. Returns the names of those that changed there: pods that run them are old.
pub(crate) fn load(checkout: &Checkout, images: &[Image]) -> Result<Vec<&'static str>> {
    let mut changed = Vec::new();
    for image in images {
        if load_one(checkout, image).with_context(|| format!("image {}", image.name))? {
            changed.push(image.name);
        }
    }
    Ok(changed)
}

fn load_one(checkout: &Checkout, image: &Image) -> Result<bool> {
    let entries = content::entries(checkout, image)?;
    let configuration = archive::settings(image).to_string();
    let fingerprint = content::fingerprint(&entries, &configuration)?;
    let record = checkout
        .state()
        .join("images")
        .join(format!("{}.json", image.name));
    let loaded = read(&record);
    if loaded
        .as_ref()
        .is_some_and(|loaded| loaded.fingerprint == fingerprint)
    {
        return Ok(false);
    }
    let digest = content::digest(&entries, &configuration)?;
    let changed = loaded.is_none_or(|loaded| loaded.digest != digest);
    if changed {
        let step = Step::start(format!("image {}", image.name));
        import(checkout, &packed(checkout, image, &entries, &digest)?)?;
        step.done();
    }
    fs::create_dir_all(checkout.state().join("images"))?;
    write_atomically(
        &record,
        &serde_json::to_string(&Loaded { fingerprint, digest })?,
        0o600,
    )?;
    Ok(changed)
}

fn read(record: &Path) -> Option<Loaded> {
    serde_json::from_slice(&fs::read(record).ok()?).ok()
}

/// The archive in the cache, written if it is not there.
fn packed(checkout: &Checkout, image: &Image, entries: &[Entry], digest: &str) -> Result<PathBuf> {
    let folder = checkout.cache.join("images").join(image.name);
    let path = folder.join(format!("{}.tar", digest.chars().take(16).collect::<String>()));
    if path.exists() {
        // The time of the last use: `prune` goes by it.
        fs::File::open(&path)?.set_modified(std::time::SystemTime::now())?;
    } else {
        archive::write(image, entries, &path)?;
        prune(&folder)?;
    }
    Ok(path)
}

fn prune(folder: &Path) -> Result<()> {
    let mut archives: Vec<(std::time::SystemTime, PathBuf)> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "tar"))
        .map(|entry| Ok((entry.metadata()?.modified()?, entry.path())))
        .collect::<Result<_>>()?;
    archives.sort();
    let old = archives.len().saturating_sub(KEPT);
    for (_, path) in archives.into_iter().take(old) {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn import(checkout: &Checkout, archive: &Path) -> Result<()> {
    let mut ctr = node::inside(checkout, "ctr")?;
    ctr.args([
        "--address",
        node::components::CONTAINERD_SOCKET,
        "--namespace",
        "k8s.io",
        "image",
        "import",
    ]);
    command::output(ctr.arg(archive), IMPORT).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_archives_stay() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..5_u64 {
            let file = fs::File::create(dir.path().join(format!("{n}.tar"))).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(n))
                .unwrap();
        }
        prune(dir.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["2.tar", "3.tar", "4.tar"]);
    }
}
