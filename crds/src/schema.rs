//! The last touches to a derived definition, and the schemas for offline checks.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::{Map, Value, json};

/// A derived definition as it is installed:
/// - `status` is born `{observedGeneration: -1}`, so that kstatus never calls an unseen object Current (contracts.md 1);
/// - nothing is `nullable`: the API server then drops an explicit null, as for built-in kinds, and no CEL rule meets one;
/// - formats that the API server does not know (`uint32` …), and warns of at every apply, become the ones it does;
/// - descriptions are paragraphs: `kubectl explain` wraps lines itself.
pub(crate) fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(root) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        tidy(root);
        if let Some(status) = root
            .properties
            .as_mut()
            .and_then(|fields| fields.get_mut("status"))
        {
            status.default = Some(JSON(json!({"observedGeneration": -1})));
        }
    }
    crd
}

fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    schema.description = schema.description.take().map(|text| {
        text.split("\n\n")
            .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join("\n\n")
    });
    schema.format = schema.format.take().map(|format| match format.as_str() {
        "uint8" | "uint16" | "uint32" | "int8" | "int16" => "int32".to_owned(),
        "uint64" | "uint" => "int64".to_owned(),
        _ => format,
    });
    for field in schema
        .properties
        .iter_mut()
        .flat_map(|fields| fields.values_mut())
    {
        tidy(field);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}

/// The name that kubeconform looks a kind's schema up by: `{kind}-{first part of the group}-{version}.json`.
pub fn offline_file_name(crd: &CustomResourceDefinition) -> String {
    let group = crd.spec.group.split('.').next().unwrap_or_default();
    let version = crd
        .spec
        .versions
        .first()
        .map_or("", |version| version.name.as_str());
    format!(
        "{}-{group}-{version}.json",
        crd.spec.names.kind.to_ascii_lowercase()
    )
}

/// A definition's schema as plain JSON Schema (draft 7) for tools without an API server, kubeconform first: fields that
/// the kind does not have are refused, and CEL rules that do nothing but `matches('…')` are patterns. Other CEL rules cannot
/// be said in JSON Schema and are left out. None for a definition without a schema.
pub fn offline(crd: &CustomResourceDefinition) -> Option<Value> {
    let version = crd.spec.versions.first()?;
    let root = version.schema.as_ref()?.open_api_v3_schema.as_ref()?;
    let mut schema = plain(&serde_json::to_value(root).ok()?);
    let object = schema.as_object_mut()?;
    object.insert(
        "$schema".to_owned(),
        json!("http://json-schema.org/draft-07/schema#"),
    );
    object.insert(
        "required".to_owned(),
        json!(["apiVersion", "kind", "metadata", "spec"]),
    );
    let fields = object.get_mut("properties")?.as_object_mut()?;
    fields.insert(
        "apiVersion".to_owned(),
        json!({"enum": [format!("{}/{}", crd.spec.group, version.name)]}),
    );
    fields.insert("kind".to_owned(), json!({"enum": [crd.spec.names.kind]}));
    fields.insert("metadata".to_owned(), json!({"type": "object"}));
    Some(schema)
}

fn plain(schema: &Value) -> Value {
    let Some(schema) = schema.as_object() else {
        return schema.clone();
    };
    let rules = schema
        .get("x-kubernetes-validations")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let all_of: Vec<Value> = rules
        .clone()
        .filter_map(pattern_of)
        .map(|pattern| json!({"pattern": pattern}))
        .collect();
    let mut out = Map::new();
    for (keyword, value) in schema {
        match keyword.as_str() {
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                out.insert(
                    keyword.clone(),
                    fields.map(|(name, field)| (name.clone(), plain(field))).collect(),
                );
                out.insert("additionalProperties".to_owned(), json!(false));
            }
            "items" => {
                out.insert(keyword.clone(), plain(value));
            }
            "additionalProperties" => {
                out.insert(keyword.clone(), plain(value));
            }
            "x-kubernetes-int-or-string" => {
                out.insert("type".to_owned(), json!(["integer", "string"]));
            }
            "format"
                if value
                    .as_str()
                    .is_some_and(|format| format.starts_with("int") || format == "double") => {}
            "x-kubernetes-list-type" if value == "set" => {
                out.insert("uniqueItems".to_owned(), json!(true));
            }
            extension if extension.starts_with("x-kubernetes-") => {}
            _ => {
                out.insert(keyword.clone(), value.clone());
            }
        }
    }
    for (field, pattern) in rules.filter_map(field_pattern_of) {
        if let Some(field) = out
            .get_mut("properties")
            .and_then(|fields| fields.get_mut(field))
            .and_then(Value::as_object_mut)
        {
            field.insert("pattern".to_owned(), json!(pattern));
        }
    }
    if !all_of.is_empty() {
        out.insert("allOf".to_owned(), all_of.into());
    }
    Value::Object(out)
}

/// The pattern that a rule asks of the value itself.
fn pattern_of(rule: &Value) -> Option<&str> {
    unquoted(rule.get("rule")?.as_str()?.strip_prefix("self.matches('")?)
}

/// The field of a struct, and the pattern that a rule on the struct asks of it.
fn field_pattern_of(rule: &Value) -> Option<(&str, &str)> {
    let (field, rest) = rule
        .get("rule")?
        .as_str()?
        .strip_prefix("!has(self.")?
        .split_once(") || self.")?;
    let pattern = rest.strip_prefix(field)?.strip_prefix(".matches('")?;
    Some((field, unquoted(pattern)?))
}

fn unquoted(pattern: &str) -> Option<&str> {
    let pattern = pattern.strip_suffix("')")?;
    (!pattern.contains('\'')).then_some(pattern)
}
