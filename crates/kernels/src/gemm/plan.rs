//! Which tiles, which blocks, and whether to pack: decided once a shape.

use super::tile;
use crate::Isa;

/// Floats of B that stay in the second-level cache beside what passes through.
const BLOCK: usize = 256 * 1024;
/// Floats of a packed block of A, which is read from there once a strip.
const BLOCK_A: usize = 64 * 1024;
/// Floats of a packed block of A that all columns of B pass, copied ahead for each.
const BLOCK_A_STAYS: usize = 128 * 1024;
/// Floats of a packed block of B that stays there while all rows of A pass through.
const BLOCK_FAR: usize = 192 * 1024;
/// Floats of such a block while tiles copy the next one, of the same size.
const BLOCK_AHEAD: usize = 144 * 1024;
/// Up to this many summands a product is not cut: one pass over C.
const K_WHOLE: usize = 1024;
/// Summands of a panel that many tiles read.
const K_PANEL: usize = 512;
/// Summands of a block of a transposed A that is read in place, each on a line, perhaps a page, of its own.
const K_COLUMNS: usize = 128;
/// Strips of C up to which it is read so, with AVX-512: more are worth a packed A.
const COLUMNS_STRIPS: usize = 6;
/// Floats of such an A at most: of more, the first strip finds the lines far away.
const COLUMNS_A: usize = 512 * 1024;
/// Summands of a block of a product whose operands both are larger than the second-level cache.
const K_FAR: usize = 512;
/// Tiles of rows from which on it pays that the first copies the rows of B for the others.
const MANY: usize = 6;
/// The same where a row is a part of a vector (tiles of panels load whole vectors, and a scalar of A in the
/// multiply-add), or where B does not stay in the second-level cache (no prefetcher follows its rows, and the
/// first tile asks ahead).
const SOME: usize = 2;
/// Tiles of rows for each vector of a strip from which on they copy the next block of B: a vector every
/// four summands is as fast as it pays, and a strip has as many rows as there are summands.
const TILES_AHEAD: usize = 4;
/// Floats of B that stay in the first-level cache beside the rows of A and C.
const NEAR: usize = 6 * 1024;
/// Floats of B from which on a row of tiles lasts long enough to ask for the next rows of A and C. (With
/// less: 8192x100x100 1.07 of the time.)
const LONG: usize = 24 * 1024;
/// Columns of a block of a swapped product, whose result waits in scratch memory.
const SWAPPED: usize = 512;

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
    /// come first, for the rows of A that come next. Those that copy ahead do in any case.
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
        // A quarter of the lanes or more would idle.
        let narrow = n > 0 && n <= 2 * isa.lanes() && 4 * n <= 3 * round_up(n, isa.lanes());
        if narrow && !a_by_rows && m >= isa.lanes() {
            let swapped = Self::of(isa, n, m, k, !b_by_rows, true);
            let n_block = swapped.n_block.min(round_up(SWAPPED, swapped.tile_cols));
            Self { m, n, swap: true, n_block, b_by_rows, ..swapped }
        } else {
            Self::of(isa, m, n, k, a_by_rows, b_by_rows)
        }
    }

    /// The plan of a swapped product whose A has no contiguous columns after all. Its scratch
    /// memory is counted in [`scratch`](Self::scratch).
    pub(super) fn not_swapped(&self) -> Self {
        Self::of(self.isa, self.m, self.n, self.k, true, self.b_by_rows)
    }

    fn of(isa: Isa, m: usize, n: usize, k: usize, a_by_rows: bool, b_by_rows: bool) -> Self {
        let registers = registers(isa);
        let lanes = isa.lanes();
        let (tile_rows, vectors) = best_tile(registers, lanes, m, n, k);
        let tile_cols = vectors * lanes;
        let tiles = m.div_ceil(tile_rows);
        // Saturating: views with strides of zero may be of any size.
        let (size_a, size_b) = (m.saturating_mul(k), n.saturating_mul(k));
        let (near, passes, far) = (size_b <= NEAR, size_b >= BLOCK, far(m, n, k));
        // Scalars of a transposed A lie a stride apart along k: they are read in short blocks, or packed.
        let strided = !a_by_rows && size_a > BLOCK / 4;
        let few_strips = n > tile_cols && n <= COLUMNS_STRIPS * tile_cols;
        let by_columns = strided && few_strips && size_a <= COLUMNS_A && whole_lines(lanes);
        let pack_a = strided && n > 2 * tile_cols && !by_columns;
        // All of B stays in the second-level cache, and A does not: it passes once if all strips of a tile's
        // rows come first.
        let stays = size_b <= BLOCK && !near && n > tile_cols;
        let streams = size_a > BLOCK && stays && a_by_rows && whole_lines(lanes);
        let many = if n < lanes || (passes && whole_lines(lanes)) { SOME } else { MANY };
        let ahead = whole_lines(lanes) && passes && !by_columns && tiles >= TILES_AHEAD * vectors;
        let (pack_b, rows_first) = if !b_by_rows {
            (PackB::Before, near || (far && !by_columns) || streams)
        } else if ahead && n > tile_cols && !streams {
            (PackB::Ahead, far && !pack_a)
        } else if (far && !by_columns) || streams {
            (PackB::Before, true)
        } else if tiles >= many && (!near || !n.is_multiple_of(lanes)) && n != tile_cols {
            // A strip that many tiles read: a panel spares them the cache sets and pages that a
            // long stride wastes.
            (PackB::FirstTile, false)
        } else {
            (PackB::InPlace, near)
        };
        let most = match pack_b {
            _ if by_columns => K_COLUMNS,
            PackB::FirstTile | PackB::Ahead => K_PANEL,
            _ if far => K_FAR,
            _ => K_WHOLE,
        };
        let k_block = balanced(k, most);
        let m_block = if pack_a {
            let most = if pack_b == PackB::Ahead { BLOCK_A_STAYS } else { BLOCK_A };
            round_up(balanced(m, (most / k_block.max(1)).max(tile_rows)), tile_rows)
        } else {
            m
        };
        // Columns of a block of so many floats.
        let of = |most: usize| round_up(balanced(n, (most / k_block.max(1)).max(1)), tile_cols);
        let n_block = match pack_b {
            PackB::InPlace | PackB::FirstTile => n,
            PackB::Ahead if far && !pack_a => of(BLOCK_AHEAD),
            // A block of A stays near, and passes once a strip.
            PackB::Ahead => tile_cols,
            PackB::Before => of(if far { BLOCK_FAR } else { BLOCK }),
        };
        let long = (far && !by_columns) || (streams && size_b >= LONG);
        let fetch = whole_lines(lanes) && (long || pack_b == PackB::Ahead);
        let (swap, rows_stay) = (false, pack_a && pack_b == PackB::Ahead);
        Self {
            m,
            n,
            k,
            swap,
            tile_rows,
            tile_cols,
            k_block,
            m_block,
            n_block,
            pack_a,
            pack_b,
            rows_stay,
            rows_first,
            fetch,
            isa,
            b_by_rows,
        }
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
        cycles(lanes, (self.tile_rows, self.tile_cols / lanes), m, n, self.k)
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
        if self.pack_a { self.packed(rows, self.tile_rows) } else { 0 }
    }

    fn scratch_b(&self) -> usize {
        match self.pack_b {
            PackB::InPlace => 0,
            PackB::FirstTile => self.packed(self.tile_cols, self.isa.lanes()),
            PackB::Ahead => self.block_of_b().saturating_mul(2),
            PackB::Before => self.block_of_b(),
        }
    }

    /// Floats of a packed block of B.
    pub(super) fn block_of_b(&self) -> usize {
        self.packed(self.n_block.min(self.tiled().1), self.tile_cols)
    }

    /// Floats of a swapped product's result before it is transposed.
    pub(super) fn scratch_c(&self) -> usize {
        if self.swap { self.n_block.min(self.m).saturating_mul(self.n) } else { 0 }
    }

    /// Floats of a block in panels of `width`. Saturating, for whoever runs a plan relies on it
    /// whatever was written into the fields.
    fn packed(&self, len: usize, width: usize) -> usize {
        round_up(len, width).saturating_mul(self.k_block.min(self.k))
    }
}

