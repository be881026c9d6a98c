//! The time as a row of 40 black and white cells, which survives any encoder
//! (docs/architecture.md, "The simulator").

/// Cells in the row.
pub const CELLS: usize = 40;

/// Black and white of limited-range video (BT.601, BT.709).
pub(super) const BLACK: u8 = 16;
pub(super) const WHITE: u8 = 235;

/// The cells for a time, true is white: the low 32 bits of the milliseconds since 1970, most
/// significant first, then their four bytes and 0x5a, all XORed.
#[must_use]
pub fn cells(epoch_ms: u64) -> [bool; CELLS] {
    // Truncation is the modulo.
    let low = epoch_ms as u32;
    let word = (u64::from(low) << 8) | u64::from(checksum(low));
    let mut cells = [false; CELLS];
    for (cell, bit) in cells.iter_mut().zip((0..CELLS as u32).rev()) {
        *cell = (word >> bit) & 1 == 1;
    }
    cells
}

fn checksum(low: u32) -> u8 {
    low.to_be_bytes().iter().fold(0x5a, |sum, byte| sum ^ byte)
}

/// The time that cells tell, modulo 2^32 ms; `None` when the checksum is wrong.
#[must_use]
pub fn time(cells: &[bool; CELLS]) -> Option<u32> {
    let word = cells
        .iter()
        .fold(0u64, |word, &cell| (word << 1) | u64::from(cell));
    let low = (word >> 8) as u32;
    (word as u8 == checksum(low)).then_some(low)
}

/// Reads the time from a picture's luma, row after row of `width` samples; the cells fill the
/// width, and are as high as wide. `None` when there is no readable barcode.
#[must_use]
pub fn read(luma: &[u8], width: usize) -> Option<u32> {
    let side = width / CELLS;
    // The middle row and the middle half of each cell: edges are blurred by the encoder.
    let row = luma.get(width * (side / 2)..)?.get(..side * CELLS)?;
    let mut cells = [false; CELLS];
    for (cell, samples) in cells.iter_mut().zip(row.chunks_exact(side.max(1))) {
        let middle = samples.iter().skip(side / 4).take((side / 2).max(1));
        let count = middle.len();
        let sum: usize = middle.map(|&sample| usize::from(sample)).sum();
        *cell = sum > count * 128;
    }
    time(&cells)
}

/// Draws the time over the top of a picture's luma.
pub fn draw(luma: &mut [u8], width: usize, epoch_ms: u64) {
    let side = width / CELLS;
    let cells = cells(epoch_ms);
    for row in luma.chunks_exact_mut(width.max(1)).take(side) {
        for (samples, cell) in row.chunks_exact_mut(side.max(1)).zip(cells) {
            samples.fill(if cell { WHITE } else { BLACK });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_the_documented_layout() {
        // 0x01020304: checksum 1^2^3^4^0x5a = 0x5e.
        let text: String = cells(0x0102_0304)
            .iter()
            .map(|&cell| if cell { '1' } else { '0' })
            .collect();
        assert_eq!(text, "0000000100000010000000110000010001011110");
    }

    #[test]
    fn a_black_or_white_picture_has_no_time() {
        assert_eq!(read(&[BLACK; 640 * 16], 640), None);
        assert_eq!(read(&[WHITE; 640 * 16], 640), None);
        assert_eq!(read(&[], 640), None);
        assert_eq!(read(&[0; 10], 0), None);
    }

    proptest! {
        #[test]
        fn what_is_drawn_is_read(epoch_ms: u64, width in 40usize..2000) {
            let mut luma = vec![99; width * (width / CELLS)];
            draw(&mut luma, width, epoch_ms);
            prop_assert_eq!(read(&luma, width), Some(epoch_ms as u32));
        }

        #[test]
        fn one_wrong_cell_is_noticed(epoch_ms: u64, at in 0..CELLS) {
            let mut cells = cells(epoch_ms);
            cells[at] = !cells[at];
            prop_assert_eq!(time(&cells), None);
        }
    }
}
