//! What a playing session gets its frames from.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep_until};

use crate::clip::{AccessUnit, Clip};
use crate::media::{FRAME_RATE, Media};
use crate::timeline::Timeline;

/// A frame of a camera's timeline.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its place in the timeline.
    pub index: u64,
    /// The picture.
    pub unit: Arc<AccessUnit>,
}

/// A source of frames, at the pace they are due.
#[derive(Debug)]
pub enum Feed {
    /// A looped clip.
    Clip {
        /// The clip.
        clip: Arc<Clip>,
        /// When its frames are due.
        timeline: Timeline,
        /// The next one.
        next: u64,
    },
    /// A clock that is being encoded now.
    Clock {
        /// From the encoder.
        frames: broadcast::Receiver<Frame>,
        /// Frames were missed: nothing makes sense until the next keyframe.
        broken: bool,
    },
    /// Audio without sound.
    Silence {
        /// The packet.
        unit: Arc<AccessUnit>,
        /// When it is due.
        timeline: Timeline,
        /// The next one.
        next: u64,
    },
}

/// How late a session may be before it skips to a keyframe, in frames: what a camera's send
/// buffer holds.
const MOST_LATE: u64 = FRAME_RATE as u64;

impl Feed {
    /// A clip from its next frame on. Like a camera, it does not wait for a keyframe.
    #[must_use]
    pub fn clip(clip: Arc<Clip>, timeline: Timeline) -> Self {
        Self::Clip {
            clip,
            timeline,
            next: timeline.index_at(Instant::now()) + 1,
        }
    }

    /// A live clock.
    #[must_use]
    pub fn clock(frames: broadcast::Receiver<Frame>) -> Self {
        Self::Clock {
            frames,
            broken: false,
        }
    }

    /// μ-law silence.
    #[must_use]
    pub fn silence(timeline: Timeline) -> Self {
        let packet = vec![0xff; Media::Pcmu.ticks_per_frame() as usize];
        Self::Silence {
            unit: Arc::new(AccessUnit {
                nals: vec![Bytes::from(packet)],
                key: true,
                delay: 0,
            }),
            timeline,
            next: timeline.index_at(Instant::now()) + 1,
        }
    }

    /// The next frame, when it is due; `None` when there will be none any more.
    ///
    /// May be dropped at any time without losing a frame. A reader that is more than a second late
    /// goes on with the keyframe that is due next.
    pub async fn next(&mut self) -> Option<Frame> {
        match self {
            Self::Clip { clip, timeline, next } => {
                let now = timeline.index_at(Instant::now());
                if now > *next + MOST_LATE {
                    *next = clip.next_key(now);
                }
                sleep_until(timeline.due(*next)).await;
                let index = *next;
                let unit = clip.unit(index)?.clone();
                *next += 1;
                Some(Frame { index, unit })
            }
            Self::Silence { unit, timeline, next } => {
                let now = timeline.index_at(Instant::now());
                if now > *next + MOST_LATE {
                    *next = now;
                }
                sleep_until(timeline.due(*next)).await;
                let index = *next;
                *next += 1;
                Some(Frame {
                    index,
                    unit: unit.clone(),
                })
            }
            Self::Clock { frames, broken } => loop {
                match frames.recv().await {
                    Ok(frame) if *broken && !frame.unit.key => {}
                    Ok(frame) => {
                        *broken = false;
                        return Some(frame);
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => *broken = true,
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::clock;
    use crate::media::FRAME;

    fn clip(frames: u64) -> Arc<Clip> {
        Arc::new(Clip::parse(&clock::recorded("cam-0", frames).unwrap(), Media::H264).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn across_the_end_of_the_clip_time_goes_on_and_nothing_is_left_out() {
        let clip = clip(30);
        let timeline = Timeline::new(Duration::ZERO, u32::MAX - 50_000);
        let mut feed = Feed::clip(clip.clone(), timeline);
        let mut before: Option<Frame> = None;
        for _ in 0..100 {
            let frame = feed.next().await.unwrap();
            assert_eq!(timeline.index_at(Instant::now()), frame.index, "on time");
            assert_eq!(&frame.unit, clip.unit(frame.index % 30).unwrap());
            if let Some(before) = before {
                assert_eq!(frame.index, before.index + 1);
                let step = timeline
                    .timestamp(Media::H264, frame.index)
                    .wrapping_sub(timeline.timestamp(Media::H264, before.index));
                assert_eq!(step, 3600);
            }
            before = Some(frame);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_reader_goes_on_with_a_keyframe_that_is_due() {
        let timeline = Timeline::new(Duration::ZERO, 0);
        let mut feed = Feed::clip(clip(50), timeline);
        assert_eq!(feed.next().await.unwrap().index, 1);
        // Late by less than a second: everything is still sent.
        advance(FRAME * 20).await;
        assert_eq!(feed.next().await.unwrap().index, 2);
        advance(FRAME * 100).await;
        let frame = feed.next().await.unwrap();
        assert_eq!(frame.index, 125);
        assert!(frame.unit.key);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_can_be_given_up_without_losing_a_frame() {
        let mut feed = Feed::clip(clip(50), Timeline::new(Duration::ZERO, 0));
        for _ in 0..10 {
            let given_up = tokio::time::timeout(Duration::from_millis(1), feed.next()).await;
            assert!(given_up.is_err());
        }
        assert_eq!(feed.next().await.unwrap().index, 1);
    }

    #[tokio::test]
    async fn after_lost_clock_frames_nothing_is_shown_until_a_keyframe() {
        let (sender, receiver) = broadcast::channel(4);
        let mut feed = Feed::clock(receiver);
        for index in 0..20 {
            let unit = AccessUnit {
                nals: Vec::new(),
                key: index == 18,
                delay: 0,
            };
            let _ = sender.send(Frame {
                index,
                unit: Arc::new(unit),
            });
        }
        assert_eq!(feed.next().await.unwrap().index, 18);
        assert_eq!(feed.next().await.unwrap().index, 19);
        drop(sender);
        assert!(feed.next().await.is_none());
    }
}
