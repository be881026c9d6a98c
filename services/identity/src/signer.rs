//! The private half: signs tokens, and shows the public key as a JWKS.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::verifier::{self, Verifier};

/// The signing key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not an RSA private key in PEM.
    #[error("the signing key is not an RSA private key in PEM (PKCS #8): {0}")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// Shorter than RS256 allows (RFC 7518 §3.3).
    #[error("the signing key has {bits} bits, RS256 needs 2048 or more; make a new one")]
    Short {
        /// Its modulus' size.
        bits: usize,
    },
    /// A key without an id can't be rotated.
    #[error("the signing key has no id (kid)")]
    NoId,
    /// The library refused to sign.
    #[error("the token could not be signed: {0}")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// Signs tokens with one RSA key.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    kid: String,
    jwks: JwkSet,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer from a private key (PEM, PKCS #8) and its id.
    ///
    /// # Errors
    /// When the key can't be read, is too short for RS256, or has no id.
    pub fn from_pem(private_pem: &[u8], kid: &str) -> Result<Self, KeyError> {
        let kid = kid.trim();
        if kid.is_empty() {
            return Err(KeyError::NoId);
        }
        let key = EncodingKey::from_rsa_pem(private_pem).map_err(KeyError::Malformed)?;
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).map_err(KeyError::Malformed)?;
        if let AlgorithmParameters::RSA(parameters) = &jwk.algorithm {
            let bits = verifier::modulus_bits(parameters);
            if bits < verifier::SHORTEST_KEY {
                return Err(KeyError::Short { bits });
            }
        }
        jwk.common.key_id = Some(kid.to_owned());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self {
            key,
            kid: kid.to_owned(),
            jwks: JwkSet { keys: vec![jwk] },
        })
    }

    /// The token of these claims; any shape, so that tests and `cargo xtask token --claims` can sign bad ones.
    ///
    /// # Errors
    /// When the claims are not a JSON object or the key can't sign.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(KeyError::Sign)
    }

    /// Id of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as `/.well-known/jwks.json` shows it.
    pub fn jwks(&self) -> &JwkSet {
        &self.jwks
    }

    /// A verifier that trusts this key only.
    pub fn verifier(&self) -> Verifier {
        Verifier::fixed(&self.jwks)
    }
}

/// Signs `claims` with a key just read: `cargo xtask token`.
///
/// # Errors
/// As [`Signer::from_pem`] and [`Signer::sign`].
pub fn sign<C: Serialize>(private_pem: &[u8], kid: &str, claims: &C) -> Result<String, KeyError> {
    Signer::from_pem(private_pem, kid)?.sign(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_jwks_shows_the_public_half_only() {
        let shown = serde_json::to_value(testing::signer().jwks()).unwrap();
        let key = &shown["keys"][0];
        assert_eq!(
            (key["kty"].as_str(), key["alg"].as_str()),
            (Some("RSA"), Some("RS256"))
        );
        assert_eq!(
            (key["use"].as_str(), key["kid"].as_str()),
            (Some("sig"), Some(testing::KID))
        );
        let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            assert!(!names.contains(&private), "{names:?}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_being_shown() {
        let error = Signer::from_pem(
            b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
            "k",
        )
        .unwrap_err();
        assert!(matches!(error, KeyError::Malformed(_)));
        assert!(!error.to_string().contains("c2VjcmV0"));
        assert!(matches!(
            Signer::from_pem(testing::private_pem().as_bytes(), " \n"),
            Err(KeyError::NoId)
        ));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(
            format!("{:?}", testing::signer()),
            format!("Signer {{ kid: {:?}, .. }}", testing::KID)
        );
    }
}
