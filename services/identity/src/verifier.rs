//! The public half: is this token ours, unaltered and in time?

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse, RSAKeyParameters};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::claims::{AUDIENCE, Claims, ISSUER};

/// Fewest bits of an RSA key for RS256 (RFC 7518 §3.3).
pub(crate) const SHORTEST_KEY: usize = 2048;
/// Clocks of nodes may differ by this much, seconds.
const LEEWAY: i64 = 5;
/// Longest token looked at; ours have about 700 bytes.
const LONGEST_TOKEN: usize = 8 * 1024;
/// A set is asked for again at most this often, however many tokens name unknown keys.
const PAUSE: Duration = Duration::from_secs(5);
/// A key withdrawn from the set is trusted no longer than this.
const FRESH: Duration = Duration::from_secs(300);
/// The set answers within this, or the keys at hand must do.
const FETCH_DEADLINE: Duration = Duration::from_secs(3);
/// Largest set read, bytes, and most keys kept.
const LARGEST_SET: usize = 64 * 1024;
const MOST_KEYS: usize = 16;

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a JWT, or its claims are not those of a person's token.
    #[error("this is not an access token of Marsad")]
    Malformed,
    /// Signed in another way than RS256 (`none` and HS256 among them).
    #[error("the token is not signed with RS256")]
    Algorithm,
    /// Its key is not (or no longer) published.
    #[error("the token was signed with a key that is not known")]
    UnknownKey,
    /// Altered, or signed by somebody else.
    #[error("the token's signature is wrong")]
    Signature,
    /// Too old.
    #[error("the token has expired")]
    Expired,
    /// From the future: `iat` or `nbf`.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Of another issuer.
    #[error("the token was issued by somebody else")]
    Issuer,
    /// For another audience.
    #[error("the token is meant for something else")]
    Audience,
    /// No key could be had so far; a failure of ours, not the caller's.
    #[error("the keys that verify tokens can't be fetched yet")]
    KeysUnavailable,
}

impl Refused {
    /// A bounded label for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}

type Keys = HashMap<String, DecodingKey>;

#[derive(Debug)]
struct Remote {
    url: String,
    http: reqwest::Client,
    /// When the set was last asked for, successfully or not. Held while asking: one fetch at a time.
    asked: Mutex<Option<Instant>>,
    fetched: RwLock<Option<Instant>>,
}

/// Verifies tokens against published keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Arc<RwLock<Keys>>,
    remote: Option<Arc<Remote>>,
}

impl Verifier {
    /// Trusts the RS256 keys of this set, for ever.
    pub fn fixed(jwks: &JwkSet) -> Self {
        Self {
            keys: Arc::new(RwLock::new(usable(jwks))),
            remote: None,
        }
    }

    /// Trusts the RS256 keys that `url` publishes. They are fetched when first needed, again when a token names an
    /// unknown key (at most every five seconds) and when they are five minutes old; while the publisher is away
    /// the keys at hand serve.
    pub fn remote(url: impl Into<String>) -> Self {
        let remote = Remote {
            url: url.into(),
            // The publisher is a Service beside us, never behind a proxy of the environment.
            http: reqwest::Client::builder().no_proxy().build().unwrap_or_default(),
            asked: Mutex::new(None),
            fetched: RwLock::new(None),
        };
        Self {
            keys: Arc::default(),
            remote: Some(Arc::new(remote)),
        }
    }

    /// Whether any key is at hand; a remote set is fetched if there is none yet. What `/ready` should wait for.
    pub async fn ready(&self) -> bool {
        if self.is_empty() {
            self.refresh().await;
        }
        !self.is_empty()
    }

    /// The claims of `token`, if it is good now.
    ///
    /// # Errors
    /// [`Refused`] says why it is not.
    pub async fn verify(&self, token: &str) -> Result<Claims, Refused> {
        self.verify_at(token, Timestamp::now()).await
    }

