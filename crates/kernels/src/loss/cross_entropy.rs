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
//! rounded to 0. [`logit_rows`](super::logit_rows) takes the rows one by one; the logarithms of
//! their sums are taken sixteen at a time, as a vector.

use super::logit_rows::{LogitRows, Long, RowTotals, Short};
use super::side_by_side::{self, SideBySide, Totals};
use super::{Targets, check_rows};
use crate::Isa;
use crate::math;
use crate::simd::{Kernel, Simd};

/// Softmax cross-entropy of `losses.len()` rows, with the gradient in one go: `logits` become
/// `(w p - t) * scale` (`p` the probabilities, `t` the target, `w` its sum: 1 for a class number
/// or a distribution), and columns `classes..stride` become 0. `losses` receives
/// `-Σ t ln p` of each row. `probabilities`, laid out as `logits` are, receives `p`, padded with 0.
///
/// Returns the number of correct rows, as the [module](super) says. The naive twin is
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

/// Rows whose losses are finished together.
const BLOCK: usize = 16;

/// Sums of a block of rows, and what else their losses are made of.
struct Block {
    sums: [f32; BLOCK],
    weights: [f32; BLOCK],
    offsets: [f32; BLOCK],
}

impl Block {
    #[inline(always)]
    fn new() -> Self {
        Self { sums: [1.0; BLOCK], weights: [1.0; BLOCK], offsets: [0.0; BLOCK] }
    }

    /// Takes in rows side by side, from row `first` on.
    #[inline(always)]
    fn set_all<S: Simd>(&mut self, s: S, first: usize, totals: &Totals<S>) {
        side_by_side::put(s, &mut self.sums, first, totals.sum);
        side_by_side::put(s, &mut self.offsets, first, totals.offset);
    }

    /// Takes in a row; returns whether it is correct.
    #[inline(always)]
    fn set(&mut self, row: usize, totals: RowTotals) -> bool {
        let RowTotals { sum, weight, offset, predicted } = totals;
        self.sums[row] = sum;
        self.weights[row] = weight;
        self.offsets[row] = offset;
        // The loss is NaN where one of these is.
        predicted && !(sum + offset).is_nan()
    }

    #[inline(always)]
    fn write_losses(&self, losses: &mut [f32]) {
        let loss = |row: usize| math::ln(self.sums[row]) * self.weights[row] + self.offsets[row];
        // A whole block as vectors, without a call that copies it.
        match <&mut [f32; BLOCK]>::try_from(&mut *losses) {
            Ok(losses) => losses.iter_mut().enumerate().for_each(|(row, to)| *to = loss(row)),
            Err(_) => losses.iter_mut().enumerate().for_each(|(row, to)| *to = loss(row)),
        }
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
        if self.probabilities.is_none()
            && self.targets.are_classes()
            && let Some(rows) = SideBySide::new(s, self.classes, self.stride)
        {
            return self.many_rows(s, rows);
        }
        match Short::new(s, self.classes, self.stride) {
            Some(rows) => self.each_row(s, rows),
            None => {
                let rows = Long { classes: self.classes };
                self.each_row(s, rows)
            }
        }
    }
}

