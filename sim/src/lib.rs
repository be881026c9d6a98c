//! Camera simulator: many RTSP cameras from one process, with faults on command
//! (docs/architecture.md, "The simulator").
//!
//! A [`fleet::Fleet`] holds the cameras, [`server::accept`] serves them over RTSP,
//! [`control::router`] is the HTTP API that adds, removes and breaks them.
//! [`clock::barcode`] reads the time from a clock camera's picture.

pub mod annexb;
pub mod auth;
pub mod camera;
pub mod clip;
pub mod clock;
mod connection;
pub mod control;
mod dialogue;
pub mod feed;
pub mod fleet;
pub mod media;
mod reply;
pub mod rtp;
mod sdp;
pub mod server;
pub mod timeline;
pub mod wish;
