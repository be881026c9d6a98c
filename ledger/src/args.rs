//! Where the ledger is and how it is used, as settings of a role.

use std::fmt;
use std::time::Duration;

use crate::client::{Address, Login, Mode, Place, Settings};

/// How `VALKEY_ADDR` is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Topology {
    /// It is the server.
    Standalone,
    /// It names Sentinels, which know the primary.
    Sentinel,
    /// It names some nodes of a Cluster.
    Cluster,
}

/// What becomes of grants that too few replicas have acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Unacknowledged {
    /// They are no grants: a failover loses nothing, and without a replica nothing new is granted.
    Strict,
    /// They are grants, counted and alarmed.
    Available,
}

/// Settings of the stream ledger. `Debug` shows no password.
#[derive(Clone, clap::Args)]
pub struct LedgerArgs {
    /// Host and port of Valkey, or of Sentinels or nodes of a Cluster with commas between.
    #[arg(long, env = "VALKEY_ADDR", value_delimiter = ',', value_parser = address)]
    pub valkey_addr: Vec<Address>,
    /// What these addresses are.
    #[arg(long, env = "VALKEY_TOPOLOGY", value_enum, default_value = "standalone")]
    pub valkey_topology: Topology,
    /// What Sentinels call the service.
    #[arg(long, env = "VALKEY_SERVICE", default_value = "marsad")]
    pub valkey_service: String,
    /// ACL user; empty for the default one.
    #[arg(long, env = "VALKEY_USERNAME", default_value = "")]
    pub valkey_username: String,
    /// Password of Valkey; empty for none. By the environment only: a command line is seen by everybody on the machine.
    #[arg(
        long,
        env = "VALKEY_PASSWORD",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub valkey_password: String,
    /// Number of the database. LiveKit has 0; a Cluster knows no other.
    #[arg(long, env = "VALKEY_DB", default_value_t = 0)]
    pub valkey_db: i64,
    /// Connections, 10 to 100 (R1.3-24).
    #[arg(long, env = "LEDGER_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(10..=100))]
    pub ledger_connections: u16,
    /// Most calls in a batch (R1.3-25).
    #[arg(long, env = "LEDGER_BATCH", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub ledger_batch: u16,
    /// Replicas that have to acknowledge a grant; 0 waits for none.
    #[arg(long, env = "LEDGER_REPLICAS", default_value_t = 1)]
    pub ledger_replicas: u32,
    /// How long a batch waits for them, in milliseconds.
    #[arg(long, env = "LEDGER_WAIT_MS", default_value_t = 50)]
    pub ledger_wait_ms: u64,
    /// What becomes of a grant that too few of them have acknowledged.
    #[arg(long, env = "LEDGER_UNACKNOWLEDGED", value_enum, default_value = "strict")]
    pub ledger_unacknowledged: Unacknowledged,
}

impl fmt::Debug for LedgerArgs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LedgerArgs")
            .field("valkey_addr", &self.valkey_addr)
            .field("valkey_topology", &self.valkey_topology)
            .field("valkey_password", &"***")
            .finish_non_exhaustive()
    }
}

/// Settings that name no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("VALKEY_ADDR is empty: give host and port of Valkey, such as marsad-valkey:6379")]
pub struct NoAddress;

impl LedgerArgs {
    /// The client's settings.
    ///
    /// # Errors
    /// When no address is given.
    pub fn settings(&self) -> Result<Settings, NoAddress> {
        let first = self.valkey_addr.first().ok_or(NoAddress)?.clone();
        let place = match self.valkey_topology {
            Topology::Standalone => Place::Standalone(first),
            Topology::Sentinel => Place::Sentinel {
                sentinels: self.valkey_addr.clone(),
                service: self.valkey_service.clone(),
            },
            Topology::Cluster => Place::Cluster(self.valkey_addr.clone()),
        };
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Settings {
            login: Login {
                username: given(&self.valkey_username),
                password: given(&self.valkey_password),
                db: self.valkey_db,
            },
            connections: usize::from(self.ledger_connections),
            batch: usize::from(self.ledger_batch),
            replicas: self.ledger_replicas,
            wait: Duration::from_millis(self.ledger_wait_ms),
            mode: match self.ledger_unacknowledged {
                Unacknowledged::Strict => Mode::Strict,
                Unacknowledged::Available => Mode::Available,
            },
            ..Settings::new(place)
        })
    }
}

fn address(text: &str) -> Result<Address, String> {
    let wrong = || format!("{text:?} is no address: give host and port, such as marsad-valkey:6379");
    let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(Address::Tcp(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: LedgerArgs,
    }

    fn parse(words: &[&str]) -> Result<LedgerArgs, clap::Error> {
        Cli::try_parse_from([&["x"], words].concat()).map(|cli| cli.args)
    }

    #[test]
    fn addresses_are_understood_and_no_password_is_shown() {
        let args = parse(&[
            "--valkey-addr=a:1,[::1]:2",
            "--valkey-topology=sentinel",
            "--valkey-password=geheim",
        ])
        .unwrap();
        assert!(!format!("{args:?}").contains("geheim"));
        let settings = args.settings().unwrap();
        let sentinels = vec![Address::Tcp("a".into(), 1), Address::Tcp("::1".into(), 2)];
        let service = "marsad".to_owned();
        assert_eq!(settings.place, Place::Sentinel { sentinels, service });
        assert_eq!(settings.login.password.as_deref(), Some("geheim"));
    }

    #[test]
    fn a_wrong_address_is_refused_with_an_example() {
        for wrong in ["valkey", "valkey:x", ":6379", ""] {
            let error = parse(&[&format!("--valkey-addr={wrong}")]).unwrap_err();
            assert!(
                error.to_string().contains("marsad-valkey:6379"),
                "{wrong}: {error}"
            );
        }
        assert_eq!(parse(&[]).unwrap().settings().unwrap_err(), NoAddress);
    }

    /// R1.3-24: ten connections unless told otherwise, a hundred at most.
    #[test]
    fn r1_3_24_the_number_of_connections_has_bounds() {
        assert_eq!(parse(&[]).unwrap().ledger_connections, 10);
        for few_or_many in ["9", "101"] {
            assert!(parse(&["--ledger-connections", few_or_many]).is_err());
        }
    }
}
