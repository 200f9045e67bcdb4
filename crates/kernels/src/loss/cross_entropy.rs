//! Softmax and its cross-entropy.
//!
//! For each row of logits x, with targets t:
//!
//! ```text
//! m = max x                       e_j = exp(x_j - m)              sum = Σ e_j
//! p_j = e_j / sum                 w = Σ t_j   (1 for a class number)
//! loss     = Σ t_j (log sum-exp x - x_j) = w ln(sum) + Σ t_j (m - x_j)
//! gradient = w p_j - t_j
//! ```
//!
//! The loss comes from the sum, not from the logarithm of a probability, which may have been
//! rounded to 0. The three passes over a row (largest, exponentials, scaling) are each a loop of
//! vectors; up to sixteen classes each is a single one, and the row never leaves the first-level
//! cache. Rows go in blocks of sixteen, so that the reciprocals and the logarithms of their sums,
//! one a row, are computed as vectors too.

use super::{BLOCK, Target, Targets, check_rows, maximum};
use crate::Isa;
use crate::math;
use crate::simd::{Kernel, Simd};
use crate::slices::{self, Nothing, OneHot};

/// Sums are restarted after so many terms and added up, which bounds the error of very long ones.
const LONGEST_SUM: usize = 4096;

/// Softmax cross-entropy of `losses.len()` rows, with the gradient in one go: `logits` become
/// `(w p - t) * scale` (`p` the probabilities, `t` the target, `w` its sum: 1 for a class number
/// or a distribution), and columns `classes..stride` become 0. `losses` receives
/// `-Σ t ln p` of each row. `probabilities`, laid out as `logits` are, receives `p`, padded with 0.
///
/// Returns the number of correct rows, as the [module](self) says. The naive twin is
/// [`reference::softmax_cross_entropy`](crate::reference::softmax_cross_entropy).
///
/// # Panics
/// Before anything is written: if a label is not below `classes`, `stride < classes`, `classes` is
/// 0, or a slice is too short (labels: of another length than `losses`).
pub fn softmax_cross_entropy(
    isa: Isa,
    logits: &mut [f32],
    stride: usize,
    classes: usize,
    targets: Targets<'_>,
    scale: f32,
    losses: &mut [f32],
    probabilities: Option<&mut [f32]>,
) -> usize {
    check_rows(logits.len(), stride, classes, losses.len());
    if let Some(probabilities) = &probabilities {
        check_rows(probabilities.len(), stride, classes, losses.len());
    }
    targets.check(losses.len(), classes);
    isa.run(Gradient { logits, stride, classes, targets, scale, losses, probabilities })
}

/// The losses and the number of correct rows of [`softmax_cross_entropy`], and nothing else.
///
/// # Panics
/// As [`softmax_cross_entropy`].
pub fn softmax_cross_entropy_loss(
    isa: Isa,
    logits: &[f32],
    stride: usize,
    classes: usize,
    targets: Targets<'_>,
    losses: &mut [f32],
) -> usize {
    check_rows(logits.len(), stride, classes, losses.len());
    targets.check(losses.len(), classes);
    isa.run(Loss { logits, stride, classes, targets, losses })
}

/// Turns `rows` rows of logits into probabilities; columns `classes..stride` become 0.
///
/// # Panics
/// If `stride < classes`, `classes` is 0, or `logits` has less than `rows` rows.
pub fn softmax(isa: Isa, logits: &mut [f32], stride: usize, classes: usize, rows: usize) {
    check_rows(logits.len(), stride, classes, rows);
    isa.run(Softmax { logits: &mut logits[..rows * stride], stride, classes });
}

/// What the target contributes: loss = `weight * ln(sum) + offset`.
struct Share {
    offset: f32,
    weight: f32,
    predicted: bool,
}

impl Share {
    #[inline(always)]
    fn of<S: Simd>(s: S, target: Target<'_>, row: &[f32], max: f32) -> Self {
        let predicted = target.is_predicted(s, row, max);
        let (offset, weight) = match target {
            Target::Class(class) => (max - row[class], 1.0),
            Target::Dense(t) => {
                let top = s.splat(max);
                let offset =
                    slices::reduce_pair(s, row, max, t, |sum, x, t| s.fma(t, s.sub(top, x), sum));
                let weight = slices::reduce(s, t, 0.0, 0.0, |sum, t| s.add(sum, t));
                (s.fold(offset, |a, b| a + b), s.fold(weight, |a, b| a + b))
            }
        };
        Self { offset, weight, predicted }
    }
}

/// `Σ exp(x - max)` without writing.
#[inline(always)]
fn sum_of_exponentials<S: Simd>(s: S, row: &[f32], max: f32) -> f32 {
    let top = s.splat(max);
    let mut total = 0.0;
    for part in row.chunks(LONGEST_SUM) {
        let sums = slices::reduce(s, part, 0.0, f32::NEG_INFINITY, |sum, x| {
            s.add(sum, math::exp_of_at_most_89(s, s.sub(x, top)))
        });
        total += s.fold(sums, |a, b| a + b);
    }
    total
}

