//! The transpose of a matrix whose rows lie apart.

use crate::Isa;
use crate::simd::{Kernel, Simd};

/// Transposes `[rows, cols]`: `to[j * to_stride + i] = from[i * from_stride + j]`.
///
/// Works on blocks of sixteen by sixteen: what lies in `from` beyond the last row and column, up to
/// the next multiple of sixteen, goes to the same place of `to`.
///
/// # Panics
/// If a stride is less than a row, rounded up to sixteen, or a slice ends before its last block.
pub fn transpose(
    isa: Isa,
    from: &[f32],
    from_stride: usize,
    rows: usize,
    cols: usize,
    to: &mut [f32],
    to_stride: usize,
) {
    let (rows, cols) = (rows.next_multiple_of(16), cols.next_multiple_of(16));
    assert!(from_stride >= cols && to_stride >= rows, "strides {from_stride} and {to_stride}");
    assert!(from.len() >= rows * from_stride, "{} floats, {rows} rows", from.len());
    assert!(to.len() >= cols * to_stride, "{} floats, {cols} rows", to.len());
    isa.run(Transpose { from, from_stride, rows, cols, to, to_stride });
}

struct Transpose<'a> {
    from: &'a [f32],
    from_stride: usize,
    rows: usize,
    cols: usize,
    to: &'a mut [f32],
    to_stride: usize,
}

impl Kernel for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { from, from_stride, rows, cols, to, to_stride } = self;
        let (from, to) = (from.as_ptr().cast::<u32>(), to.as_mut_ptr().cast::<u32>());
        // SAFETY: floats and words are of one size, and whole blocks lie in both: `transpose` has
        // checked.
        unsafe { s.transpose(from, from_stride, rows, cols, to, to_stride) };
    }
}
