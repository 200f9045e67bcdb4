//! Losses with their gradients.
//!
//! Both take rows `[rows, classes]`, `stride` floats from one row to the next, and replace them by
//! the gradient in place. The gradient is multiplied by `scale`, 1 / batch size for the gradient
//! of the mean; the losses of the rows are not, and are returned one a row: whoever adds them up
//! in row order gets the same sum however the rows were dealt out to threads.
//!
//! Beside the losses, the number of rows is returned whose largest value stands at the target (at
//! the first largest of the target, for dense ones); among equals the first counts, as with
//! numpy's `argmax`. A row with NaN has a NaN loss and counts as wrong.

mod cross_entropy;
mod logit_rows;
mod side_by_side;
mod squared_error;

pub use cross_entropy::{softmax, softmax_cross_entropy, softmax_cross_entropy_loss};
pub use squared_error::{mean_squared_error, mean_squared_error_loss};

use crate::simd::{PARTIAL_SUMS, Simd};
use crate::slices;

/// What the rows should be.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// Class numbers, one a row.
    U8(&'a [u8]),
    /// Class numbers, one a row.
    U16(&'a [u16]),
    /// One-hot rows or any other weights of the classes: `[rows, classes]`, `stride` floats from
    /// one row to the next.
    Dense {
        /// The floats.
        values: &'a [f32],
        /// From one row to the next.
        stride: usize,
    },
}

/// The target of one row.
#[derive(Clone, Copy)]
enum Target<'a> {
    Class(usize),
    Dense(&'a [f32]),
}

impl<'a> Targets<'a> {
    fn check(&self, rows: usize, classes: usize) {
        fn check(labels: impl ExactSizeIterator<Item = usize>, rows: usize, classes: usize) {
            assert_eq!(labels.len(), rows, "one label for each row");
            for (row, label) in labels.enumerate() {
                assert!(
                    label < classes,
                    "row {row} has label {label}; there are {classes} classes"
                );
            }
        }
        match *self {
            Self::U8(labels) => check(labels.iter().map(|&label| label.into()), rows, classes),
            Self::U16(labels) => check(labels.iter().map(|&label| label.into()), rows, classes),
            Self::Dense { values, stride } => check_rows(values.len(), stride, classes, rows),
        }
    }

    fn are_classes(&self) -> bool {
        matches!(self, Self::U8(_) | Self::U16(_))
    }

    /// Class numbers of `len <= 16` rows from `first` on, as floats; of dense targets, zeros.
    #[inline(always)]
    fn block(&self, first: usize, len: usize) -> [f32; PARTIAL_SUMS] {
        let mut block = [0.0; PARTIAL_SUMS];
        match *self {
            Self::U8(labels) => {
                block.iter_mut().zip(&labels[first..][..len]).for_each(|(b, l)| *b = f32::from(*l));
            }
            Self::U16(labels) => {
                block.iter_mut().zip(&labels[first..][..len]).for_each(|(b, l)| *b = f32::from(*l));
            }
            Self::Dense { .. } => {}
        }
        block
    }

    #[inline(always)]
    fn row(&self, row: usize, classes: usize) -> Target<'a> {
        match *self {
            Self::U8(labels) => Target::Class(labels[row].into()),
            Self::U16(labels) => Target::Class(labels[row].into()),
            Self::Dense { values, stride } => Target::Dense(&values[row * stride..][..classes]),
        }
    }
}

impl Target<'_> {
    /// Whether the largest of `row`, which is `max`, stands where the target has its largest.
    #[inline(always)]
    fn is_predicted<S: Simd>(self, s: S, row: &[f32], max: f32) -> bool {
        let class = match self {
            Self::Class(class) => Some(class),
            Self::Dense(target) => slices::position(s, target, slices::largest(s, target)),
        };
        // The search for an equal one before it is for those that are right alone.
        match class {
            Some(class) if row[class] == max => slices::position(s, &row[..class], max).is_none(),
            _ => false,
        }
    }
}

fn check_rows(len: usize, stride: usize, classes: usize, rows: usize) {
    assert!(classes > 0 && stride >= classes, "{classes} classes in rows of {stride}");
    assert!(
        rows.checked_mul(stride).is_some_and(|floats| floats <= len),
        "{rows} rows of {stride} floats; found {len}"
    );
}
