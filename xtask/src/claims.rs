//! `docs/claims.md` names the test that proves each claim: the tests that it names are there.

use std::collections::BTreeSet;
use std::path::Path;

/// Names of all functions in the Rust files under `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                functions(&path, found);
            }
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.extend(text.split("fn ").skip(1).map(|rest| word(rest).to_owned()));
        }
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[test]
fn every_test_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    functions(root, &mut found);
    let page = std::fs::read_to_string(root.join("docs/claims.md")).unwrap();
    let named: Vec<&str> = page.split("`test:").skip(1).map(word).collect();
    assert!(named.len() > 40, "{}", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| !found.contains(**name)).collect();
    assert!(
        missing.is_empty(),
        "docs/claims.md names tests that are not there: {missing:?}"
    );
}
