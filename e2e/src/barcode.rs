//! The clock in a picture: 40 black and white cells along its top (docs/architecture.md, "The simulator"). Read here
//! from the document, not with the simulator's own code, so that one checks the other.

/// Cells in the row.
pub const CELLS: usize = 40;

/// The low 32 bits of the epoch milliseconds that the cells carry, given the mean brightness of each (0 to 255); none when
/// the checksum is wrong.
pub fn decode(brightness: &[f64]) -> Option<u32> {
    if brightness.len() != CELLS {
        return None;
    }
    let bits = brightness
        .iter()
        .fold(0u64, |bits, cell| (bits << 1) | u64::from(*cell > 127.0));
    let [.., b0, b1, b2, b3, check] = bits.to_be_bytes();
    (b0 ^ b1 ^ b2 ^ b3 ^ 0x5a == check).then(|| u32::from_be_bytes([b0, b1, b2, b3]))
}

/// Milliseconds from the clock in a picture to `now` (epoch milliseconds), across the wrap of 32 bits; negative when the
/// picture is from the future.
pub fn age(now: u64, clock: u32) -> i64 {
    let low = u32::try_from(now & u64::from(u32::MAX)).unwrap_or_default();
    i64::from(low.wrapping_sub(clock).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(time: u32) -> Vec<f64> {
        let bytes = time.to_be_bytes();
        let check = bytes.iter().fold(0x5a, |sum, byte| sum ^ byte);
        let all = bytes.into_iter().chain([check]);
        all.flat_map(|byte| {
            (0..8)
                .rev()
                .map(move |bit| if byte >> bit & 1 == 1 { 230.0 } else { 20.0 })
        })
        .collect()
    }

    #[test]
    fn what_is_drawn_is_read() {
        for time in [0, 1, 1_795_580_117, u32::MAX] {
            assert_eq!(decode(&cells(time)), Some(time));
        }
    }

    #[test]
    fn a_spoilt_or_plain_picture_has_no_time() {
        let mut spoilt = cells(1_795_580_117);
        spoilt[7] = 255.0 - spoilt[7];
        assert_eq!(decode(&spoilt), None);
        assert_eq!(decode(&[0.0; 40]), None, "black");
        assert_eq!(decode(&[255.0; 40]), None, "white");
        assert_eq!(decode(&cells(1)[..39]), None);
    }

    #[test]
    fn ages_cross_the_wrap() {
        assert_eq!(age(1_000, 900), 100);
        assert_eq!(age(0x1_0000_0010, 0xffff_fff0), 32);
        assert_eq!(age(900, 1_000), -100);
    }
}
