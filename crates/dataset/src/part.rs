//! One part of a data set, training or test: features and labels, checked against each other.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::idx::{ElementType, Idx};
use crate::map::{Bytes, Map};
use crate::{Error, Examples, FeaturesView, LabelsView};

/// The training or the test examples of a data set.
#[derive(Debug)]
pub struct Part {
    features: Features,
    labels: Labels,
    shape: Vec<usize>,
    images_path: PathBuf,
    labels_path: PathBuf,
}

/// Features, wherever they lie.
#[derive(Debug)]
pub(crate) enum Features {
    /// Pixels, in a file or in memory.
    U8(Bytes, Range<usize>),
    /// Numbers in a file, in this machine's byte order and aligned; made by [`Features::numbers`].
    Mapped(Bytes, Range<usize>),
    /// Numbers in memory.
    F32(Vec<f32>),
}

/// Labels are always in memory, a byte or two an example: their range is checked once, and must hold
/// for as long as somebody trains on them, whatever happens to the file.
#[derive(Debug)]
enum Labels {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

impl Features {
    /// The pixels in `bytes` from `start` on.
    pub(crate) fn pixels(bytes: Bytes, start: usize) -> Self {
        let end = bytes.len();
        Self::U8(bytes, start..end)
    }

    /// The numbers in `bytes` from `start` on, in this machine's byte order: viewed where they lie
    /// if that is aligned, copied if not.
    ///
    /// # Errors
    /// If one is not finite.
    pub(crate) fn numbers(path: &Path, bytes: Bytes, start: usize) -> Result<Self, Error> {
        match bytemuck::try_cast_slice::<u8, f32>(&bytes[start..]) {
            Ok(values) => {
                check_finite(path, values, bytes.map())?;
                let end = bytes.len();
                Ok(Self::Mapped(bytes, start..end))
            }
            Err(_) => {
                let (elements, _) = bytes[start..].as_chunks();
                let values = elements.iter().map(|&e| f32::from_ne_bytes(e)).collect();
                bytes.check_unchanged()?;
                finite(path, values).map(Self::F32)
            }
        }
    }
}

impl Part {
    /// Pairs images of IDX, `[n, ...]`, with labels of IDX, `[n]`.
    ///
    /// Unsigned bytes stay where they are (pixels, divided by 255 in training); any other element
    /// type is decoded to `f32` and used as it is. Labels may be of any type that holds whole
    /// numbers from 0 to 65,535; they are copied.
    ///
    /// # Errors
    /// If the dimensions are not those of images and labels, the counts differ, there are no
    /// examples, a feature is not finite, a label is not a class number, or a file changed while it
    /// was copied.
    pub fn from_idx(images: Idx, labels: Idx) -> Result<Self, Error> {
        let &[count, ref shape @ ..] = images.dims() else {
            return Err(wrong_rank(&images, "[examples, rows, columns]"));
        };
        let shape = shape.to_vec();
        if shape.is_empty() {
            return Err(wrong_rank(&images, "[examples, rows, columns]"));
        }
        if labels.dims().len() != 1 {
            return Err(wrong_rank(&labels, "[examples]"));
        }
        let (images_path, labels_path) = (images.path().to_owned(), labels.path().to_owned());
        check_counts((&images_path, count, &shape), (&labels_path, labels.dims()[0]))?;
        let features = match images.element() {
            ElementType::U8 => {
                let (bytes, start) = images.into_bytes();
                Features::pixels(bytes, start)
            }
            _ => {
                let values = images.to_f32();
                images.check_unchanged()?;
                Features::F32(finite(&images_path, values)?)
            }
        };
        let labels = match labels.element() {
            ElementType::U8 => {
                let classes = labels.payload().to_vec();
                labels.check_unchanged()?;
                Labels::U8(classes)
            }
            _ => {
                let numbers = labels.to_f64();
                labels.check_unchanged()?;
                Labels::narrowest(class_numbers(&labels_path, &numbers)?)
            }
        };
        Ok(Self { features, labels, shape, images_path, labels_path })
    }

