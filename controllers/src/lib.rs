//! One folder per kind: dereference, validate, build, apply, status. [`fleet`] is what the kinds share of the world
//! outside Kubernetes: the shards as they are; [`reach`] is where in that world they may go. [`bootstrap`] is what the operator makes at its start. [`stream_limits`]
//! keeps the quota's limits on live streams in the ledger.

mod agency;
pub mod bootstrap;
pub mod camera;
pub mod camera_source;
pub mod fleet;
#[cfg(test)]
#[path = "../../crds/tests/health/mod.rs"]
mod health;
pub mod ingest_pool;
mod labels;
mod random;
pub mod reach;
mod secret_value;
pub mod stream_limits;