impl Gradient<'_> {
    /// By class numbers, without probabilities.
    #[inline(always)]
    fn many_rows<S: Simd>(&mut self, s: S, mut rows: SideBySide<S>) -> usize {
        let Self { stride, targets, scale, .. } = *self;
        let mut correct = 0;
        let blocks = self.losses.chunks_mut(BLOCK).zip(self.logits.chunks_mut(BLOCK * stride));
        for (block, (losses, logits)) in blocks.enumerate() {
            let mut state = Block::new();
            let labels = targets.block(block * BLOCK, losses.len());
            for first in (0..losses.len()).step_by(S::LANES) {
                let count = losses.len() - first;
                let logits = &mut logits[first * stride..];
                let labels = side_by_side::lanes(s, &labels, first);
                rows.load(s, logits, count);
                let totals = rows.exponentials(s, labels);
                correct += totals.correct(s, labels, count);
                state.set_all(s, first, &totals);
                rows.gradient(s, totals.sum, labels, scale);
                rows.store_padded(s, logits, count);
            }
            state.write_losses(losses);
        }
        correct
    }

    #[inline(always)]
    fn each_row<S: Simd>(mut self, s: S, rows: impl LogitRows<S>) -> usize {
        let Self { stride, classes, targets, scale, .. } = self;
        let mut correct = 0;
        let blocks = self.losses.chunks_mut(BLOCK).zip(self.logits.chunks_mut(BLOCK * stride));
        for (block, (losses, logits)) in blocks.enumerate() {
            let mut state = Block::new();
            for i in 0..losses.len() {
                let row = &mut logits[i * stride..][..stride];
                let here = block * BLOCK + i;
                let probabilities = self.probabilities.as_deref_mut();
                let probabilities = probabilities.map(|all| &mut all[here * stride..][..stride]);
                let target = targets.row(here, classes);
                let totals = rows.gradient(s, row, target, scale, probabilities);
                correct += usize::from(state.set(i, totals));
            }
            state.write_losses(losses);
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
    fn run<S: Simd>(mut self, s: S) -> usize {
        if self.targets.are_classes()
            && let Some(rows) = SideBySide::new(s, self.classes, self.stride)
        {
            return self.many_rows(s, rows);
        }
        match Short::new(s, self.classes, self.stride) {
            Some(rows) => self.each_row(s, rows),
            None => {
                let rows = Long { classes: self.classes };
                self.each_row(s, rows)
            }
        }
    }
}

impl Loss<'_> {
    /// By class numbers.
    #[inline(always)]
    fn many_rows<S: Simd>(&mut self, s: S, mut rows: SideBySide<S>) -> usize {
        let Self { stride, targets, .. } = *self;
        let mut correct = 0;
        let blocks = self.losses.chunks_mut(BLOCK).zip(self.logits.chunks(BLOCK * stride));
        for (block, (losses, logits)) in blocks.enumerate() {
            let mut state = Block::new();
            let labels = targets.block(block * BLOCK, losses.len());
            for first in (0..losses.len()).step_by(S::LANES) {
                let count = losses.len() - first;
                let labels = side_by_side::lanes(s, &labels, first);
                rows.load(s, &logits[first * stride..], count);
                let totals = rows.exponentials(s, labels);
                correct += totals.correct(s, labels, count);
                state.set_all(s, first, &totals);
            }
            state.write_losses(losses);
        }
        correct
    }

    #[inline(always)]
    fn each_row<S: Simd>(self, s: S, rows: impl LogitRows<S>) -> usize {
        let Self { stride, classes, targets, .. } = self;
        let mut correct = 0;
        let blocks = self.losses.chunks_mut(BLOCK).zip(self.logits.chunks(BLOCK * stride));
        for (block, (losses, logits)) in blocks.enumerate() {
            let mut state = Block::new();
            for i in 0..losses.len() {
                let row = &logits[i * stride..][..classes];
                let totals = rows.loss(s, row, targets.row(block * BLOCK + i, classes));
                correct += usize::from(state.set(i, totals));
            }
            state.write_losses(losses);
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
        let Self { logits, stride, classes } = self;
        match SideBySide::new(s, classes, stride) {
            Some(mut side_by_side) => {
                for rows in logits.chunks_mut(S::LANES * stride) {
                    let count = rows.len() / stride;
                    side_by_side.load(s, rows, count);
                    let totals = side_by_side.exponentials(s, s.splat(0.0));
                    side_by_side.probabilities(s, totals.sum);
                    side_by_side.store_padded(s, rows, count);
                }
            }
            None => {
                for row in logits.chunks_exact_mut(stride) {
                    Long { classes }.softmax(s, row);
                }
            }
        }
    }
}
