//! Drawing the clock: barcode, digits, and a texture that moves.

use jiff::Timestamp;

use super::barcode;
use super::font::{ADVANCE, COLUMNS, glyph};

/// Width of the picture, pixels: a multiple of the barcode's 40 cells and of a macroblock.
pub const WIDTH: usize = 640;

/// Height of the picture, pixels.
pub const HEIGHT: usize = 360;

/// Pixels that the background moves per frame.
const SCROLL: u64 = 2;

/// A picture in planar YUV 4:2:0, and the background that is scrolled into it.
#[derive(Debug)]
pub struct Canvas {
    luma: Vec<u8>,
    blue: Vec<u8>,
    red: Vec<u8>,
    /// As high as the picture, twice as wide, its right half like its left: any window of the
    /// picture's width is a background.
    texture: Vec<u8>,
}

impl Canvas {
    /// A canvas in a colour that belongs to the camera's name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let seed = name.bytes().fold(0x811c_9dc5u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let tinted = |tint: u8| {
            let mut plane = vec![tint; (WIDTH / 2) * (HEIGHT / 2)];
            // Under the barcode no colour: black is black and white is white in RGB too.
            let rows = WIDTH / barcode::CELLS / 2 + 1;
            plane
                .iter_mut()
                .take(rows * WIDTH / 2)
                .for_each(|sample| *sample = 128);
            plane
        };
        // Pale tints: 128 is grey.
        let tint = |byte: u32| 104 + (byte & 0x2f) as u8;
        Self {
            luma: vec![barcode::BLACK; WIDTH * HEIGHT],
            blue: tinted(tint(seed >> 8)),
            red: tinted(tint(seed >> 16)),
            texture: texture(seed),
        }
    }

    /// Luma, row after row of [`WIDTH`] samples.
    #[must_use]
    pub fn luma(&self) -> &[u8] {
        &self.luma
    }

    /// The chroma planes, blue and red difference, half as wide and high.
    #[must_use]
    pub fn chroma(&self) -> (&[u8], &[u8]) {
        (&self.blue, &self.red)
    }

    /// Draws frame number `index`, made at `epoch_ms`.
    pub fn draw(&mut self, name: &str, index: u64, epoch_ms: u64) {
        let offset = usize::try_from(index.wrapping_mul(SCROLL) % WIDTH as u64).unwrap_or(0);
        let wide = self.texture.chunks_exact(2 * WIDTH);
        for (row, wide) in self.luma.chunks_exact_mut(WIDTH).zip(wide) {
            if let Some(window) = wide.get(offset..offset + WIDTH) {
                row.copy_from_slice(window);
            }
        }
        let (date, time) = written(epoch_ms);
        self.text(&time, 8, 120);
        self.text(&format!("{date} UTC"), 4, 210);
        self.text(name, 4, 270);
        barcode::draw(&mut self.luma, WIDTH, epoch_ms);
    }

    /// Writes a line in the middle, white on a dark band.
    fn text(&mut self, text: &str, scale: usize, top: usize) {
        let most = WIDTH / (ADVANCE * scale);
        let shown = text.chars().count().min(most);
        let left = (WIDTH - shown * ADVANCE * scale) / 2;
        let band = top.saturating_sub(scale)..top + 8 * scale;
        for row in self.luma.chunks_exact_mut(WIDTH).take(band.end).skip(band.start) {
            row.fill(barcode::BLACK + 16);
        }
        for (at, character) in text.chars().take(most).enumerate() {
            let dots = glyph(character);
            let x = left + at * ADVANCE * scale;
            let rows = self.luma.chunks_exact_mut(WIDTH).skip(top).take(7 * scale);
            for (y, row) in rows.enumerate() {
                let bits = dots.get(y / scale).copied().unwrap_or(0);
                for column in (0..COLUMNS).filter(|column| bits >> (COLUMNS - 1 - column) & 1 == 1) {
                    let from = x + column * scale;
                    if let Some(dot) = row.get_mut(from..from + scale) {
                        dot.fill(barcode::WHITE);
                    }
                }
            }
        }
    }
}

fn written(epoch_ms: u64) -> (String, String) {
    let time = i64::try_from(epoch_ms)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let time = time.unwrap_or(Timestamp::MAX);
    (
        time.strftime("%Y-%m-%d").to_string(),
        time.strftime("%H:%M:%S.%3f").to_string(),
    )
}

/// Blocks of grey with grain: enough detail that the encoder has a camera's bit rate to spend.
fn texture(seed: u32) -> Vec<u8> {
    let mut noise = seed | 1;
    let mut random = move || {
        // xorshift32 (Marsaglia 2003): any cheap noise will do, but the same on every start.
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        noise
    };
    let blocks: Vec<u8> = (0..(WIDTH / 32) * (HEIGHT / 24))
        .map(|_| 60 + (random() % 100) as u8)
        .collect();
    let mut texture = Vec::with_capacity(2 * WIDTH * HEIGHT);
    for y in 0..HEIGHT {
        let row: Vec<u8> = (0..WIDTH)
            .map(|x| {
                let block = blocks
                    .get((y / 24) * (WIDTH / 32) + x / 32)
                    .copied()
                    .unwrap_or(128);
                block + (random() % 12) as u8
            })
            .collect();
        texture.extend_from_slice(&row);
        texture.extend_from_slice(&row);
    }
    texture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawn_time_is_read_back_and_the_picture_moves() {
        let mut canvas = Canvas::new("clock-0");
        canvas.draw("clock-0", 7, 1_795_000_000_123);
        assert_eq!(
            barcode::read(canvas.luma(), WIDTH),
            Some(1_795_000_000_123u64 as u32)
        );
        let before = canvas.luma().to_vec();
        canvas.draw("clock-0", 8, 1_795_000_000_163);
        let changed = before.iter().zip(canvas.luma()).filter(|(a, b)| a != b).count();
        assert!(changed > WIDTH * HEIGHT / 10, "only {changed} pixels moved");
    }

    #[test]
    fn writes_the_time_for_people() {
        assert_eq!(
            written(1_795_000_000_123),
            ("2026-11-18".to_owned(), "11:06:40.123".to_owned())
        );
    }

    #[test]
    fn a_long_name_is_cut_at_the_edge() {
        let name = "x".repeat(63);
        Canvas::new(&name).draw(&name, 0, 0);
    }
}
