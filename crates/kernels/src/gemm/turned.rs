//! The microkernel for few rows and a transposed B: what a tile transposes of it, it multiplies with at once.
//!
//! ```text
//! for each block of LANES summands:
//!     transpose LANES of B's columns, which lie contiguous, so many summands of each
//!     for k in the block: for r in 0..MR: c[r] += a[r][k] * b[k]
//! ```
//!
//! To pack all of B before, as for more rows, would write as much as it reads and read it again. The
//! contract is that of [`tile`](super::tile), for one vector.

use super::tile::{Tile, begin, finish};
use crate::simd::{Kernel, Simd};

/// Floats of the largest block.
const BLOCK: usize = 16 * 16;

/// A block of B, transposed: on lines of the cache of its own.
#[repr(align(64))]
struct Turned([f32; BLOCK]);

/// A tile of `MR` rows and one vector, whose `b_row` is the distance from one summand to the next.
struct TurnedKernel<'a, const MR: usize> {
    tile: &'a Tile,
    /// Floats from one column of B to the next.
    b_col: usize,
}

impl<const MR: usize> Kernel for TurnedKernel<'_, MR> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const { assert!(S::LANES * S::LANES <= BLOCK) };
        let (t, b_col) = (&{ *self.tile }, self.b_col);
        let mask = s.first(t.cols);
        let mut turned = Turned([0.0; BLOCK]);
        let to = turned.0.as_mut_ptr();
        // SAFETY: whoever made the `Tile` vouches for its pointers; a block has room for its transpose.
        unsafe {
            let mut acc = begin::<S, MR, 1, true>(s, t, mask);
            let mut k = 0;
            while k < t.k {
                let depth = S::LANES.min(t.k - k);
                if t.b_row == 1 && (t.cols, depth) == (S::LANES, S::LANES) {
                    s.transpose_whole(t.b.add(k), b_col, to, S::LANES);
                } else if t.b_row == 1 {
                    s.transpose_block(t.b.add(k), b_col, t.cols, depth, to, S::LANES);
                } else {
                    for i in 0..depth {
                        for j in 0..t.cols {
                            *to.add(i * S::LANES + j) = *t.b.add((k + i) * t.b_row + j * b_col);
                        }
                    }
                }
                for i in 0..depth {
                    let b = s.load(to.add(i * S::LANES));
                    for (r, row) in acc.iter_mut().enumerate() {
                        let a = *t.a.add(r * t.a_row + (k + i) * t.a_k);
                        row[0] = s.fma(s.splat(a), b, row[0]);
                    }
                }
                k += depth;
            }
            finish::<S, MR, 1, true>(s, t, &acc, mask);
        }
    }
}

/// Runs a tile of a vector of columns and as many rows as [`tile::shapes`](super::tile::shapes) has for one,
/// whose `b_row` is the distance from one summand to the next.
///
/// # Safety
/// The operands are valid as [`Tile`] says, but that column j of B is at `j * b_col`.
#[inline(always)]
pub(super) unsafe fn run<S: Simd>(s: S, rows: usize, tile: &Tile, b_col: usize) {
    macro_rules! tiles {
        ($($mr:literal)*) => {
            match rows {
                $($mr => s.call(TurnedKernel::<$mr> { tile, b_col }),)*
                _ => unreachable!("no tile of {rows} rows and one vector"),
            }
        };
    }
    tiles!(1 2 3 4 5 6 7 8 9 10 11 12);
}
