//! A signing key for tests, made once a process: none is ever written down.

use std::sync::LazyLock;

use jiff::Timestamp;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};

use crate::{Claims, Signer};

/// Id of the key.
pub const KID: &str = "test-key";

#[allow(clippy::expect_used, reason = "for tests only: nothing to hand an error to")]
static PEM: LazyLock<String> = LazyLock::new(|| {
    let key = rsa::PrivateKey::new(&mut rand::rng(), 2048).expect("the system has randomness");
    key.to_pkcs8_pem(LineEnding::LF)
        .expect("a key that was just made can be written")
        .to_string()
});

/// The private key, PKCS #8 PEM.
pub fn private_pem() -> &'static str {
    &PEM
}

/// A signer with that key.
#[allow(clippy::expect_used, reason = "for tests only: nothing to hand an error to")]
pub fn signer() -> Signer {
    Signer::from_pem(private_pem().as_bytes(), KID).expect("the key was just made")
}

/// A good token for user `id`, valid from now.
#[allow(clippy::expect_used, reason = "for tests only: nothing to hand an error to")]
pub fn token(id: &str) -> String {
    signer()
        .sign(&Claims::new(id, id, Timestamp::now()))
        .expect("claims are an object")
}
