//! Softmax and cross-entropy of one row.
//!
//! Up to sixteen classes ([`Short`]), the row is loaded once, stays in registers, and is stored
//! once. Beyond ([`Long`]) there are three passes: the largest, the exponentials, the scaling. Both
//! take the same sums in the same order.

use super::Target;
use crate::math;
use crate::short_row::{Lanes, ShortRows};
use crate::simd::Simd;
use crate::slices::{self, Add, Nothing, OneHot, Op};

/// What is left of a row: its loss is `weight * ln(sum) + offset`.
pub(super) struct RowTotals {
    /// `Σ exp(x - max)`
    pub(super) sum: f32,
    /// `Σ t`
    pub(super) weight: f32,
    /// `Σ t (max - x)`
    pub(super) offset: f32,
    /// The largest stands where the target has its largest.
    pub(super) predicted: bool,
}

/// A way to go through the logits of a row.
pub(super) trait LogitRows<S: Simd>: Copy {
    /// Turns a row, with its padding, into the gradient; writes the probabilities if asked to.
    fn gradient(
        self,
        s: S,
        row: &mut [f32],
        target: Target<'_>,
        scale: f32,
        probabilities: Option<&mut [f32]>,
    ) -> RowTotals;
    /// Reads a row.
    fn loss(self, s: S, row: &[f32], target: Target<'_>) -> RowTotals;
}

/// `exp(x - max)`
#[derive(Clone, Copy)]
struct Exponential {
    max: f32,
}

impl Op<1> for Exponential {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::F; 1]) -> S::F {
        math::exp_of_at_most_89(s, s.sub(x, s.splat(self.max)))
    }
}

/// `sum + exp(x - max)`
impl Op<2> for Exponential {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [sum, x]: [S::F; 2]) -> S::F {
        s.add(sum, Op::<1>::apply(self, s, [x]))
    }
}

/// `sum + t (max - x)`
#[derive(Clone, Copy)]
struct WeightedDistance {
    max: f32,
}

impl Op<3> for WeightedDistance {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [sum, x, t]: [S::F; 3]) -> S::F {
        s.fma(t, s.sub(s.splat(self.max), x), sum)
    }
}

/// From exponentials to probabilities.
#[derive(Clone, Copy)]
struct Probability {
    reciprocal: f32,
}

impl Op<2> for Probability {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [e, _]: [S::F; 2]) -> S::F {
        s.mul(e, s.splat(self.reciprocal))
    }
}

/// From exponentials and targets to `(w p - t) * scale`.
#[derive(Clone, Copy)]
struct Gradient {
    reciprocal: f32,
    weight: f32,
    scale: f32,
}

impl Op<2> for Gradient {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [e, t]: [S::F; 2]) -> S::F {
        let p = s.mul(e, s.splat(self.reciprocal));
        s.mul(s.sub(s.mul(p, s.splat(self.weight)), t), s.splat(self.scale))
    }
}

/// [`Gradient`] of weight 1 where the target is 0, to the bit.
#[derive(Clone, Copy)]
struct GradientOffTarget {
    reciprocal: f32,
    scale: f32,
}

impl Op<2> for GradientOffTarget {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [e, _]: [S::F; 2]) -> S::F {
        s.mul(s.mul(e, s.splat(self.reciprocal)), s.splat(self.scale))
    }
}

/// Rows of at most sixteen classes.
pub(super) type Short<S> = ShortRows<S>;

impl<S: Simd> Short<S> {
    /// The exponentials, and what becomes of the row.
    #[inline(always)]
    fn exponentials(self, s: S, row: &[f32], target: Target<'_>) -> (Lanes<S>, RowTotals) {
        let lowest = f32::NEG_INFINITY;
        let x = self.load(s, row, lowest);
        let max = s.largest(x);
        let place = Self::position(s, x, max);
        let e: Lanes<S> = Self::map::<1>(s, [x], Exponential { max });
        let sum = s.sum(e);
        let totals = match target {
            Target::Class(class) => {
                let offset = max - row[class];
                RowTotals { sum, weight: 1.0, offset, predicted: place == class }
            }
            Target::Dense(target) => {
                let t = self.load(s, target, lowest);
                let predicted = place == Self::position(s, t, s.largest(t));
                // Past the end, the targets read as 0 and the logits as what gives no NaN.
                let (x, t) = (self.load(s, row, max), self.load(s, target, 0.0));
                let none = [s.splat(0.0); 2];
                let offset = s.sum(Self::map(s, [none, x, t], WeightedDistance { max }));
                RowTotals { sum, weight: s.sum(t), offset, predicted }
            }
        };
        (e, totals)
    }
}

