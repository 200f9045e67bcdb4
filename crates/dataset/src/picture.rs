//! Pictures made fit: colour to grey, and another size.

use std::path::Path;

use crate::part::Features;
use crate::{Bytes, Error, FeaturesView, LabelsView, Part};

/// The weights of red, green and blue in grey: ITU-R BT.601, as Pillow's mode `L` has them.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Makes images `[rows, columns, 3]` grey, `[rows, columns]`; `width` values are one image.
pub(crate) fn grey(values: &[f32]) -> Vec<f32> {
    let (pixels, _) = values.as_chunks::<3>();
    pixels.iter().map(|p| LUMA[0] * p[0] + LUMA[1] * p[1] + LUMA[2] * p[2]).collect()
}

/// How images of one size become images of another: each new pixel is the average of the area it
/// covers, parts of pixels counted by their part. The proportions may change.
pub(crate) struct Resize {
    from: (usize, usize),
    rows: Vec<Vec<(usize, f32)>>,
    columns: Vec<Vec<(usize, f32)>>,
}

impl Resize {
    /// From and to (rows, columns), none of them zero.
    pub(crate) fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        Self { from, rows: shares(from.0, to.0), columns: shares(from.1, to.1) }
    }

    /// Resizes one image, `[rows, columns, channels]`.
    pub(crate) fn apply(&self, image: &[f32], channels: usize) -> Vec<f32> {
        let (from_rows, from_columns) = self.from;
        let width = self.columns.len() * channels;
        // The average over a rectangle is separable: along the rows first, then down the columns.
        let mut narrow = Vec::with_capacity(from_rows * width);
        for row in image.chunks_exact(from_columns * channels) {
            for shares in &self.columns {
                for channel in 0..channels {
                    let value = |&(x, share): &(usize, f32)| share * row[x * channels + channel];
                    narrow.push(shares.iter().map(value).sum::<f32>());
                }
            }
        }
        let mut result = Vec::with_capacity(self.rows.len() * width);
        for shares in &self.rows {
            for x in 0..width {
                let value = |&(y, share): &(usize, f32)| share * narrow[y * width + x];
                result.push(shares.iter().map(value).sum());
            }
        }
        result
    }
}

/// For each of `to` new pixels along a side, the old ones of `from` that it covers and the share
/// that each has in it.
fn shares(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    // With the side cut into from * to units, every edge is a whole number of them: new pixel i is
    // i*from..(i+1)*from, old pixel j is j*to..(j+1)*to.
    let share = |i: usize, j: usize| {
        let overlap = ((i + 1) * from).min((j + 1) * to) - (i * from).max(j * to);
        (j, overlap as f32 / from as f32)
    };
    let covered =
        |i: usize| (i * from / to..((i + 1) * from).div_ceil(to)).map(move |j| share(i, j));
    (0..to).map(|i| covered(i).collect()).collect()
}

/// Sees to it that images can be brought to `size` (rows, columns); `path` is used in messages.
///
/// # Errors
/// If it has no pixel, or too many.
pub(crate) fn check_size(path: &Path, (rows, columns): (usize, usize)) -> Result<(), Error> {
    if rows == 0 || columns == 0 || rows.saturating_mul(columns) > 1 << 26 {
        let found = format!("{rows} x {columns} asked for");
        return Err(Error::invalid(path, "size", found, "1 to 2^26 pixels"));
    }
    Ok(())
}

