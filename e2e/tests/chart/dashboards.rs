//! The dashboards: what is installed are the files that people import, and they show what there is.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Result;
use marsad_e2e::helm::chart_dir;
use serde_json::Value;

use super::objects::{list, text, variants};

/// Every dashboard by its file's name.
fn files() -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(chart_dir().join("files/dashboards"))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.push((name, fs::read_to_string(path)?));
    }
    Ok(files)
}

/// What each panel asks, by its title.
pub(crate) fn expressions() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (_, file) in files()? {
        let dashboard: Value = serde_json::from_str(&file)?;
        for panel in list(&dashboard, "/panels") {
            let asked = list(panel, "/targets").iter().map(|target| text(target, "/expr"));
            all.extend(asked.map(|asked| (text(panel, "/title").to_owned(), asked.to_owned())));
        }
    }
    Ok(all)
}

#[test]
fn what_is_installed_are_the_files_and_only_when_asked_for() -> Result<()> {
    for variant in variants()? {
        let maps: Vec<&Value> = variant
            .kind("ConfigMap")
            .filter(|map| text(map, "/metadata/name") == "marsad-dashboards")
            .collect();
        assert_eq!(
            maps.len(),
            usize::from(variant.name == "everything"),
            "{}",
            variant.name
        );
        for map in maps {
            assert_eq!(map["metadata"]["labels"]["team"], "video");
            let files = files()?;
            assert_eq!(
                map["data"].as_object().map(serde_json::Map::len),
                Some(files.len())
            );
            for (name, file) in files {
                assert_eq!(map["data"][&name], Value::String(file), "{name}");
            }
        }
    }
    Ok(())
}

/// A panel has a name, says what it means, has a place of its own and asks something of one installation.
#[test]
fn every_panel_says_what_it_shows() -> Result<()> {
    for (name, file) in files()? {
        let dashboard: Value = serde_json::from_str(&file)?;
        let (mut ids, mut places, mut titles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in list(&dashboard, "/panels") {
            let title = text(panel, "/title");
            assert!(
                ids.insert(panel["id"].to_string()),
                "{name}: {title} has an id that another has"
            );
            assert!(
                places.insert(panel["gridPos"].to_string()),
                "{name}: {title} lies on another"
            );
            assert!(titles.insert(title), "{name}: {title} is there twice");
            if text(panel, "/type") == "row" {
                continue;
            }
            assert!(
                text(panel, "/description").ends_with('.'),
                "{name}: {title} says nothing"
            );
            for target in list(panel, "/targets") {
                assert!(
                    text(target, "/expr").contains("namespace=\"$namespace\""),
                    "{name}: {title}"
                );
            }
        }
        assert!(titles.len() > 10, "{titles:?}");
    }
    Ok(())
}
