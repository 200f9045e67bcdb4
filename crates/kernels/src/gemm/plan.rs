//! How a product is computed: the plan, what it asks for, and whether it fits itself.

use super::cycles::{cycles, cycles_of_outer, round_up};
use super::packed::PackedB;
use super::rules::LayoutB;
use super::{outer, rules};
use crate::Isa;

/// Columns of a block of a swapped product, whose result waits in scratch memory.
const SWAPPED: usize = 512;
/// Summands from which on a narrow result is worth the way through its transpose, which is copied.
const SWAPPED_K: usize = 9;

/// How rows of B come to lie as tiles read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackB {
    /// They are read where they are.
    InPlace,
    /// The first tile of each strip reads them where they are and copies them to a panel for the
    /// others.
    FirstTile,
    /// The tiles of a block copy the next one to panels while they sum, some rows each.
    Ahead,
    /// Blocks of B are copied to panels before the tiles run.
    Before,
    /// Columns of B lie contiguous: each tile transposes a vector's lanes of them, as many summands at a
    /// time, and multiplies with these at once.
    InTile,
    /// B is a [`PackedB`]: it lies in panels of `tile_cols` columns already.
    Packed,
}

/// How a product `[m, k] x [k, n]` is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Whether the transpose is computed, `C' = B' A'`: all below then speaks of that product.
    pub swap: bool,
    /// Rows of a full tile.
    pub tile_rows: usize,
    /// Columns of a full tile: of whole vectors, if tiles copy ahead.
    pub tile_cols: usize,
    /// Summands of a block: `k` where it is not cut.
    pub k_block: usize,
    /// Rows of a block of A.
    pub m_block: usize,
    /// Columns of a block of B.
    pub n_block: usize,
    /// Whether A is copied into panels of `tile_rows` rows.
    pub pack_a: bool,
    /// Whether and how B is copied into panels of `tile_cols` columns.
    pub pack_b: PackB,
    /// Whether a block of rows of A meets all columns of B before the next rows do. Else a block of B meets
    /// all rows of A before the next one does.
    pub rows_stay: bool,
    /// Whether all strips of a tile's rows come before the next tile's, or all tiles of a strip's
    /// columns before the next strip's.
    pub rows_first: bool,
    /// Whether tiles ask for the C of the next one while they sum, and, if all strips of a tile's rows
    /// come first, for the rows of A that come next; else, of a B in panels, for the next panel. Those that copy
    /// ahead do in any case.
    pub fetch: bool,
    /// The instruction set that it is for.
    pub isa: Isa,
    /// Whether it was planned for a B whose rows lie contiguous.
    pub b_by_rows: bool,
}

impl Plan {
    /// Plans a product for operands whose rows (`a_by_rows`, `b_by_rows`) lie contiguous, or
    /// whose columns do.
    pub fn new(isa: Isa, m: usize, n: usize, k: usize, a_by_rows: bool, b_by_rows: bool) -> Self {
        Self::of(isa, m, n, k, a_by_rows, LayoutB::by_rows(b_by_rows))
    }

    /// Plans `[m, k] x B` for a B in panels.
    pub fn packed(m: usize, b: &PackedB, a_by_rows: bool) -> Self {
        let layout = LayoutB::Packed { width: b.width() };
        Self::of(b.isa(), m, b.cols(), b.rows(), a_by_rows, layout)
    }

    pub(super) fn of(isa: Isa, m: usize, n: usize, k: usize, a_by_rows: bool, b: LayoutB) -> Self {
        // A quarter of the lanes or more would idle.
        let narrow = n > 0 && n <= 2 * isa.lanes() && 4 * n <= 3 * round_up(n, isa.lanes());
        let packed = matches!(b, LayoutB::Packed { .. });
        if narrow && !a_by_rows && m >= isa.lanes() && k >= SWAPPED_K && !packed {
            let b_by_rows = b == LayoutB::ByRows;
            let swapped = rules::plan(isa, n, m, k, !b_by_rows, LayoutB::ByRows);
            let n_block = swapped.n_block.min(round_up(SWAPPED, swapped.tile_cols));
            Self { m, n, swap: true, n_block, b_by_rows, ..swapped }
        } else {
            rules::plan(isa, m, n, k, a_by_rows, b)
        }
    }

    /// The plan of a swapped product whose A has no contiguous columns after all. Its scratch
    /// memory is counted in [`scratch`](Self::scratch).
    pub(super) fn not_swapped(&self) -> Self {
        rules::plan(self.isa, self.m, self.n, self.k, true, LayoutB::by_rows(self.b_by_rows))
    }

