//! The reciprocal square root, without a division and without a processor's estimate.

use crate::simd::{Simd, each};

/// `1 / sqrt(x)` as a product, for the caller to put other factors between: `near * correction` is
/// [`ROOT_SCALE`] times it.
///
/// The start is within 3.5 % (the integer trick explained by C. Lomont, "Fast inverse square
/// root", 2003); two steps `y (c - x y^2)` follow. With Newton's c = 3 they would bring 1.8e-3 and
/// 4.7e-6; c and the start chosen for the least largest error (the idea of L. Moroz et al., "Fast
/// calculation of inverse square root with the use of magic constant", 2018) bring 7.3e-4 and
/// 4.1e-7, and roundings as much again: ten units in the last place. A step is added to a parameter
/// a hundred or more times its size, whose own rounding is larger.
pub(crate) struct InverseSqrt<S: Simd, const U: usize> {
    /// `1 / sqrt(x)` to three digits, times a constant.
    pub near: [S::F; U],
    /// `x near`
    pub times: [S::F; U],
    pub correction: [S::F; U],
}

/// What `near * correction` is too large by; see [`InverseSqrt`].
pub(crate) const ROOT_SCALE: f64 = 11.363_035;

impl<S: Simd, const U: usize> InverseSqrt<S, U> {
    /// For normal positive `x`; finite for zero.
    #[inline(always)]
    pub fn of(s: S, x: [S::F; U]) -> Self {
        let start = s.splat_i(0x5f2f_5600);
        let y = each!(s, u => s.float_of_bits(s.sub_i(start, s.shr1_i(s.to_bits(x[u])))));
        let t = each!(s, u => s.mul(x[u], y[u]));
        let t = each!(s, u => s.fnma(t[u], y[u], s.splat(2.781_672_8)));
        let near = each!(s, u => s.mul(y[u], t[u]));
        let times = each!(s, u => s.mul(x[u], near[u]));
        let correction = each!(s, u => s.fnma(times[u], near[u], s.splat(9.552_072)));
        Self { near, times, correction }
    }
}
