//! Examples: features and labels, row by row, as views of whatever holds them.

use std::ops::Range;

use crate::{Error, Map};

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
    /// The file that the features are in, where they were not copied from it.
    map: Option<&'a Map>,
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
        Self { features, labels, shape, map: None }
    }

    /// The same, with features that are a view of `map`.
    pub(crate) fn mapped(self, map: Option<&'a Map>) -> Self {
        Self { map, ..self }
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
            ..*self
        }
    }

    /// Whether the features are a view of a file, whose pages the system reads and drops as it goes.
    pub fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// The bytes of all features.
    pub fn feature_bytes(&self) -> &'a [u8] {
        match self.features {
            FeaturesView::U8(pixels) => pixels,
            FeaturesView::F32(numbers) => bytemuck::cast_slice(numbers),
        }
    }

    /// Reads the features of `runs` from the file they are mapped from, each front to back and the
    /// next already asked for, so that visiting them in any order afterwards does not wait for the
    /// disk. Costs next to nothing for what is in memory already.
    ///
    /// # Panics
    /// If a run reaches past the last example.
    pub fn prefetch(&self, runs: &[Range<usize>]) {
        /// The smallest pages there are; of larger ones some bytes more are looked at.
        const PAGE: usize = 4096;
        let Some(map) = self.map else { return };
        let mut later = runs.iter().map(|run| self.slice(run.clone()).feature_bytes());
        let mut next = later.next();
        if let Some(first) = next {
            map.will_need(first);
        }
        while let Some(bytes) = next {
            next = later.next();
            if let Some(next) = next {
                map.will_need(next);
            }
            let touched = bytes.iter().step_by(PAGE).fold(0u8, |all, byte| all ^ byte);
            std::hint::black_box(touched);
        }
    }

    /// Tells the system that the features will be read soon, if they are mapped. It reads ahead.
    pub fn will_need(&self) {
        if let Some(map) = self.map {
            map.will_need(self.feature_bytes());
        }
    }

    /// Asks for the features on pages of 2 MiB, if they are mapped: rows in any order are then found
    /// without a look into the page tables for each. Linux does it where the file lies in memory in such
    /// pages, as it does once it was written, or is read from now on, many bytes at a time (ext4 from
    /// 6.16 on, XFS, tmpfs as mounted); elsewhere nothing changes.
    ///
    /// Not `wanted` for files larger than memory, of which small parts come and go: a large page comes
    /// whole, whatever part of it is looked at.
    pub fn on_large_pages(&self, wanted: bool) {
        if let Some(map) = self.map {
            map.on_large_pages(self.feature_bytes(), wanted);
        }
    }

    /// Drops the features from memory, if they are mapped from a file: they are read again when
    /// somebody looks at them.
    pub fn release(&self) {
        if let Some(map) = self.map {
            map.release(self.feature_bytes());
        }
    }

    /// Asks whether the file that the features are mapped from is as it was when it was opened.
    ///
    /// # Errors
    /// See [`Map::check_unchanged`].
    pub fn check_unchanged(&self) -> Result<(), Error> {
        self.map.map_or(Ok(()), Map::check_unchanged)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_is_the_last_fraction_with_the_boundary_of_keras() {
        // int(math.floor(n * (1.0 - fraction))) in Python, for each.
        for (n, fraction, boundary) in [
            (60_000, 0.1, 54_000),
            (60_000, 0.2, 48_000),
            (10, 0.25, 7),
            (7, 0.5, 3),
            (3, 0.01, 2),
            (10, 0.0, 10),
            (10, 0.9, 0),
            (10, 0.7, 3),
        ] {
            let (features, labels) = (vec![0; n], vec![0; n]);
            let examples =
                Examples::new(FeaturesView::U8(&features), LabelsView::U8(&labels), &[1]);
            let (train, validation) = examples.split_validation(fraction);
            assert_eq!((train.len(), validation.len()), (boundary, n - boundary), "{n} {fraction}");
        }
    }

    #[test]
    fn a_slice_keeps_features_and_labels_together() {
        let features = [0.0, 0.1, 1.0, 1.1, 2.0, 2.1];
        let labels = [10, 11, 12];
        let examples = Examples::new(FeaturesView::F32(&features), LabelsView::U16(&labels), &[2]);
        let (train, validation) = examples.split_validation(0.4);
        let FeaturesView::F32(rest) = validation.features() else { panic!() };
        assert_eq!((train.len(), rest), (1, &features[2..]));
        assert_eq!((validation.labels().get(0), validation.labels().get(1)), (11, 12));
        assert!(examples.slice(3..3).is_empty());
    }

    #[test]
    #[should_panic(expected = "2 labels of examples shaped [3]")]
    fn lengths_that_do_not_fit_are_refused() {
        Examples::new(FeaturesView::U8(&[0; 5]), LabelsView::U8(&[0; 2]), &[3]);
    }

    #[test]
    #[should_panic(expected = "validation fraction 1 ")]
    fn a_fraction_of_one_is_refused() {
        let examples = Examples::new(FeaturesView::U8(&[0; 2]), LabelsView::U8(&[0; 2]), &[1]);
        examples.split_validation(1.0);
    }
}
