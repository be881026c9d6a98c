//! Who a caller is. `api` signs tokens of people ([`Signer`]) and publishes the public half as a JWKS; every role
//! that takes calls verifies them ([`Verifier`]) without asking anybody: docs/architecture.md, Tokens of people.

mod claims;
mod signer;
#[cfg(feature = "testing")]
pub mod testing;
mod verifier;

pub use claims::{AUDIENCE, Caller, Claims, ISSUER, LIFETIME, bearer, user_id};
pub use jsonwebtoken::jwk::JwkSet;
pub use signer::{KeyError, Signer, sign};
pub use verifier::{Refused, Verifier};
