//! The stream ledger: who may watch a live stream now, counted exactly over all instances (section 1.3).
//!
//! Truth is a sorted set of leases per source in Valkey, changed by Lua scripts alone (`scripts/`, described in
//! README.md); whatever is called a count is rewritten from the sets. Pure here: [`request`] says what goes to a script and
//! what comes back, [`model`] what a script must answer. [`client`] asks.

pub mod args;
pub mod client;
pub mod keys;
pub mod lease;
pub mod model;
pub mod request;
pub mod script;

pub use args::LedgerArgs;
pub use client::{Client, Mode, Settings};
pub use keys::{Keyspace, Opening};
pub use lease::{Details, LeaseId, MARGIN, Source, SourceError, TTL};
