//! Clock cameras: a picture that tells, to the millisecond, when it was made.
//!
//! A reader of the picture (a test, `cargo xtask bench live`) subtracts and has the latency from
//! here to its own eyes, with encoder, network and display counted in.

pub mod barcode;
mod font;
mod live;
mod picture;

pub use live::{ClockError, LiveClock, parameters, recorded};
pub use picture::{Canvas, HEIGHT, WIDTH};
