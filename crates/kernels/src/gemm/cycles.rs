//! Which tile computes a shape in the fewest cycles, by a model.

use super::tile;

/// Floats of B that stay in the second-level cache beside what passes through.
pub(super) const BLOCK: usize = 256 * 1024;
/// Floats of B that stay in the first-level cache beside the rows of A and C.
pub(super) const NEAR: usize = 6 * 1024;

/// Cycles that a tile takes to begin.
const BEGINS: f64 = 30.0;

/// Whether neither operand fits the second-level cache.
pub(super) fn far(m: usize, n: usize, k: usize) -> bool {
    m.saturating_mul(k) > BLOCK && n.saturating_mul(k) > BLOCK
}

/// Whether a vector is a whole line of the cache: with such ones alone is a tile done so soon that what
/// the next needs has to be on its way. (128x784x512 copied ahead on AVX2: 1.01 of the time.)
pub(super) fn whole_lines(lanes: usize) -> bool {
    lanes == 16
}

/// The size of equal parts of `len` that are no larger than `most`.
pub(super) fn balanced(len: usize, most: usize) -> usize {
    len.div_ceil(len.div_ceil(most).max(1)).max(1)
}

pub(super) fn round_up(x: usize, to: usize) -> usize {
    x.div_ceil(to).saturating_mul(to)
}

/// The tile, (rows, vectors), that computes `[m, k] x [k, n]` in the fewest cycles by the count of
/// [`cycles`].
pub(super) fn best_tile(
    registers: usize,
    lanes: usize,
    m: usize,
    n: usize,
    k: usize,
) -> (usize, usize) {
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
/// (beyond four, where neither operand fits that cache, and none for up to two rows, which wait for B in
/// any case). A tile takes some cycles more to begin, and one for each vector of C.
pub(super) fn cycles(
    lanes: usize,
    (most, width): (usize, usize),
    m: usize,
    n: usize,
    k: usize,
) -> f64 {
    let near = n.saturating_mul(k) <= NEAR;
    let free = if far(m, n, k) { 4.0 } else { 3.0 };
    let tiles = m.div_ceil(most);
    let strip = |width: usize| -> f64 {
        let (rows, width) = (m as f64 / tiles as f64, width as f64);
        let bytes = 4.0 * width * lanes as f64;
        let sums = rows * width;
        let beyond = if near || rows <= 2.0 { 0.0 } else { (bytes / 64.0 - free).max(0.0) };
        let scalars = if n < lanes { 0.0 } else { rows };
        let started = if whole_lines(lanes) { (sums + scalars + width) / 3.0 } else { 0.0 };
        let summand =
            (sums / 2.0).max((rows + width) / 2.0).max(started).max(4.0).max(bytes / 40.0)
                + 0.05 * (rows + width)
                + 0.4 * beyond;
        tiles as f64 * (k as f64 * summand + BEGINS + sums)
    };
    let vectors = n.div_ceil(lanes);
    let rest = vectors % width;
    (vectors / width) as f64 * strip(width) + if rest > 0 { strip(rest) } else { 0.0 }
}

/// Cycles of an [outer product](super::outer), a vector of C in each.
pub(super) fn cycles_of_outer(lanes: usize, rows: usize, m: usize, n: usize) -> f64 {
    m.div_ceil(rows) as f64 * BEGINS + m as f64 * n.div_ceil(lanes) as f64
}