    /// Pixels, `[labels.len(), shape...]`, and labels that are in memory; `path` is used in
    /// messages.
    ///
    /// # Panics
    /// If the number of pixels is not that of labels times the product of `shape`.
    pub fn from_pixels(path: &Path, shape: &[usize], pixels: Vec<u8>, labels: Vec<u16>) -> Self {
        let features = Features::pixels(Bytes::Owned(pixels), 0);
        Self::assemble(features, labels, shape.to_vec(), path.into(), path.into())
    }

    /// As [`Part::from_pixels`], with numbers that are used as they are.
    ///
    /// # Panics
    /// As [`Part::from_pixels`].
    pub fn from_numbers(path: &Path, shape: &[usize], numbers: Vec<f32>, labels: Vec<u16>) -> Self {
        let features = Features::F32(numbers);
        Self::assemble(features, labels, shape.to_vec(), path.into(), path.into())
    }

    pub(crate) fn assemble(
        features: Features,
        labels: Vec<u16>,
        shape: Vec<usize>,
        images_path: PathBuf,
        labels_path: PathBuf,
    ) -> Self {
        let labels = Labels::narrowest(labels);
        let part = Self { features, labels, shape, images_path, labels_path };
        // The constructor of a view holds the check of the lengths.
        part.examples();
        part
    }

    /// The examples, as training, evaluation and prediction read them; no copy.
    pub fn examples(&self) -> Examples<'_> {
        let map = match &self.features {
            Features::U8(bytes, _) | Features::Mapped(bytes, _) => bytes.map(),
            Features::F32(_) => None,
        };
        let features = match &self.features {
            Features::U8(bytes, range) => FeaturesView::U8(&bytes[range.clone()]),
            Features::Mapped(bytes, range) => {
                FeaturesView::F32(bytemuck::cast_slice(&bytes[range.clone()]))
            }
            Features::F32(values) => FeaturesView::F32(values),
        };
        Examples::new(features, self.labels.view(), &self.shape).mapped(map)
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.view().len()
    }

    /// Whether there is no example (a part that was read from files has some).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one example: `[28, 28]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The features' element type by its NumPy name: "uint8" or "float32".
    pub fn dtype(&self) -> &'static str {
        match self.features {
            Features::U8(..) => "uint8",
            Features::Mapped(..) | Features::F32(_) => "float32",
        }
    }

    /// The labels' element type by its NumPy name: "uint8" or "uint16".
    pub fn label_dtype(&self) -> &'static str {
        match self.labels {
            Labels::U8(_) => "uint8",
            Labels::U16(_) => "uint16",
        }
    }

    /// Where the features came from.
    pub fn images_path(&self) -> &Path {
        &self.images_path
    }

    /// Where the labels came from.
    pub fn labels_path(&self) -> &Path {
        &self.labels_path
    }

    /// How many examples each of `classes` classes has.
    ///
    /// # Panics
    /// If a label is not below `classes`.
    pub fn label_counts(&self, classes: usize) -> Vec<usize> {
        let labels = self.labels.view();
        let mut counts = vec![0; classes];
        (0..labels.len()).for_each(|i| counts[labels.get(i)] += 1);
        counts
    }

    /// The largest label plus one: the fewest classes there can be.
    pub fn classes_at_least(&self) -> usize {
        match self.labels.view() {
            LabelsView::U8(labels) => labels.iter().max().map_or(0, |&m| m as usize + 1),
            LabelsView::U16(labels) => labels.iter().max().map_or(0, |&m| m as usize + 1),
        }
    }

    /// Sees to it that every label is below `classes`.
    ///
    /// # Errors
    /// [`Error::LabelOutOfRange`], naming the first that is not.
    pub fn check_labels(&self, classes: usize) -> Result<(), Error> {
        if self.classes_at_least() <= classes {
            return Ok(());
        }
        let labels = self.labels.view();
        let index = (0..labels.len()).position(|i| labels.get(i) >= classes).unwrap_or_default();
        Err(Error::LabelOutOfRange {
            path: self.labels_path.clone(),
            index,
            label: labels.get(index) as i64,
            classes,
        })
    }

    /// Asks whether the file that the features are mapped from is as it was when it was opened; a
    /// long run asks after each epoch, and whoever copies features asks once they are copied. What
    /// can and what cannot be detected: [`crate::Map::check_unchanged`].
    ///
    /// # Errors
    /// [`Error::Changed`] if it is not.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        match &self.features {
            Features::U8(bytes, _) | Features::Mapped(bytes, _) => bytes.check_unchanged(),
            Features::F32(_) => Ok(()),
        }
    }
}

