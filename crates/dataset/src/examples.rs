//! Examples: features and labels, row by row, as views of whatever holds them.

use std::ops::Range;

/// Features of `len` examples, row-major, `[len, features]`.
#[derive(Clone, Copy, Debug)]
pub enum FeaturesView<'a> {
    /// Pixels 0 to 255, as they lie in the file; training divides them by 255.
    U8(&'a [u8]),
    /// Numbers used as they are.
    F32(&'a [f32]),
}

/// Class numbers.
#[derive(Clone, Copy, Debug)]
pub enum LabelsView<'a> {
    /// Up to 256 classes, as IDX files hold them.
    U8(&'a [u8]),
    /// Up to 65,536 classes.
    U16(&'a [u16]),
}

impl LabelsView<'_> {
    /// The class number of example `i`.
    #[inline]
    pub fn get(&self, i: usize) -> usize {
        match self {
            Self::U8(labels) => labels[i] as usize,
            Self::U16(labels) => labels[i] as usize,
        }
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(labels) => labels.len(),
            Self::U16(labels) => labels.len(),
        }
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A view of examples: what training, evaluation and prediction read. Copying it copies no data.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    features: FeaturesView<'a>,
    labels: LabelsView<'a>,
    shape: &'a [usize],
}

impl<'a> Examples<'a> {
    /// Views `features` (`[len, product of shape]`, row-major) and `labels` (`[len]`) as examples.
    ///
    /// `shape` is the shape of one example: `[28, 28]` for an image, `[n]` for a table row.
    ///
    /// # Panics
    /// If the number of labels times the product of `shape` is not the number of features.
    pub fn new(features: FeaturesView<'a>, labels: LabelsView<'a>, shape: &'a [usize]) -> Self {
        let found = match features {
            FeaturesView::U8(values) => values.len(),
            FeaturesView::F32(values) => values.len(),
        };
        let width: usize = shape.iter().product();
        assert_eq!(
            found,
            labels.len() * width,
            "{} labels of examples shaped {shape:?} need that many features",
            labels.len()
        );
        Self { features, labels, shape }
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of one example.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Features of one example: the product of its shape.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// All features, `[len, width]`.
    pub fn features(&self) -> FeaturesView<'a> {
        self.features
    }

    /// All labels, `[len]`.
    pub fn labels(&self) -> LabelsView<'a> {
        self.labels
    }

    /// The examples of `range`, without a copy.
    ///
    /// # Panics
    /// If `range` reaches past the last example.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let width = self.width();
        let features = range.start * width..range.end * width;
        Self {
            features: match self.features {
                FeaturesView::U8(values) => FeaturesView::U8(&values[features]),
                FeaturesView::F32(values) => FeaturesView::F32(&values[features]),
            },
            labels: match self.labels {
                LabelsView::U8(labels) => LabelsView::U8(&labels[range]),
                LabelsView::U16(labels) => LabelsView::U16(&labels[range]),
            },
            shape: self.shape,
        }
    }

    /// Splits off the last `fraction` of the examples for validation, as Keras does: before any
    /// shuffling, the boundary at `floor(len * (1 - fraction))`. Returns (training, validation).
    ///
    /// # Panics
    /// If `fraction` is not within 0 to 1.
    pub fn split_validation(&self, fraction: f64) -> (Self, Self) {
        assert!((0.0..1.0).contains(&fraction), "validation fraction {fraction} is not in 0..1");
        let boundary = (self.len() as f64 * (1.0 - fraction)).floor() as usize;
        (self.slice(0..boundary), self.slice(boundary..self.len()))
    }
}
