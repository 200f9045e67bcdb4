//! How a product is cut: blocks in the order in which its tiles go through them, and tiles of rows.

use super::plan::Plan;

/// A block of the product: ranges of rows of C, of its columns, and of k. Those of columns and k are a
/// block of B.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub m: (usize, usize),
    pub n: (usize, usize),
    pub k: (usize, usize),
}

impl Block {
    #[inline(always)]
    pub(super) fn first(plan: &Plan) -> Self {
        let Plan { m, n, k, m_block, n_block, k_block, .. } = *plan;
        Self { m: (0, m_block.min(m)), n: (0, n_block.min(n)), k: (0, k_block.min(k)) }
    }

    /// The block after this one. If rows stay, the next columns, then the next rows, then the next k; else
    /// the next rows, then the next k, then the next columns.
    #[inline(always)]
    pub(super) fn next(&self, plan: &Plan) -> Option<Self> {
        let after = |range: (usize, usize), block: usize, len: usize| {
            (range.1 < len).then(|| (range.1, range.1.saturating_add(block).min(len)))
        };
        let m = after(self.m, plan.m_block, plan.m);
        let n = after(self.n, plan.n_block, plan.n);
        let k = after(self.k, plan.k_block, plan.k);
        let first = Self::first(plan);
        if plan.rows_stay {
            match (n, m) {
                (Some(n), _) => Some(Self { n, ..*self }),
                (None, Some(m)) => Some(Self { m, n: first.n, ..*self }),
                (None, None) => Some(Self { k: k?, ..first }),
            }
        } else {
            match (m, k) {
                (Some(m), _) => Some(Self { m, ..*self }),
                (None, Some(k)) => Some(Self { k, m: first.m, ..*self }),
                (None, None) => Some(Self { n: n?, ..first }),
            }
        }
    }

    /// The first block after this one whose block of B is another one, or is passed once more.
    #[inline(always)]
    pub(super) fn next_of_b(&self, plan: &Plan) -> Option<Self> {
        if plan.rows_stay { self.next(plan) } else { Self { m: (0, plan.m), ..*self }.next(plan) }
    }

    /// Whether the next block goes on with the block of B that this one has.
    #[inline(always)]
    pub(super) fn goes_on(&self, next: &Self, plan: &Plan) -> bool {
        !plan.rows_stay && (next.n, next.k) == (self.n, self.k)
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
    /// Of a block with these rows.
    #[inline(always)]
    pub(super) fn new(plan: &Plan, (start, end): (usize, usize)) -> Self {
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
