//! Exponentials of whole vectors, and what is made of them.
//!
//! Plain IEEE operations and fused multiply-adds only, no estimates and no tables: AVX2 and
//! AVX-512 give the same bits. Errors are measured over the whole range in this module's tests,
//! against f64.
//!
//! ```text
//! exp(x) = 2^n * e^r      n = round(x / ln 2), r = x - n ln 2 in [-0.347, 0.347]
//! e^r    = 1 + r + r^2 Q(r)
//! ```
//!
//! `Q` is the minimax polynomial of degree 4 (Remez, weighted by the relative error of the whole):
//! 3e-9 for `exp`, 1.3e-8 for `expm1`, an eighth of a unit in the last place at most.

// The shortest decimals of the floats meant.
#![allow(clippy::excessive_precision)]

use std::f32::consts::{LN_2, LOG2_E};

use crate::simd::Simd;

/// `ln 2` in two parts. The first has ten bits, so that its product with a small whole number is
/// exact even where multiply and add round separately.
const LN_2_HIGH: f32 = 0.693_359_375;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Adding this rounds to a whole number, which then stands in the low bits.
const ROUNDER: f32 = 12_582_912.0; // 1.5 * 2^23

/// `(n + bias in the low bits of the pattern, r)`.
#[inline(always)]
fn reduce<S: Simd>(s: S, x: S::F, bias: f32) -> (S::F, S::F) {
    let rounder = s.splat(ROUNDER + bias);
    let shifted = s.fma(x, s.splat(LOG2_E), rounder);
    let n = s.sub(shifted, rounder);
    let r = s.fnma(n, s.splat(LN_2_HIGH), x);
    (shifted, s.fnma(n, s.splat(LN_2_LOW), r))
}

/// The power of two with the low eight bits of `shifted` as its exponent field: 0 for 0, infinity
/// for 255.
#[inline(always)]
fn power_of_two<S: Simd>(s: S, shifted: S::F) -> S::F {
    s.float_of_bits(s.shl23_i(s.to_bits(shifted)))
}

#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, r: S::F, coefficients: [f32; N]) -> S::F {
    let mut sum = s.splat(coefficients[N - 1]);
    for c in coefficients[..N - 1].iter().rev() {
        sum = s.fma(sum, r, s.splat(*c));
    }
    sum
}

/// `e^x` for `x <= 89` or NaN: [`exp`] without its bound above.
#[inline(always)]
pub(crate) fn exp_of_at_most_89<S: Simd>(s: S, x: S::F) -> S::F {
    // -126 ln 2: its power of two below is 0. NaN stays, being the second operand.
    let x = s.max(s.splat(-126.0 * LN_2), x);
    // The result is 2 e^r * 2^(n - 1), since 2^n itself would overflow for n = 128, where e^x may
    // not. The product overflows to infinity by itself.
    let (shifted, r) = reduce(s, x, 126.0);
    let twice = polynomial(
        s,
        r,
        [
            2.0,
            2.0,
            2.0 * 0.499_999_94,
            2.0 * 0.166_665_21,
            2.0 * 0.041_668_389,
            2.0 * 0.008_368_745_4,
            2.0 * 0.001_381_454_1,
        ],
    );
    s.mul(twice, power_of_two(s, shifted))
}

/// `e^x`, within 1 unit in the last place (1.2 on the portable path).
///
/// Infinity from the first float whose exponential overflows (88.72284). Below -86.99 the result
/// is 0, where it would be under 1.7e-38, a factor of 1.4 above the subnormal numbers: those cost
/// an assist of a hundred cycles on many processors, and no probability needs them. NaN gives NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    // 129 ln 2: its power of two is infinite.
    exp_of_at_most_89(s, s.min(s.splat(129.0 * LN_2), x))
}

/// `e^x - 1` for `-30 <= x <= 30` or NaN, accurate relative to the result also where that is small.
#[inline(always)]
fn expm1_within_30<S: Simd>(s: S, x: S::F) -> S::F {
    let (shifted, r) = reduce(s, x, 127.0);
    let q = polynomial(
        s,
        r,
        [0.499_999_97, 0.166_665_43, 0.041_667_201, 0.008_366_547_5, 0.001_388_251_5],
    );
    let small = s.fma(s.mul(r, r), q, r);
    // 2^n (e^r - 1) + (2^n - 1)
    let power = power_of_two(s, shifted);
    s.fma(small, power, s.sub(power, s.splat(1.0)))
}

/// `1 / (1 + e^-x)`, within 2.4 units in the last place; 0 below -88.7.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// The hyperbolic tangent, within 2.5 units in the last place: `u / (u + 2)` with `u = e^2x - 1`.
/// The sign of a zero is not kept.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    // tanh(10) is 1 in single precision. NaN stays, being the second operand.
    let x = s.min(s.splat(10.0), s.max(s.splat(-10.0), x));
    let u = expm1_within_30(s, s.add(x, x));
    s.div(u, s.add(u, s.splat(2.0)))
}

/// `x` where positive, `e^x - 1` elsewhere, within 1.1 units in the last place.
#[inline(always)]
pub(crate) fn elu<S: Simd>(s: S, x: S::F) -> S::F {
    let zero = s.splat(0.0);
    // Without a bound above: what large lanes overflow to is not selected. NaN stays, being the
    // second operand.
    s.if_gt(x, zero, x, expm1_within_30(s, s.max(s.splat(-30.0), x)))
}

/// The natural logarithm of normal positive numbers, within 1 unit in the last place; NaN and
/// infinity give NaN.
///
/// Written for one float in plain operations without fused ones, so that loops over it become
/// vectors on every instruction set and all round alike; the logarithms of C libraries differ in
/// their last bits, even between processors.
#[inline(always)]
#[allow(clippy::eq_op, reason = "x - x is NaN for infinity and NaN")]
pub(crate) fn ln(x: f32) -> f32 {
    // x = 2^n m, m in [sqrt 1/2, sqrt 2]
    let bits = x.to_bits() as i32;
    let n = bits.wrapping_sub(0x3f35_04f3) >> 23;
    let f = f32::from_bits((bits.wrapping_sub(n << 23)) as u32) - 1.0;
    let n = n as f32;
    let mut q = -0.076_345_027_f32;
    for c in [
        0.127_615_78,
        -0.131_601_81,
        0.142_017_57,
        -0.166_233_57,
        0.200_012_27,
        -0.250_008_2,
        0.333_333_3,
    ] {
        q = q * f + c;
    }
    let square = f * f;
    // ln m = f - f^2 / 2 + f^3 Q(f), small terms first.
    let small = f * square * q + n * LN_2_LOW - 0.5 * square;
    (small + f) + n * LN_2_HIGH + (x - x)
}

#[cfg(test)]
mod tests;
