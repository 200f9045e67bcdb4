//! How a product is cut: blocks of B in the order in which its tiles go through them, and rows of C.

use super::plan::Plan;

/// A block of B: ranges of columns and of k.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub n: (usize, usize),
    pub k: (usize, usize),
}

impl Block {
    #[inline(always)]
    pub(super) fn first(plan: &Plan) -> Self {
        Self { n: (0, plan.n_block.min(plan.n)), k: (0, plan.k_block.min(plan.k)) }
    }

    /// The one after this: further down in the same columns, or the first of the next columns.
    #[inline(always)]
    pub(super) fn next(&self, plan: &Plan) -> Option<Self> {
        let after = |start: usize, block: usize, len: usize| {
            (start < len).then(|| (start, start.saturating_add(block).min(len)))
        };
        match after(self.k.1, plan.k_block, plan.k) {
            Some(k) => Some(Self { k, ..*self }),
            None => {
                let n = after(self.n.1, plan.n_block, plan.n)?;
                Some(Self { n, ..Self::first(plan) })
            }
        }
    }

    #[inline(always)]
    pub(super) fn strips(&self, plan: &Plan) -> usize {
        (self.n.1 - self.n.0).div_ceil(plan.tile_cols)
    }

    /// Its summands.
    #[inline(always)]
    pub(super) fn depth(&self) -> usize {
        self.k.1 - self.k.0
    }
}

/// A block of rows of C, and its tiles: unless A is packed, `taller` of `height + 1` rows, and the
/// others of `height`. An edge of one row would run at an eighth of the rate.
#[derive(Clone, Copy)]
pub(super) struct RowTiles {
    pub start: usize,
    pub end: usize,
    pub tiles: usize,
    height: usize,
    taller: usize,
}

impl RowTiles {
    /// Of the block that starts at this row.
    #[inline(always)]
    pub(super) fn new(plan: &Plan, start: usize) -> Self {
        let end = start.saturating_add(plan.m_block).min(plan.m);
        let tiles = (end - start).div_ceil(plan.tile_rows);
        let (height, taller) = match plan.pack_a {
            true => (plan.tile_rows, 0),
            false => ((end - start) / tiles, (end - start) % tiles),
        };
        Self { start, end, tiles, height, taller }
    }

    /// Tiles of all blocks of rows.
    #[inline(always)]
    pub(super) fn all(plan: &Plan) -> usize {
        let blocks = plan.m / plan.m_block;
        let rest = plan.m % plan.m_block;
        blocks * plan.m_block.div_ceil(plan.tile_rows) + rest.div_ceil(plan.tile_rows)
    }

    /// The first row of a tile, and its rows.
    #[inline(always)]
    pub(super) fn tile(&self, index: usize) -> (usize, usize) {
        let i = self.start + index * self.height + index.min(self.taller);
        (i, (self.height + usize::from(index < self.taller)).min(self.end - i))
    }

    /// How many tiles from this one on have as many rows as it.
    #[inline(always)]
    pub(super) fn alike(&self, index: usize) -> usize {
        if index < self.taller {
            return self.taller - index;
        }
        // Of a packed A, the last may be shorter.
        let whole = (self.end - self.start - self.taller) / self.height;
        if index < whole { whole - index } else { 1 }
    }
}
