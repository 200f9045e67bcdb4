//! What tiles do for later ones while they sum: they copy the next block of B, and ask for the C and
//! the rows of A that come next.
//!
//! What does not stay in the second-level cache comes from the third, or from memory, and a tile that
//! waited for it would take twice as long. So the tiles of a block of B copy the next block, each some
//! rows, and ask for the rows that the tiles below will copy; each asks for the next tile's C; and those
//! of some rows of A ask for the next rows, each for some columns.

use super::blocks::Block;
use super::plan::{PackB, Plan};
use super::product::{Place, Product};
use super::walk::{LINE, Lines};
use crate::simd::Simd;

/// What tiles that follow each other, to the right or downwards, do for later ones.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// Of the first of them. The others copy as many rows, as long as there are any.
    copies: Copies,
    /// Rows that they copy together.
    rows: usize,
    /// Floats from the copies of one to those of the next.
    step: (usize, usize),
    /// Bytes from what the last one copies to what a tile after it will.
    later: usize,
    /// What the first asks for in the rows of A that come next, each of the others further on. Any
    /// address will do.
    a: Lines,
    /// The C after the last one's. Any address will do.
    c: *const f32,
}

/// Rows of a strip to copy to a panel.
#[derive(Clone, Copy)]
pub(super) struct Copies {
    pub rows: usize,
    /// Whole vectors of a row.
    pub vectors: usize,
    from: *const f32,
    to: *mut f32,
    /// Floats from row to row.
    row: (usize, usize),
    /// Bytes from what is copied to what the next tile to do so will copy.
    later: usize,
}

impl Ahead {
    /// What tile `number` of `count` copies.
    #[inline(always)]
    pub(super) fn copies(&self, number: usize, count: usize) -> Copies {
        let Copies { from, to, rows, later, .. } = self.copies;
        Copies {
            rows: rows.min(self.rows.saturating_sub(number * rows)),
            from: from.wrapping_add(number * self.step.0),
            to: to.wrapping_add(number * self.step.1),
            later: if number + 1 < count { later } else { self.later },
            ..self.copies
        }
    }

    /// What tile `number` of `count` asks for: its share of the next rows of A, and the next tile's C.
    /// `c` are the lines of that, if it is not the last one.
    #[inline(always)]
    pub(super) fn lines(&self, number: usize, count: usize, c: Lines) -> [Lines; 2] {
        let a = self.a.from.wrapping_add(number * self.a.columns * LINE);
        let c = if number + 1 < count { c } else { Lines { from: self.c, ..c } };
        [Lines { from: a, ..self.a }, c]
    }
}

impl Copies {
    #[inline(always)]
    fn none() -> Self {
        let (from, to) = (std::ptr::null(), std::ptr::null_mut());
        Self { rows: 0, vectors: 0, from, to, row: (0, 0), later: 0 }
    }