fn registers(isa: Isa) -> usize {
    match isa.name() {
        "avx512" => 32,
        "avx2" => 16,
        _ => 8,
    }
}

fn round_up(x: usize, to: usize) -> usize {
    x.div_ceil(to).saturating_mul(to)
}

/// Whether neither operand fits the second-level cache.
fn far(m: usize, n: usize, k: usize) -> bool {
    m.saturating_mul(k) > BLOCK && n.saturating_mul(k) > BLOCK
}

/// Whether a vector is a whole line of the cache: with such ones alone is a tile done so soon that what
/// the next needs has to be on its way. (128x784x512 copied ahead on AVX2: 1.01 of the time.)
fn whole_lines(lanes: usize) -> bool {
    lanes == 16
}

/// The size of equal parts of `len` that are no larger than `most`.
fn balanced(len: usize, most: usize) -> usize {
    len.div_ceil(len.div_ceil(most).max(1)).max(1)
}

/// The tile, (rows, vectors), that computes `[m, k] x [k, n]` in the fewest cycles by the count of
/// [`cycles`].
fn best_tile(registers: usize, lanes: usize, m: usize, n: usize, k: usize) -> (usize, usize) {
    let vectors = n.div_ceil(lanes).max(1);
    let mut best = (f64::INFINITY, (1, 1));
    for &(width, most) in tile::shapes(registers) {
        if width > vectors && width > 1 {
            continue;
        }
        let total = cycles(lanes, (most, width), m, n, k);
        if total < best.0 {
            best = (total, (balanced(m.max(1), most), width));
        }
    }
    best.1
}

