//! An image as a docker-archive: one layer, its configuration, and the manifest that names both.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::content::{Body, Entry};
use super::{Image, USER};
use crate::checkout::hex;

/// How the image starts, as the `config` of its configuration.
pub(crate) fn settings(image: &Image) -> serde_json::Value {
    json!({
        "User": USER,
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/"],
        "Entrypoint": image.entrypoint,
        "WorkingDir": "/",
    })
}

/// Writes the archive. The same entries give the same bytes: no time, owner or order of this machine is in it.
pub(crate) fn write(image: &Image, entries: &[Entry], out: &Path) -> Result<()> {
    let folder = out.parent().context("an archive without a folder")?;
    fs::create_dir_all(folder)?;
    // The layer's hash stands before the layer in the archive, so it is made beside it.
    let mut layer = temporary(folder)?;
    let digest = write_layer(entries, &mut layer)?;
    let configuration = json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": settings(image),
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask"}],
    })
    .to_string();
    let configuration_name = format!("{}.json", hex(&Sha256::digest(&configuration)));
    let layer_name = format!("{digest}.tar");
    let manifest =
        json!([{"Config": configuration_name, "RepoTags": [image.reference()], "Layers": [layer_name]}]);

    let partial = out.with_extension("partial");
    let mut archive = tar::Builder::new(BufWriter::new(File::create(&partial)?));
    append(&mut archive, &configuration_name, configuration.as_bytes())?;
    let size = layer.stream_position()?;
    layer.rewind()?;
    let mut header = header(0o644, size, tar::EntryType::Regular);
    archive.append_data(&mut header, &layer_name, layer)?;
    append(&mut archive, "manifest.json", manifest.to_string().as_bytes())?;
    archive
        .into_inner()?
        .into_inner()
        .context("the archive cannot be written")?;
    fs::rename(&partial, out).context("the archive cannot be put in its place")
}

/// A file that is gone with its handle.
fn temporary(folder: &Path) -> Result<File> {
    let path = folder.join(format!(".layer-{}", std::process::id()));
    let file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn write_layer(entries: &[Entry], out: &mut File) -> Result<String> {
    let mut layer = tar::Builder::new(Hashing {
        inner: BufWriter::new(out),
        hash: Sha256::new(),
    });
    for entry in entries {
        match &entry.body {
            Body::Folder => {
                let mut header = header(entry.mode, 0, tar::EntryType::Directory);
                layer.append_data(&mut header, &entry.path, io::empty())?;
            }
            Body::Text(text) => {
                let mut header = header(entry.mode, text.len() as u64, tar::EntryType::Regular);
                layer.append_data(&mut header, &entry.path, text.as_bytes())?;
            }
            Body::File(path) => {
                let file = File::open(path).with_context(|| format!("no {}", path.display()))?;
                let size = file.metadata()?.len();
                let mut header = header(entry.mode, size, tar::EntryType::Regular);
                layer.append_data(&mut header, &entry.path, file.take(size))?;
            }
        }
    }
    let mut hashing = layer.into_inner()?;
    hashing.flush()?;
    Ok(hex(&hashing.hash.finalize()))
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = header(0o644, bytes.len() as u64, tar::EntryType::Regular);
    Ok(archive.append_data(&mut header, name, bytes)?)
}

fn header(mode: u32, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::images::PAUSE;

    fn read(archive: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(File::open(archive).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            found.insert(entry.path().unwrap().display().to_string(), bytes);
        }
        found
    }

    #[test]
    fn manifest_configuration_and_layer_name_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("bin");
        fs::write(&binary, "program").unwrap();
        let entries = [
            Entry {
                path: "etc".into(),
                mode: 0o755,
                body: Body::Folder,
            },
            Entry {
                path: "etc/passwd".into(),
                mode: 0o644,
                body: Body::Text("line"),
            },
            Entry {
                path: "pause".into(),
                mode: 0o755,
                body: Body::File(binary),
            },
        ];
        let (one, two) = (dir.path().join("one.tar"), dir.path().join("two.tar"));
        write(&PAUSE, &entries, &one).unwrap();
        write(&PAUSE, &entries, &two).unwrap();
        assert_eq!(
            fs::read(&one).unwrap(),
            fs::read(&two).unwrap(),
            "the same entries give the same bytes"
        );

        let files = read(&one);
        let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "localhost/pause:dev");
        let configuration = &files[manifest[0]["Config"].as_str().unwrap()];
        let configuration: serde_json::Value = serde_json::from_slice(configuration).unwrap();
        let layer = &files[manifest[0]["Layers"][0].as_str().unwrap()];
        let digest = format!("sha256:{}", hex(&Sha256::digest(layer)));
        assert_eq!(configuration["rootfs"]["diff_ids"][0], digest.as_str());
        assert_eq!(configuration["config"]["Entrypoint"][0], "/pause");
        assert_eq!(configuration["config"]["User"], USER);

        let inside = dir.path().join("layer.tar");
        fs::write(&inside, layer).unwrap();
        let inside = read(&inside);
        assert_eq!(inside["pause"], b"program");
        assert_eq!(inside["etc/passwd"], b"line");
    }
}
