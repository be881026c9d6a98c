//! A camera's time: which frame is due when, and its RTP timestamp.
//!
//! The position in a looped clip is a function of time alone. Cameras therefore share nothing but
//! the clip, need no timer of their own while nobody watches, two viewers of one camera see the
//! same picture, and timestamps go on across the loop's end and across reconnects.

use std::time::Duration;

use tokio::time::Instant;

use crate::media::{FRAME, Media};

/// When a camera's frame 0 was due, and the timestamp it had.
#[derive(Debug, Clone, Copy)]
pub struct Timeline {
    start: Instant,
    base: u32,
}

impl Timeline {
    /// A timeline that has been running for `age`, with RTP timestamps from `base`.
    ///
    /// Cameras that show the same clip get different ages, so that their keyframes do not all
    /// leave in the same millisecond.
    #[must_use]
    pub fn new(age: Duration, base: u32) -> Self {
        let now = Instant::now();
        Self {
            start: now.checked_sub(age).unwrap_or(now),
            base,
        }
    }

    /// The frame that is the newest at `now`.
    #[must_use]
    pub fn index_at(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        u64::try_from(elapsed.as_nanos() / FRAME.as_nanos()).unwrap_or(u64::MAX)
    }

    /// When a frame is due.
    #[must_use]
    pub fn due(&self, index: u64) -> Instant {
        let millis = index.saturating_mul(FRAME.as_millis() as u64);
        self.start + Duration::from_millis(millis)
    }

    /// The RTP timestamp of a frame, modulo 2^32 as RTP has it.
    #[must_use]
    pub fn timestamp(&self, media: Media, index: u64) -> u32 {
        let ticks = index.wrapping_mul(u64::from(media.ticks_per_frame()));
        // Truncation is the modulo.
        self.base.wrapping_add(ticks as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn index_and_due_time_are_inverse() {
        let timeline = Timeline::new(Duration::ZERO, 0);
        for index in [0, 1, 299, 300, 1_000_000] {
            assert_eq!(timeline.index_at(timeline.due(index)), index);
            assert_eq!(
                timeline.index_at(timeline.due(index) + Duration::from_millis(39)),
                index
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn timestamps_wrap_and_keep_their_step() {
        let timeline = Timeline::new(Duration::ZERO, u32::MAX - 3600);
        let steps = (0..4).map(|index| {
            let here = timeline.timestamp(Media::H264, index);
            timeline.timestamp(Media::H264, index + 1).wrapping_sub(here)
        });
        assert_eq!(steps.collect::<Vec<_>>(), [3600; 4]);
        let far = u64::from(u32::MAX) * 3;
        let step = timeline
            .timestamp(Media::Pcmu, far + 1)
            .wrapping_sub(timeline.timestamp(Media::Pcmu, far));
        assert_eq!(step, 320);
    }
}
