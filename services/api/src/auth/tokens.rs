//! The signing key: a mounted Secret that the operator makes at its start, so it may come after us, and that may be
//! replaced while we run.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use marsad_identity::{JwkSet, KeyError, LIFETIME, Signer, Verifier};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// How often the directory is looked at. The kubelet itself takes up to a minute to bring a change.
const LOOK: Duration = Duration::from_secs(5);

/// The key can't be used (yet).
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("{path} is not there yet: the operator makes Secret marsad-jwt at its start; waiting for it")]
    Missing { path: PathBuf },
    #[error("{path} can't be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("Secret marsad-jwt in {dir}: {source}")]
    Key { dir: PathBuf, source: KeyError },
}

/// The keys at one time: one signs; that one and those it replaced, while tokens of theirs live, verify.
#[derive(Debug)]
pub(crate) struct Keys {
    signer: Signer,
    retired: Vec<(JwkSet, Instant)>,
    jwks: JwkSet,
    verifier: Verifier,
}

impl Keys {
    fn new(signer: Signer, retired: Vec<(JwkSet, Instant)>) -> Self {
        let mut jwks = signer.jwks().clone();
        jwks.keys
            .extend(retired.iter().flat_map(|(set, _)| set.keys.iter().cloned()));
        Self {
            verifier: Verifier::fixed(&jwks),
            signer,
            retired,
            jwks,
        }
    }

    /// These keys replaced by a new one.
    fn replaced(&self, signer: Signer, now: Instant) -> Self {
        let mut retired: Vec<_> = self
            .retired
            .iter()
            .filter(|(_, until)| *until > now)
            .cloned()
            .collect();
        // The same id for another key would make the set ambiguous: the new key counts.
        retired.push((self.signer.jwks().clone(), now + LIFETIME));
        retired.retain(|(set, _)| set.find(signer.kid()).is_none());
        Self::new(signer, retired)
    }

    pub(crate) fn sign<C: serde::Serialize>(&self, claims: &C) -> Result<String, KeyError> {
        self.signer.sign(claims)
    }

    pub(crate) fn jwks(&self) -> &JwkSet {
        &self.jwks
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// The keys as they come and go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keyring(Arc<watch::Sender<Option<Arc<Keys>>>>);

impl Default for Keyring {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Keyring {
    /// A ring with this key.
    pub fn with(signer: Signer) -> Self {
        let ring = Self::default();
        ring.put(signer, Instant::now());
        ring
    }

    /// The keys; none before the first were loaded.
    pub(crate) fn keys(&self) -> Option<Arc<Keys>> {
        self.0.borrow().clone()
    }

    /// Resolves when there are keys.
    pub async fn ready(&self) {
        // The sender is ours, so it can't be gone.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    fn put(&self, signer: Signer, now: Instant) {
        let keys = match self.keys() {
            Some(keys) => keys.replaced(signer, now),
            None => Keys::new(signer, Vec::new()),
        };
        self.0.send_replace(Some(Arc::new(keys)));
    }

    /// Loads the key of `dir` and looks for a new one every few seconds. Ends never. A key that can't be used leaves
    /// the one at work in place and is logged once.
    pub async fn follow(self, dir: PathBuf) {
        let mut seen = None;
        let mut said = String::new();
        let mut turn = tokio::time::interval(LOOK);
        loop {
            turn.tick().await;
            match load(&dir, seen).await {
                Ok(None) => {}
                Ok(Some((signer, print))) => {
                    tracing::info!(kid = signer.kid(), "signing_key_loaded");
                    self.put(signer, Instant::now());
                    seen = Some(print);
                    said.clear();
                }
                Err(error) => {
                    let text = error.to_string();
                    if said != text {
                        tracing::warn!(error = text, "signing_key_unavailable");
                        said = text;
                    }
                }
            }
        }
    }
}

type Fingerprint = [u8; 32];

/// The key in `dir`, unless it is the one `seen` already.
async fn load(dir: &Path, seen: Option<Fingerprint>) -> Result<Option<(Signer, Fingerprint)>, LoadError> {
    // The kubelet swaps the link ..data: both files from behind one of its values belong together.
    let version = tokio::fs::canonicalize(dir.join("..data"))
        .await
        .unwrap_or_else(|_| dir.to_owned());
    let (pem, kid) = (
        read(&version.join("private.pem")).await?,
        read(&version.join("kid")).await?,
    );
    let mut hasher = Sha256::new();
    hasher.update(&pem);
    hasher.update([0]);
    hasher.update(&kid);
    let print: Fingerprint = hasher.finalize().into();
    if seen == Some(print) {
        return Ok(None);
    }
    let signer = Signer::from_pem(&pem, &String::from_utf8_lossy(&kid)).map_err(|source| LoadError::Key {
        dir: dir.to_owned(),
        source,
    })?;
    Ok(Some((signer, print)))
}

async fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    tokio::fs::read(path).await.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing {
            path: path.to_owned(),
        },
        _ => LoadError::Read {
            path: path.to_owned(),
            source,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use marsad_identity::{Claims, Refused, testing};

    fn write(dir: &Path, kid: &str) {
        std::fs::write(dir.join("private.pem"), testing::private_pem()).unwrap();
        std::fs::write(dir.join("kid"), kid).unwrap();
    }

    #[tokio::test]
    async fn a_key_that_is_not_there_is_waited_for_and_one_that_is_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let error = load(dir.path(), None).await.unwrap_err();
        assert!(error.to_string().contains("waiting for it"), "{error}");
        write(dir.path(), "k1\n");
        let (signer, print) = load(dir.path(), None).await.unwrap().unwrap();
        assert_eq!(signer.kid(), "k1");
        assert!(load(dir.path(), Some(print)).await.unwrap().is_none());
        write(dir.path(), "k2");
        assert_eq!(
            load(dir.path(), Some(print)).await.unwrap().unwrap().0.kid(),
            "k2"
        );
        std::fs::write(dir.path().join("private.pem"), "secret but no key").unwrap();
        let error = load(dir.path(), Some(print)).await.unwrap_err();
        assert!(matches!(error, LoadError::Key { .. }));
        assert!(!error.to_string().contains("secret but"), "{error}");
    }

    #[tokio::test]
    async fn the_ring_is_ready_when_the_key_comes() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::default();
        let task = tokio::spawn(ring.clone().follow(dir.path().to_owned()));
        assert!(ring.keys().is_none());
        write(dir.path(), "k1");
        ring.ready().await;
        assert_eq!(ring.keys().unwrap().jwks().keys.len(), 1);
        task.abort();
    }

    #[tokio::test]
    async fn a_replaced_key_verifies_until_its_last_token_is_dead() {
        let now = Instant::now();
        let key = |kid| Signer::from_pem(testing::private_pem().as_bytes(), kid).unwrap();
        let claims = Claims::new("u", "u", Timestamp::now());
        let first = Keys::new(key("k1"), Vec::new());
        let old = first.sign(&claims).unwrap();
        let second = first.replaced(key("k2"), now);
        assert_eq!(second.jwks().keys.len(), 2);
        assert!(second.verifier().verify(&old).await.is_ok());
        assert!(
            second
                .verifier()
                .verify(&second.sign(&claims).unwrap())
                .await
                .is_ok()
        );
        let third = second.replaced(key("k3"), now + LIFETIME);
        assert_eq!(third.verifier().verify(&old).await, Err(Refused::UnknownKey));
        // The same id again: only the new key of that id is published.
        assert_eq!(first.replaced(key("k1"), now).jwks().keys.len(), 1);
    }
}
