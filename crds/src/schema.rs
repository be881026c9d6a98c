//! The last touches to a derived definition, and the schemas for offline checks.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::json;

/// A derived definition as it is installed:
/// - `status` is born `{observedGeneration: -1}`, so that kstatus never calls an unseen object Current (contracts.md 1);
/// - nothing is `nullable`: the API server then drops an explicit null, as for built-in kinds, and no CEL rule meets one;
/// - formats that the API server does not know (`uint32` …), and warns of at every apply, become the ones it does.
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
    schema.format = match schema.format.take().as_deref() {
        Some("uint8" | "uint16" | "uint32" | "int8" | "int16") => Some("int32".to_owned()),
        Some("uint64" | "uint") => Some("int64".to_owned()),
        other => other.map(str::to_owned),
    };
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
