//! What the frames of a stream tell, frame by frame. Pure.

use std::time::Duration;

use crate::h264::Sequence;

/// Fewer frames between key frames than this may hide B-frames: a second group is looked at.
const ENOUGH_FRAMES: u32 = 8;

/// What a stream is like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// RTP's name of the codec, in capitals: `H264`. Nothing but the size is known of others.
    pub codec: String,
    /// Such as `High`.
    pub profile: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Frames are sent in another order than they are shown, which WebRTC cannot carry. (B slices in the order in which they are shown
    /// do no harm, and are not meant.)
    pub b_frames: bool,
    /// The longest time between key frames that was seen. When `gop_open`, it is longer. `None`: B-frames were seen before it was known.
    pub gop: Option<Duration>,
    /// Frames from one key frame to the next, the first counted; `None` with an open `gop`.
    pub gop_frames: Option<u32>,
    /// The look ended before the second key frame.
    pub gop_open: bool,
}

/// A frame, in the order in which it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// When it is to be shown, since any beginning.
    pub(crate) shown: Duration,
    /// A decoder can begin here.
    pub(crate) key: bool,
    /// It has a B slice.
    pub(crate) b_slice: bool,
}

/// Takes in frames until enough is known.
#[derive(Debug, Default)]
pub(crate) struct Look {
    first: Option<Duration>,
    latest: Duration,
    backwards: bool,
    b_slices: bool,
    key: Option<Duration>,
    /// From the first frame to the first key frame: part of a group.
    lead: Duration,
    frames: u32,
    gop: Option<(Duration, u32)>,
    gops: u32,
}

impl Look {
    /// Takes in the next frame.
    pub(crate) fn frame(&mut self, frame: Frame) {
        self.first.get_or_insert(frame.shown);
        self.backwards |= frame.shown < self.latest;
        self.b_slices |= frame.b_slice;
        self.latest = self.latest.max(frame.shown);
        if !frame.key {
            self.frames = self.frames.saturating_add(1);
            return;
        }
        if let Some(before) = self.key.replace(frame.shown) {
            let gop = (frame.shown.saturating_sub(before), self.frames);
            self.gops += 1;
            self.gop = self.gop.max(Some(gop));
        } else if let Some(first) = self.first {
            self.lead = frame.shown.saturating_sub(first);
        }
        self.frames = 1;
    }

    /// Whether enough is known: one whole group of pictures, or two of very short ones, or that WebRTC cannot carry it.
    pub(crate) fn enough(&self, sequence: Option<&Sequence>) -> bool {
        let whole = self
            .gop
            .is_some_and(|(_, frames)| frames >= ENOUGH_FRAMES || self.gops >= 2);
        whole || self.b_frames(sequence)
    }

    /// Whether a frame was seen.
    pub(crate) fn begun(&self) -> bool {
        self.first.is_some()
    }

    fn b_frames(&self, sequence: Option<&Sequence>) -> bool {
        let in_order = sequence.and_then(|sequence| sequence.reorder) == Some(0);
        self.backwards || self.b_slices && !in_order
    }

