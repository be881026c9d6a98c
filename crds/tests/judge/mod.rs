//! What the API server does with a manifest, as far as it can be done without one: drop nulls, fill in defaults, check
//! the schema, refuse unknown fields and repeated keys, evaluate the CEL rules with kube's evaluator.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these in test functions, not in what integration tests share"
)]

use jsonschema::error::ValidationErrorKind;
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use marsad_crds::CustomResourceDefinition;
use serde_json::Value;

/// A judge of one kind.
pub(crate) struct Judge {
    structure: jsonschema::Validator,
    schema: Value,
    rules: CompiledSchema,
    evaluator: Validator,
}

impl Judge {
    /// The judge of a definition.
    pub(crate) fn new(crd: &CustomResourceDefinition) -> Self {
        let offline = marsad_crds::schema::offline(crd).unwrap();
        let structure = jsonschema::options()
            .should_validate_formats(true)
            .build(&offline)
            .unwrap();
        let root = crd.spec.versions[0].schema.as_ref().unwrap();
        let schema = serde_json::to_value(root.open_api_v3_schema.as_ref().unwrap()).unwrap();
        let rules = compile_schema(&schema);
        assert!(!rules.has_errors(), "{:?}", rules.compilation_errors());
        Self {
            structure,
            schema,
            rules,
            evaluator: Validator::new(),
        }
    }

    /// Every reason to refuse, `field: message`, one a line; none when it is taken.
    pub(crate) fn refusal(&self, object: &Value, old: Option<&Value>) -> Option<String> {
        let mut object = object.clone();
        drop_nulls(&mut object);
        let mut found: Vec<String> = self
            .structure
            .iter_errors(&object)
            .flat_map(|error| {
                let at = dotted(&error.instance_path().to_string());
                match error.kind() {
                    ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
                        .iter()
                        .map(|name| format!("unknown field {at}.{name}"))
                        .collect(),
                    ValidationErrorKind::Required { property } => {
                        vec![format!(
                            "{at}.{}: required",
                            property.as_str().unwrap_or_default()
                        )]
                    }
                    // Of the rule that it is made from, which says it better.
                    ValidationErrorKind::Pattern { .. } => Vec::new(),
                    // The value is not repeated: it may be a secret.
                    kind => vec![format!("{at}: {kind:?}")],
                }
            })
            .collect();
        repeated_keys(&self.schema, &object, "", &mut found);
        // As the API server: what is not even of the right type is not given to the rules.
        let broken = found
            .iter()
            .any(|line| line.contains("Type {") || line.contains(": required"));
        if !broken && let Err(errors) = self.evaluator.validate_compiled(&self.rules, &object, old) {
            found.extend(errors.iter().map(ToString::to_string));
        }
        (!found.is_empty()).then(|| found.join("\n"))
    }

    /// Whether the offline schema alone takes a manifest.
    pub(crate) fn offline_takes(&self, object: &Value) -> bool {
        self.structure.is_valid(object)
    }
}

fn dotted(pointer: &str) -> String {
    pointer
        .split('/')
        .filter(|part| !part.is_empty())
        .fold(String::new(), |path, part| match part.parse::<usize>() {
            Ok(index) => format!("{path}[{index}]"),
            Err(_) if path.is_empty() => part.to_owned(),
            Err(_) => format!("{path}.{part}"),
        })
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Items of a map list are told apart by their keys.
fn repeated_keys(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(items) = value.as_array() {
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        for (place, item) in items.iter().enumerate() {
            let same = |other: &Value| {
                keys.is_some_and(|keys| {
                    keys.iter()
                        .all(|key| other.get(key.as_str().unwrap()) == item.get(key.as_str().unwrap()))
                })
            };
            if items[..place].iter().any(same) {
                found.push(format!("{path}[{place}]: duplicate key"));
            }
            repeated_keys(&schema["items"], item, &format!("{path}[{place}]"), found);
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        repeated_keys(&schema["properties"][name], field, &path, found);
    }
}
