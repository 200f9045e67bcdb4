//! The first layer's products over [`Panels`](crate::panels::Panels): forward, and the weight gradient
//! with the optimizer as its epilogue. And the forward product of [`One`](crate::panels::One) example.

mod forward;
mod forward_one;
mod update;

pub use forward::forward;
pub use forward_one::forward_one;
pub use update::{Weights, update};

use crate::simd::Simd;

/// Columns of the widest strip: weights and gradients of as many columns or fewer, side by side in
/// memory, are read in the order in which they lie.
pub const STRIP: usize = 96;

/// Floats that [`forward()`] and [`update`] need for their sums, for so many panels of
/// features and so many examples.
pub fn sums(panels: usize, examples: usize) -> usize {
    forward::sums(examples).max(update::sums(panels, examples))
}

/// Vectors of the widest tile. Of four rows: 24 sums, four broadcasts and a row of B fit
/// thirty-two registers; twelve, one and three fit sixteen. Of one row (a single prediction) as
/// many as there are, for each sum is a chain that waits four cycles for itself.
const fn widest(registers: usize, rows: usize) -> usize {
    match (registers, rows) {
        (32, 1) => 8,
        (32, _) => 6,
        (16, 1) => 6,
        _ => 3,
    }
}

/// Strips of at most `widest` vectors and of nearly equal width: their starts and columns.
#[inline(always)]
fn strips<S: Simd>(n: usize, widest: usize) -> impl Iterator<Item = (usize, usize)> {
    let vectors = n.div_ceil(S::LANES);
    let strips = vectors.div_ceil(widest);
    (0..strips).map(move |strip| {
        let start = vectors * strip / strips * S::LANES;
        let end = (vectors * (strip + 1) / strips * S::LANES).min(n);
        (start, end - start)
    })
}
