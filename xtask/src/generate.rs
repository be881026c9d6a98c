//! `cargo xtask generate`: what is committed and made from the types in `crds` and from the model in `capacity`, so that a change of a type is a diff
//! that a reviewer sees (style.md 25).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Writes `manifests/crds/*.yaml`, its copy in the chart, `manifests/schemas/*.json` and the tables of `docs/capacity.md`; with `check`, writes nothing.
///
/// # Errors
/// When a file cannot be written, or, with `check`, when what is committed is not what would be written.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has no workspace around it")?;
    let wanted = files(root)?;
    let mut drift = Vec::new();
    for folder in ["manifests/crds", "charts/marsad/files/crds", "manifests/schemas"] {
        for path in listed(&root.join(folder))? {
            if !wanted.contains_key(&path) {
                drift.push(format!("{} is no kind's any more", path.display()));
                if !check {
                    std::fs::remove_file(&path)
                        .with_context(|| format!("can't remove {}", path.display()))?;
                }
            }
        }
    }
    for (path, text) in &wanted {
        if std::fs::read_to_string(path).is_ok_and(|committed| committed == *text) {
            continue;
        }
        drift.push(format!("{} differs", path.display()));
        if !check {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("can't make {}", folder.display()))?;
            }
            std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
        }
    }
    if check && !drift.is_empty() {
        bail!("run `cargo xtask generate` and commit:\n  {}", drift.join("\n  "));
    }
    Ok(())
}

fn files(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for crd in marsad_crds::all() {
        let plural = &crd.spec.names.plural;
        // One line a scalar: a folded rule or pattern is hard to read and to search for.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        let yaml = serde_saphyr::to_string_with_options(&crd, options)
            .with_context(|| format!("can't write {plural} as YAML"))?;
        let yaml = format!(
            "# Made by `cargo xtask generate` from crds/src. Do not edit.\n{}\n",
            yaml.trim_end()
        );
        // Helm packs only what is in the chart's own folder, hence the copy.
        for folder in ["manifests/crds", "charts/marsad/files/crds"] {
            files.insert(root.join(folder).join(format!("{plural}.yaml")), yaml.clone());
        }
        let offline =
            marsad_crds::schema::offline(&crd).with_context(|| format!("{plural} has no schema"))?;
        files.insert(
            root.join("manifests/schemas")
                .join(marsad_crds::schema::offline_file_name(&crd)),
            format!("{}\n", serde_json::to_string_pretty(&offline)?),
        );
    }
    files.insert(root.join("docs/capacity.md"), crate::capacity::page(root)?);
    Ok(files)
}

fn listed(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))? {
        paths.push(entry?.path());
    }
    Ok(paths)
}
