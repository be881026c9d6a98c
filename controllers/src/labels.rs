//! Labels of everything that controllers make (contracts.md 14).

use std::collections::BTreeMap;

/// Labels of an object of `component`.
pub(crate) fn of(component: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "marsad".to_owned()),
        ("app.kubernetes.io/component".to_owned(), component.to_owned()),
        (
            "app.kubernetes.io/managed-by".to_owned(),
            "marsad-operator".to_owned(),
        ),
    ])
}
