//! The three kinds of media that a camera here can send.

use std::time::Duration;

/// Pictures (or packets of silence) a second, of every clip and clock.
pub const FRAME_RATE: u32 = 25;

/// Time from one frame to the next.
pub const FRAME: Duration = Duration::from_millis(1000 / FRAME_RATE as u64);

/// What is in the RTP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// G.711 μ-law silence, for a camera that has lost its video.
    Pcmu,
}

impl Media {
    /// RTP clock ticks per frame: 90 kHz for video, 8 kHz for audio.
    #[must_use]
    pub const fn ticks_per_frame(self) -> u32 {
        match self {
            Self::H264 | Self::H265 => 90_000 / FRAME_RATE,
            Self::Pcmu => 8_000 / FRAME_RATE,
        }
    }

    /// RTP payload type: the first dynamic one, or the static one of PCMU (RFC 3551).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::H264 | Self::H265 => 96,
            Self::Pcmu => 0,
        }
    }
}
