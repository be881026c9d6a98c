//! Who may do what at the shards of a pool, as the pool's Secret says: everybody who uses shards reads it here.

use std::fmt;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{Credentials, Trust};

/// Key, in the Secret, of what the passwords of all shards' APIs are derived from.
const API_KEY: &str = "api-key";
/// Key of the user that reads streams over RTSP.
const READER_USERNAME: &str = "reader-username";
/// Key of its password.
const READER_PASSWORD: &str = "reader-password";
/// Key of the user that may read metrics, and nothing else.
const METRICS_USERNAME: &str = "metrics-username";
/// Key of its password.
const METRICS_PASSWORD: &str = "metrics-password";
/// Key of the authorities that vouch for the shards.
pub const AUTHORITIES_KEY: &str = "ca.crt";

/// What the certificate of a pool's shards is for: their `service`, which is called as the pool's Secret is.
pub fn server_name(service: &str, namespace: &str) -> String {
    format!("{service}.{namespace}.svc")
}

/// A key of the pool's Secret is missing or empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing or empty")]
pub struct MissingKey(&'static str);

/// The users of a pool's shards. `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct Logins {
    api_key: String,
    /// May read every path over RTSP, at all shards.
    pub reader: Credentials,
    /// May read metrics, at all shards.
    pub metrics: Credentials,
}

impl Logins {
    /// Users with secrets that `random` makes: each call gives another text that nobody can guess.
    pub fn generate(random: impl Fn() -> String) -> Self {
        Self {
            api_key: random(),
            reader: Credentials::new("reader", random()),
            metrics: Credentials::new("metrics", random()),
        }
    }

    /// Those of a Secret, whose values `get` gives by their keys.
    ///
    /// # Errors
    /// When one is missing or empty.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, MissingKey> {
        let text = |key| get(key).filter(|text| !text.is_empty()).ok_or(MissingKey(key));
        Ok(Self {
            api_key: text(API_KEY)?,
            reader: Credentials::new(text(READER_USERNAME)?, text(READER_PASSWORD)?),
            metrics: Credentials::new(text(METRICS_USERNAME)?, text(METRICS_PASSWORD)?),
        })
    }

    /// Keys and values of the Secret.
    pub fn entries(&self) -> [(&'static str, &str); 5] {
        [
            (API_KEY, &self.api_key),
            (READER_USERNAME, self.reader.username()),
            (READER_PASSWORD, self.reader.password()),
            (METRICS_USERNAME, self.metrics.username()),
            (METRICS_PASSWORD, self.metrics.password()),
        ]
    }

    /// Who has the API of the shard whose pod is called `shard`. Each has a password of its own: what one shard is told, or a
    /// capture of it shows, opens no other (HMAC-SHA256 of the name; a shard's file holds only the password's hash).
    pub fn api(&self, shard: &str) -> Credentials {
        let mut password = String::new();
        // HMAC takes keys of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.api_key.as_bytes()) {
            mac.update(shard.as_bytes());
            for byte in mac.finalize().into_bytes() {
                // Writing to a String cannot fail.
                let _ = write!(password, "{byte:02x}");
            }
        }
        Credentials::new("marsad", password)
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Logins(***)")
    }
}

/// All that is needed to use a pool's shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The users.
    pub logins: Logins,
    /// Who vouches for the shards.
    pub trust: Trust,
}

impl Access {
    /// Of the Secret `secret` in `namespace`, which is called as the Service of the shards, whose name their certificate has. `get`
    /// gives its values by their keys.
    ///
    /// # Errors
    /// When one is missing or empty.
    pub fn read(
        secret: &str,
        namespace: &str,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, MissingKey> {
        let logins = Logins::read(&get)?;
        let authorities = get(AUTHORITIES_KEY).filter(|text| !text.is_empty());
        Ok(Self {
            logins,
            trust: Trust {
                authorities: authorities.ok_or(MissingKey(AUTHORITIES_KEY))?,
                name: server_name(secret, namespace),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(key: &str) -> Logins {
        Logins::generate(|| key.to_owned())
    }

    #[test]
    fn each_shard_has_its_own_password() {
        let one = logins("geheim");
        let password = one.api("ingest-default-0").password().to_owned();
        // As `printf ingest-default-0 | openssl dgst -sha256 -hmac geheim` says.
        assert_eq!(
            password,
            "ab761dc89ffe60eb31b62bc0efaef4f3df653b5ab93cb2157b773926b3fa349b"
        );
        assert_ne!(one.api("ingest-default-1").password(), password);
        assert_ne!(logins("other").api("ingest-default-0").password(), password);
    }

    #[test]
    fn what_is_written_is_read_and_what_lacks_is_named() {
        let logins = logins("x");
        let get = |key: &str| {
            let entries = logins.entries();
            let found = entries.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(Logins::read(get), Ok(logins.clone()));
        let lacking = |key: &str| get(key).filter(|_| key != "reader-password");
        assert_eq!(
            Logins::read(lacking).unwrap_err().to_string(),
            "reader-password is missing or empty"
        );
        assert_eq!(
            Access::read("ingest-a", "b", get).unwrap_err(),
            MissingKey("ca.crt")
        );
        let whole = |key: &str| get(key).or_else(|| (key == "ca.crt").then(|| "PEM".to_owned()));
        assert_eq!(
            Access::read("ingest-a", "b", whole).unwrap().trust.name,
            "ingest-a.b.svc"
        );
        assert_eq!(format!("{logins:?}"), "Logins(***)");
    }
}
