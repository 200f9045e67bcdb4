//! One picture: a PNG file of any colour type and depth.

use std::io::{self, BufRead, Seek, SeekFrom, Write};
use std::path::Path;

use png::{BitDepth, ColorType, Compression, Decoder, DecodingError, Encoder, Transformations};

use crate::Error;
use crate::gzip::MAX_RATIO;

/// Pixels above which a picture is refused: 8192x8192, far beyond any input of a dense layer.
const MAX_PIXELS: u64 = 1 << 26;

/// A picture, `[height, width, channels]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// The pixels' values.
    pub samples: Samples,
}

/// The values of a picture's pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// 0 to 255.
    Eight(Vec<u8>),
    /// 0 to 65,535.
    Sixteen(Vec<u16>),
}

impl Picture {
    /// Decodes a PNG stream. Palettes become colours (or grey, if all are), depths below eight bits become eight; where
    /// the picture is transparent, white paper shows through. `path` is used in messages.
    ///
    /// # Errors
    /// If it is not PNG, is damaged or cut short, or has more than 2^26 pixels.
    pub fn read(path: &Path, mut source: impl BufRead + Seek) -> Result<Self, Error> {
        let wrong =
            |found: String, expected: &str| Error::invalid(path, "picture", found, expected);
        let damaged = |e: DecodingError| match e {
            DecodingError::IoError(e) if e.kind() != io::ErrorKind::UnexpectedEof => {
                Error::read(path, e)
            }
            DecodingError::IoError(_) => {
                wrong("a file that ends inside the picture".into(), "a whole PNG file")
            }
            e => wrong(format!("damaged data ({e})"), "a PNG file"),
        };
        let length = source.seek(SeekFrom::End(0)).map_err(|e| Error::read(path, e))?;
        source.rewind().map_err(|e| Error::read(path, e))?;
        let mut decoder = Decoder::new(source);
        decoder.set_transformations(Transformations::EXPAND);
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        let (width, height) = decoder.read_header_info().map_err(damaged)?.size();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            let found = format!("{width} x {height} pixels");
            return Err(wrong(found, &format!("at most {MAX_PIXELS} of them")));
        }
        let mut reader = decoder.read_info().map_err(damaged)?;
        let has_palette = reader.info().color_type == ColorType::Indexed;
        // The decoder indexes past a palette of other lengths.
        let palette = reader.info().palette.as_ref().map_or(0, |palette| palette.len());
        if has_palette && (palette == 0 || !palette.is_multiple_of(3)) {
            let found = format!("a palette of {palette} bytes");
            return Err(wrong(found, "three for each colour"));
        }
        // What inflates, before palettes and single bits are expanded; interlaced it is longer still.
        let inflated = u64::from(height).saturating_mul(reader.info().raw_row_length() as u64);
        if inflated > length.saturating_mul(MAX_RATIO) {
            let found = format!("{width} x {height} pixels in {length} bytes");
            return Err(wrong(found, "as many as they can hold"));
        }
        let mut buffer = vec![0; reader.output_buffer_size().unwrap_or(usize::MAX)];
        let frame = reader.next_frame(&mut buffer).map_err(damaged)?;
        buffer.truncate(frame.buffer_size());
        let channels = frame.color_type.samples();
        let (samples, channels) = match frame.bit_depth {
            BitDepth::Sixteen => {
                let (pairs, _) = buffer.as_chunks();
                let values = pairs.iter().map(|&pair| u16::from_be_bytes(pair)).collect();
                let (values, channels) = over_white(values, channels, u16::MAX);
                (Samples::Sixteen(values), channels)
            }
            _ => {
                let (values, channels) = over_white(buffer, channels, u8::MAX);
                (Samples::Eight(values), channels)
            }
        };
        let picture = Self { height: height as usize, width: width as usize, channels, samples };
        Ok(if has_palette { picture.grey_if_it_is() } else { picture })
    }

    /// Programs that make files smaller give grey pictures a palette of greys.
    fn grey_if_it_is(self) -> Self {
        match &self.samples {
            Samples::Eight(values) if self.channels == 3 => {
                let (pixels, _) = values.as_chunks::<3>();
                if pixels.iter().any(|&[r, g, b]| r != g || g != b) {
                    return self;
                }
                let samples = Samples::Eight(pixels.iter().map(|&[grey, ..]| grey).collect());
                Self { channels: 1, samples, ..self }
            }
            _ => self,
        }
    }

    /// Encodes the picture as PNG.
    ///
    /// # Errors
    /// What the writer returns.
    ///
    /// # Panics
    /// If the number of samples is not height times width times channels.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let size = |n: usize| u32::try_from(n).map_err(io::Error::other);
        let mut encoder = Encoder::new(out, size(self.width)?, size(self.height)?);
        encoder.set_color(if self.channels == 1 { ColorType::Grayscale } else { ColorType::Rgb });
        // A folder of them is written for other programs, not kept for years.
        encoder.set_compression(Compression::Fast);
        let bytes;
        let data = match &self.samples {
            Samples::Eight(values) => {
                encoder.set_depth(BitDepth::Eight);
                values
            }
            Samples::Sixteen(values) => {
                encoder.set_depth(BitDepth::Sixteen);
                bytes = values.iter().flat_map(|v| v.to_be_bytes()).collect();
                &bytes
            }
        };
        let mut writer = encoder.write_header()?;
        writer.write_image_data(data)?;
        Ok(writer.finish()?)
    }
}

/// Takes the last of 2 or 4 channels as opacity, of `max`, and paints the others on white.
fn over_white<T>(mut values: Vec<T>, channels: usize, max: T) -> (Vec<T>, usize)
where
    T: Copy + Into<u64> + TryFrom<u64>,
{
    if channels % 2 == 1 {
        return (values, channels);
    }
    let (colours, white) = (channels - 1, max.into());
    let pixels = values.len() / channels;
    for pixel in 0..pixels {
        let alpha = values[pixel * channels + colours].into();
        for colour in 0..colours {
            let value = values[pixel * channels + colour].into();
            let painted = (value * alpha + white * (white - alpha) + white / 2) / white;
            // In place: it goes where this pixel or one before it was.
            values[pixel * colours + colour] = T::try_from(painted).unwrap_or(max);
        }
    }
    values.truncate(pixels * colours);
    (values, colours)
}
