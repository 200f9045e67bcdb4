//! The rules: what a shape asks for, and how it is cut for that. Each constant was measured, most of them
//! with the shapes in docs/gemm.md.

use super::cycles::{BLOCK, NEAR, balanced, best_tile, far, round_up, whole_lines};
use super::walk::LINE;
use super::{PackB, Plan, outer, tile};
use crate::Isa;

/// Floats of a packed block of A, which is read from there once a strip.
const BLOCK_A: usize = 64 * 1024;
/// Floats of a block of A that all columns of B pass, copied ahead for each, or in panels.
const BLOCK_A_STAYS: usize = 128 * 1024;
/// Floats of a packed block of B that stays there while all rows of A pass through.
const BLOCK_FAR: usize = 192 * 1024;
/// Floats of such a block while tiles copy the next one, of the same size.
const BLOCK_AHEAD: usize = 144 * 1024;
/// Up to this many summands a product is not cut: one pass over C.
const K_WHOLE: usize = 1024;
/// Summands of a panel that many tiles read.
const K_PANEL: usize = 512;
/// Summands of a panel of a B that does not stay in the second-level cache, and is copied for so few tiles
/// that it has to stay in the first.
const K_SOME: usize = 196;
/// Summands of a block of a transposed A that is read in place, each on a line, perhaps a page, of its own.
const K_COLUMNS: usize = 128;
/// The same where these lines are so long that more do not stay near.
const K_LONG_COLUMNS: usize = 64;
/// Rows of such lines at least.
const LONG_COLUMN: usize = 513;
/// Strips of C up to which it is read so, with AVX-512: more are worth a packed A.
const COLUMNS_STRIPS: usize = 6;
/// Columns of C up to which it is read so with narrower vectors.
const COLUMNS_C: usize = 256;
/// Floats of such an A at most, where several strips pass it: of more, the first finds the lines far away.
const COLUMNS_A: usize = 2 * 1024 * 1024;
/// Columns of C up to which an A of any size is, if they are more than a strip.
const COLUMNS_FEW: usize = 32;
/// Up to so many summands a product whose C leaves the second-level cache takes the time to write it.
const K_SHORT: usize = 32;
/// And up to so many one whose C fills half of it.
const K_SHORTER: usize = 16;
/// Up to so many rows one whose B comes from behind that cache takes the time to read it.
const ROWS_FEW: usize = 24;
/// Summands of a block of such a B, whose rows are read almost to their ends before the next block: from page
/// to page no prefetcher follows a tile downwards.
const K_SCANNED: usize = 32;
/// Summands of a block of a product whose operands both are larger than the second-level cache.
const K_FAR: usize = 512;
/// Tiles of rows from which on it pays that the first copies the rows of B for the others.
const MANY: usize = 6;
/// The same where a row is a part of a vector (tiles of panels load whole vectors, and a scalar of A in the
/// multiply-add), or where B does not stay in the second-level cache (no prefetcher follows its rows, and the
/// first tile asks ahead).
const SOME: usize = 2;
/// Rows up to which tiles transpose B without AVX-512, whose blocks are larger: with it, as many as a tile of
/// one vector has.
const TURNED: usize = 4;
/// Tiles of rows for each vector of a strip from which on they copy the next block of B: a vector every
/// four summands is as fast as it pays, and a strip has as many rows as there are summands.
const TILES_AHEAD: usize = 4;
/// Columns of C up to which tiles of a B that stays near go down its strips, if these are longer runs: of more,
/// each row begins on a page of its own.
const COLUMN_C: usize = 256;
/// Rows for which the panels of a packed B are chosen: the tallest tile of each width divides them.
const ROWS_PACKED: usize = 120;
/// Floats of B from which on a row of tiles lasts long enough to ask for the next rows of A and C. (With
/// less: 8192x100x100 1.07 of the time.)
const LONG: usize = 24 * 1024;

/// How B lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayoutB {
    /// Its rows lie contiguous.
    ByRows,
    /// Its columns do.
    ByColumns,
    /// In panels of so many columns.
    Packed { width: usize },
}

impl LayoutB {
    pub(super) fn by_rows(by_rows: bool) -> Self {
        if by_rows { Self::ByRows } else { Self::ByColumns }
    }
}

