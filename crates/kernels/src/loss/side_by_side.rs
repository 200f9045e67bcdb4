//! Rows of up to sixteen logits, as many at a time as a vector has lanes.
//!
//! A vector of one row has idle lanes, and its sum and its largest are chains of shuffles. Here the
//! rows are transposed: vector j holds the logits of class j, one row a lane. Every operation and
//! its order are those of [`Short`](super::logit_rows::Short), so the bits are the same.

use crate::math;
use crate::simd::{PARTIAL_SUMS, Simd};
use crate::slices::{Add, Op};

/// Class numbers as floats.
const CLASSES: [f32; PARTIAL_SUMS] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

/// Rows in the lanes of vectors, a vector a class; those past the last class are 0.
#[derive(Clone, Copy)]
pub(super) struct SideBySide<S: Simd> {
    classes: usize,
    stride: usize,
    /// Past the last class minus infinity.
    logits: [S::F; PARTIAL_SUMS],
    /// Exponentials, and what becomes of them; past the last class 0.
    results: [S::F; PARTIAL_SUMS],
}

/// What is left of each row.
pub(super) struct Totals<S: Simd> {
    /// `Σ exp(x - max)`
    pub(super) sum: S::F,
    /// `max - x` of the label.
    pub(super) offset: S::F,
    /// Where the first largest stands, as a float.
    pub(super) place: S::F,
}

impl<S: Simd> Totals<S> {
    /// How many of the first `count` rows have their first largest at the label and are not NaN.
    #[inline(always)]
    pub(super) fn correct(&self, s: S, labels: S::F, count: usize) -> usize {
        let loss = s.add(self.sum, self.offset);
        let bits = s.eq_bits(self.place, labels) & s.eq_bits(loss, loss);
        (bits & ((1 << count.min(S::LANES)) - 1)).count_ones() as usize
    }
}

impl<S: Simd> SideBySide<S> {
    /// For rows of up to sixteen classes.
    #[inline(always)]
    pub(super) fn new(s: S, classes: usize, stride: usize) -> Option<Self> {
        let logits = [s.splat(f32::NEG_INFINITY); PARTIAL_SUMS];
        let results = [s.splat(0.0); PARTIAL_SUMS];
        let short = classes <= PARTIAL_SUMS && stride >= classes;
        short.then_some(Self { classes, stride, logits, results })
    }

    /// The first `LANES` rows, or less: `count`.
    ///
    /// # Panics
    /// If the last row is shorter than the classes.
    #[inline(always)]
    pub(super) fn load(&mut self, s: S, rows: &[f32], count: usize) {
        // The number is known to the compiler where all lanes have a row.
        if count >= S::LANES {
            self.load_some(s, rows, S::LANES)
        } else {
            self.load_some(s, rows, count)
        }
    }

    #[inline(always)]
    fn load_some(&mut self, s: S, rows: &[f32], count: usize) {
        assert!(count > 0 && rows.len() >= (count - 1) * self.stride + self.classes);
        let to: *mut f32 = self.logits.as_mut_ptr().cast();
        for first in (0..self.classes).step_by(S::LANES) {
            let columns = (self.classes - first).min(S::LANES);
            // SAFETY: within the rows, as asserted, and within sixteen columns of `LANES` floats.
            unsafe {
                let (from, to) = (rows.as_ptr().add(first), to.add(first * S::LANES));
                s.transpose_block(from, self.stride, count, columns, to, S::LANES);
            }
        }
    }

    /// Writes the rows with zeros behind them, up to `stride`.
    ///
    /// # Panics
    /// If there are not as many.
    #[inline(always)]
    pub(super) fn store_padded(&self, s: S, rows: &mut [f32], count: usize) {
        if count >= S::LANES {
            self.store_some(s, rows, S::LANES)
        } else {
            self.store_some(s, rows, count)
        }
    }

