//! What a lease is of and whose.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

/// Life of a lease (contracts.md 17); a page renews it every quarter of that.
pub const TTL: Duration = Duration::from_secs(60);
/// So much before the ledger's deadline its holder stops: one step of the lease clock, the least that is safe (README.md).
pub const MARGIN: Duration = Duration::from_secs(5);

/// Longest name of a source in bytes.
const LONGEST: usize = 63;

/// The code of an agency whose streams are counted together, such as `DUBAI_POLICE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(String);

impl Source {
    /// Checks a code: letters, digits, `_` and `-`, at most 63.
    ///
    /// # Errors
    /// When it is none, or `total`, whose keys are those of the sum.
    pub fn new(code: &str) -> Result<Self, SourceError> {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        if code == "total" {
            return Err(SourceError::Total);
        }
        if code.is_empty() || code.len() > LONGEST || !code.chars().all(letter) {
            return Err(SourceError::Grammar(code.to_owned()));
        }
        Ok(Self(code.to_owned()))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A text is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Its keys would be those of the sum over all sources.
    #[error("a source cannot be called `total`")]
    Total,
    /// It does not follow the grammar.
    #[error("{0:?} is no source: letters, digits, _ and -, 1 to {LONGEST} of them")]
    Grammar(String),
}

/// Names a lease: chosen by whoever asks, so that asking again is the same lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub Uuid);

impl fmt::Display for LeaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(formatter)
    }
}

impl FromStr for LeaseId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// What people see of a lease (Block 1.3-A); at most 256 bytes each. Nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// The camera's id (contracts.md 4).
    pub camera: String,
    /// Who watches.
    pub user: String,
    /// From where.
    pub client_ip: String,
    /// The service replica that answers for the lease.
    pub holder: String,
    /// Who the viewer is in rooms: by it a service that was restarted knows whom the lease lets in.
    pub identity: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_a_grammar() {
        for good in ["DUBAI_POLICE", "a", "A-1", &"x".repeat(63)] {
            assert_eq!(Source::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a:b", "{a}", "ä", &"x".repeat(64)] {
            assert_eq!(Source::new(bad), Err(SourceError::Grammar(bad.to_owned())));
        }
        assert_eq!(Source::new("total"), Err(SourceError::Total));
    }
}
