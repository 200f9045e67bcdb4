//! Pictures: from PNG files to what a model takes, and as plots draw them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use dataset::formats::png::{Picture, Samples};
use dataset::{Examples, FeaturesView, Part};

use crate::Error;

/// A PNG file made into one example of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PngExample {
    /// The example's pixels, row-major in the model's input shape.
    pub pixels: Vec<u8>,
    /// Width and height of the picture in the file.
    pub original: (usize, usize),
    /// Width and height of the example.
    pub size: (usize, usize),
}

/// Reads a PNG file of any size, colour type and depth as an example of `shape`: grey for
/// `[rows, columns]` and `[rows, columns, 1]`, red, green and blue for `[rows, columns, 3]`. Each
/// pixel of another size is the average of the area it covers; the proportions may change. Where
/// the picture is transparent, white paper shows through.
///
/// # Errors
/// [`Error::Mismatch`] if `shape` is not that of a picture, [`Error::File`] if the file is not one.
pub fn open_png_as(path: &Path, shape: &[usize]) -> Result<PngExample, Error> {
    let (rows, columns, channels) = match *shape {
        [rows, columns] => (rows, columns, 1),
        [rows, columns, channels @ (1 | 3)] => (rows, columns, channels),
        _ => {
            return Err(Error::Mismatch(format!(
                "{}: the model takes examples shaped {shape:?}, which no picture is: use a model \
                 trained on pictures",
                path.display()
            )));
        }
    };
    let picture = read(path)?;
    let &[height, width, ..] = picture.shape() else { unreachable!("a picture has rows") };
    let fitted = picture
        .reshaped(channels == 1, Some((rows, columns)))
        .map_err(|e| Error::File(e.to_string()))?;
    let mut pixels = bytes(&fitted);
    if pixels.len() < rows * columns * channels {
        // A grey picture for a model of colours.
        pixels = pixels.into_iter().flat_map(|grey| [grey; 3]).collect();
    }
    Ok(PngExample { pixels, original: (width, height), size: (columns, rows) })
}

/// The picture in a PNG file: `[rows, columns]` if it is grey, `[rows, columns, 3]` otherwise.
fn read(path: &Path) -> Result<Part, Error> {
    let name = path.display();
    let unreadable = |e| Error::File(format!("{name}: cannot be read: {e}"));
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(Error::File(format!("{name}: is a folder; name a PNG file")));
    }
    let picture =
        Picture::read(path, BufReader::new(file)).map_err(|e| Error::File(e.to_string()))?;
    let pixels = match picture.samples {
        Samples::Eight(pixels) => pixels,
        Samples::Sixteen(values) => values.into_iter().map(|value| (value >> 8) as u8).collect(),
    };
    let shape: &[usize] = match picture.channels {
        1 => &[picture.height, picture.width],
        channels => &[picture.height, picture.width, channels],
    };
    Ok(Part::from_pixels(path, shape, pixels, vec![0]))
}

