//! The keys of the ledger, and what every call carries.

use std::fmt::Display;

/// Version of the scripts; they refuse another (`VERSION` in `scripts/prelude.lua`).
pub const VERSION: u32 = 1;

/// Where the keys are. The names after the prefix are those of section 1.3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keyspace {
    prefix: String,
}

impl Keyspace {
    /// The prefix of a cluster: one hash tag, so that a script's keys are all in one slot.
    pub const CLUSTER: &str = "{cctv}:";

    /// Keys with this before their names; empty for the literal names.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// The key `stream:{name}`.
    pub fn key(&self, name: impl Display) -> String {
        format!("{}stream:{name}", self.prefix)
    }
}

/// What a caller knows of the server, and how long grace takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The server's run id at connect; empty lets the script read it (8 µs more, research/quota.md §2.5).
    pub run_id: String,
    /// How long only reclaims are granted after another server, an empty dataset or a gap: one heartbeat interval.
    pub grace_ms: u64,
}
