//! The user that `up` makes, and tokens signed as the api signs them. Of the local cluster only.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::checkout::{Checkout, write_atomically};
use crate::cluster::Cluster;

/// The one user of a fresh cluster.
pub(crate) const ADMIN: &str = "admin";

/// Where user and password are kept: `USER PASSWORD`, readable by us only.
fn kept(checkout: &Checkout) -> PathBuf {
    checkout.state().join("login")
}

/// `USER PASSWORD`.
pub(crate) fn login(checkout: &Checkout) -> Result<String> {
    crate::node::required(checkout)?;
    std::fs::read_to_string(kept(checkout)).context("`cargo xtask up` has not come to making the user yet")
}

/// Makes Secret marsad-users with user admin, unless it is there and the password is known here.
pub(crate) fn ensure_admin(checkout: &Checkout, namespace: &str) -> Result<()> {
    let cluster = Cluster::local(checkout);
    let there = cluster.ask(&[
        "-n",
        namespace,
        "get",
        "secret",
        "marsad-users",
        "-o",
        "name",
        "--ignore-not-found",
    ])?;
    if !there.trim().is_empty() && kept(checkout).exists() {
        return Ok(());
    }
    let password = random_password()?;
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "marsad-users", "namespace": namespace},
        "stringData": {ADMIN: hash.to_string()},
    });
    write_atomically(&kept(checkout), &format!("{ADMIN} {password}"), 0o600)?;
    cluster.apply_values("users", &[secret])
}

/// 144 bits from the kernel.
fn random_password() -> Result<String> {
    let mut bytes = [0_u8; 18];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A token signed with the cluster's key. `claims` overrides the claims of a good one, `null` removes one: for
/// tests of bad ones.
pub(crate) fn token(checkout: &Checkout, user: &str, claims: Option<&str>) -> Result<String> {
    crate::node::required(checkout)?;
    let cluster = Cluster::local(checkout);
    let secret = cluster.ask(&[
        "-n",
        crate::install::NAMESPACE,
        "get",
        "secret",
        "marsad-jwt",
        "-o",
        "json",
    ])?;
    let secret: Value = serde_json::from_str(&secret)?;
    let key = part(&secret, "private.pem")?;
    let kid = String::from_utf8(part(&secret, "kid")?)?;
    let id = marsad_identity::user_id(user).to_string();
    let good = marsad_identity::Claims::new(id, user, jiff::Timestamp::now());
    let mut signed = serde_json::to_value(good)?;
    if let Some(text) = claims {
        let changes: Value = serde_json::from_str(text).context("--claims is not JSON")?;
        override_with(&mut signed, changes)?;
    }
    Ok(marsad_identity::sign(&key, &kid, &signed)?)
}

fn part(secret: &Value, key: &str) -> Result<Vec<u8>> {
    let text = secret
        .get("data")
        .and_then(|data| data.get(key))
        .and_then(Value::as_str);
    Ok(STANDARD.decode(text.with_context(|| format!("Secret marsad-jwt has no {key}"))?)?)
}

fn override_with(claims: &mut Value, changes: Value) -> Result<()> {
    let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) else {
        anyhow::bail!("--claims is not a JSON object");
    };
    for (name, value) in changes {
        if value.is_null() {
            claims.remove(&name);
        } else {
            claims.insert(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_overridden_added_and_removed() {
        let mut claims = json!({"sub": "a", "aud": "marsad", "exp": 1});
        override_with(&mut claims, json!({"aud": "other", "exp": null, "extra": true})).unwrap();
        assert_eq!(claims, json!({"sub": "a", "aud": "other", "extra": true}));
        assert!(override_with(&mut claims, json!([])).is_err());
    }

    #[test]
    fn passwords_differ() {
        assert_ne!(random_password().unwrap(), random_password().unwrap());
        assert_eq!(random_password().unwrap().len(), 24);
    }
}
