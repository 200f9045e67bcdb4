//! The loops around the tiles.
//!
//! ```text
//! for each block of columns, of k, of rows:  (if rows stay: of k, of rows, of columns)
//!     pack B and A if planned, once a block  (or tiles of the block before have copied B)
//!     for each tile of rows:
//!         for each strip of columns:         (or these two loops the other way round)
//!             microkernel                    (the last block of k applies the epilogue)
//! ```

use super::blocks::{Block, RowTiles};
use super::pack;
use super::plan::{PackB, Plan};
use super::tile::{self, Finish, Step, Tile};
use super::{Epilogue, Start, outer, turned};
use crate::activation::Activation;
use crate::simd::{Kernel, Simd, load_some, store_some};
use crate::view::{MatMut, MatRef};

/// A product whose shapes have been checked against its plan.
pub(super) struct Product<'a, 'b> {
    pub plan: &'a Plan,
    pub a: MatRef<'b>,
    /// The matrix, or the first panel of one that is packed.
    pub b: MatRef<'b>,
    pub c: MatMut<'b>,
    pub start: Start,
    pub epilogue: Epilogue<'b>,
    pub scratch: &'a mut [f32],
}

/// Where the two inner loops are: a block, its rows, and the memory for what is packed.
pub(super) struct Place {
    /// Whether tiles do something for later ones.
    ahead: bool,
    /// Whether this is the first block of B, which no tile has copied.
    pub first: bool,
    pub block: Block,
    /// The next one with a block of B that tiles of this one may copy, or ask for.
    pub next: Option<Block>,
    pub strips: usize,
    pub rows: RowTiles,
    /// Tiles of a strip that have passed the block of B before, and that will in all.
    pub above: usize,
    pub tiles: usize,
    packed_a: *mut f32,
    /// For this block of B, and for the next one.
    pub b: [*mut f32; 2],
}

impl Place {
    /// Whether the tiles with this index copy the rows of B that they read, for those below: each first
    /// tile of a strip, or the first tiles of all, whose block nobody has copied.
    #[inline(always)]
    fn copies_its_own(&self, pack_b: PackB, index: usize) -> bool {
        match pack_b {
            PackB::FirstTile => index == 0,
            PackB::Ahead => self.first && self.above + index == 0 && self.tiles > 1,
            PackB::InPlace | PackB::Before | PackB::InTile | PackB::Packed => false,
        }
    }
}

impl Kernel for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let plan = self.plan;
        let Plan { tile_rows, tile_cols, pack_a, pack_b, .. } = *plan;
        let (scratch_a, scratch_b) = self.scratch.split_at_mut(plan.scratch_a());
        let (packed_a, packed_b) = (scratch_a.as_mut_ptr(), scratch_b.as_mut_ptr());
        // Blocks of B take turns in two places if tiles copy them.
        let two = pack_b == PackB::Ahead;
        let second = if two { plan.block_of_b() } else { 0 };
        let packed = self.b.ptr();
        let place = |block: &Block, number: usize| match pack_b {
            // Never written.
            PackB::Packed => packed
                .wrapping_add((block.n.0 / tile_cols * plan.k + block.k.0) * tile_cols)
                .cast_mut(),
            _ => packed_b.wrapping_add(number % 2 * second),
        };
        let (mut block, mut number, mut above) = (Block::first(plan), 0, 0);
        // What is packed: columns and k of B, rows and k of A.
        let (mut has_b, mut has_a) = (None, None);
        loop {
            if pack_b == PackB::Before && has_b != Some((block.n, block.k)) {
                has_b = Some((block.n, block.k));
                let b = self.b.row_range(block.k.0..block.k.1).col_range(block.n.0..block.n.1);
                // SAFETY: `scratch_b` counts a whole block.
                unsafe { pack::pack_b(s, b, tile_cols, packed_b) };
            }
            if pack_a && has_a != Some((block.m, block.k)) {
                has_a = Some((block.m, block.k));
                let a = self.a.row_range(block.m.0..block.m.1).col_range(block.k.0..block.k.1);
                // SAFETY: `scratch_a` counts a whole block.
                unsafe { pack::pack_a(s, a, tile_rows, packed_a) };
            }
            let rows = RowTiles::new(plan, block.m);
            let next = block.next_of_b(plan);
            let at = Place {
                ahead: plan.looks_ahead(),
                first: number == 0,
                block,
                next,
                strips: block.strips(plan),
                rows,
                above,
                tiles: if plan.rows_stay { rows.tiles } else { RowTiles::all(plan) },
                packed_a,
                b: [place(&block, number), place(&next.unwrap_or(block), number + 1)],
            };
            self.block(s, &at);
            let Some(next) = block.next(plan) else { break };
            (above, number) = if block.goes_on(&next, plan) {
                (above + rows.tiles, number)
            } else {
                (0, number + 1)
            };
            block = next;
        }
    }
}

