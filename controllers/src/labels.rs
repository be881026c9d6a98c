//! Labels of everything that controllers make (contracts.md 14), and annotations that people set.

use std::collections::BTreeMap;

use kube::ResourceExt;

/// Whether `annotation` of `object` is `"true"`.
pub(crate) fn is_set(object: &impl ResourceExt, annotation: &str) -> bool {
    object
        .annotations()
        .get(annotation)
        .is_some_and(|value| value == "true")
}

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