    #[inline(always)]
    fn store_some(&self, s: S, rows: &mut [f32], count: usize) {
        assert!(rows.len() >= count * self.stride);
        let from: *const f32 = self.results.as_ptr().cast();
        // Whole vectors where rows are long enough: the columns past the classes are 0.
        for first in (0..self.stride.min(PARTIAL_SUMS)).step_by(S::LANES) {
            let (from, to) =
                (from.wrapping_add(first * S::LANES), rows.as_mut_ptr().wrapping_add(first));
            let columns = (self.stride - first).min(S::LANES);
            // SAFETY: within sixteen columns of `LANES` floats, and within the rows.
            unsafe {
                if columns == S::LANES {
                    s.transpose_block(from, S::LANES, S::LANES, count, to, self.stride);
                } else {
                    s.transpose_block(from, S::LANES, columns, count, to, self.stride);
                }
            }
        }
        if self.stride > PARTIAL_SUMS {
            for row in rows[..count * self.stride].chunks_exact_mut(self.stride) {
                row[PARTIAL_SUMS..].fill(0.0);
            }
        }
    }

    /// From logits to exponentials; `labels` are class numbers as floats.
    #[inline(always)]
    pub(super) fn exponentials(&mut self, s: S, labels: S::F) -> Totals<S> {
        let logits = &self.logits[..self.classes];
        let max = in_halves(s, self.logits, Largest);
        let (mut place, mut of_label) = (s.splat(-1.0), s.splat(0.0));
        // From the last to the first; the iterators for that do not become plain loops.
        let mut j = self.classes;
        while j > 0 {
            j -= 1;
            let class = s.splat(CLASSES[j]);
            place = s.if_eq(self.logits[j], max, class, place);
            of_label = s.if_eq(labels, class, self.logits[j], of_label);
        }
        for (x, e) in logits.iter().zip(&mut self.results) {
            *e = math::exp_of_at_most_89(s, s.sub(*x, max));
        }
        let sum = in_halves(s, self.results, Add);
        Totals { sum, offset: s.sub(max, of_label), place }
    }

    /// From exponentials to probabilities.
    #[inline(always)]
    pub(super) fn probabilities(&mut self, s: S, sum: S::F) {
        let reciprocal = s.div(s.splat(1.0), sum);
        for e in &mut self.results[..self.classes] {
            *e = s.mul(*e, reciprocal);
        }
    }

    /// From exponentials to `(p - t) * scale`.
    #[inline(always)]
    pub(super) fn gradient(&mut self, s: S, sum: S::F, labels: S::F, scale: f32) {
        let (zero, one, scale) = (s.splat(0.0), s.splat(1.0), s.splat(scale));
        let reciprocal = s.div(one, sum);
        for (e, class) in self.results[..self.classes].iter_mut().zip(CLASSES) {
            let t = s.if_eq(labels, s.splat(class), one, zero);
            *e = s.mul(s.sub(s.mul(*e, reciprocal), t), scale);
        }
    }
}

/// The lanes of a vector of `values`, from `first` on.
#[inline(always)]
pub(super) fn lanes<S: Simd>(s: S, values: &[f32; PARTIAL_SUMS], first: usize) -> S::F {
    assert!(first + S::LANES <= PARTIAL_SUMS);
    // SAFETY: within the array, as asserted.
    unsafe { s.load(values.as_ptr().add(first)) }
}

/// Writes a vector to `values`, from `first` on.
#[inline(always)]
pub(super) fn put<S: Simd>(s: S, values: &mut [f32; PARTIAL_SUMS], first: usize, lanes: S::F) {
    assert!(first + S::LANES <= PARTIAL_SUMS);
    // SAFETY: within the array, as asserted.
    unsafe { s.store(values.as_mut_ptr().add(first), lanes) }
}

/// `max(a, b)`
#[derive(Clone, Copy)]
struct Largest;

impl Op<2> for Largest {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [a, b]: [S::F; 2]) -> S::F {
        s.max(a, b)
    }
}

/// Folds sixteen in halves, as [`Simd::sum`] does the lanes of a row.
#[inline(always)]
fn in_halves<S: Simd>(s: S, mut x: [S::F; PARTIAL_SUMS], op: impl Op<2>) -> S::F {
    let mut half = PARTIAL_SUMS / 2;
    while half > 0 {
        for j in 0..half {
            x[j] = op.apply(s, [x[j], x[j + half]]);
        }
        half /= 2;
    }
    x[0]
}
