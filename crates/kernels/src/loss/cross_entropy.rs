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
        let mut all = [0.0; BLOCK];
        for (row, loss) in all.iter_mut().enumerate() {
            *loss = math::ln(self.sums[row]) * self.weights[row] + self.offsets[row];
        }
        match <&mut [f32; BLOCK]>::try_from(&mut *losses) {
            Ok(losses) => *losses = all,
            Err(_) => losses.copy_from_slice(&all[..losses.len()]),
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
    fn run<S: Simd>(self, s: S) -> usize {
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
    fn run<S: Simd>(self, s: S) -> usize {
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
        let rows = logits.chunks_exact_mut(stride);
        match Short::new(s, classes, stride) {
            Some(short) => {
                for row in rows {
                    short.softmax(s, row);
                }
            }
            None => {
                for row in rows {
                    Long { classes }.softmax(s, row);
                }
            }
        }
    }
}