impl Product<'_, '_> {
    /// The two inner loops: strips of columns, tiles of rows.
    #[inline(always)]
    fn block<S: Simd>(&mut self, s: S, at: &Place) {
        let Plan { tile_cols, rows_first, pack_b, .. } = *self.plan;
        let whole = (at.block.n.1 - at.block.n.0) / tile_cols;
        let (mut strip, mut tile) = (0, 0);
        // One loop for both orders: the tiles are compiled once.
        while strip < at.strips && tile < at.rows.tiles {
            // Those of one size run together, unless C would be far before it is passed through again.
            let far = !at.ahead && self.activation().is_some() && !self.plan.is_outer();
            let alone = far || pack_b == PackB::InTile;
            let count = match rows_first {
                _ if alone || at.copies_its_own(pack_b, tile) => 1,
                true if strip < whole => whole - strip,
                true => 1,
                false => at.rows.alike(tile),
            };
            self.tiles(s, at, strip, tile, count);
            if rows_first {
                strip += count;
                if strip == at.strips {
                    (strip, tile) = (0, tile + 1);
                }
            } else {
                tile += count;
                if tile == at.rows.tiles {
                    (strip, tile) = (strip + 1, 0);
                }
            }
        }
    }

    /// Some tiles that follow each other, from tile `index` of a strip on: to the right or downwards.
    #[inline(always)]
    fn tiles<S: Simd>(&mut self, s: S, at: &Place, strip: usize, index: usize, count: usize) {
        let Plan { tile_rows, tile_cols, rows_first, pack_a, pack_b, .. } = *self.plan;
        let (block, k) = (at.block, at.block.depth());
        let last = block.k.1 == self.plan.k;
        let j = block.n.0 + strip * tile_cols;
        let cols = tile_cols.min(block.n.1 - j);
        let (i, rows) = at.rows.tile(index);
        let (a, a_row, a_k) = if pack_a {
            let offset = (i - at.rows.start) * k;
            (at.packed_a.wrapping_add(offset).cast_const(), 1, tile_rows)
        } else {
            let offset = i * self.a.row_stride() + block.k.0 * self.a.col_stride();
            (self.a.ptr().wrapping_add(offset), self.a.row_stride(), self.a.col_stride())
        };
        let in_place = {
            let offset = block.k.0 * self.b.row_stride() + j * self.b.col_stride();
            (self.b.ptr().wrapping_add(offset), self.b.row_stride(), tile_cols)
        };
        // A strip's panel in a block, and the floats to the next one's; its rows are as wide as its vectors
        // if tiles have copied them.
        let next = tile_cols * if pack_b == PackB::Packed { self.plan.k } else { k };
        let packed = at.b[0].wrapping_add(strip * next);
        let width = cols.next_multiple_of(S::LANES);
        let copies = at.copies_its_own(pack_b, index);
        // The first block of B, if it has one tile of rows, is not copied at all.
        let alone = at.first && at.tiles == 1;
        let (b, b_row, b_step) = match pack_b {
            _ if copies => in_place,
            PackB::InPlace | PackB::InTile => in_place,
            PackB::FirstTile => (at.b[0].cast_const(), width, 0),
            PackB::Ahead if alone => in_place,
            PackB::Ahead => (packed.cast_const(), width, next),
            PackB::Before | PackB::Packed => (packed.cast_const(), tile_cols, next),
        };
        let panel = match pack_b {
            _ if !copies => std::ptr::null_mut(),
            PackB::Ahead => packed,
            _ => at.b[0],
        };
        let (c, c_row) = (self.c_at(i, j), self.c.row_stride());
        let continues = block.k.0 > 0 || self.start == Start::FromC;
        let finish = if last { self.finish(i, j) } else { Finish::Store };
        let b_filled = match pack_b {
            PackB::FirstTile => !copies,
            PackB::Packed => tile_cols == S::LANES,
            _ => false,
        };
        let mut tile =
            Tile { k, a, a_row, a_k, b, b_row, b_filled, c, c_row, cols, continues, finish };
        // SAFETY: the tiles lie in the checked views, or in packed blocks that cover them; the panel
        // has room for `k` rows, and what is copied ahead is in B and has room in the next block.
        unsafe {
            let step = if rows_first {
                Step { rows: 0, cols, a: 0, b: b_step }
            } else {
                Step { rows, cols: 0, a: rows * if pack_a { k } else { a_row }, b: 0 }
            };
            if self.plan.is_outer() {
                tile.cols = cols + (count - 1) * tile_cols;
                outer::run(s, rows, &mut tile);
            } else if pack_b == PackB::InTile {
                turned::run(s, rows, &tile, self.b.col_stride());
            } else if at.ahead && !copies {
                let ahead = self.ahead(s, at, strip, index, count);
                tile::run_ahead(s, rows, &mut tile, step, &ahead);
            } else {
                tile::run(s, rows, &mut tile, step, count, panel);
            }
        }
        if last {
            let (right, down) = if rows_first { (count, 1) } else { (1, count) };
            self.activate(s, i, down * rows, j, right * cols);
        }
    }

