//! NAL units of an Annex B byte stream, grouped into access units (one picture each).

use bytes::Bytes;

use crate::media::Media;

/// The NAL units between the start codes of an H.264 or H.265 byte stream
/// (ITU-T H.264 annex B), sharing its memory.
#[must_use]
pub fn nal_units(stream: &Bytes) -> Vec<Bytes> {
    let mut starts = Vec::new();
    let mut zeros = 0usize;
    for (at, byte) in stream.iter().enumerate() {
        match byte {
            0 => zeros += 1,
            1 if zeros >= 2 => {
                // All zeros before the start code belong to it: a NAL unit never ends with one.
                starts.push((at - zeros, at + 1));
                zeros = 0;
            }
            _ => zeros = 0,
        }
    }
    let ends = starts.iter().skip(1).map(|&(code, _)| code);
    let last = stream.len().saturating_sub(zeros);
    starts
        .iter()
        .zip(ends.chain([last]))
        .filter(|((_, from), to)| from < to)
        .map(|(&(_, from), to)| stream.slice(from..to))
        .collect()
}

/// What a NAL unit is, as far as cutting and joining pictures goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A slice; `first` opens a picture, `key` is a picture that decoding can start at.
    Slice {
        /// The slice with the first macroblock of its picture.
        first: bool,
        /// IDR in H.264, IRAP in H.265.
        key: bool,
    },
    /// VPS, SPS or PPS.
    Parameters,
    /// What stands at the end of a picture: filler, end of sequence, suffix SEI.
    Trailing,
    /// What stands before a picture: delimiters, SEI.
    Leading,
}

/// Looks at the first bytes of a NAL unit (H.264 7.3.1 and 7.3.3, H.265 7.3.1.2 and 7.3.6.1).
#[must_use]
pub fn kind(media: Media, nal: &[u8]) -> Kind {
    let first_byte = nal.first().copied().unwrap_or_default();
    match media {
        Media::H265 => match (first_byte >> 1) & 0x3f {
            unit @ 0..=31 => Kind::Slice {
                first: nal.get(2).is_some_and(|byte| byte & 0x80 != 0),
                key: (16..=23).contains(&unit),
            },
            32..=34 => Kind::Parameters,
            36..=38 | 40 => Kind::Trailing,
            _ => Kind::Leading,
        },
        // PCMU has no NAL units.
        Media::H264 | Media::Pcmu => match first_byte & 0x1f {
            unit @ 1..=5 => Kind::Slice {
                // first_mb_in_slice is Exp-Golomb coded: zero is the single bit 1.
                first: nal.get(1).is_some_and(|byte| byte & 0x80 != 0),
                key: unit == 5,
            },
            7 | 8 => Kind::Parameters,
            10..=12 => Kind::Trailing,
            _ => Kind::Leading,
        },
    }
}

/// The NAL units of one picture, in decoding order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Parameter sets and slices.
    pub nals: Vec<Bytes>,
    /// Decoding can start here.
    pub key: bool,
}

/// Groups NAL units into pictures. What comes after the last slice and before the next picture
/// goes to the picture that the standard says; leading units without a picture are dropped.
#[must_use]
pub fn pictures(media: Media, nals: Vec<Bytes>) -> Vec<Picture> {
    let mut done = Vec::new();
    let mut current = Picture {
        nals: Vec::new(),
        key: false,
    };
    let mut has_slice = false;
    for nal in nals {
        let kind = kind(media, &nal);
        let opens = match kind {
            Kind::Slice { first, .. } => first,
            Kind::Parameters | Kind::Leading => true,
            Kind::Trailing => false,
        };
        if opens && has_slice {
            let next = Picture {
                nals: Vec::new(),
                key: false,
            };
            done.push(std::mem::replace(&mut current, next));
            has_slice = false;
        }
        if let Kind::Slice { key, .. } = kind {
            has_slice = true;
            current.key |= key;
        }
        current.nals.push(nal);
    }
    if has_slice {
        done.push(current);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_both_start_codes_and_trims_zeros() {
        let stream = Bytes::from_static(&[
            0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0x88, 0, 0, 3, 1, 0, 0,
        ]);
        let nals = nal_units(&stream);
        let expected: [&[u8]; 3] = [&[0x67, 1, 2], &[0x68, 3], &[0x65, 0x88, 0, 0, 3, 1]];
        assert_eq!(nals, expected);
    }

    #[test]
    fn a_stream_without_start_codes_has_no_units() {
        assert!(nal_units(&Bytes::from_static(b"not video")).is_empty());
        assert!(nal_units(&Bytes::new()).is_empty());
    }

    #[test]
    fn a_picture_keeps_all_its_slices_and_the_parameter_sets_before_it() {
        let nal = |bytes: &'static [u8]| Bytes::from_static(bytes);
        let units = vec![
            nal(&[0x67, 1]),
            nal(&[0x68, 1]),
            nal(&[0x65, 0x80]),
            nal(&[0x65, 0x40]), // second slice of the same picture
            nal(&[0x41, 0x80]),
            nal(&[0x0c, 0xff]), // filler stays with the picture it follows
            nal(&[0x06, 1]),
            nal(&[0x41, 0x80]),
        ];
        let pictures = pictures(Media::H264, units);
        let shape: Vec<_> = pictures
            .iter()
            .map(|picture| (picture.nals.len(), picture.key))
            .collect();
        assert_eq!(shape, [(4, true), (2, false), (2, false)]);
    }
}
