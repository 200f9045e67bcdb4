//! The microkernel: a block of C held in registers.
//!
//! ```text
//!                      NV vectors of a row of B
//!                     b[k][0]  b[k][1]  b[k][2]
//!                    ┌────────┬────────┬────────┐
//!                    └────────┴────────┴────────┘
//!   a[0][k] ┌─┐      ┌────────┬────────┬────────┐
//!   a[1][k] ├─┤      │        │        │        │
//!     ...   ├─┤  x   │   C: MR x NV registers   │
//!   a[7][k] └─┘      │        │        │        │
//!                    └────────┴────────┴────────┘
//! ```
//!
//! ```text
//! c = zeros, or C where an earlier block of k was summed into it
//! for k in 0..K:
//!     load NV vectors of b[k]          (the first tile of a strip may copy them to its panel)
//!     for r in 0..MR: c[r] += broadcast(a[r][k]) * b[k]
//!     do something for a later tile    (once in four k, if planned)
//! C = finish(c)
//! ```
//!
//! Contract. One chain of multiply-adds per output, in the order of k: the order of blocks, the
//! tile's shape and the number of threads never change a bit. A is read as scalars at any
//! strides; rows of B and C lie contiguous. The last of the NV vectors may be partly masked;
//! masked lanes are neither read nor written, but for those of a filled panel, which are read. C is read
//! only where the sum continues.

use super::ahead::Ahead;
use super::step::{Rows, load_at, step};
use super::walk::{LINE, Lines, Walk, copying};
use crate::simd::{Kernel, Simd};

/// What happens to a finished sum on its way to C.
#[derive(Clone, Copy)]
pub(crate) enum Finish {
    Store,
    /// `+ bias[j]`
    Bias(*const f32),
    /// `max(+ bias[j], 0)`
    BiasRelu(*const f32),
    /// Kept where the output of a relu, at this pointer and row stride, is positive; 0 elsewhere.
    ReluGradient(*const f32, usize),
}

/// The operands of one tile. Strides in floats.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// Summands.
    pub k: usize,
    /// `a[r][k]` at `a + r * a_row + k * a_k`.
    pub a: *const f32,
    pub a_row: usize,
    pub a_k: usize,
    /// Row k of B at `b + k * b_row`.
    pub b: *const f32,
    pub b_row: usize,
    /// Whether rows of B follow each other in a panel, each filled up to whole vectors.
    pub b_filled: bool,
    /// Row r of C at `c + r * c_row`.
    pub c: *mut f32,
    pub c_row: usize,
    /// Columns, at most `NV * LANES` and more than `(NV - 1) * LANES`.
    pub cols: usize,
    /// Whether the sum starts from what is in C.
    pub continues: bool,
    pub finish: Finish,
}

/// From a tile to the next one of the same size: rows and columns of C, floats of A and of B.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub rows: usize,
    pub cols: usize,
    pub a: usize,
    pub b: usize,
}

impl Tile {
    #[inline(always)]
    fn next_c(&self, step: Step) -> *mut f32 {
        self.c.wrapping_add(step.rows * self.c_row + step.cols)
    }

    #[inline(always)]
    pub(super) fn go_on(&mut self, step: Step) {
        self.a = self.a.wrapping_add(step.a);
        self.b = self.b.wrapping_add(step.b);
        self.c = self.next_c(step);
        self.finish = match self.finish {
            Finish::Store => Finish::Store,
            Finish::Bias(bias) => Finish::Bias(bias.wrapping_add(step.cols)),
            Finish::BiasRelu(bias) => Finish::BiasRelu(bias.wrapping_add(step.cols)),
            Finish::ReluGradient(h, row) => {
                Finish::ReluGradient(h.wrapping_add(step.rows * row + step.cols), row)
            }
        };
    }
}

/// A tile of `MR` rows and `NV` vectors; `MASKED` if the last vector is partial.
struct TileKernel<'a, const MR: usize, const NV: usize, const MASKED: bool> {
    tile: &'a Tile,
    /// Where the rows of B that the tile reads are copied to, `NV` vectors each; null for nowhere.
    panel: *mut f32,
}

impl<const MR: usize, const NV: usize, const MASKED: bool> Kernel
    for TileKernel<'_, MR, NV, MASKED>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Word by word, each in a register: behind the reference it might change with each store to C, for all
        // that the compiler knows.
        let t = &{ *self.tile };
        // SAFETY: whoever made the `Tile` vouches for its pointers: every access below is an
        // element of the tile's A, B, C, bias or mask, or of its panel.
        unsafe {
            let mask = s.first(t.cols - (NV - 1) * S::LANES);
            let mut acc = begin::<S, MR, NV, MASKED>(s, t, mask);
            if !self.panel.is_null() {
                copying::<S, MR, NV, MASKED>(s, &mut acc, t, mask, self.panel);
            } else if t.a_row == 1 {
                Walk::<S, MR, NV, MASKED, MR>::along(s, &mut acc, t, t.a_k, mask).all(t.k);
            } else if t.a_k == 1 && NV == 1 && t.b_filled {
                // Each scalar of A is the operand of one multiply-add, and with a pointer for each row
                // both are one instruction: an address with an index would split it in two. The distance
                // of B's rows is a constant, which leaves a register more, and their rest is zeros.
                let t = &Tile { b_row: S::LANES, ..*t };
                Walk::<S, MR, NV, false, 1>::along(s, &mut acc, t, 1, mask).all(t.k);
            } else if t.a_k == 1 {
                Walk::<S, MR, NV, MASKED, 3>::along(s, &mut acc, t, 1, mask).all(t.k);
            } else {
                let (mut rows, mut b) = (Rows::<MR, 3>::new(t.a, t.a_row), t.b);
                for _ in 0..t.k {
                    step::<S, MR, NV, MASKED>(s, &mut acc, &rows, 0, b, mask);
                    rows.advance(t.a_k);
                    b = b.wrapping_add(t.b_row);
                }
            }
            finish::<S, MR, NV, MASKED>(s, t, &acc, mask);
        }
    }
}

