//! Client of MediaMTX's control API (v1.20), and the configuration of a shard.
//!
//! Who has the API has the cameras' passwords and the publishers' tokens in clear text (research/media-plane.md §1):
//! nothing of this crate prints either, in `Debug` or in errors.
//!
//! What is particular to MediaMTX, and copied here from what was seen of it (research/whip-lab.md §5):
//! a write is answered before it has an effect; paths made over the API are forgotten with a restart;
//! each write costs in proportion to the number of paths, even when it changes nothing. So: compare first ([`diff`]).

mod access;
mod client;
mod config;
mod credentials;
mod error;
mod path;
mod recordings;
mod state;
mod transport;

pub use access::{AUTHORITIES_KEY, Access, Logins, MissingKey, server_name};
pub use client::Client;
pub use config::{ORPHANS, ServerConfig, render_config};
pub use credentials::Credentials;
pub use error::Error;
pub use path::{ForwardEntry, PathConf, PathConfig, PathPatch, RtspTransport, diff};
pub use recordings::Recording;
pub use state::{Forward, ForwardState, Info, PathState, Track};
pub use transport::{Transport, Trust};