/// Cycles of `[m, k] x [k, n]` in tiles of at most `most` rows of `width` vectors, by a model.
///
/// A summand takes two multiply-adds or two loads a cycle, no less than a chain's latency of four, 40
/// bytes of B a cycle from the second-level cache, and with AVX-512 three instructions a cycle: half of
/// what a core starts, for another program may have the other half. (Where a row of B is a part of a vector,
/// multiply-adds load their scalars themselves.) A little for each load, and more for
/// each vector of B beyond three that comes from there, which is what wide tiles were measured to lose
/// (beyond four, where neither operand fits that cache). A tile takes some cycles more to begin, and one
/// for each vector of C.
fn cycles(lanes: usize, (most, width): (usize, usize), m: usize, n: usize, k: usize) -> f64 {
    let near = n.saturating_mul(k) <= NEAR;
    let free = if far(m, n, k) { 4.0 } else { 3.0 };
    let tiles = m.div_ceil(most);
    let strip = |width: usize| -> f64 {
        let (rows, width) = (m as f64 / tiles as f64, width as f64);
        let bytes = 4.0 * width * lanes as f64;
        let sums = rows * width;
        let beyond = if near || rows <= 1.0 { 0.0 } else { (bytes / 64.0 - free).max(0.0) };
        let scalars = if n < lanes { 0.0 } else { rows };
        let started = if whole_lines(lanes) { (sums + scalars + width) / 3.0 } else { 0.0 };
        let summand =
            (sums / 2.0).max((rows + width) / 2.0).max(started).max(4.0).max(bytes / 40.0)
                + 0.05 * (rows + width)
                + 0.4 * beyond;
        tiles as f64 * (k as f64 * summand + 30.0 + sums)
    };
    let vectors = n.div_ceil(lanes);
    let rest = vectors % width;
    (vectors / width) as f64 * strip(width) + if rest > 0 { strip(rest) } else { 0.0 }
}