/// Columns of the panels of a B that is packed for products of any number of rows: those of the tiles that compute
/// [`ROWS_PACKED`] of them.
pub(super) fn width_of_packed(isa: Isa, n: usize, k: usize) -> usize {
    best_tile(registers(isa), isa.lanes(), ROWS_PACKED, n, k).1 * isa.lanes()
}

/// Plans `C = A B` as it stands, for an A whose rows lie contiguous, or whose columns do.
pub(super) fn plan(isa: Isa, m: usize, n: usize, k: usize, a_by_rows: bool, b: LayoutB) -> Plan {
    let shape = Shape::new(isa, m, n, k, a_by_rows, b);
    let (pack_b, rows_first) = shape.pack_b(b);
    let (tile_rows, tile_cols, pack_a) = (shape.tile_rows, shape.tile_cols, shape.pack_a);
    let k_block = balanced(k, shape.most_summands(pack_b).max(1));
    // Panels pass by a block of A that stays.
    let passed = shape.far && pack_b == PackB::Packed && !rows_first;
    let m_block = if pack_a || passed {
        let most = if pack_b == PackB::Ahead || passed { BLOCK_A_STAYS } else { BLOCK_A };
        round_up(balanced(m, (most / k_block.max(1)).max(tile_rows)), tile_rows)
    } else {
        m
    };
    // Columns of a block of so many floats.
    let of = |most: usize| round_up(balanced(n, (most / k_block.max(1)).max(1)), tile_cols);
    let n_block = match pack_b {
        PackB::InPlace | PackB::FirstTile | PackB::InTile | PackB::Packed => n,
        PackB::Ahead if shape.far && !pack_a => of(BLOCK_AHEAD),
        // A block of A stays near, and passes once a strip.
        PackB::Ahead => tile_cols,
        PackB::Before => of(if shape.far { BLOCK_FAR } else { BLOCK }),
    };
    Plan {
        m,
        n,
        k,
        swap: false,
        tile_rows,
        tile_cols,
        k_block,
        m_block,
        n_block,
        pack_a,
        pack_b,
        rows_stay: passed || (pack_a && pack_b == PackB::Ahead),
        rows_first,
        fetch: shape.fetch(pack_b),
        isa,
        b_by_rows: b != LayoutB::ByColumns,
    }
}

/// What a shape asks for.
struct Shape {
    n: usize,
    lanes: usize,
    tile_rows: usize,
    tile_cols: usize,
    /// Floats of B.
    size_b: usize,
    /// Rows of tiles.
    tiles: usize,
    /// All of B stays in the first-level cache.
    near: bool,
    /// It does, and C has long rows, or is large: it is written along them.
    along_c: bool,
    /// B does not stay in the second-level cache, and vectors are whole lines of it.
    passes: bool,
    /// Neither operand stays there, and A is not read by columns.
    far: bool,
    /// Tiles transpose B themselves.
    in_tile: bool,
    /// Rows of C are written from start to end.
    outer: bool,
    /// It takes the time to write C.
    short: bool,
    /// It takes the time to read B.
    scanned: bool,
    /// Of a transposed A, columns are read where they are, some summands at a time.
    by_columns: bool,
    /// Their lines are long.
    long_columns: bool,
    pack_a: bool,
    /// A passes once, while B stays.
    streams: bool,
}