impl<S: Simd> LogitRows<S> for Short<S> {
    #[inline(always)]
    fn gradient(
        self,
        s: S,
        row: &mut [f32],
        target: Target<'_>,
        scale: f32,
        probabilities: Option<&mut [f32]>,
    ) -> RowTotals {
        let (e, totals) = self.exponentials(s, row, target);
        let reciprocal = 1.0 / totals.sum;
        if let Some(probabilities) = probabilities {
            let p = Self::map(s, [e, e], Probability { reciprocal });
            self.store_padded(s, probabilities, p);
        }
        let t = match target {
            Target::Class(class) => self.load(s, OneHot(class), 0.0),
            Target::Dense(t) => self.load(s, t, 0.0),
        };
        let gradient = Gradient { reciprocal, weight: totals.weight, scale };
        self.store_padded(s, row, Self::map(s, [e, t], gradient));
        totals
    }

    #[inline(always)]
    fn loss(self, s: S, row: &[f32], target: Target<'_>) -> RowTotals {
        self.exponentials(s, row, target).1
    }
}

/// Rows of any number of classes.
#[derive(Clone, Copy)]
pub(super) struct Long {
    pub(super) classes: usize,
}

/// Sums are restarted after so many terms and added up, which bounds the error of very long ones.
const LONGEST_SUM: usize = 4096;

impl Long {
    /// The largest, and what becomes of the row but for the sum.
    #[inline(always)]
    fn largest<S: Simd>(s: S, row: &[f32], target: Target<'_>) -> (f32, RowTotals) {
        let max = slices::largest(s, row);
        let predicted = target.is_predicted(s, row, max);
        let (offset, weight) = match target {
            Target::Class(class) => (max - row[class], 1.0),
            Target::Dense(t) => {
                // Past the end, the targets read as 0 and the logits as what gives no NaN.
                let offset = slices::reduce_pair(s, row, max, t, WeightedDistance { max });
                (s.sum(offset), s.sum(slices::reduce(s, t, 0.0, 0.0, Add)))
            }
        };
        (max, RowTotals { sum: 0.0, weight, offset, predicted })
    }

    /// `x = exp(x - max)`; returns their sum.
    #[inline(always)]
    fn exponentials<S: Simd>(s: S, row: &mut [f32], max: f32) -> f32 {
        let mut total = 0.0;
        for part in row.chunks_mut(LONGEST_SUM) {
            total += s.sum(slices::map_and_sum(s, part, f32::NEG_INFINITY, Exponential { max }));
        }
        total
    }

    /// Turns a row, with its padding, into probabilities.
    #[inline(always)]
    pub(super) fn softmax<S: Simd>(self, s: S, row: &mut [f32]) {
        let used = &mut row[..self.classes];
        let max = slices::largest(s, used);
        let reciprocal = 1.0 / Self::exponentials(s, used, max);
        slices::map_padded(s, None, row, self.classes, Nothing, Probability { reciprocal });
    }
}

impl<S: Simd> LogitRows<S> for Long {
    #[inline(always)]
    fn gradient(
        self,
        s: S,
        row: &mut [f32],
        target: Target<'_>,
        scale: f32,
        probabilities: Option<&mut [f32]>,
    ) -> RowTotals {
        let used = &mut row[..self.classes];
        let (max, mut totals) = Self::largest(s, used, target);
        totals.sum = Self::exponentials(s, used, max);
        let reciprocal = 1.0 / totals.sum;
        if let Some(p) = probabilities {
            let probability = Probability { reciprocal };
            slices::map_padded(s, Some(row), p, self.classes, Nothing, probability);
        }
        match target {
            Target::Class(class) => {
                let p = row[class] * reciprocal;
                let gradient = GradientOffTarget { reciprocal, scale };
                slices::map_padded(s, None, row, self.classes, Nothing, gradient);
                row[class] = (p - 1.0) * scale;
            }
            Target::Dense(t) => {
                let gradient = Gradient { reciprocal, weight: totals.weight, scale };
                slices::map_padded(s, None, row, self.classes, t, gradient);
            }
        }
        totals
    }

    #[inline(always)]
    fn loss(self, s: S, row: &[f32], target: Target<'_>) -> RowTotals {
        let (max, mut totals) = Self::largest(s, row, target);
        for part in row.chunks(LONGEST_SUM) {
            let sums = slices::reduce(s, part, 0.0, f32::NEG_INFINITY, Exponential { max });
            totals.sum += s.sum(sums);
        }
        totals
    }
}
