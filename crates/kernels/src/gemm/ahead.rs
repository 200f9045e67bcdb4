//! What tiles do for later ones while they sum: they copy the next block of B, or ask for the panel of a
//! packed one, and ask for the C and the rows of A that come next.
//!
//! What does not stay in the second-level cache comes from the third, or from memory, and a tile that
//! waited for it would take twice as long. So the tiles of a block of B copy the next block, each some
//! rows of the strip with its own strip's number, and ask for the rows that the next ones to do so will
//! copy; each asks for the next tile's C; and those of some rows of A ask for the next rows, each for
//! some columns. Where B is packed, those of a strip ask for the next strip's panel, each for a part.

use super::blocks::Block;
use super::plan::{PackB, Plan};
use super::product::{Place, Product};
use super::walk::{LINE, Lines};
use crate::simd::Simd;

/// What tiles that follow each other, to the right or downwards, do for later ones.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// How many tiles there are.
    pub count: usize,
    copying: Copying,
    /// What the first asks for from afar: of the rows of A that come next, or of the next panel. Any address
    /// will do.
    far: Lines,
    /// Floats from there to what the next one asks for.
    far_step: usize,
    /// The C after the last one's. Any address will do.
    c: *const f32,
}

/// What they copy, each some rows.
#[derive(Clone, Copy)]
struct Copying {
    /// Of the first of them. The others copy as many rows, as long as there are any.
    first: Copies,
    /// Rows that they copy together.
    rows: usize,
    /// Floats from the copies of one to those of the next, where they come from and where they go.
    step: (usize, usize),
    /// Bytes from what the last one copies to what a tile after it will.
    later: usize,
}

/// Rows of a strip to copy to a panel.
#[derive(Clone, Copy)]
pub(super) struct Copies {
    pub rows: usize,
    /// Whole vectors of a row.
    pub vectors: usize,
    from: *const f32,
    to: *mut f32,
    /// Floats from row to row, where they come from and where they go.
    row: (usize, usize),
    /// Bytes from what is copied to what the next tile to do so will copy.
    later: usize,
}

impl Ahead {
    /// What the tile of this number copies.
    #[inline(always)]
    pub(super) fn copies(&self, number: usize) -> Copies {
        let Copying { first, rows, step, later } = self.copying;
        Copies {
            rows: first.rows.min(rows.saturating_sub(number * first.rows)),
            from: first.from.wrapping_add(number * step.0),
            to: first.to.wrapping_add(number * step.1),
            later: if number + 1 < self.count { first.later } else { later },
            ..first
        }
    }

    /// What the tile of this number asks for from afar.
    #[inline(always)]
    pub(super) fn far(&self, number: usize) -> Lines {
        Lines { from: self.far.from.wrapping_add(number * self.far_step), ..self.far }
    }

    /// The C of the tile after the one of this number: `next`, if it is not the last one.
    #[inline(always)]
    pub(super) fn c(&self, number: usize, next: Lines) -> Lines {
        if number + 1 < self.count { next } else { Lines { from: self.c, ..next } }
    }
}

impl Copying {
    #[inline(always)]
    fn nothing() -> Self {
        let (from, to) = (std::ptr::null(), std::ptr::null_mut());
        let first = Copies { rows: 0, vectors: 0, from, to, row: (0, 0), later: 0 };
        Self { first, rows: 0, step: (0, 0), later: 0 }
    }
}

impl Copies {
    /// Copies the next rows, so many floats of each.
    ///
    /// # Safety
    /// There are so many, and they may be read and written.
    #[inline(always)]
    pub(super) unsafe fn now<S: Simd>(&mut self, s: S, rows: usize, floats: usize) {
        for _ in 0..rows {
            let mut col = 0;
            while col < floats {
                let mask = s.first((floats - col).min(S::LANES));
                // SAFETY: the caller's.
                unsafe {
                    let x = s.load_masked(self.from.add(col), mask);
                    s.store_masked(self.to.add(col), x, mask);
                }
                s.prefetch_far(self.from.wrapping_add(col).wrapping_byte_add(self.later).cast());
                col += S::LANES;
            }
            self.end_row();
        }
        self.rows -= rows;
    }

    /// Copies a vector of the next row.
    ///
    /// # Safety
    /// It is whole, and may be read and written.
    #[inline(always)]
    pub(super) unsafe fn vector<S: Simd>(&self, s: S, v: usize) {
        let from = self.from.wrapping_add(v * S::LANES);
        s.prefetch_far(from.wrapping_byte_add(self.later).cast());
        // SAFETY: the caller's.
        unsafe { s.store(self.to.wrapping_add(v * S::LANES), s.load(from)) };
    }

    #[inline(always)]
    pub(super) fn end_row(&mut self) {
        self.from = self.from.wrapping_add(self.row.0);
        self.to = self.to.wrapping_add(self.row.1);
    }
}