impl Part {
    /// The part with its images grey and of `size` (rows, columns), as far as either is asked for and
    /// not so already. Labels and element type stay.
    ///
    /// # Errors
    /// If the examples are no images, `[rows, columns]` or `[rows, columns, 1 or 3]`, or their file
    /// changed while they were read.
    pub fn reshaped(self, grey: bool, size: Option<(usize, usize)>) -> Result<Self, Error> {
        let wrong = |part: &Self| {
            let found = format!("examples shaped {:?}", part.shape());
            let expected = "images, [rows, columns] or [rows, columns, 3]";
            Error::invalid(part.images_path(), "dimensions", found, expected)
        };
        let (rows, columns, channels) = match *self.shape() {
            [rows, columns] => (rows, columns, 1),
            [rows, columns, channels @ (1 | 3)] => (rows, columns, channels),
            _ if grey || size.is_some() => return Err(wrong(&self)),
            _ => return Ok(self),
        };
        let greys = grey && channels == 3;
        let resize = size.filter(|&to| to != (rows, columns));
        if !greys && resize.is_none() && !(grey && self.shape().len() == 3) {
            return Ok(self);
        }
        let (to_rows, to_columns) = resize.unwrap_or((rows, columns));
        check_size(self.images_path(), (to_rows, to_columns))?;
        let resize = resize.map(|to| Resize::new((rows, columns), to));
        let convert = |image: Vec<f32>| {
            let (image, channels) = if greys { (self::grey(&image), 1) } else { (image, channels) };
            match &resize {
                Some(resize) => resize.apply(&image, channels),
                None => image,
            }
        };
        let examples = self.examples();
        let width = examples.width();
        let features = match examples.features() {
            FeaturesView::U8(pixels) => {
                let image = |image: &[u8]| convert(image.iter().map(|&p| f32::from(p)).collect());
                let pixels = pixels.chunks_exact(width).flat_map(image);
                let pixels = pixels.map(|p| p.round().clamp(0.0, 255.0) as u8).collect();
                Features::pixels(Bytes::Owned(pixels), 0)
            }
            FeaturesView::F32(numbers) => {
                let images = numbers.chunks_exact(width);
                Features::F32(images.flat_map(|image| convert(image.to_vec())).collect())
            }
        };
        self.check_unchanged()?;
        let mut shape = vec![to_rows, to_columns];
        if !grey && self.shape().len() == 3 {
            shape.push(channels);
        }
        let labels = labels_of(examples.labels());
        let (images_path, labels_path) = (self.images_path().into(), self.labels_path().into());
        Ok(Self::assemble(features, labels, shape, images_path, labels_path))
    }
}

/// A copy of labels.
pub(crate) fn labels_of(labels: LabelsView<'_>) -> Vec<u16> {
    match labels {
        LabelsView::U8(labels) => labels.iter().map(|&label| label.into()).collect(),
        LabelsView::U16(labels) => labels.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(shape: &[usize], pixels: &[u8]) -> Part {
        let count = pixels.len() / shape.iter().product::<usize>();
        Part::from_pixels(Path::new("test"), shape, pixels.to_vec(), vec![0; count])
    }

    fn pixels(part: &Part) -> &[u8] {
        let FeaturesView::U8(pixels) = part.examples().features() else { panic!("bytes") };
        pixels
    }

    #[test]
    fn resizing_averages_the_area_that_a_pixel_covers() {
        let image = part(&[2, 4], &[0, 100, 10, 20, 100, 200, 30, 40]);
        let small = image.reshaped(false, Some((1, 2))).unwrap();
        assert_eq!((small.shape(), pixels(&small)), (&[1, 2][..], &[100, 25][..]));
        // Three pixels onto two: each takes one and a half.
        let image = part(&[1, 3], &[30, 60, 90]).reshaped(false, Some((1, 2))).unwrap();
        assert_eq!(pixels(&image), [40, 80]);
        // Larger: pixels repeat.
        let image = part(&[1, 2], &[30, 60]).reshaped(false, Some((2, 4))).unwrap();
        assert_eq!(pixels(&image), [30, 30, 60, 60].repeat(2));
    }

    #[test]
    fn a_flat_image_stays_flat_and_channels_stay_apart() {
        for (from, to) in [(28, 13), (13, 28), (31, 28), (1, 7)] {
            let flat = [255, 10, 0].repeat(from * from);
            let image = part(&[from, from, 3], &flat).reshaped(false, Some((to, to))).unwrap();
            assert_eq!(pixels(&image), [255, 10, 0].repeat(to * to), "{from} to {to}");
            assert_eq!(image.shape(), [to, to, 3]);
        }
    }

    #[test]
    fn grey_is_what_pillow_makes_of_colours() {
        // Image.convert("L") of red, green, blue, white and a mixture.
        let colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 10, 200, 30];
        let image = part(&[1, 5, 3], &colours).reshaped(true, None).unwrap();
        assert_eq!((image.shape(), pixels(&image)), (&[1, 5][..], &[76, 150, 29, 255, 124][..]));
        let single = part(&[2, 1, 1], &[3, 4]).reshaped(true, None).unwrap();
        assert_eq!((single.shape(), pixels(&single)), (&[2, 1][..], &[3, 4][..]));
    }

    #[test]
    fn rows_of_numbers_are_no_images() {
        let table = || part(&[4], &[1, 2, 3, 4]);
        assert!(table().reshaped(false, None).is_ok());
        let error = table().reshaped(true, None).unwrap_err().to_string();
        assert!(error.contains("shaped [4]") && error.contains("images"), "{error}");
        assert!(table().reshaped(false, Some((2, 2))).is_err());
        assert!(part(&[2, 2], &[1; 4]).reshaped(false, Some((0, 2))).is_err());
    }
}