/// `x = exp(x - max)`; returns their sum.
#[inline(always)]
fn exponentials<S: Simd>(s: S, row: &mut [f32], max: f32) -> f32 {
    let top = s.splat(max);
    let mut total = 0.0;
    for part in row.chunks_mut(LONGEST_SUM) {
        let sums = slices::map_and_sum(s, part, f32::NEG_INFINITY, |x| {
            math::exp_of_at_most_89(s, s.sub(x, top))
        });
        total += s.fold(sums, |a, b| a + b);
    }
    total
}

/// What a block of rows has come to after its exponentials.
struct Block {
    sums: [f32; BLOCK],
    weights: [f32; BLOCK],
    offsets: [f32; BLOCK],
    predicted: [bool; BLOCK],
}

impl Block {
    #[inline(always)]
    fn new() -> Self {
        Self {
            sums: [1.0; BLOCK],
            weights: [1.0; BLOCK],
            offsets: [0.0; BLOCK],
            predicted: [false; BLOCK],
        }
    }

    #[inline(always)]
    fn set(&mut self, row: usize, sum: f32, share: &Share) {
        self.sums[row] = sum;
        self.weights[row] = share.weight;
        self.offsets[row] = share.offset;
        self.predicted[row] = share.predicted;
    }

    /// Writes the losses; returns the number of correct rows.
    #[inline(always)]
    fn finish(&self, losses: &mut [f32]) -> usize {
        let mut all = [0.0; BLOCK];
        for (row, loss) in all.iter_mut().enumerate() {
            *loss = math::ln(self.sums[row]) * self.weights[row] + self.offsets[row];
        }
        losses.copy_from_slice(&all[..losses.len()]);
        losses.iter().zip(&self.predicted).filter(|(loss, hit)| **hit && !loss.is_nan()).count()
    }
}

struct Gradient<'a> {
    logits: &'a mut [f32],
    stride: usize,
    classes: usize,
    targets: Targets<'a>,
    scale: f32,
    losses: &'a mut [f32],
    probabilities: Option<&'a mut [f32]>,
}

impl Kernel for Gradient<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> usize {
        let Self { stride, classes, targets, .. } = self;
        let scale = s.splat(self.scale);
        let mut correct = 0;
        for (block, losses) in self.losses.chunks_mut(BLOCK).enumerate() {
            let first = block * BLOCK;
            let here = first * stride..(first + losses.len()) * stride;
            let logits = &mut self.logits[here.clone()];

            let mut state = Block::new();
            for (i, row) in logits.chunks_exact_mut(stride).enumerate() {
                let row = &mut row[..classes];
                let max = maximum(s, row);
                let share = Share::of(s, targets.row(first + i, classes), row, max);
                state.set(i, exponentials(s, row, max), &share);
            }
            correct += state.finish(losses);

            let reciprocals = state.sums.map(|sum| 1.0 / sum);
            if let Some(probabilities) = self.probabilities.as_deref_mut() {
                let rows = probabilities[here].chunks_exact_mut(stride);
                for ((p, row), r) in rows.zip(logits.chunks_exact(stride)).zip(&reciprocals) {
                    let r = s.splat(*r);
                    slices::map_padded(s, Some(row), p, classes, Nothing, |e, _| s.mul(e, r));
                }
            }
            for (i, row) in logits.chunks_exact_mut(stride).enumerate() {
                let (r, w) = (s.splat(reciprocals[i]), s.splat(state.weights[i]));
                match targets.row(first + i, classes) {
                    Target::Class(class) => {
                        slices::map_padded(s, None, row, classes, OneHot(class), |e, t| {
                            s.mul(s.sub(s.mul(e, r), t), scale)
                        });
                    }
                    Target::Dense(t) => slices::map_padded(s, None, row, classes, t, |e, t| {
                        s.mul(s.sub(s.mul(s.mul(e, r), w), t), scale)
                    }),
                }
            }
        }
        correct
    }
}

struct Loss<'a> {
    logits: &'a [f32],
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
        let blocks = self.losses.chunks_mut(BLOCK).zip(self.logits.chunks(BLOCK * stride));
        for (block, (losses, logits)) in blocks.enumerate() {
            let mut state = Block::new();
            for (i, row) in logits.chunks_exact(stride).take(losses.len()).enumerate() {
                let row = &row[..classes];
                let max = maximum(s, row);
                let target = targets.row(block * BLOCK + i, classes);
                let share = Share::of(s, target, row, max);
                state.set(i, sum_of_exponentials(s, row, max), &share);
            }
            correct += state.finish(losses);
        }
        correct
    }
}

struct Softmax<'a> {
    logits: &'a mut [f32],
    stride: usize,
    classes: usize,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { stride, classes, .. } = self;
        for block in self.logits.chunks_mut(BLOCK * stride) {
            let mut sums = [1.0; BLOCK];
            for (sum, row) in sums.iter_mut().zip(block.chunks_exact_mut(stride)) {
                let row = &mut row[..classes];
                let max = maximum(s, row);
                *sum = exponentials(s, row, max);
            }
            let reciprocals = sums.map(|sum| 1.0 / sum);
            for (row, r) in block.chunks_exact_mut(stride).zip(&reciprocals) {
                let r = s.splat(*r);
                slices::map_padded(s, None, row, classes, Nothing, |e, _| s.mul(e, r));
            }
        }
    }
}