impl Product<'_, '_> {
    /// What `count` tiles do for later ones, from tile `index` of this strip on.
    #[inline(always)]
    pub(super) fn ahead<S: Simd>(
        &mut self,
        s: S,
        at: &Place,
        strip: usize,
        index: usize,
        count: usize,
    ) -> Ahead {
        let Plan { m, tile_cols, rows_first, pack_a, pack_b, .. } = *self.plan;
        let (i, rows) = at.rows.tile(if rows_first { index } else { index + count - 1 });
        // The tile after the last of these. Behind the last tile of all, any will do.
        let next = at.next.unwrap_or(at.block);
        let (next_i, next_strip, block) = match rows_first {
            true if strip + count < at.strips => (i, strip + count, at.block),
            true if i + rows < at.rows.end => (i + rows, 0, at.block),
            false if i + rows < at.rows.end => (i + rows, strip, at.block),
            false if strip + 1 < at.strips => (at.rows.start, strip + 1, at.block),
            _ => {
                let after = at.block.next(self.plan).unwrap_or(at.block);
                (after.m.0, 0, after)
            }
        };
        let c = self.c_at(next_i, block.n.0 + next_strip * tile_cols).cast_const();
        let (far, far_step) = if pack_b == PackB::Packed && !rows_first {
            self.next_panel(at, strip, index, rows)
        } else {
            let (row, col) = (self.a.row_stride(), self.a.col_stride());
            let (below, block) = if i + rows < m { (i + rows, at.block) } else { (0, next) };
            let from = self.a.ptr().wrapping_add(below * row + block.k.0 * col);
            let asks = rows_first && strip == 0 && !pack_a && col == 1;
            let columns = if asks { block.depth().div_ceil(LINE).div_ceil(count) } else { 0 };
            (Lines { from, row, columns }, columns * LINE)
        };
        let copying = match at.next {
            // SAFETY: rows of B; the memory for packed blocks has room for two.
            Some(next) if pack_b == PackB::Ahead => unsafe {
                self.copying(s, at, strip, index, count, next)
            },
            _ => Copying::nothing(),
        };
        Ahead { count, copying, far, far_step, c }
    }

    /// The part of the next strip's panel that tile `index` of this one asks for, with tiles of `rows` rows, and
    /// how many floats it is of.
    #[inline(always)]
    fn next_panel(&self, at: &Place, strip: usize, index: usize, rows: usize) -> (Lines, usize) {
        let Plan { tile_cols, k, .. } = *self.plan;
        let (panel, depth) = if strip + 1 < at.strips {
            (at.b[0].wrapping_add((strip + 1) * tile_cols * k), at.block.depth())
        } else {
            (at.b[1], at.next.map_or(0, |next| next.depth()))
        };
        let lines = (depth * tile_cols / LINE).div_ceil(at.tiles);
        // As many lines in each of its rows; a few more than its part.
        let columns = lines.div_ceil(rows);
        let from = panel.wrapping_add((at.above + index) * lines * LINE).cast_const();
        (Lines { from, row: columns * LINE, columns }, lines * LINE)
    }

    /// What they copy of the next block of B. What is no whole strip, or no whole vector, is copied at
    /// once.
    ///
    /// # Safety
    /// `at.b[1]` has room for the block; strips are whole vectors wide.
    #[inline(always)]
    unsafe fn copying<S: Simd>(
        &self,
        s: S,
        at: &Place,
        strip: usize,
        index: usize,
        count: usize,
        next: Block,
    ) -> Copying {
        let Plan { tile_cols: width, rows_first, .. } = *self.plan;
        let (row, k) = (self.b.row_stride(), next.depth());
        let j = strip * width;
        let cols = (next.n.1 - next.n.0).saturating_sub(j);
        // Each has a share of the rows; the first tiles of all are busy, see `copies_its_own`.
        let own = usize::from(at.first && at.tiles > 1);
        let share = k.div_ceil(at.tiles - own);
        let start = k.min(share * (at.above + index - own));
        // To the right all copy the same rows, of a strip each.
        let shares = if rows_first { 1 } else { count };
        let rows = (share * shares).min(k - start);
        let b = |block: Block, k: usize| {
            let offset = (block.k.0 + k).wrapping_mul(row).wrapping_add(block.n.0 + j);
            self.b.ptr().wrapping_add(offset)
        };
        let behind = match next.next_of_b(self.plan) {
            Some(block) if start + rows == k => b(block, 0),
            _ => b(next, start + rows),
        };
        let share_later = share.wrapping_mul(row).wrapping_mul(size_of::<f32>());
        let last = b(next, start).wrapping_byte_add(share_later.wrapping_mul(shares - 1));
        let later = behind.addr().wrapping_sub(last.addr());
        // Of so many columns of a strip to the right of this one; a panel is as wide as its vectors.
        let of_strip = |right: usize, cols: usize| {
            let row_to = cols.next_multiple_of(S::LANES);
            Copies {
                rows: share.min(rows),
                vectors: cols / S::LANES,
                from: b(next, start).wrapping_add(right * width),
                to: at.b[1].wrapping_add((j + right * width) * k + start * row_to),
                row: (row, row_to),
                later: if rows_first { later } else { share_later },
            }
        };
        if rows_first {
            let whole = (cols / width).min(count);
            if whole < count && !cols.is_multiple_of(width) {
                // SAFETY: the last columns of these rows.
                unsafe { of_strip(whole, cols % width).now(s, rows, cols % width) };
            }
            let step = (width, width * k);
            Copying { first: of_strip(0, width), rows: rows * whole, step, later }
        } else {
            let cols = cols.min(width);
            let first = of_strip(0, cols);
            let (done, left) = (cols - cols % S::LANES, cols % S::LANES);
            if left > 0 {
                let (from, to) = (first.from.wrapping_add(done), first.to.wrapping_add(done));
                // SAFETY: the last columns of these rows.
                unsafe { Copies { rows, from, to, ..first }.now(s, rows, left) };
            }
            let rows = if done > 0 { rows } else { 0 };
            let step = (share.wrapping_mul(row), share * first.row.1);
            Copying { first, rows, step, later }
        }
    }
}