/// Whole tiles that follow each other, and do something for later ones meanwhile; of an A whose rows or
/// columns lie contiguous. All in one function: a call with all that has to be put by costs 2 % of a tile
/// of 512 summands. (Tiles that do nothing else are short, and were slower in one function: 784x32x128 A'
/// by 10 %.)
struct AheadKernel<'a, const MR: usize, const NV: usize> {
    tile: &'a Tile,
    step: Step,
    ahead: &'a Ahead,
}

impl<const MR: usize, const NV: usize> Kernel for AheadKernel<'_, MR, NV> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (mut t, step, ahead) = (*self.tile, self.step, *self.ahead);
        let mask = s.first(S::LANES);
        for number in 0..ahead.count {
            let copies = ahead.copies(number);
            let (from, columns) = (t.next_c(step).cast_const(), NV * S::LANES / LINE);
            let next_c = Lines { from, row: t.c_row, columns };
            let (far, c) = (ahead.far(number), ahead.c(number, next_c));
            // SAFETY: as for `TileKernel`; who made the `Ahead` vouches for its pointers.
            unsafe {
                let mut acc = begin::<S, MR, NV, false>(s, &t, mask);
                if t.a_row == 1 {
                    let walk = Walk::<S, MR, NV, false, MR>::along(s, &mut acc, &t, t.a_k, mask);
                    walk.all_ahead(t.k, copies, far, c);
                } else {
                    let walk = Walk::<S, MR, NV, false, 3>::along(s, &mut acc, &t, 1, mask);
                    walk.all_ahead(t.k, copies, far, c);
                }
                finish::<S, MR, NV, false>(s, &t, &acc, mask);
            }
            t.go_on(step);
        }
    }
}

/// Where the sums start.
///
/// # Safety
/// As [`Tile`] says, for C.
#[inline(always)]
pub(super) unsafe fn begin<S: Simd, const MR: usize, const NV: usize, const MASKED: bool>(
    s: S,
    t: &Tile,
    mask: S::M,
) -> [[S::F; NV]; MR] {
    let mut acc = [[s.splat(0.0); NV]; MR];
    if t.continues {
        for (r, row) in acc.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                // SAFETY: the caller's.
                unsafe {
                    let p = t.c.add(r * t.c_row + v * S::LANES);
                    *sum = load_at::<S, NV, MASKED>(s, p, v, mask);
                }
            }
        }
    }
    acc
}

/// # Safety
/// As [`Tile`] says, for C and what the finish reads.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd, const MR: usize, const NV: usize, const MASKED: bool>(
    s: S,
    t: &Tile,
    acc: &[[S::F; NV]; MR],
    mask: S::M,
) {
    // One branch a tile, outside the loops over registers.
    // SAFETY: the caller's.
    unsafe {
        match t.finish {
            Finish::Store => write::<S, MR, NV, MASKED>(s, t, acc, mask, |_, _, x| x),
            Finish::Bias(bias) => write::<S, MR, NV, MASKED>(s, t, acc, mask, |_, v, x| {
                s.add(x, load_at::<S, NV, MASKED>(s, bias.add(v * S::LANES), v, mask))
            }),
            Finish::BiasRelu(bias) => write::<S, MR, NV, MASKED>(s, t, acc, mask, |_, v, x| {
                let z = s.add(x, load_at::<S, NV, MASKED>(s, bias.add(v * S::LANES), v, mask));
                // `max` returns its second operand for NaN: a NaN stays visible.
                s.max(s.splat(0.0), z)
            }),
            Finish::ReluGradient(h, h_row) => {
                write::<S, MR, NV, MASKED>(s, t, acc, mask, |r, v, x| {
                    let p = h.add(r * h_row + v * S::LANES);
                    let h = load_at::<S, NV, MASKED>(s, p, v, mask);
                    s.if_gt(h, s.splat(0.0), x, s.splat(0.0))
                });
            }
        }
    }
}

