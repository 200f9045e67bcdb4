//! The loops around the tiles.
//!
//! ```text
//! for each block of n columns:
//!   for each block of k:                     (C is summed across blocks of k)
//!     pack B if planned
//!     for each block of m rows:
//!       pack A if planned
//!       for each strip of columns:           (or these two loops the other way round)
//!         for each tile of rows: microkernel (the last block of k applies the epilogue)
//! ```

use super::pack::{self, Ahead};
use super::plan::{PackB, Plan};
use super::strips::Strips;
use super::tile::{self, Finish, Tile};
use super::{Epilogue, Start};
use crate::activation::Activation;
use crate::simd::{Kernel, Simd, for_each_vector};
use crate::view::{MatMut, MatRef};

/// A product whose shapes have been checked against its plan.
pub(super) struct Product<'a, 'b> {
    pub plan: &'a Plan,
    pub a: MatRef<'b>,
    pub b: MatRef<'b>,
    pub c: MatMut<'b>,
    pub start: Start,
    pub epilogue: Epilogue<'b>,
    pub scratch: &'a mut [f32],
}

/// One block of the three outer loops.
#[derive(Clone, Copy)]
struct Block {
    m: (usize, usize),
    n: (usize, usize),
    k: (usize, usize),
    /// Tiles of a strip: unless A is packed, `taller` of `height + 1` rows, and the others of `height`. An
    /// edge of one row would run at an eighth of the rate.
    tiles: usize,
    height: usize,
    taller: usize,
    packed_a: *const f32,
    packed_b: *mut f32,
}

impl Kernel for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let Plan { m, n, k, k_block, m_block, n_block, .. } = *self.plan;
        let (scratch_a, scratch_b) = self.scratch.split_at_mut(self.plan.scratch_a());
        let (packed_a, packed_b) = (scratch_a.as_mut_ptr(), scratch_b.as_mut_ptr());
        let mut n0 = 0;
        while n0 < n {
            let n1 = (n0 + n_block).min(n);
            let mut k0 = 0;
            loop {
                let k1 = (k0 + k_block).min(k);
                if self.plan.pack_b == PackB::Before {
                    let block = self.b.row_range(k0..k1).col_range(n0..n1);
                    // SAFETY: `scratch_b` counts a whole block.
                    unsafe { pack::pack_b(s, block, self.plan.tile_cols, packed_b) };
                }
                let mut m0 = 0;
                while m0 < m {
                    let m1 = (m0 + m_block).min(m);
                    if self.plan.pack_a {
                        let block = self.a.row_range(m0..m1).col_range(k0..k1);
                        // SAFETY: `scratch_a` counts a whole block.
                        unsafe { pack::pack_a(s, block, self.plan.tile_rows, packed_a) };
                    }
                    let (m, n, k) = ((m0, m1), (n0, n1), (k0, k1));
                    let tiles = (m1 - m0).div_ceil(self.plan.tile_rows);
                    let (height, taller) = ((m1 - m0) / tiles, (m1 - m0) % tiles);
                    self.block(s, Block { m, n, k, tiles, height, taller, packed_a, packed_b });
                    m0 = m1;
                }
                k0 = k1;
                if k0 >= k {
                    break;
                }
            }
            n0 = n1;
        }
    }
}

