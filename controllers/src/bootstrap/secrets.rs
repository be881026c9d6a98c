//! The Secrets that roles share (docs/architecture.md).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};

use super::BootstrapError;
use crate::random;

/// Key of LiveKit's API, for `streams` and for LiveKit itself.
pub(crate) const LIVEKIT: &str = "marsad-livekit";
/// Key that signs people's tokens.
pub(crate) const JWT: &str = "marsad-jwt";
/// Bits of the signing key: the size that RS256 demands at least (RFC 7518 §3.3).
const RSA_BITS: usize = 2048;

pub(super) fn livekit(owner: Option<OwnerReference>) -> Secret {
    let (key, secret) = (format!("API{}", random::text(12)), random::text(48));
    let keys = format!("{key}: {secret}\n");
    named(
        LIVEKIT,
        "livekit",
        owner,
        [("api-key", key), ("api-secret", secret), ("keys.yaml", keys)],
    )
}

pub(super) fn rsa_key() -> Result<String, BootstrapError> {
    let failed = |why: String| BootstrapError::Key { what: JWT, why };
    let key = rsa::PrivateKey::new(&mut rand::rng(), RSA_BITS).map_err(|error| failed(error.to_string()))?;
    Ok(key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| failed(error.to_string()))?
        .to_string())
}

pub(super) fn jwt(private_pem: String, owner: Option<OwnerReference>) -> Secret {
    named(
        JWT,
        "api",
        owner,
        [("private.pem", private_pem), ("kid", random::text(16))],
    )
}

fn named<const N: usize>(
    name: &str,
    component: &str,
    owner: Option<OwnerReference>,
    data: [(&str, String); N],
) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(crate::labels::of(component)),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        string_data: Some(
            data.into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<BTreeMap<_, _>>(),
        ),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_livekit_key_file_is_the_pair_and_long_enough() {
        let data = livekit(None).string_data.unwrap();
        assert_eq!(
            data["keys.yaml"],
            format!("{}: {}\n", data["api-key"], data["api-secret"])
        );
        // LiveKit logs an error for secrets under 32 characters.
        assert!(data["api-secret"].len() >= 32);
    }

    #[test]
    fn r0_09_the_signing_key_is_pkcs8() {
        let data = jwt("-----BEGIN PRIVATE KEY-----\n".into(), None)
            .string_data
            .unwrap();
        assert!(data["private.pem"].starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(!data["kid"].is_empty());
    }
}
