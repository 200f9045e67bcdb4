//! Rows of up to sixteen floats, which stay in registers.
//!
//! The output layer of a classifier has ten columns or so: loops over such rows would spend their
//! time on bounds and masks. Here the masks are made once for all rows.

use crate::simd::{PARTIAL_SUMS, Simd};
use crate::slices::{Op, Row};

/// Reads rows of `classes` floats and writes rows of `stride`.
#[derive(Clone, Copy)]
pub(crate) struct ShortRows<S: Simd> {
    classes: usize,
    stride: usize,
    /// Lanes of each vector below `classes`.
    used: [S::M; 2],
    /// Lanes of each vector below `stride`.
    kept: [S::M; 2],
}

/// A row in registers: two vectors of eight lanes or one of sixteen.
pub(crate) type Lanes<S> = [<S as Simd>::F; 2];

impl<S: Simd> ShortRows<S> {
    /// For rows of up to sixteen floats.
    #[inline(always)]
    pub(crate) fn new(s: S, classes: usize, stride: usize) -> Option<Self> {
        if classes > PARTIAL_SUMS || stride < classes {
            return None;
        }
        let (used, kept) = (masks(s, classes), masks(s, stride));
        Some(Self { classes, stride, used, kept })
    }

    /// Vectors in use.
    const VECTORS: usize = PARTIAL_SUMS / S::LANES;

    /// The row, and `filler` in the other lanes.
    ///
    /// # Panics
    /// If `row` is too short.
    #[inline(always)]
    pub(crate) fn load(self, s: S, row: impl Row, filler: f32) -> Lanes<S> {
        assert!(row.covers(self.classes));
        let mut lanes = [s.splat(filler); 2];
        for (v, lanes) in lanes[..Self::VECTORS].iter_mut().enumerate() {
            // SAFETY: the masks end with the row.
            let x = unsafe { row.at(s, v * S::LANES, Some(self.used[v])) };
            *lanes = s.select(self.used[v], x, *lanes);
        }
        lanes
    }

    /// Writes the row and zeros behind it, up to `stride`.
    ///
    /// # Panics
    /// If `row` is too short.
    #[inline(always)]
    pub(crate) fn store_padded(self, s: S, row: &mut [f32], lanes: Lanes<S>) {
        assert!(row.len() >= self.stride);
        for (v, x) in lanes[..Self::VECTORS].iter().enumerate() {
            let x = s.select(self.used[v], *x, s.splat(0.0));
            let at = row.as_mut_ptr().wrapping_add(v * S::LANES);
            // SAFETY: a whole vector or what the mask keeps is within `stride`.
            unsafe {
                if (v + 1) * S::LANES <= self.stride {
                    s.store(at, x);
                } else {
                    s.store_masked(at, x, self.kept[v]);
                }
            }
        }
        if self.stride > PARTIAL_SUMS {
            row[PARTIAL_SUMS..self.stride].fill(0.0);
        }
    }

    /// The first lane with this value; 32 or more if there is none.
    #[inline(always)]
    pub(crate) fn position(s: S, lanes: Lanes<S>, value: f32) -> usize {
        let value = s.splat(value);
        let bits = |v: usize| s.eq_bits(lanes[v], value) << (v * S::LANES);
        let bits = if Self::VECTORS == 2 { bits(0) | bits(1) } else { bits(0) };
        bits.trailing_zeros() as usize
    }

    /// `op` of the vectors in use, row beside row.
    #[inline(always)]
    pub(crate) fn map<const N: usize>(s: S, rows: [Lanes<S>; N], op: impl Op<N>) -> Lanes<S> {
        let mut result = [s.splat(0.0); 2];
        for (v, result) in result[..Self::VECTORS].iter_mut().enumerate() {
            let mut x = [s.splat(0.0); N];
            for (x, row) in x.iter_mut().zip(&rows) {
                *x = row[v];
            }
            *result = op.apply(s, x);
        }
        result
    }
}

/// Masks of the first `n` lanes of two vectors.
#[inline(always)]
fn masks<S: Simd>(s: S, n: usize) -> [S::M; 2] {
    [s.first(n), s.first(n.saturating_sub(S::LANES))]
}