impl Labels {
    fn narrowest(labels: Vec<u16>) -> Self {
        match labels.iter().map(|&l| u8::try_from(l)).collect::<Result<Vec<u8>, _>>() {
            Ok(bytes) => Self::U8(bytes),
            Err(_) => Self::U16(labels),
        }
    }

    fn view(&self) -> LabelsView<'_> {
        match self {
            Self::U8(labels) => LabelsView::U8(labels),
            Self::U16(labels) => LabelsView::U16(labels),
        }
    }
}

fn wrong_rank(idx: &Idx, expected: &str) -> Error {
    Error::invalid(idx.path(), "dimensions", format!("{:?}", idx.dims()), expected)
}

/// Sees to it that features (path, count, shape of one) and labels (path, count) make examples.
pub(crate) fn check_counts(
    (images_path, images, shape): (&Path, usize, &[usize]),
    (labels_path, labels): (&Path, usize),
) -> Result<(), Error> {
    if images == 0 || shape.contains(&0) {
        let found = format!("{images} examples shaped {shape:?}");
        let expected = "at least one example, of at least one feature";
        return Err(Error::invalid(images_path, "dimensions", found, expected));
    }
    if images > u32::MAX as usize {
        let expected = "fewer than 2^32";
        return Err(Error::invalid(images_path, "examples", images.to_string(), expected));
    }
    if images != labels {
        let (images_path, labels_path) = (images_path.to_owned(), labels_path.to_owned());
        return Err(Error::CountsDiffer { images_path, images, labels_path, labels });
    }
    Ok(())
}

/// `values`, if none is infinite or not a number.
pub(crate) fn finite(path: &Path, values: Vec<f32>) -> Result<Vec<f32>, Error> {
    check_finite(path, &values, None)?;
    Ok(values)
}

/// A file may be larger than memory: it is looked at piece by piece.
fn check_finite(path: &Path, values: &[f32], map: Option<&Map>) -> Result<(), Error> {
    const PIECE: usize = 16 << 20;
    for (n, piece) in values.chunks(PIECE).enumerate() {
        if let Some(at) = piece.iter().position(|v| !v.is_finite()) {
            let (field, found) = (format!("feature {}", n * PIECE + at), piece[at].to_string());
            return Err(Error::invalid(path, field, found, "a finite number"));
        }
        if let Some(map) = map.filter(|_| values.len() > PIECE) {
            map.release(bytemuck::cast_slice(&values[..n * PIECE + piece.len()]));
        }
    }
    Ok(())
}

/// Labels of any number type as class numbers.
pub(crate) fn class_numbers(path: &Path, labels: &[f64]) -> Result<Vec<u16>, Error> {
    let class = |(index, &label): (usize, &f64)| {
        if label.fract() == 0.0 && (0.0..=65_535.0).contains(&label) {
            return Ok(label as u16);
        }
        let expected = "a whole number from 0 to 65535";
        Err(Error::invalid(path, format!("label of example {index}"), label.to_string(), expected))
    };
    labels.iter().enumerate().map(class).collect()
}