impl Shape {
    fn new(isa: Isa, m: usize, n: usize, k: usize, a_by_rows: bool, b: LayoutB) -> Self {
        let (lanes, registers) = (isa.lanes(), registers(isa));
        let b_by_rows = b == LayoutB::ByRows;
        let turned = if whole_lines(lanes) { tile::shapes(registers)[0].1 } else { TURNED };
        let in_tile = b == LayoutB::ByColumns && m <= turned && k >= lanes;
        let outer = b_by_rows && outer::SUMMANDS.contains(&k) && n > LINE;
        let (tile_rows, vectors) = if in_tile {
            (m.max(1), 1)
        } else if outer {
            (balanced(m.max(1), tile::shapes(registers)[0].1.min(outer::ROWS)), 1)
        } else if let LayoutB::Packed { width } = b {
            let most = tile::shapes(registers)[width / lanes - 1].1;
            (balanced(m.max(1), most), width / lanes)
        } else {
            best_tile(registers, lanes, m, n, k)
        };
        let tile_cols = vectors * lanes;
        // Saturating: views with strides of zero may be of any size.
        let (size_a, size_b) = (m.saturating_mul(k), n.saturating_mul(k));
        let near = size_b <= NEAR;
        let (tiles, strips) = (m.div_ceil(tile_rows), n.div_ceil(tile_cols));
        let size_c = m.saturating_mul(n);
        let written = (k <= K_SHORT && size_c > 2 * BLOCK) || (k <= K_SHORTER && size_c > BLOCK);
        let short = outer || (b != LayoutB::ByColumns && written);
        // Scalars of a transposed A lie a stride apart along k: they are read in short blocks, or packed.
        let strided = !a_by_rows && size_a > BLOCK / 4 && !in_tile;
        let some = if whole_lines(lanes) { COLUMNS_STRIPS * tile_cols } else { COLUMNS_C };
        let few = n <= tile_cols.max(COLUMNS_FEW) || (n <= some && size_a <= COLUMNS_A);
        let by_columns = strided && few && !short;
        // All of B stays in the second-level cache, and A does not: it passes once if all strips of a tile's
        // rows come first.
        let stays = size_b <= BLOCK && !near && n > tile_cols;
        Self {
            n,
            lanes,
            tile_rows,
            tile_cols,
            size_b,
            tiles,
            near,
            along_c: near && (n > COLUMN_C || tiles <= strips || m.saturating_mul(n) > BLOCK),
            passes: size_b >= BLOCK && whole_lines(lanes),
            far: far(m, n, k) && !by_columns,
            in_tile,
            outer,
            short,
            scanned: b_by_rows && m <= ROWS_FEW && size_b > 2 * BLOCK,
            by_columns,
            long_columns: m >= LONG_COLUMN,
            pack_a: strided && n > 2 * tile_cols && !by_columns && !outer,
            streams: size_a > BLOCK && stays && a_by_rows,
        }
    }

    /// How rows of B come to lie as tiles read them, and whether all strips of a tile's rows come first.
    fn pack_b(&self, b: LayoutB) -> (PackB, bool) {
        let Self { n, lanes, near, far, streams, tile_cols, .. } = *self;
        if let LayoutB::Packed { .. } = b {
            (PackB::Packed, self.short || self.along_c || streams)
        } else if self.in_tile {
            (PackB::InTile, false)
        } else if self.short || self.scanned {
            (PackB::InPlace, self.short)
        } else if b == LayoutB::ByColumns {
            (PackB::Before, self.along_c || far || streams)
        } else if self.copies_ahead() && n > tile_cols && !streams {
            (PackB::Ahead, far && !self.pack_a)
        } else if far || streams {
            (PackB::Before, true)
        } else if self.tiles >= self.many() && (!near || !n.is_multiple_of(lanes)) && n != tile_cols
        {
            // A strip that many tiles read: a panel spares them the cache sets and pages that a
            // long stride wastes.
            (PackB::FirstTile, false)
        } else {
            (PackB::InPlace, self.along_c)
        }
    }

    /// Whether there are enough tiles to copy the next block of B.
    fn copies_ahead(&self) -> bool {
        let enough = self.tiles >= TILES_AHEAD * (self.tile_cols / self.lanes);
        self.passes && !self.by_columns && enough
    }

    /// Tiles that make it worth it to fill a panel.
    fn many(&self) -> usize {
        let some = self.n < self.lanes || self.passes;
        if some { SOME } else { MANY }
    }

    /// Up to so many summands are summed at once.
    fn most_summands(&self, pack_b: PackB) -> usize {
        match pack_b {
            PackB::InTile => usize::MAX,
            _ if self.scanned => K_SCANNED,
            _ if self.by_columns && self.long_columns => K_LONG_COLUMNS,
            _ if self.by_columns => K_COLUMNS,
            PackB::FirstTile if self.passes => K_SOME,
            PackB::FirstTile | PackB::Ahead => K_PANEL,
            _ if self.far => K_FAR,
            _ => K_WHOLE,
        }
    }

    /// Whether tiles ask for what comes next.
    fn fetch(&self, pack_b: PackB) -> bool {
        let long = self.far || (self.streams && self.size_b >= LONG);
        let passes = self.passes && self.n > self.tile_cols;
        let ahead = pack_b == PackB::Ahead || (pack_b == PackB::Packed && passes);
        whole_lines(self.lanes) && !self.in_tile && !self.outer && (long || ahead)
    }
}

fn registers(isa: Isa) -> usize {
    match isa.name() {
        "avx512" => 32,
        "avx2" => 16,
        _ => 8,
    }
}