/// # Safety
/// As [`Tile`] says, for C.
#[inline(always)]
unsafe fn write<S: Simd, const MR: usize, const NV: usize, const MASKED: bool>(
    s: S,
    t: &Tile,
    acc: &[[S::F; NV]; MR],
    mask: S::M,
    f: impl Fn(usize, usize, S::F) -> S::F,
) {
    for (r, acc) in acc.iter().enumerate() {
        for (v, &x) in acc.iter().enumerate() {
            let x = f(r, v, x);
            // SAFETY: the caller's.
            unsafe {
                let p = t.c.add(r * t.c_row + v * S::LANES);
                if MASKED && v + 1 == NV {
                    s.store_masked(p, x, mask);
                } else {
                    s.store(p, x);
                }
            }
        }
    }
}

/// Runs `count` tiles of `rows` rows that follow each other, of which `tile` is the first: at most [`shapes`]
/// of the vectors in its columns. Each copies the rows of B that it reads to `panel`, one after the other and
/// filled up to whole vectors; a null pointer copies nothing.
///
/// `tile` is passed by reference: a copy is made of wide loads, which wait for the fields just written until
/// these have left the processor's store buffer, behind all of the last tile's C (128x10x512 B' takes 0.9 of
/// the time). What it is afterwards is of no use.
///
/// # Safety
/// The operands are valid as [`Tile`] says, and `panel` for `k` rows of whole vectors.
#[inline(always)]
pub(super) unsafe fn run<S: Simd>(
    s: S,
    rows: usize,
    tile: &mut Tile,
    step: Step,
    count: usize,
    panel: *mut f32,
) {
    for _ in 0..count {
        // SAFETY: the caller's.
        unsafe { one(s, rows, tile, panel) };
        tile.go_on(step);
    }
}

/// As [`run`] says, one tile.
#[inline(always)]
unsafe fn one<S: Simd>(s: S, rows: usize, tile: &Tile, panel: *mut f32) {
    let nv = tile.cols.div_ceil(S::LANES);
    let masked = !tile.cols.is_multiple_of(S::LANES);
    macro_rules! tiles {
        ($($nv:literal: $($mr:literal)*;)*) => {
            match (nv, rows) {
                $($(($nv, $mr) => if masked {
                    s.call(TileKernel::<$mr, $nv, true> { tile, panel })
                } else {
                    s.call(TileKernel::<$mr, $nv, false> { tile, panel })
                },)*)*
                _ => unreachable!("no tile of {rows} rows and {nv} vectors"),
            }
        };
    }
    if S::REGISTERS == 32 {
        tiles! {
            1: 1 2 3 4 5 6 7 8 9 10 11 12;
            2: 1 2 3 4 5 6 7 8 9 10 11 12;
            3: 1 2 3 4 5 6 7 8;
            4: 1 2 3 4 5 6;
            5: 1 2 3 4;
            6: 1 2 3 4;
            7: 1 2 3;
            8: 1 2 3;
        }
    } else if S::REGISTERS == 16 {
        tiles! {
            1: 1 2 3 4 5 6 7 8 9 10;
            2: 1 2 3 4 5 6;
            3: 1 2 3 4;
            4: 1 2;
            5: 1;
            6: 1;
        }
    } else {
        tiles! {
            1: 1 2 3 4;
            2: 1 2 3 4;
            3: 1 2 3 4;
        }
    }
}

/// Runs the tiles of `ahead`, of which `tile` is the first, as [`run`] says without a panel. What they copy
/// is copied meanwhile, or before; where there is no tile that does so, nothing is asked for. What `tile` is
/// afterwards is of no use.
///
/// # Safety
/// The operands are valid as [`Tile`] and [`Ahead`] say.
#[inline(always)]
pub(super) unsafe fn run_ahead<S: Simd>(
    s: S,
    rows: usize,
    tile: &mut Tile,
    step: Step,
    ahead: &Ahead,
) {
    macro_rules! tiles {
        ($($nv:literal: $($mr:literal)*;)*) => {
            match (tile.cols / S::LANES, rows) {
                $($(($nv, $mr) => {
                    return s.call(AheadKernel::<$mr, $nv> { tile, step, ahead });
                })*)*
                _ => {}
            }
        };
    }
    let whole = tile.cols.is_multiple_of(S::LANES);
    if S::REGISTERS == 32 && whole && (tile.a_row == 1 || tile.a_k == 1) {
        tiles! { 2: 11 12; 3: 7 8; 4: 5 6; }
    }
    for number in 0..ahead.count {
        // SAFETY: the caller's.
        unsafe {
            let mut copies = ahead.copies(number);
            copies.now(s, copies.rows, copies.vectors * S::LANES);
            one(s, rows, tile, std::ptr::null_mut());
        }
        tile.go_on(step);
    }
}

/// Widths of tiles, in vectors, that exist for this many registers, and the rows of the largest
/// that a product takes. (Four rows of three vectors just fit sixteen registers, and the compiler
/// does not find how.)
pub(crate) const fn shapes(registers: usize) -> &'static [(usize, usize)] {
    match registers {
        32 => &[(1, 12), (2, 12), (3, 8), (4, 6), (5, 4), (6, 4), (7, 3), (8, 3)],
        16 => &[(1, 10), (2, 6), (3, 3), (4, 2), (5, 1), (6, 1)],
        _ => &[(1, 4), (2, 4), (3, 4)],
    }
}
