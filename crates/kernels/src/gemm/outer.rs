//! The microkernel for one or two summands: rows of C, each from its start to its end.
//!
//! ```text
//! for k, for r in 0..MR: keep broadcast(a[r][k])
//! for each vector of columns:
//!     for k: load b[k]
//!     for r in 0..MR: c[r] = finish(a[r][0] * b[0] + a[r][1] * b[1])
//! ```
//!
//! Such a product takes the time to write C. A tile of some vectors has written it before it has well begun.
//! The contract is that of [`tile`](super::tile), for any number of columns.

use std::ops::RangeInclusive;

use super::step::load_at;
use super::tile::{Step, Tile, begin, finish};
use crate::simd::{Kernel, Simd};

/// How many there may be.
pub(super) const SUMMANDS: RangeInclusive<usize> = 1..=2;
/// Rows that are written side by side, at most: with four 0.94 of the rate for 784x1x128 A', with twelve 0.84.
pub(super) const ROWS: usize = 8;

/// Floats of a row that are asked for ahead: with 64 to 128 1024x1x1024 A' is 1.04 to 1.17 times as fast as with
/// 256 or more, 1024x2x1024 A' 1.3 times as fast as without.
const AHEAD: usize = 96;

/// `MR` rows of `K` summands.
struct OuterKernel<'a, const MR: usize, const K: usize> {
    tile: &'a Tile,
}

impl<const MR: usize, const K: usize> Kernel for OuterKernel<'_, MR, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut t = *self.tile;
        let step = Step { rows: 0, cols: S::LANES, a: 0, b: S::LANES };
        let mut a = [[s.splat(0.0); K]; MR];
        // SAFETY: whoever made the `Tile` vouches for its pointers: what is read is an element of A, and the
        // columns are as many as it has.
        unsafe {
            for (r, row) in a.iter_mut().enumerate() {
                for (k, a) in row.iter_mut().enumerate() {
                    *a = s.splat(*t.a.add(r * t.a_row + k * t.a_k));
                }
            }
            for _ in 0..t.cols / S::LANES {
                for r in 0..MR {
                    s.prefetch(t.c.wrapping_add(r * t.c_row + AHEAD).cast_const());
                }
                vector::<S, MR, K, false>(s, &t, &a, s.first(S::LANES));
                t.go_on(step);
            }
            let left = t.cols % S::LANES;
            if left > 0 {
                vector::<S, MR, K, true>(s, &t, &a, s.first(left));
            }
        }
    }
}

/// A vector of columns; `MASKED` if it is partial.
///
/// # Safety
/// As [`Tile`] says, for so many columns.
#[inline(always)]
unsafe fn vector<S: Simd, const MR: usize, const K: usize, const MASKED: bool>(
    s: S,
    t: &Tile,
    a: &[[S::F; K]; MR],
    mask: S::M,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut acc = begin::<S, MR, 1, MASKED>(s, t, mask);
        for k in 0..K {
            let b = load_at::<S, 1, MASKED>(s, t.b.add(k * t.b_row), 0, mask);
            for (sum, a) in acc.iter_mut().zip(a) {
                sum[0] = s.fma(a[k], b, sum[0]);
            }
        }
        finish::<S, MR, 1, MASKED>(s, t, &acc, mask);
    }
}

/// Runs `rows` rows of as many summands as [`SUMMANDS`] has.
///
/// # Safety
/// The operands are valid as [`Tile`] says, but that its columns are any number.
#[inline(always)]
pub(super) unsafe fn run<S: Simd>(s: S, rows: usize, tile: &mut Tile) {
    macro_rules! rows {
        ($rows:expr, $($mr:literal)*) => {
            match ($rows, tile.k) {
                $(($mr, 1) => s.call(OuterKernel::<$mr, 1> { tile }),
                ($mr, 2) => s.call(OuterKernel::<$mr, 2> { tile }),)*
                (rows, k) => unreachable!("{rows} rows of {k} summands"),
            }
        };
    }
    let mut left = rows;
    while left > 0 {
        let now = left.min(ROWS);
        rows!(now, 1 2 3 4 5 6 7 8);
        tile.go_on(Step { rows: now, cols: 0, a: now * tile.a_row, b: 0 });
        left -= now;
    }
}