    /// What is known now.
    pub(crate) fn end(&self, sequence: Option<&Sequence>, size: Option<(u32, u32)>) -> Inspection {
        // A group that was not seen whole is at least as long as was seen of it, before the first key frame or after the last.
        let open = self
            .key
            .or(self.first)
            .map(|since| self.latest.saturating_sub(since).max(self.lead));
        let b_frames = self.b_frames(sequence);
        let (gop, gop_frames, gop_open) = match self.gop {
            // The last group, not whole, may be the longest: a camera that stretches its groups while nothing moves.
            Some((gop, frames)) if open.is_none_or(|open| open <= gop) => (Some(gop), Some(frames), false),
            // The look ended for the B-frames.
            _ if b_frames => (None, None, false),
            _ => (open, None, open.is_some()),
        };
        Inspection {
            codec: "H264".to_owned(),
            profile: sequence.map(|sequence| sequence.profile.clone()),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            b_frames,
            gop,
            gop_frames,
            gop_open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames 100 ms apart: `I` key, `P`, `b` B slice in order; digits after a letter are the time in tenths instead.
    fn look(frames: &[(char, u64)]) -> Look {
        let mut look = Look::default();
        for &(kind, tenths) in frames {
            look.frame(Frame {
                shown: Duration::from_millis(tenths * 100),
                key: kind == 'I',
                b_slice: kind == 'b',
            });
        }
        look
    }

    fn group(from: u64, frames: u64) -> Vec<(char, u64)> {
        (from..from + frames)
            .map(|at| (if at == from { 'I' } else { 'P' }, at))
            .collect()
    }

    fn sequence(reorder: Option<u32>) -> Sequence {
        Sequence {
            profile: "High".into(),
            reorder,
        }
    }

    #[test]
    fn a_group_is_measured_from_key_frame_to_key_frame() {
        // Begins amid a group, which does not count.
        let look = look(&[vec![('P', 0), ('P', 1)], group(2, 10), group(12, 1)].concat());
        assert!(look.enough(None));
        let seen = look.end(Some(&sequence(None)), Some((640, 360)));
        assert_eq!(
            (seen.gop, seen.gop_frames, seen.gop_open),
            (Some(Duration::from_secs(1)), Some(10), false)
        );
        assert_eq!(
            (seen.b_frames, seen.profile.as_deref(), seen.width),
            (false, Some("High"), Some(640))
        );
    }

    #[test]
    fn a_group_that_does_not_end_is_at_least_as_long_as_was_looked() {
        let from_key = look(&[vec![('P', 0)], group(1, 90)].concat());
        let seen = from_key.end(None, None);
        assert!(!from_key.enough(None));
        assert_eq!(
            (seen.gop, seen.gop_frames, seen.gop_open),
            (Some(Duration::from_millis(8900)), None, true)
        );
        let amid = look(&[vec![('P', 0)], group(50, 20)].concat()).end(None, None);
        assert_eq!((amid.gop, amid.gop_open), (Some(Duration::from_secs(5)), true));
        let without_key = look(&[('P', 0), ('P', 70)]).end(None, None);
        assert_eq!(
            (without_key.gop, without_key.gop_open),
            (Some(Duration::from_secs(7)), true)
        );
    }

    #[test]
    fn short_groups_are_looked_at_twice() {
        let one = look(&[group(0, 3), group(3, 1)].concat());
        assert!(!one.enough(None));
        let two = look(&[group(0, 3), group(3, 4), group(7, 1)].concat());
        assert!(two.enough(None));
        assert_eq!(two.end(None, None).gop, Some(Duration::from_millis(400)));
    }

    #[test]
    fn frames_out_of_order_are_b_frames() {
        let late = look(&[('I', 0), ('P', 3), ('b', 1)]);
        for sequence in [None, Some(sequence(Some(0))), Some(sequence(Some(2)))] {
            assert!(late.enough(sequence.as_ref()) && late.end(sequence.as_ref(), None).b_frames);
        }
        assert_eq!(late.end(None, None).gop, None);
    }

    #[test]
    fn b_slices_in_order_do_no_harm_when_the_stream_promises_it() {
        let in_order = look(&[('I', 0), ('b', 1), ('b', 2)]);
        assert!(in_order.end(None, None).b_frames);
        assert!(in_order.end(Some(&sequence(None)), None).b_frames);
        assert!(in_order.end(Some(&sequence(Some(2))), None).b_frames);
        assert!(!in_order.end(Some(&sequence(Some(0))), None).b_frames);
    }

    #[test]
    fn nothing_seen_is_nothing_known() {
        let nothing = Look::default();
        assert!(!nothing.begun() && !nothing.enough(None));
        assert_eq!(
            nothing.end(None, None),
            Inspection {
                codec: "H264".into(),
                ..Inspection::default()
            }
        );
    }
}
