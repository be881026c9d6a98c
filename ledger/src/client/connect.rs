//! Finding the primary and opening a connection to it.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Value};

use super::settings::{Address, Place, Settings};
use crate::script::Script;

/// No connection to a primary.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The client library says so. Its texts hold no credentials.
    #[error("{0}")]
    Redis(#[from] redis::RedisError),
    /// No Sentinel knows the service, or none answers.
    #[error("no Sentinel knows {service}: {last}")]
    NoSentinel {
        /// The service.
        service: String,
        /// What the last one said.
        last: String,
    },
    /// No node of the cluster says who has the ledger's slot.
    #[error("no node of the cluster knows the ledger's slot: {last}")]
    NoNode {
        /// What the last one said.
        last: String,
    },
    /// A server answers what it should not.
    #[error("Valkey answered what it should not to {0}")]
    Protocol(&'static str),
    /// The server is a replica: a failover is going on, or the address is wrong.
    #[error("the server is no primary")]
    Replica,
}

/// A connection, and whose it is.
pub(super) struct Session {
    pub connection: MultiplexedConnection,
    pub run_id: String,
}

/// Opens a connection, reads whose it is, and loads the scripts.
pub(super) async fn connect(settings: &Settings) -> Result<Session, ConnectError> {
    let address = match &settings.place {
        Place::Standalone(address) => address.clone(),
        Place::Sentinel { sentinels, service } => ask_sentinels(settings, sentinels, service).await?,
        Place::Cluster(nodes) => ask_nodes(settings, nodes).await?,
    };
    let mut connection = open(settings, &address).await?;
    let mut role = Cmd::new();
    role.arg("ROLE");
    match connection.send_packed_command(&role).await? {
        Value::Array(parts) if parts.first().and_then(text).as_deref() == Some("master") => {}
        Value::Array(_) => return Err(ConnectError::Replica),
        _ => return Err(ConnectError::Protocol("ROLE")),
    }
    let mut info = Cmd::new();
    info.arg("INFO").arg("server");
    let said = text(&connection.send_packed_command(&info).await?).unwrap_or_default();
    let run_id = said
        .lines()
        .find_map(|line| line.strip_prefix("run_id:"))
        .ok_or(ConnectError::Protocol("INFO server"))?
        .trim()
        .to_owned();
    let mut load = redis::pipe();
    for script in Script::ALL {
        load.cmd("SCRIPT").arg("LOAD").arg(script.text());
    }
    connection
        .send_packed_commands(&load, 0, Script::ALL.len())
        .await?;
    Ok(Session { connection, run_id })
}

async fn open(settings: &Settings, address: &Address) -> Result<MultiplexedConnection, ConnectError> {
    // The answer's own deadline; the worker has one over a whole batch.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.timeout))
        .set_response_timeout(Some(settings.timeout + settings.wait));
    let client = settings.login.at(address)?;
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

/// The primary's address, from the first Sentinel that knows it.
async fn ask_sentinels(
    settings: &Settings,
    sentinels: &[Address],
    service: &str,
) -> Result<Address, ConnectError> {
    let mut last = "none is configured".to_owned();
    for sentinel in sentinels {
        match ask_sentinel(settings, sentinel, service).await {
            Ok(Some(address)) => return Ok(address),
            Ok(None) => "it does not know that service".clone_into(&mut last),
            Err(error) => last = error.to_string(),
        }
    }
    let service = service.to_owned();
    Err(ConnectError::NoSentinel { service, last })
}

async fn ask_sentinel(
    settings: &Settings,
    at: &Address,
    service: &str,
) -> Result<Option<Address>, ConnectError> {
    let mut settings = settings.clone();
    settings.login.db = 0;
    let mut connection = open(&settings, at).await?;
    let mut ask = Cmd::new();
    ask.arg("SENTINEL").arg("get-master-addr-by-name").arg(service);
    match connection.send_packed_command(&ask).await? {
        Value::Nil => Ok(None),
        Value::Array(parts) => match parts.as_slice() {
            [host, port] => address(host, port).map(Some),
            _ => None,
        }
        .ok_or(ConnectError::Protocol("SENTINEL")),
        _ => Err(ConnectError::Protocol("SENTINEL")),
    }
}

/// The node that has the slot of the ledger's keys.
async fn ask_nodes(settings: &Settings, nodes: &[Address]) -> Result<Address, ConnectError> {
    let mut last = "none is configured".to_owned();
    for node in nodes {
        match ask_node(settings, node).await {
            Ok(address) => return Ok(address),
            Err(error) => last = error.to_string(),
        }
    }
    Err(ConnectError::NoNode { last })
}

async fn ask_node(settings: &Settings, node: &Address) -> Result<Address, ConnectError> {
    let mut connection = open(settings, node).await?;
    let mut ask = Cmd::new();
    ask.arg("CLUSTER").arg("KEYSLOT").arg(settings.space.key("clock"));
    let Value::Int(slot) = connection.send_packed_command(&ask).await? else {
        return Err(ConnectError::Protocol("CLUSTER KEYSLOT"));
    };
    let mut ask = Cmd::new();
    ask.arg("CLUSTER").arg("SLOTS");
    let wrong = || ConnectError::Protocol("CLUSTER SLOTS");
    let Value::Array(ranges) = connection.send_packed_command(&ask).await? else {
        return Err(wrong());
    };
    for range in &ranges {
        let Value::Array(parts) = range else {
            return Err(wrong());
        };
        if let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice()
            && (*first..=*last).contains(&slot)
            && let [host, port, ..] = primary.as_slice()
        {
            // A node that nobody has told its address says none: it is the one that was asked.
            return match (address(host, port), node) {
                (Some(Address::Tcp(host, port)), Address::Tcp(asked, _)) if host.is_empty() => {
                    Ok(Address::Tcp(asked.clone(), port))
                }
                (Some(address), _) => Ok(address),
                (None, _) => Err(wrong()),
            };
        }
    }
    Err(wrong())
}

fn address(host: &Value, port: &Value) -> Option<Address> {
    let port = match port {
        Value::Int(port) => u16::try_from(*port).ok()?,
        port => text(port)?.parse().ok()?,
    };
    Some(Address::Tcp(text(host)?, port))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Nil => Some(String::new()),
        _ => None,
    }
}