    /// An element of C, or an address behind it.
    #[inline(always)]
    pub(super) fn c_at(&mut self, i: usize, j: usize) -> *mut f32 {
        self.c.ptr().wrapping_add(i * self.c.row_stride() + j)
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

    /// The activation of the epilogue, if it is made of an exponential: too long to be unrolled into
    /// every tile.
    #[inline(always)]
    fn activation(&self) -> Option<Activation> {
        match self.epilogue {
            Epilogue::BiasActivation(_, activation)
            | Epilogue::ActivationGradient(_, activation) => {
                (!matches!(activation, Activation::Relu | Activation::Linear)).then_some(activation)
            }
            Epilogue::Store | Epilogue::Bias(_) => None,
        }
    }

    /// Applies such an activation to the tiles' rows while they are near.
    #[inline(always)]
    fn activate<S: Simd>(&mut self, s: S, i: usize, rows: usize, j: usize, cols: usize) {
        let Some(activation) = self.activation() else { return };
        for r in i..i + rows {
            let row = self.c.ptr().wrapping_add(r * self.c.row_stride() + j);
            let output = match self.epilogue {
                Epilogue::ActivationGradient(h, _) => {
                    Some(h.ptr().wrapping_add(r * h.row_stride() + j))
                }
                _ => None,
            };
            // No closure: the compiler left this one out of line.
            for col in (0..cols).step_by(S::LANES) {
                let left = cols - col;
                let mask = if left >= S::LANES { None } else { Some(s.first(left)) };
                // SAFETY: within the tiles' columns of row `r` of C, and of H of the same shape.
                unsafe {
                    let p = row.add(col);
                    let x = load_some(s, p, mask);
                    let y = match output {
                        None => activation.forward_vector(s, x),
                        Some(h) => activation.backward_vector(s, load_some(s, h.add(col), mask), x),
                    };
                    store_some(s, p, y, mask);
                }
            }
        }
    }
}
