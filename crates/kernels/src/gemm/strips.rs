//! The strips of a product in the order in which its tiles go through them, from one block to the
//! next: while the tiles of one run, they copy the rows of B of the one after it.

use super::pack::Ahead;
use super::plan::Plan;
use crate::view::MatRef;

/// The strips of a product whose blocks hold all columns.
pub(super) struct Strips<'a> {
    plan: &'a Plan,
    /// In a block.
    strips: usize,
    /// Blocks of rows in a block of k.
    rounds: usize,
}

/// Where a strip begins: row of C, column, and rows of B.
struct Place {
    i: usize,
    j: usize,
    k: (usize, usize),
}

impl<'a> Strips<'a> {
    #[inline(always)]
    pub(super) fn new(plan: &'a Plan) -> Self {
        let Plan { m, n, m_block, tile_cols, .. } = *plan;
        Self { plan, strips: n.div_ceil(tile_cols), rounds: m.div_ceil(m_block) }
    }

    /// How many strips come before strip `strip` of the block that starts at row `i` of C and row `k`
    /// of B.
    #[inline(always)]
    pub(super) fn number(&self, i: usize, k: usize, strip: usize) -> usize {
        (k / self.plan.k_block * self.rounds + i / self.plan.m_block) * self.strips + strip
    }

    /// `None` behind the last strip.
    #[inline(always)]
    fn place(&self, number: usize) -> Option<Place> {
        let Plan { k, m_block, k_block, tile_cols, .. } = *self.plan;
        let (block, strip) = (number / self.strips, number % self.strips);
        let k0 = block / self.rounds * k_block;
        let i = block % self.rounds * m_block;
        (k0 < k).then(|| Place { i, j: strip * tile_cols, k: (k0, (k0 + k_block).min(k)) })
    }

    /// The panel of the strip of this number, in memory for two: one is read while the other is
    /// filled.
    #[inline(always)]
    pub(super) fn panel(&self, number: usize, memory: *mut f32) -> *mut f32 {
        memory.wrapping_add(number % 2 * self.plan.panel())
    }

    /// What tile `index` of `tiles` does for the strip after its own, which has this number: its share
    /// of the rows. `c` finds an element of C by row and column, `below` is the one behind the tile's
    /// first column.
    #[inline(always)]
    pub(super) fn ahead(
        &self,
        b: MatRef<'_>,
        number: usize,
        (index, tiles): (usize, usize),
        memory: *mut f32,
        c: impl Fn(usize, usize) -> *const f32,
        below: (usize, usize),
    ) -> Option<Ahead> {
        let next = self.place(number + 1)?;
        let next_c = if index + 1 < tiles { c(below.0, below.1) } else { c(next.i, next.j) };
        // The first tile of all copies its own strip, if there are others.
        let busy = number == 0 && tiles > 1;
        let (index, tiles) = if busy { (index - 1, tiles - 1) } else { (index, tiles) };
        let share = |index: usize| (next.k.1 - next.k.0) * index / tiles;
        let (start, end) = (share(index), share(index + 1));
        let cols = self.plan.tile_cols.min(self.plan.n - next.j);
        let width = cols.next_multiple_of(self.plan.isa.lanes());
        let row = b.row_stride();
        let b = |k: usize, j: usize| b.ptr().wrapping_add(k * row + j);
        let later = match self.place(number + 2) {
            Some(place) if index + 1 == tiles => b(place.k.0, place.j),
            _ => b(next.k.0 + end, next.j),
        };
        let from = b(next.k.0 + start, next.j);
        let to = self.panel(number + 1, memory).wrapping_add(start * width);
        Some(Ahead { rows: end - start, cols, from, row, to, later, next_c })
    }
}