/// The pixels of a part of bytes.
fn bytes(part: &Part) -> Vec<u8> {
    match part.examples().features() {
        FeaturesView::U8(pixels) => pixels.to_vec(),
        FeaturesView::F32(_) => unreachable!("a part of bytes stays one"),
    }
}

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

    /// Reads a PNG file of any colour type and depth in its own size, as [`open_png_as`] does.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read or is not a picture.
    pub fn open_png(path: &Path) -> Result<Self, Error> {
        let grey = read(path)?.reshaped(true, None).map_err(|e| Error::File(e.to_string()))?;
        let &[height, width] = grey.shape() else { unreachable!("a grey picture has two sides") };
        Ok(Self::new(width, height, bytes(&grey)))
    }

    /// The one example of `example` as a picture, colours made grey; none if it is not one by its
    /// shape. The range of floats is not known: the smallest becomes 0, the largest 255.
    ///
    /// # Panics
    /// If there is not one example.
    pub fn of(example: Examples<'_>) -> Option<Self> {
        assert_eq!(example.len(), 1, "a picture is of one example");
        let (height, width) = match *example.shape() {
            [height, width] | [height, width, 1 | 3] => (height, width),
            _ => return None,
        };
        let pixels = match example.features() {
            FeaturesView::U8(pixels) => pixels.to_vec(),
            FeaturesView::F32(values) => {
                let low = values.iter().copied().fold(f32::INFINITY, f32::min);
                let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
                values.iter().map(|value| ((value - low) * scale).round() as u8).collect()
            }
        };
        let part = Part::from_pixels(Path::new("picture"), example.shape(), pixels, vec![0]);
        Some(Self::new(width, height, bytes(&part.reshaped(true, None).ok()?)))
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

    /// The picture in another size: each new pixel is the average of the area it covers. The
    /// proportions may change.
    ///
    /// # Panics
    /// If either size is zero, or their product above 2^26.
    #[must_use]
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let shape = [self.height, self.width];
        let part = Part::from_pixels(Path::new("picture"), &shape, self.pixels.clone(), vec![0]);
        match part.reshaped(false, Some((height, width))) {
            Ok(part) => Self::new(width, height, bytes(&part)),
            Err(e) => panic!("{e}"),
        }
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use dataset::LabelsView;
    use tempfile::TempDir;

    use super::*;

    /// A file of a picture of `channels` (1 or 3), 16 bits deep if `deep`.
    fn png(width: usize, channels: usize, deep: bool, values: &[u16]) -> (TempDir, PathBuf) {
        let samples = if deep {
            Samples::Sixteen(values.to_vec())
        } else {
            Samples::Eight(values.iter().map(|&value| value as u8).collect())
        };
        let height = values.len() / width / channels;
        let mut bytes = Vec::new();
        Picture { height, width, channels, samples }.write(&mut bytes).unwrap();
        file_of(&bytes)
    }

    fn file_of(bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn any_png_becomes_an_example_of_the_models_shape() {
        let (_folder, grey) = png(2, 1, false, &[10, 20, 30, 40]);
        let read = |path: &Path, shape: &[usize]| open_png_as(path, shape).unwrap().pixels;
        assert_eq!(read(&grey, &[2, 2]), [10, 20, 30, 40]);
        assert_eq!(read(&grey, &[2, 2, 1]), [10, 20, 30, 40]);
        assert_eq!(read(&grey, &[1, 2]), [20, 30]);
        assert_eq!(read(&grey, &[1, 1, 3]), [25, 25, 25]);
        assert_eq!(read(&grey, &[4, 2]), [10, 20, 10, 20, 30, 40, 30, 40]);
        let (_folder, colour) = png(2, 3, false, &[255, 0, 0, 0, 0, 255]);
        assert_eq!(read(&colour, &[1, 2]), [76, 29]);
        assert_eq!(read(&colour, &[1, 2, 3]), [255, 0, 0, 0, 0, 255]);
        let (_folder, deep) = png(2, 1, true, &[0x07ff, 0xc800]);
        assert_eq!(read(&deep, &[1, 2]), [7, 200]);
        let example = open_png_as(&grey, &[5, 1]).unwrap();
        assert_eq!((example.original, example.size), ((2, 2), (1, 5)));
        let error = open_png_as(&grey, &[4]).unwrap_err().to_string();
        assert!(error.contains("[4]") && error.contains("x.png"), "{error}");
    }

    #[test]
    fn damaged_files_are_refused_in_a_sentence() {
        let (_folder, path) = png(9, 1, false, &(0..81).collect::<Vec<_>>());
        let whole = fs::read(path).unwrap();
        for bytes in [&whole[..whole.len() / 2], b"GIF89a and so on", b""] {
            let (_folder, path) = file_of(bytes);
            let error = GreyImage::open_png(&path).unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
            assert!(error.contains("a PNG file") || error.contains("a whole PNG"), "{error}");
        }
    }

    #[test]
    fn examples_are_pictures_if_their_shape_is_one() {
        let of = |features, shape: &[usize]| {
            GreyImage::of(Examples::new(features, LabelsView::U8(&[0]), shape))
        };
        let colours = [255, 0, 0, 0, 0, 255];
        let image = of(FeaturesView::U8(&colours), &[2, 1, 3]).unwrap();
        assert_eq!(image, GreyImage::new(1, 2, vec![76, 29]));
        let image = of(FeaturesView::F32(&[-1.0, 0.0, 3.0, 1.0]), &[1, 4]).unwrap();
        assert_eq!(image.pixels(), [0, 64, 255, 128]);
        let flat = of(FeaturesView::F32(&[7.0; 4]), &[2, 2, 1]).unwrap();
        assert_eq!(flat.pixels(), [0; 4]);
        assert_eq!(of(FeaturesView::U8(&[1, 2, 3, 4]), &[4]), None);
        assert_eq!(of(FeaturesView::U8(&[1, 2, 3, 4]), &[2, 1, 2]), None);
    }

    #[test]
    fn resizing_averages_areas() {
        let image = GreyImage::new(3, 1, vec![30, 60, 90]);
        assert_eq!(image.resized(2, 1).pixels(), [40, 80]);
        assert_eq!(image.resized(1, 5).pixels(), [60; 5]);
        assert_eq!(image.resized(3, 1), image);
    }

    #[test]
    fn ink_on_paper_is_told_from_chalk_on_a_board() {
        let mut pixels = vec![0; 25];
        pixels[6..9].fill(255);
        pixels[11..14].fill(255);
        assert!(!GreyImage::new(5, 5, pixels.clone()).has_light_background());
        let ink = pixels.into_iter().map(|pixel| 255 - pixel).collect();
        assert!(GreyImage::new(5, 5, ink).has_light_background());
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
