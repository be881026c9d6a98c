//! What H.264 slices and parameter sets tell. Pure.

use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};
use h264_reader::rbsp::{BitRead, BitReader, ByteReader};

/// What a sequence parameter set tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// Such as `High`.
    pub(crate) profile: String,
    /// How many frames may be shown later than they are sent; `None`: not said.
    pub(crate) reorder: Option<u32>,
}

/// Reads a sequence parameter set with its NAL header.
pub(crate) fn sequence(nal: &[u8]) -> Option<Sequence> {
    if nal.is_empty() {
        return None;
    }
    let set = SeqParameterSet::from_bits(RefNal::new(nal, &[], true).rbsp_bits()).ok()?;
    let restrictions = set
        .vui_parameters
        .as_ref()
        .and_then(|vui| vui.bitstream_restrictions.as_ref());
    Some(Sequence {
        profile: format!("{:?}", set.profile()),
        reorder: restrictions.map(|restrictions| restrictions.max_num_reorder_frames),
    })
}

/// Whether a picture, its NALs each after its length in four bytes, has a B slice.
pub(crate) fn has_b_slice(picture: &[u8]) -> bool {
    nals(picture).any(is_b_slice)
}

/// The slices of an IDR picture, each after its length in four bytes: what a decoder needs besides the parameter sets. None of
/// another picture, or of one whose beginning is missing.
pub(crate) fn idr_slices(picture: &[u8]) -> Option<Vec<u8>> {
    let slices = || nals(picture).filter(|nal| nal.first().is_some_and(|header| header & 0x1f == 5));
    // The address of the first macroblock, an Exp-Golomb code: zero is a single bit.
    let begins = slices().next()?.get(1)? & 0x80 != 0;
    let all = slices().flat_map(|nal| {
        let length = u32::try_from(nal.len()).unwrap_or_default();
        length.to_be_bytes().into_iter().chain(nal.iter().copied())
    });
    begins.then(|| all.collect())
}

fn nals(mut picture: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = picture.split_first_chunk::<4>()?;
        let (nal, rest) = rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
        picture = rest;
        Some(nal)
    })
}

fn is_b_slice(nal: &[u8]) -> bool {
    // Slices that are not of an IDR picture, whole or partition A: an IDR picture has none.
    let Some(1 | 2) = nal.first().map(|header| header & 0x1f) else {
        return false;
    };
    // The two values at the head of a slice are at most nine bytes long.
    let head = nal.get(..16).unwrap_or(nal);
    let mut bits = BitReader::new(ByteReader::skipping_h264_header(head));
    let _first_macroblock = bits.read_ue("first_mb_in_slice");
    // 1: B; 6: all slices of the picture are (ITU-T H.264 table 7-6).
    matches!(bits.read_ue("slice_type"), Ok(1 | 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slice of `kind`, first macroblock 0: `1`, then the kind as an Exp-Golomb code.
    fn slice(header: u8, kind: u8) -> Vec<u8> {
        let code = u32::from(kind) + 1;
        let length = 2 * code.ilog2() + 1;
        let bits = (1 << length | code) << (15 - length);
        let [_, _, high, low] = u32::to_be_bytes(bits);
        [vec![header, high, low], vec![0x80; 20]].concat()
    }

    fn picture(nals: &[Vec<u8>]) -> Vec<u8> {
        nals.iter()
            .flat_map(|nal| [&u32::try_from(nal.len()).unwrap().to_be_bytes()[..], nal].concat())
            .collect()
    }

    #[test]
    fn b_slices_are_seen() {
        for (header, kind, b) in [
            (0x41, 0, false),
            (0x01, 1, true),
            (0x41, 2, false),
            (0x41, 5, false),
            (0x01, 6, true),
            (0x41, 7, false),
            (0x65, 7, false),
            // No slice: supplemental information whose first bytes look like one.
            (0x06, 1, false),
        ] {
            assert_eq!(
                has_b_slice(&picture(&[slice(header, kind)])),
                b,
                "{header:x} {kind}"
            );
        }
        assert!(has_b_slice(&picture(&[vec![0x09, 0xf0], slice(0x01, 6)])));
    }

    #[test]
    fn r1_1_11_of_a_key_frame_its_slices_are_kept() {
        let (delimiter, parameters, supplement) = (vec![0x09, 0xf0], vec![0x67, 1, 2], vec![0x06, 5]);
        let (first, second) = (slice(0x65, 7), slice(0x65, 2));
        let whole = picture(&[delimiter, parameters, supplement, first.clone(), second.clone()]);
        assert_eq!(idr_slices(&whole), Some(picture(&[first, second.clone()])));
        assert_eq!(idr_slices(&picture(&[slice(0x41, 5)])), None);
        assert_eq!(idr_slices(&[0, 0, 0, 9, 0x65]), None);
        // Its first macroblock is the one after the first: the slice before it was missed.
        let mut later = second;
        later[1] = 0b0100_0000;
        assert_eq!(idr_slices(&picture(&[later])), None);
    }

    #[test]
    fn broken_pictures_are_let_pass() {
        for broken in [
            &[][..],
            &[0, 0, 0],
            &[0, 0, 0, 0],
            &[0, 0, 0, 9, 1],
            &[0xff; 40],
            &[0, 0, 0, 1, 1],
        ] {
            assert!(!has_b_slice(broken));
        }
        assert_eq!(sequence(&[]), None);
        assert_eq!(sequence(&[0x67, 0xff]), None);
    }
}
