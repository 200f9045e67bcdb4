//! Mean squared error.
//!
//! ```text
//! loss     = (1 / classes) Σ (y_j - t_j)²
//! gradient = 2 (y_j - t_j) / classes
//! ```

use super::{Target, Targets, check_rows};
use crate::Isa;
use crate::simd::{Kernel, Simd};
use crate::slices::{self, OneHot, Op, Row};

/// Mean squared error of `losses.len()` rows, with the gradient in one go: `outputs` become
/// `2 (y - t) / classes * scale`, and columns `classes..stride` become 0. `losses` receives the
/// mean over the classes of `(y - t)²`, as Keras takes it. Class numbers stand for one-hot rows.
///
/// Returns the number of correct rows, as the [module](super) says. The naive twin is
/// [`reference::mean_squared_error`](crate::reference::mean_squared_error).
///
/// # Panics
/// Before anything is written: if a label is not below `classes`, `stride < classes`, `classes` is
/// 0, or a slice is too short (labels: of another length than `losses`).
pub fn mean_squared_error(
    isa: Isa,
    outputs: &mut [f32],
    stride: usize,
    classes: usize,
    targets: Targets<'_>,
    scale: f32,
    losses: &mut [f32],
) -> usize {
    check_rows(outputs.len(), stride, classes, losses.len());
    targets.check(losses.len(), classes);
    isa.run(Gradient { outputs, stride, classes, targets, scale, losses })
}

/// The losses and the number of correct rows of [`mean_squared_error`], and nothing else.
///
/// # Panics
/// As [`mean_squared_error`].
pub fn mean_squared_error_loss(
    isa: Isa,
    outputs: &[f32],
    stride: usize,
    classes: usize,
    targets: Targets<'_>,
    losses: &mut [f32],
) -> usize {
    check_rows(outputs.len(), stride, classes, losses.len());
    targets.check(losses.len(), classes);
    isa.run(Loss { outputs, stride, classes, targets, losses })
}

/// `sum + (y - t)²`
#[derive(Clone, Copy)]
struct AddSquare;

impl Op<3> for AddSquare {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [sum, y, t]: [S::F; 3]) -> S::F {
        let d = s.sub(y, t);
        s.fma(d, d, sum)
    }
}

/// `(y - t) * factor`
#[derive(Clone, Copy)]
struct ScaledDifference(f32);

impl Op<2> for ScaledDifference {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [y, t]: [S::F; 2]) -> S::F {
        s.mul(s.sub(y, t), s.splat(self.0))
    }
}

/// The loss of a row, and whether it is correct.
#[inline(always)]
fn loss<S: Simd>(s: S, row: &[f32], target: Target<'_>) -> (f32, bool) {
    #[inline(always)]
    fn squares<S: Simd>(s: S, row: &[f32], target: impl Row) -> f32 {
        // What lies past the end is 0 in both rows.
        s.sum(slices::reduce_pair(s, row, 0.0, target, AddSquare))
    }
    let sum = match target {
        Target::Class(class) => squares(s, row, OneHot(class)),
        Target::Dense(target) => squares(s, row, target),
    };
    let loss = sum / row.len() as f32;
    (loss, !loss.is_nan() && target.is_predicted(s, row, slices::largest(s, row)))
}

struct Gradient<'a> {
    outputs: &'a mut [f32],
    stride: usize,
    classes: usize,
    targets: Targets<'a>,
    scale: f32,
    losses: &'a mut [f32],
}

impl Kernel for Gradient<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let Self { stride, classes, targets, .. } = self;
        let gradient = ScaledDifference(2.0 * self.scale / classes as f32);
        let mut correct = 0;
        let rows = self.outputs.chunks_exact_mut(stride).zip(self.losses);
        for (i, (row, row_loss)) in rows.enumerate() {
            let target = targets.row(i, classes);
            let (loss, hit) = loss(s, &row[..classes], target);
            *row_loss = loss;
            correct += usize::from(hit);
            match target {
                Target::Class(class) => {
                    slices::map_padded(s, None, row, classes, OneHot(class), gradient);
                }
                Target::Dense(t) => slices::map_padded(s, None, row, classes, t, gradient),
            }
        }
        correct
    }
}

struct Loss<'a> {
    outputs: &'a [f32],
    stride: usize,
    classes: usize,
    targets: Targets<'a>,
    losses: &'a mut [f32],
}

impl Kernel for Loss<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let Self { stride, classes, targets, .. } = self;
        let mut correct = 0;
        for (i, (row, row_loss)) in self.outputs.chunks_exact(stride).zip(self.losses).enumerate() {
            let (loss, hit) = loss(s, &row[..classes], targets.row(i, classes));
            *row_loss = loss;
            correct += usize::from(hit);
        }
        correct
    }
}
