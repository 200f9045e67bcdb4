//! Pictures from PNG files, made into what a model takes.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use crate::Error;

/// Pixels above which a file is refused: 8192 x 8192, far beyond any input of a dense layer, and
/// at four bytes a pixel still a quarter of a gibibyte to decode.
const MAX_PIXELS: u64 = 1 << 26;

/// A grey picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreyImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl GreyImage {
    /// A picture of `pixels`, row-major `[height, width]`, 0 black to 255 white.
    ///
    /// # Panics
    /// If there is no pixel, or another number of them.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "a picture of {width} x {height} has no pixel");
        assert_eq!(pixels.len(), width * height, "pixels of a {width} x {height} picture");
        Self { width, height, pixels }
    }

    /// Reads a PNG file of any colour type and depth. Colours become grey by [`luma`]; where the
    /// picture is transparent, white paper shows through.
    pub fn open_png(path: &Path) -> Result<Self, Error> {
        let name = path.display();
        let unreadable = |e| Error::File(format!("{name}: cannot be read: {e}"));
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(Error::File(format!("{name}: is a folder; name a PNG file")));
        }
        Self::decode_png(BufReader::new(file)).map_err(|e| Error::File(format!("{name}: {e}")))
    }

    /// Decodes a PNG stream; see [`open_png`](Self::open_png). The error does not name the file.
    fn decode_png(source: impl BufRead + Seek) -> Result<Self, String> {
        let mut decoder = png::Decoder::new(source);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        let unreadable = |e: png::DecodingError| match e {
            png::DecodingError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                "is cut short: the file ends inside the picture".to_owned()
            }
            e => format!("is not a readable PNG picture ({e}); other formats must be converted"),
        };
        let (width, height) = decoder.read_header_info().map_err(unreadable)?.size();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(format!(
                "has {width} x {height} pixels, more than the {MAX_PIXELS} this program takes; \
                 make the picture smaller"
            ));
        }
        let mut reader = decoder.read_info().map_err(unreadable)?;
        let size = reader.output_buffer_size().ok_or("has more pixels than memory can hold")?;
        let mut buffer = vec![0; size];
        let frame = reader.next_frame(&mut buffer).map_err(unreadable)?;
        let samples = frame.color_type.samples();
        let pixels =
            buffer[..frame.buffer_size()].chunks_exact(samples).map(|pixel| match *pixel {
                [grey] => grey,
                [grey, alpha] => over_white(grey, alpha),
                [r, g, b] => luma(r, g, b),
                [r, g, b, alpha] => over_white(luma(r, g, b), alpha),
                _ => unreachable!("PNG has one to four samples a pixel"),
            });
        Ok(Self::new(width as usize, height as usize, pixels.collect()))
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, row-major `[height, width]`, 0 black to 255 white.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The picture in another size: each new pixel is the average of the area it covers, parts of
    /// pixels counted by their part. The proportions may change.
    ///
    /// # Panics
    /// If either size is zero.
    #[must_use]
    pub fn resized(&self, width: usize, height: usize) -> Self {
        assert!(width > 0 && height > 0, "a picture of {width} x {height} has no pixel");
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        // The average over a rectangle is separable: rows first, then columns, in f32 so that only
        // the result is rounded.
        let columns = covered(self.width, width);
        let rows = covered(self.height, height);
        let mut narrow = vec![0.0f32; self.height * width];
        for (source, target) in
            self.pixels.chunks_exact(self.width).zip(narrow.chunks_exact_mut(width))
        {
            for (parts, value) in columns.iter().zip(target) {
                *value = parts.iter().map(|&(x, part)| part * f32::from(source[x])).sum();
            }
        }
        let mut pixels = Vec::with_capacity(width * height);
        for parts in &rows {
            for x in 0..width {
                let value: f32 = parts.iter().map(|&(y, part)| part * narrow[y * width + x]).sum();
                pixels.push(value.round() as u8);
            }
        }
        Self { width, height, pixels }
    }

    /// Light made dark and dark made light.
    #[must_use]
    pub fn inverted(mut self) -> Self {
        for pixel in &mut self.pixels {
            *pixel = 255 - *pixel;
        }
        self
    }

    /// Whether the frame of the outermost pixels is light: the mark of ink on paper, where MNIST
    /// and its kin have light strokes on black.
    pub fn has_light_background(&self) -> bool {
        let (mut sum, mut count) = (0u64, 0u64);
        for (y, row) in self.pixels.chunks_exact(self.width).enumerate() {
            for (x, &pixel) in row.iter().enumerate() {
                if x == 0 || y == 0 || x + 1 == self.width || y + 1 == self.height {
                    sum += u64::from(pixel);
                    count += 1;
                }
            }
        }
        sum > 127 * count
    }
}

/// The grey of a colour: ITU-R BT.601's 0.299 R + 0.587 G + 0.114 B, as Pillow's mode `L` has it.
pub fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
}

