//! Where Valkey is, and how the client uses it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use crate::keys::{Keyspace, Opening};
use crate::lease::{MARGIN, TTL};

/// An address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// How to find the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is this one.
    Standalone(Address),
    /// One of these Sentinels knows it, by the name of the service.
    Sentinel {
        /// The Sentinels.
        sentinels: Vec<Address>,
        /// What they call the service.
        service: String,
    },
    /// Some of a cluster's nodes; it is the one that has the slot of the ledger's hash tag.
    Cluster(Vec<Address>),
}

/// Who asks. `Debug` shows no password.
#[derive(Clone, Default)]
pub struct Login {
    /// ACL user; none for the default one.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Number of the database; 0 in a cluster.
    pub db: i64,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Login")
            .field("username", &self.username)
            .field("db", &self.db)
            .finish_non_exhaustive()
    }
}

impl Login {
    pub(super) fn at(&self, address: &Address) -> redis::RedisResult<redis::Client> {
        let mut info = RedisConnectionInfo::default()
            .set_db(self.db)
            .set_skip_set_lib_name();
        if let Some(username) = &self.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password);
        }
        let address = match address {
            Address::Tcp(host, port) => ConnectionAddr::Tcp(host.clone(), *port),
            Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
        };
        redis::Client::open(address.into_connection_info()?.set_redis_settings(info))
    }
}

/// What happens to grants that too few replicas have acknowledged (a setting of the product, issue 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are no grants, and are released.
    Strict,
    /// They are grants, and are counted.
    Available,
}

/// How the client works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How to find the primary.
    pub place: Place,
    /// Who asks.
    pub login: Login,
    /// Where the keys are.
    pub space: Keyspace,
    /// Connections; each waits for replicas by itself (R1.3-24).
    pub connections: usize,
    /// Most calls in a batch (R1.3-25).
    pub batch: usize,
    /// Replicas that have to acknowledge a grant; 0 waits for none.
    pub replicas: u32,
    /// How long a batch waits for them.
    pub wait: Duration,
    /// What becomes of a grant without them.
    pub mode: Mode,
    /// How long to wait for a connection, and for an answer in addition to `wait`.
    pub timeout: Duration,
    /// Longest grace. It ends before, when all replicas of the service have reclaimed; as long as a lease lives less the margin, it is
    /// safe even when one never does (`tests/protocol_model.rs`). One heartbeat interval would trust that all do.
    pub grace: Duration,
    /// Failures in a row that open the circuit (R1.3-21).
    pub failures: u32,
    /// Pause before a trial of an open circuit.
    pub pause: Duration,
}

impl Settings {
    /// What each call carries. The run id is the connection's, put in as the call is sent.
    pub(super) fn opening(&self) -> Opening {
        Opening {
            run_id: String::new(),
            grace_ms: u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The product's defaults: ten connections, batches of 100, one replica within 50 ms, strict.
    pub fn new(place: Place) -> Self {
        let prefix = match place {
            Place::Cluster(_) => Keyspace::CLUSTER,
            Place::Standalone(_) | Place::Sentinel { .. } => "",
        };
        Self {
            place,
            login: Login::default(),
            space: Keyspace::new(prefix),
            connections: 10,
            batch: 100,
            replicas: 1,
            wait: Duration::from_millis(50),
            mode: Mode::Strict,
            timeout: Duration::from_secs(1),
            grace: TTL.saturating_sub(MARGIN),
            failures: 5,
            pause: Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let mut settings = Settings::new(Place::Standalone(Address::Tcp("valkey".to_owned(), 6379)));
        settings.login.password = Some("geheim".to_owned());
        assert!(!format!("{settings:?}").contains("geheim"));
    }
}
