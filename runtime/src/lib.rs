//! What kube-rs lacks and every role needs: a supervised process ([`role`], [`heartbeat`]), logs and metrics
//! and traces ([`telemetry`], [`metrics`], [`trace`]), one leader among replicas ([`election`]), a counted
//! way to the API server ([`client`]), guarded and pruned watches that several controllers share ([`watch`]),
//! the controller loop with deadline, panic isolation and per-object backoff ([`controller`], [`backoff`]),
//! conditions and status written only when they change meaning ([`conditions`], [`status`]), events ([`events`]), and certificates
//! that renew themselves ([`certificates`]).

pub mod backoff;
pub mod certificates;
pub mod client;
pub mod conditions;
pub mod controller;
pub mod election;
pub mod events;
mod gate;
pub mod heartbeat;
pub mod metrics;
pub mod role;
pub mod status;
pub mod telemetry;
pub mod trace;
pub mod watch;