/// `grey` with opacity `alpha` painted on white.
fn over_white(grey: u8, alpha: u8) -> u8 {
    let (grey, alpha) = (u32::from(grey), u32::from(alpha));
    ((grey * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// For each of `to` new pixels along one side, the old ones of `from` that it covers, each with
/// its part of the new pixel's length; the parts of a pixel add up to one.
fn covered(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    // In units of 1 / (from * to) of the side, all edges are whole numbers: new pixel i covers
    // i*from .. (i+1)*from, old pixel j covers j*to .. (j+1)*to.
    (0..to)
        .map(|i| {
            let (start, end) = (i * from, (i + 1) * from);
            (start / to..end.div_ceil(to))
                .map(|j| {
                    let overlap = end.min((j + 1) * to) - start.max(j * to);
                    (j, overlap as f32 / from as f32)
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn encode(
        width: u32,
        height: u32,
        color: png::ColorType,
        depth: png::BitDepth,
        data: &[u8],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == png::ColorType::Indexed {
            encoder.set_palette(vec![255, 0, 0, 0, 255, 0]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<GreyImage, String> {
        GreyImage::decode_png(Cursor::new(bytes))
    }

    #[test]
    fn every_colour_type_becomes_grey() {
        use png::BitDepth::{Eight, One, Sixteen};
        use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        let cases: [(_, _, &[u8], [u8; 2]); 7] = [
            (Grayscale, Eight, &[7, 200], [7, 200]),
            (Grayscale, Sixteen, &[7, 99, 200, 1], [7, 200]),
            (Grayscale, One, &[0b0100_0000], [0, 255]),
            (GrayscaleAlpha, Eight, &[100, 255, 0, 0], [100, 255]),
            (Rgb, Eight, &[255, 0, 0, 0, 0, 255], [76, 29]),
            (Rgba, Eight, &[0, 255, 0, 255, 0, 0, 0, 128], [150, 127]),
            (Indexed, One, &[0b0100_0000], [76, 150]),
        ];
        for (color, depth, data, pixels) in cases {
            let image = decode(&encode(2, 1, color, depth, data)).unwrap();
            assert_eq!(image.pixels(), pixels, "{color:?} {depth:?}");
            assert_eq!((image.width(), image.height()), (2, 1));
        }
    }

    #[test]
    fn damaged_files_are_refused_in_a_sentence() {
        let whole = encode(9, 9, png::ColorType::Grayscale, png::BitDepth::Eight, &[50; 81]);
        for end in 0..whole.len() - 12 {
            // The last twelve bytes are the chunk IEND, which adds nothing.
            assert!(decode(&whole[..end]).is_err(), "cut to {end} bytes");
        }
        assert!(decode(b"GIF89a and so on").unwrap_err().contains("not a readable PNG"));
        assert!(decode(&whole[..60]).unwrap_err().contains("cut short"));
    }

    #[test]
    fn a_giant_header_is_refused_before_memory_is_taken() {
        let mut bytes = encode(1, 1, png::ColorType::Grayscale, png::BitDepth::Eight, &[0]);
        // Width and height in IHDR, then the checksum over the chunk's type and data.
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let crc = crc32(&bytes[12..29]).to_be_bytes();
        bytes[29..33].copy_from_slice(&crc);
        assert!(decode(&bytes).unwrap_err().contains("65536 x 65536"));
    }

    /// The checksum of PNG chunks, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
            })
        })
    }

    #[test]
    fn resizing_averages_areas() {
        let image = GreyImage::new(4, 2, vec![0, 100, 10, 20, 100, 200, 30, 40]);
        assert_eq!(image.resized(2, 1).pixels(), [100, 25]);
        assert_eq!(image.resized(4, 2), image);
        // Three pixels onto two: each takes one and a half.
        let image = GreyImage::new(3, 1, vec![30, 60, 90]);
        assert_eq!(image.resized(2, 1).pixels(), [40, 80]);
        // Larger: pixels repeat.
        assert_eq!(image.resized(6, 2).pixels(), [30, 30, 60, 60, 90, 90].repeat(2));
        // Proportions may change, and the mean stays.
        assert_eq!(image.resized(1, 5).pixels(), [60; 5]);
    }

    #[test]
    fn resizing_keeps_a_flat_picture_flat() {
        for (from, to) in [(28, 13), (13, 28), (200, 28), (31, 28), (1, 7)] {
            let image = GreyImage::new(from, from, vec![255; from * from]);
            assert!(image.resized(to, to).pixels().iter().all(|&p| p == 255), "{from} to {to}");
        }
    }

    #[test]
    fn ink_on_paper_is_told_from_chalk_on_a_board() {
        let mut pixels = vec![0; 25];
        pixels[6..9].fill(255);
        pixels[11..14].fill(255);
        let chalk = GreyImage::new(5, 5, pixels);
        assert!(!chalk.has_light_background());
        assert!(chalk.clone().inverted().has_light_background());
        assert_eq!(chalk.clone().inverted().inverted(), chalk);
    }

    #[test]
    fn files_that_are_not_there_and_folders_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = GreyImage::open_png(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is a folder"), "{error}");
        let missing = folder.path().join("none.png");
        let error = GreyImage::open_png(&missing).unwrap_err().to_string();
        assert!(error.starts_with(&missing.display().to_string()), "{error}");
    }
}