    /// Copies the next rows of so many columns.
    ///
    /// # Safety
    /// There are so many, and they may be read and written.
    #[inline(always)]
    pub(super) unsafe fn now<S: Simd>(&mut self, s: S, rows: usize, cols: usize) {
        for _ in 0..rows {
            let mut col = 0;
            while col < cols {
                let mask = s.first((cols - col).min(S::LANES));
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
        let plan = self.plan;
        let Plan { m, tile_cols, rows_first, fetch_a, pack_b, .. } = *plan;
        // The row of C behind the tiles, and where that is in the block; or the next block. Behind the
        // last tile of all, any place will do.
        let (i, rows) = at.rows.tile(if rows_first { index } else { index + count - 1 });
        let (block, next) = (at.block, at.next.unwrap_or(at.block));
        let below = i + rows < m;
        let (i, block, strip_below) = match (below, rows_first) {
            (true, true) => (i + rows, block, 0),
            (true, false) => (i + rows, block, strip),
            (false, false) if strip + 1 < at.strips => (0, block, strip + 1),
            (false, _) => (0, next, 0),
        };
        let c = self.c_at(i, block.n.0 + strip_below * tile_cols).cast_const();
        let row = self.a.row_stride();
        let from = self.a.ptr().wrapping_add(i * row + block.k.0 * self.a.col_stride());
        let asks = fetch_a && rows_first && strip == 0;
        let columns = if asks { block.depth().div_ceil(LINE).div_ceil(count) } else { 0 };
        let a = Lines { from, row, columns };
        let none = Ahead { copies: Copies::none(), rows: 0, step: (0, 0), later: 0, a, c };
        match at.next {
            Some(next) if pack_b == PackB::Ahead => {
                // SAFETY: rows of B; the memory for packed blocks has room for two.
                let copies = unsafe { self.copies_of_b(s, at, strip, index, count, next) };
                Ahead { a, c, ..copies }
            }
            _ => none,
        }
    }

    /// What they copy of the next block of B: each some rows of the strip of its own strip's number. What
    /// is no whole strip, or no whole vector, is copied at once.
    ///
    /// # Safety
    /// `at.b[1]` has room for the block.
    #[inline(always)]
    unsafe fn copies_of_b<S: Simd>(
        &self,
        s: S,
        at: &Place,
        strip: usize,
        index: usize,
        count: usize,
        next: Block,
    ) -> Ahead {
        let Plan { tile_cols: width, rows_first, .. } = *self.plan;
        let (row, k) = (self.b.row_stride(), next.depth());
        let j = strip * width;
        let cols = (next.n.1 - next.n.0).saturating_sub(j);
        // The first tiles of all copy their own block, if there are others.
        let busy = usize::from(at.first && at.tiles > 1);
        let share = k.div_ceil(at.tiles - busy);
        let start = k.min(share * (at.above + index - busy));
        let tiles = if rows_first { 1 } else { count };
        let rows = (share * tiles).min(k - start);
        let b = |block: Block, k: usize| {
            self.b.ptr().wrapping_add((block.k.0 + k) * row + block.n.0 + j)
        };
        let behind = match next.next(self.plan) {
            Some(block) if start + rows == k => b(block, 0),
            _ => b(next, start + rows),
        };
        // A strip's panel is as wide as its vectors.
        let copies = |strip: usize, cols: usize| {
            let (from, row_to) = (b(next, start), cols.next_multiple_of(S::LANES));
            let to = at.b[1].wrapping_add((j + strip * width) * k + start * row_to);
            let from = from.wrapping_add(strip * width);
            let (rows, later) = (share.min(rows), 4 * share * row);
            Copies { rows, vectors: cols / S::LANES, from, to, row: (row, row_to), later }
        };
        let whole = (cols / width).min(count);
        let rest = if whole < count { cols % width } else { 0 };
        let last = b(next, start).wrapping_add(share * (tiles - 1) * row);
        let later = behind.addr().wrapping_sub(last.addr());
        let (a, c) = (Lines { from: std::ptr::null(), row: 0, columns: 0 }, std::ptr::null());
        if rows_first {
            if rest > 0 {
                // SAFETY: the last columns of the same rows.
                unsafe { Copies { later, ..copies(whole, rest) }.now(s, rows, rest) };
            }
            let copies = Copies { later, ..copies(0, width) };
            Ahead { copies, rows: rows * whole, step: (width, width * k), later, a, c }
        } else {
            let cols = cols.min(width);
            let copies = copies(0, cols);
            let (done, left) = (cols - cols % S::LANES, cols % S::LANES);
            if left > 0 {
                let (from, to) = (copies.from.wrapping_add(done), copies.to.wrapping_add(done));
                // SAFETY: the last columns of the same rows.
                unsafe { Copies { rows, from, to, ..copies }.now(s, rows, left) };
            }
            let rows = if done > 0 { rows } else { 0 };
            Ahead { copies, rows, step: (share * row, share * copies.row.1), later, a, c }
        }
    }
}