impl Product<'_, '_> {
    /// The two inner loops: strips of columns, tiles of rows.
    #[inline(always)]
    fn block<S: Simd>(&mut self, s: S, at: Block) {
        let Plan { tile_cols, rows_first, .. } = *self.plan;
        let strips = (at.n.1 - at.n.0).div_ceil(tile_cols);
        let (mut strip, mut tile) = (0, 0);
        // One loop for both orders: the tiles are compiled once.
        while strip < strips && tile < at.tiles {
            self.tile(s, at, strip, tile);
            if rows_first {
                strip += 1;
                if strip == strips {
                    (strip, tile) = (0, tile + 1);
                }
            } else {
                tile += 1;
                if tile == at.tiles {
                    (strip, tile) = (strip + 1, 0);
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(&mut self, s: S, at: Block, strip: usize, index: usize) {
        let Plan { tile_rows, tile_cols, pack_a, pack_b, fetch_c, rows_first, .. } = *self.plan;
        let (m0, m1) = at.m;
        let k = at.k.1 - at.k.0;
        let last = at.k.1 == self.plan.k;
        let j = at.n.0 + strip * tile_cols;
        let cols = tile_cols.min(at.n.1 - j);
        let (i, rows) = if pack_a {
            let i = m0 + index * tile_rows;
            (i, tile_rows.min(m1 - i))
        } else {
            let i = m0 + index * at.height + index.min(at.taller);
            (i, at.height + usize::from(index < at.taller))
        };
        let (a, a_row, a_k) = if pack_a {
            (at.packed_a.wrapping_add((i - m0) * k), 1, tile_rows)
        } else {
            let offset = i * self.a.row_stride() + at.k.0 * self.a.col_stride();
            (self.a.ptr().wrapping_add(offset), self.a.row_stride(), self.a.col_stride())
        };
        let in_place = {
            let offset = at.k.0 * self.b.row_stride() + j;
            (self.b.ptr().wrapping_add(offset), self.b.row_stride())
        };
        let no_panel = std::ptr::null_mut();
        // A strip's panel is as wide as its vectors.
        let from_panel = |panel: *mut f32| (panel.cast_const(), cols.next_multiple_of(S::LANES));
        let (c, c_row) = (self.c.ptr(), self.c.row_stride());
        let c_at = |i: usize, j: usize| c.wrapping_add(i * c_row + j);
        let mut ahead = None;
        let ((b, b_row), panel) = match pack_b {
            PackB::InPlace => (in_place, no_panel),
            PackB::Before => {
                if fetch_c {
                    let (i, j) = match (rows_first, j + tile_cols < at.n.1) {
                        (true, true) => (i, j + tile_cols),
                        (true, false) => (i + rows, at.n.0),
                        (false, _) => (i + rows, j),
                    };
                    ahead = Some(Ahead::of_c(c_at(i, j).cast_const()));
                }
                let from = at.packed_b.wrapping_add(strip * tile_cols * k).cast_const();
                ((from, tile_cols), no_panel)
            }
            PackB::FirstTile if index == 0 => (in_place, at.packed_b),
            PackB::FirstTile => (from_panel(at.packed_b), no_panel),
            PackB::Ahead => {
                let strips = Strips::new(self.plan);
                let number = strips.number(m0, at.k.0, strip);
                let panel = strips.panel(number, at.packed_b);
                // Nobody has copied the first strip of all.
                let first = number == 0 && index == 0;
                if first && at.tiles > 1 {
                    (in_place, panel)
                } else {
                    let share = (index, at.tiles);
                    let c = |i, j| c_at(i, j).cast_const();
                    ahead = strips.ahead(self.b, number, share, at.packed_b, c, (i + rows, j));
                    (if first { in_place } else { from_panel(panel) }, no_panel)
                }
            }
        };
        let c = c_at(i, j);
        let continues = at.k.0 > 0 || self.start == Start::FromC;
        let finish = if last { self.finish(i, j) } else { Finish::Store };
        let tile = Tile { k, a, a_row, a_k, b, b_row, c, c_row, cols, continues, finish };
        // SAFETY: the tile lies in the checked views, or in packed blocks that cover it; the panel
        // has room for `k` rows of a full tile, and what is copied ahead lies in B and the other one.
        unsafe { tile::run(s, rows, tile, panel, ahead) };
        if last {
            self.activate(s, i, rows, j, cols);
        }
    }

    /// The part of the epilogue that the tile applies to its registers at row `i`, column `j`.
    #[inline(always)]
    fn finish(&self, i: usize, j: usize) -> Finish {
        match self.epilogue {
            Epilogue::Store => Finish::Store,
            Epilogue::BiasActivation(bias, Activation::Relu) => {
                Finish::BiasRelu(bias.as_ptr().wrapping_add(j))
            }
            Epilogue::Bias(bias) | Epilogue::BiasActivation(bias, _) => {
                Finish::Bias(bias.as_ptr().wrapping_add(j))
            }
            Epilogue::ActivationGradient(h, Activation::Relu) => {
                Finish::ReluGradient(h.ptr().wrapping_add(i * h.row_stride() + j), h.row_stride())
            }
            Epilogue::ActivationGradient(..) => Finish::Store,
        }
    }

    /// The part that is too long to be unrolled into every tile: activations made of an
    /// exponential, over the tile's rows while they are in the first-level cache.
    #[inline(always)]
    fn activate<S: Simd>(&mut self, s: S, i: usize, rows: usize, j: usize, cols: usize) {
        let activation = match self.epilogue {
            Epilogue::BiasActivation(_, activation)
            | Epilogue::ActivationGradient(_, activation) => activation,
            _ => return,
        };
        if matches!(activation, Activation::Relu | Activation::Linear) {
            return;
        }
        for r in i..i + rows {
            let row = self.c.ptr().wrapping_add(r * self.c.row_stride() + j);
            let output = match self.epilogue {
                Epilogue::ActivationGradient(h, _) => {
                    Some(h.ptr().wrapping_add(r * h.row_stride() + j))
                }
                _ => None,
            };
            for_each_vector(s, cols, |offset, mask| {
                // SAFETY: within the tile's columns of row `r` of C, and of H of the same shape.
                unsafe {
                    let p = row.add(offset);
                    let load = |p| match mask {
                        None => s.load(p),
                        Some(mask) => s.load_masked(p, mask),
                    };
                    let x = load(p.cast_const());
                    let y = match output {
                        None => activation.forward_vector(s, x),
                        Some(h) => activation.backward_vector(s, load(h.add(offset)), x),
                    };
                    match mask {
                        None => s.store(p, y),
                        Some(mask) => s.store_masked(p, y, mask),
                    }
                }
            });
        }
    }
}
