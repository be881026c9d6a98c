//! What a Secret holds, as text.

use k8s_openapi::api::core::v1::Secret;

/// The value of `key`; none when it is missing, empty, or no text.
pub(crate) fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    String::from_utf8(bytes.clone())
        .ok()
        .filter(|text| !text.is_empty())
}