    /// As [`Verifier::verify`], at a given time.
    ///
    /// # Errors
    /// [`Refused`] says why the token is not good.
    pub async fn verify_at(&self, token: &str, now: Timestamp) -> Result<Claims, Refused> {
        let kid = key_id(token)?;
        let mut key = self.key(&kid);
        if key.is_none() || self.stale() {
            self.refresh().await;
            key = self.key(&kid);
        }
        match key {
            Some(key) => check(token, &key, now),
            None if self.is_empty() => Err(Refused::KeysUnavailable),
            None => Err(Refused::UnknownKey),
        }
    }

    fn key(&self, kid: &str) -> Option<DecodingKey> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(kid)
            .cloned()
    }

    fn is_empty(&self) -> bool {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    fn stale(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| {
            remote
                .fetched
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .is_none_or(|at| at.elapsed() >= FRESH)
        })
    }

    async fn refresh(&self) {
        let Some(remote) = &self.remote else { return };
        let mut asked = remote.asked.lock().await;
        // Whoever waited for the lock finds the answer of whoever held it.
        if asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        match tokio::time::timeout(FETCH_DEADLINE, fetch(remote)).await {
            Ok(Ok(set)) => {
                let keys = usable(&set);
                if keys.is_empty() {
                    tracing::warn!(url = %remote.url, "jwks_without_usable_keys");
                } else {
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
                    *remote.fetched.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(url = %remote.url, error = &error as &dyn std::error::Error, "jwks_unavailable");
            }
            Err(_) => tracing::warn!(url = %remote.url, deadline = ?FETCH_DEADLINE, "jwks_unavailable"),
        }
        *asked = Some(Instant::now());
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the key set can't be fetched: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the key set is larger than {LARGEST_SET} bytes")]
    Large,
    #[error("the key set is not a JWKS: {0}")]
    Json(#[from] serde_json::Error),
}

async fn fetch(remote: &Remote) -> Result<JwkSet, FetchError> {
    let mut response = remote.http.get(&remote.url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > LARGEST_SET {
            return Err(FetchError::Large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&body)?)
}

/// The keys of a set that may verify RS256, by id.
fn usable(set: &JwkSet) -> Keys {
    set.keys.iter().filter_map(usable_key).take(MOST_KEYS).collect()
}

fn usable_key(jwk: &Jwk) -> Option<(String, DecodingKey)> {
    let AlgorithmParameters::RSA(parameters) = &jwk.algorithm else {
        return None;
    };
    let for_rs256 = matches!(jwk.common.key_algorithm, None | Some(KeyAlgorithm::RS256));
    let for_signing = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    if !for_rs256 || !for_signing || modulus_bits(parameters) < SHORTEST_KEY {
        return None;
    }
    Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?))
}

/// Bits of the modulus, from its base64url length (six bits a character): exact to the byte.
pub(crate) fn modulus_bits(parameters: &RSAKeyParameters) -> usize {
    parameters.n.trim_end_matches('=').len().saturating_mul(6) / 8 * 8
}

fn key_id(token: &str) -> Result<String, Refused> {
    if token.len() > LONGEST_TOKEN {
        return Err(Refused::Malformed);
    }
    // An algorithm that the library does not know, `none` first of all, fails here.
    let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Malformed)?;
    if header.alg != Algorithm::RS256 {
        return Err(Refused::Algorithm);
    }
    header.kid.ok_or(Refused::UnknownKey)
}

fn check(token: &str, key: &DecodingKey, now: Timestamp) -> Result<Claims, Refused> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Times are checked below against the clock given.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Refused::Signature,
            ErrorKind::InvalidAlgorithm => Refused::Algorithm,
            ErrorKind::InvalidIssuer => Refused::Issuer,
            ErrorKind::InvalidAudience => Refused::Audience,
            _ => Refused::Malformed,
        })?
        .claims;
    let now = now.as_second();
    if claims.sub.is_empty() {
        return Err(Refused::Malformed);
    }
    if claims.exp.saturating_add(LEEWAY) <= now {
        return Err(Refused::Expired);
    }
    if claims
        .iat
        .max(claims.nbf.unwrap_or(claims.iat))
        .saturating_sub(LEEWAY)
        > now
    {
        return Err(Refused::NotYetValid);
    }
    Ok(claims)
}
