//! The definitions as a whole: columns, documentation, limits, and that what is committed is what the types say.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

use std::fmt::Write as _;
use std::path::Path;

use marsad_crds::CustomResourceDefinition;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn schema(crd: &CustomResourceDefinition) -> Value {
    let schema = crd.spec.versions[0].schema.as_ref().unwrap();
    serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap()
}

#[test]
fn what_is_committed_is_what_the_types_say() {
    for crd in marsad_crds::all() {
        let plural = &crd.spec.names.plural;
        let path = root().join(format!("manifests/crds/{plural}.yaml"));
        let committed: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            committed,
            serde_json::to_value(&crd).unwrap(),
            "{plural}: run `cargo xtask generate`"
        );
        let path = root()
            .join("manifests/schemas")
            .join(marsad_crds::schema::offline_file_name(&crd));
        let committed: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            Some(committed),
            marsad_crds::schema::offline(&crd),
            "{plural}: run `cargo xtask generate`"
        );
    }
}

/// contracts.md 2, and design.md §4 for the names.
#[test]
fn columns_and_names() {
    let mut text = String::new();
    for crd in marsad_crds::all() {
        let names = &crd.spec.names;
        writeln!(
            text,
            "{} ({}) {:?} {:?}",
            names.kind,
            crd.spec.scope,
            names.short_names.as_deref().unwrap_or_default(),
            names.categories.as_deref().unwrap_or_default()
        )
        .unwrap();
        for column in crd.spec.versions[0].additional_printer_columns.iter().flatten() {
            let wide = if column.priority.unwrap_or_default() > 0 {
                "wide"
            } else {
                "    "
            };
            writeln!(
                text,
                "  {wide} {:<12} {:<8} {}",
                column.name.to_uppercase(),
                column.type_,
                column.json_path
            )
            .unwrap();
        }
        for field in crd.spec.versions[0].selectable_fields.iter().flatten() {
            writeln!(text, "  selectable {}", field.json_path).unwrap();
        }
        let subresources = crd.spec.versions[0].subresources.as_ref().unwrap();
        assert!(subresources.status.is_some(), "{}", names.kind);
        if let Some(scale) = &subresources.scale {
            writeln!(
                text,
                "  scale {} {} {}",
                scale.spec_replicas_path,
                scale.status_replicas_path,
                scale.label_selector_path.as_deref().unwrap_or_default()
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

/// contracts.md 1: an object that no controller has seen is not Current to kstatus.
#[test]
fn every_object_is_born_unseen() {
    for crd in marsad_crds::all() {
        let status = &schema(&crd)["properties"]["status"];
        assert_eq!(
            status["default"],
            serde_json::json!({"observedGeneration": -1}),
            "{}",
            crd.spec.names.kind
        );
        let conditions = &status["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map");
        assert_eq!(
            conditions["x-kubernetes-list-map-keys"],
            serde_json::json!(["type"])
        );
    }
}

/// `kubectl explain` has a word on every field, and no text or list of ours is without bounds: CEL's budget is counted
/// from them.
#[test]
fn every_field_is_explained_and_bounded() {
    fn walk(path: &str, field: &Value) {
        // Types of Kubernetes itself are bounded and explained as Kubernetes has them.
        let foreign = ["namespaceSelector", "cameraSelector", "selector", "resources"];
        if field["type"] == "object" && foreign.iter().any(|name| path.ends_with(&format!(".{name}"))) {
            return;
        }
        assert!(field.get("nullable").is_none(), "{path} is nullable");
        let bounded = ["maxLength", "enum"]
            .iter()
            .any(|limit| field.get(*limit).is_some())
            || field["format"] == "date-time";
        assert!(field["type"] != "string" || bounded, "{path} has no maxLength");
        assert!(
            field["type"] != "array" || field.get("maxItems").is_some(),
            "{path} has no maxItems"
        );
        assert!(
            field["type"] != "array" || field.get("x-kubernetes-list-type").is_some(),
            "{path} does not say how it is merged"
        );
        if let Some(format) = field["format"].as_str() {
            assert!(
                ["int32", "int64", "double", "date-time"].contains(&format),
                "{path}: {format}"
            );
        }
        for (name, inner) in field["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(inner["description"].is_string(), "{path} has no description");
            walk(&path, inner);
        }
        if field["items"].is_object() {
            walk(&format!("{path}[]"), &field["items"]);
        }
    }
    for crd in marsad_crds::all() {
        let schema = schema(&crd);
        assert!(schema["description"].is_string());
        for part in ["spec", "status"] {
            walk(
                &format!("{}.{part}", crd.spec.names.kind),
                &schema["properties"][part],
            );
        }
    }
}
