//! RTSP probe: why a camera is down, and what a stream is like.
//!
//! [`diagnose`] asks the camera itself, when MediaMTX cannot pull it and gives no reason (research/media-plane.md §1);
//! it only asks for the description, so that the camera's few sessions stay free.
//! [`inspect`] reads a stream from MediaMTX, which costs the camera nothing, for what MediaMTX does not tell: B-frames, and the
//! time between key frames. [`key_frame`] reads one key frame there.

mod credentials;
mod describe;
mod exchange;
mod failure;
mod h264;
mod inspect;
mod key_frame;
mod look;
mod sdp;
mod session;
mod tls;

pub use credentials::Credentials;
pub use describe::{Told, diagnose};
pub use failure::Failure;
pub use inspect::inspect;
pub use key_frame::{KeyFrame, key_frame};
pub use look::Inspection;
pub use tls::Trust;