    /// Floats of scratch memory that the product needs.
    pub fn scratch(&self) -> usize {
        let scratch = self.scratch_a().saturating_add(self.scratch_b());
        if self.swap {
            scratch.saturating_add(self.scratch_c()).max(self.not_swapped().scratch())
        } else {
            scratch
        }
    }

    /// Cycles that the tiles take, by the model that chose them. Packing is not counted.
    pub fn cycles(&self) -> f64 {
        let (m, n) = self.tiled();
        if m == 0 || n == 0 {
            return 0.0;
        }
        let lanes = self.isa.lanes();
        if self.is_outer() {
            return cycles_of_outer(lanes, self.tile_rows, m, n);
        }
        cycles(lanes, (self.tile_rows, self.tile_cols / lanes), m, n, self.k)
    }

    /// Panics unless a product may run so: fields are there to be changed, too.
    pub(super) fn assert_consistent(&self) {
        let Self { m, n, tile_cols, m_block, n_block, k_block, rows_first, rows_stay, .. } = *self;
        match self.pack_b {
            PackB::Ahead => {
                let whole = tile_cols.is_multiple_of(self.isa.lanes());
                assert!(whole, "strips of {tile_cols} columns, no whole vectors, copied ahead");
                // The last strip of all has the first ones after it, and tiles copy strips of their own number.
                let one = !rows_stay || n_block <= tile_cols;
                assert!(
                    one,
                    "blocks of {n_block} columns, more than a strip, copied ahead while rows stay"
                );
            }
            PackB::InTile => assert!(
                tile_cols <= self.isa.lanes() && !rows_first,
                "tiles of {tile_cols} columns, more than a vector, or to the right, transpose B"
            ),
            // Tiles below the first read its panel.
            PackB::FirstTile => {
                assert!(!rows_first, "panels of first tiles, for tiles to the right")
            }
            PackB::Packed => {
                // The transposed product would read A as panels.
                assert!(!self.swap, "a product through its transpose, of a B in panels");
                let whole = n_block >= n || n_block.is_multiple_of(tile_cols);
                assert!(whole, "blocks of {n_block} columns, no whole panels of {tile_cols}");
            }
            PackB::InPlace | PackB::Before => {}
        }
        let some = m == 0 || n == 0 || (m_block > 0 && n_block > 0 && k_block > 0);
        assert!(some, "blocks of {m_block} x {k_block} and {k_block} x {n_block}");
    }

    /// Whether rows of C are written from their starts to their ends, all summands at once.
    pub(super) fn is_outer(&self) -> bool {
        let short = outer::SUMMANDS.contains(&self.k.min(self.k_block));
        short && self.rows_first && self.pack_b == PackB::InPlace && !self.fetch
    }

    /// Whether tiles do something for later ones.
    pub(super) fn looks_ahead(&self) -> bool {
        self.fetch || self.pack_b == PackB::Ahead
    }

    /// Rows and columns of C as the tiles see it.
    fn tiled(&self) -> (usize, usize) {
        if self.swap { (self.n, self.m) } else { (self.m, self.n) }
    }

    pub(super) fn scratch_a(&self) -> usize {
        let rows = self.m_block.min(self.tiled().0);
        if self.pack_a { self.in_panels(rows, self.tile_rows) } else { 0 }
    }

    fn scratch_b(&self) -> usize {
        match self.pack_b {
            PackB::InPlace | PackB::InTile | PackB::Packed => 0,
            PackB::FirstTile => self.in_panels(self.tile_cols, self.isa.lanes()),
            PackB::Ahead => self.block_of_b().saturating_mul(2),
            PackB::Before => self.block_of_b(),
        }
    }

    /// Floats of a packed block of B.
    pub(super) fn block_of_b(&self) -> usize {
        self.in_panels(self.n_block.min(self.tiled().1), self.tile_cols)
    }

    /// Floats of a swapped product's result before it is transposed.
    pub(super) fn scratch_c(&self) -> usize {
        if self.swap { self.n_block.min(self.m).saturating_mul(self.n) } else { 0 }
    }

    /// Floats of a block in panels of `width`. Saturating, for whoever runs a plan relies on it
    /// whatever was written into the fields.
    fn in_panels(&self, len: usize, width: usize) -> usize {
        round_up(len, width).saturating_mul(self.k_block.min(self.k))
    }
}
