//! Which tiles, which blocks, and whether to pack: decided once a shape.

use std::ops::Range;

use super::tile;
use crate::Isa;

/// Floats of a packed block of A or B that are meant to stay in the second-level cache.
const BLOCK: usize = 96 * 1024;
/// Summands of a block: a strip of B of three vectors by this many rows is 36 KiB, which leaves
/// room beside it in a first-level cache of 48 KiB.
const K_BLOCK: usize = 192;
/// Up to this many summands a product is not cut: one pass over C.
const K_WHOLE: usize = 1024;

/// How a product `[m, k] x [k, n]` is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Rows of a full tile.
    pub tile_rows: usize,
    /// Columns of a full tile.
    pub tile_cols: usize,
    /// Summands of a block: `k` where it is not cut.
    pub k_block: usize,
    /// Rows of a block of A.
    pub m_block: usize,
    /// Columns of a block of B.
    pub n_block: usize,
    /// Whether A is copied into panels of `tile_rows` rows.
    pub pack_a: bool,
    /// Whether B is copied into panels of `tile_cols` columns.
    pub pack_b: bool,
}

impl Plan {
    /// Plans a product for operands whose rows (`a_by_rows`, `b_by_rows`) lie contiguous, or
    /// whose columns do.
    pub fn new(isa: Isa, m: usize, n: usize, k: usize, a_by_rows: bool, b_by_rows: bool) -> Self {
        let registers = registers(isa);
        let lanes = isa.lanes();
        let (tile_rows, vectors) = best_tile(registers, lanes, m, n);
        // Saturating: views with strides of zero may be of any size.
        let large = m.saturating_mul(n) >= 128 * 1024
            && m.saturating_mul(k) >= 64 * 1024
            && k.saturating_mul(n) >= 64 * 1024;
        // Reading B in place costs nothing where its rows lie contiguous and each is read by few
        // row tiles; otherwise panels save the cache sets and pages that a long stride wastes.
        let pack_b = !b_by_rows || (large && m > 2 * tile_rows);
        let pack_a = large && (n > 4 * vectors * lanes || !a_by_rows);
        let k_block = if k <= K_WHOLE && !large { k } else { balanced(k, K_BLOCK) };
        let m_block = if pack_a {
            round_up(balanced(m, (BLOCK / k_block.max(1)).max(tile_rows)), tile_rows)
        } else {
            m
        };
        let n_block = if pack_b {
            round_up(balanced(n, 4 * BLOCK / k_block.max(1)), vectors * lanes)
        } else {
            n
        };
        Self {
            m,
            n,
            k,
            tile_rows,
            tile_cols: vectors * lanes,
            k_block,
            m_block,
            n_block,
            pack_a,
            pack_b,
        }
    }

    /// Floats of scratch memory that the product needs.
    pub fn scratch(&self) -> usize {
        self.scratch_a().saturating_add(self.scratch_b())
    }

    pub(crate) fn scratch_a(&self) -> usize {
        if self.pack_a { self.packed(self.m_block.min(self.m), self.tile_rows) } else { 0 }
    }

    pub(crate) fn scratch_b(&self) -> usize {
        if self.pack_b { self.packed(self.n_block.min(self.n), self.tile_cols) } else { 0 }
    }

    /// Floats of a block in panels of `width`. Saturating, for whoever runs a plan relies on it
    /// whatever was written into the fields.
    fn packed(&self, len: usize, width: usize) -> usize {
        round_up(len, width).saturating_mul(self.k_block.min(self.k))
    }
}

/// The share of `index` among `shares` nearly equal parts of `0..len`, cut at multiples of
/// `quantum`: how a team of threads divides rows or columns of a product.
pub fn share(len: usize, quantum: usize, index: usize, shares: usize) -> Range<usize> {
    let units = len.div_ceil(quantum);
    let cut = |i: usize| (units * i / shares * quantum).min(len);
    cut(index)..cut(index + 1)
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

/// The size of equal parts of `len` that are no larger than `most`.
fn balanced(len: usize, most: usize) -> usize {
    len.div_ceil(len.div_ceil(most).max(1)).max(1)
}

/// The tile, (rows, vectors), that computes `[m, n]` in the fewest cycles by this count a summand:
/// two multiply-adds or two loads a cycle, a chain's latency of four, and 40 bytes of B a cycle
/// from the second-level cache.
fn best_tile(registers: usize, lanes: usize, m: usize, n: usize) -> (usize, usize) {
    let vectors = n.div_ceil(lanes).max(1);
    let cost = |rows: usize, width: usize| -> f64 {
        let (rows, width) = (rows as f64, width as f64);
        let stream = width * lanes as f64 * 4.0 / 40.0;
        (rows * width / 2.0).max((rows + width) / 2.0).max(4.0).max(stream) + 0.02 * rows * width
    };
    let mut best = (f64::INFINITY, (1, 1));
    for &(width, most) in tile::shapes(registers) {
        if width > vectors && width > 1 {
            continue;
        }
        let rows = balanced(m.max(1), most);
        let tiles = m.max(1).div_ceil(rows);
        let full = vectors / width;
        let mut total = tiles as f64 * full as f64 * cost(rows, width);
        let mut rest = vectors % width;
        while rest > 0 {
            let edge = tile::widest(registers, rest);
            total += tiles as f64 * cost(rows, edge);
            rest -= edge;
        }
        // On a tie the later, wider tile would win nothing: keep the first.
        if total < best.0 * 0.995 {
            best = (total, (rows, width));
        }
    }
    best.1
}
