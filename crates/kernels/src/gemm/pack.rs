//! Copies of blocks of A and B in the order in which tiles read them.
//!
//! Much of B is copied by tiles while they sum: their own rows by the first tile of a strip, see
//! `tile`, or the next block by all tiles of this one, see `ahead`.

use crate::simd::Simd;
use crate::view::MatRef;

/// Rows of B that are copied at a time.
const ROWS: usize = 8;
/// Floats of a line of the cache.
const LINE: usize = 16;
/// Columns of a transposed A, each perhaps on a page of its own, up to which a panel after the other is
/// copied: the processor finds so many pages again at once. (784x128x512 A' 0.985 of the time;
/// 1024x1024x1024 A', beyond it, 1.06.)
const PAGES: usize = 128;

/// Copies A `[rows, k]` into panels of `height` rows, each `[k, height]`: the scalars that one
/// step of a tile broadcasts lie side by side. What is behind the last row is left as it is.
///
/// # Safety
/// `out` is valid for `rows` rounded up to `height`, times `k` floats.
#[inline(always)]
pub(super) unsafe fn pack_a<S: Simd>(s: S, a: MatRef<'_>, height: usize, out: *mut f32) {
    // SAFETY: columns of A in panels of `height`; see `pack_b`.
    unsafe {
        if a.cols() <= PAGES {
            panels(s, a.t(), height, out)
        } else {
            pack_b(s, a.t(), height, out)
        }
    }
}

/// Copies B `[k, cols]` into panels of `width` columns, each `[k, width]`. What is behind the last
/// column is left as it is.
///
/// # Safety
/// `out` is valid for `cols` rounded up to `width`, times `k` floats.
#[inline(always)]
pub(super) unsafe fn pack_b<S: Simd>(s: S, b: MatRef<'_>, width: usize, out: *mut f32) {
    let (k, cols, stride) = (b.rows(), b.cols(), b.row_stride());
    if b.col_stride() != 1 {
        // SAFETY: the caller's.
        return unsafe { panels(s, b, width, out) };
    }
    // Some rows of all panels before the next rows: what is read lies in long runs, which the
    // processor's prefetchers follow.
    for row in (0..k).step_by(ROWS) {
        let rows = ROWS.min(k - row);
        let mut to = out.wrapping_add(row * width);
        for j in (0..cols).step_by(width) {
            let here = width.min(cols - j);
            let from = b.ptr().wrapping_add(row * stride + j);
            for r in rows..2 * rows {
                for col in (0..here).step_by(LINE) {
                    s.prefetch(from.wrapping_add(r * stride + col));
                }
            }
            // SAFETY: rows below `k` and columns below `cols` are elements of the view; each
            // panel has `k * width` floats.
            unsafe { copy(s, from, stride, rows, here, to, width) };
            to = to.wrapping_add(k * width);
        }
    }
}

/// As [`pack_b`] says, one panel after the other.
#[inline(always)]
unsafe fn panels<S: Simd>(s: S, b: MatRef<'_>, width: usize, out: *mut f32) {
    let (k, cols) = (b.rows(), b.cols());
    let (row_stride, col_stride) = (b.row_stride(), b.col_stride());
    let mut panel = out;
    let mut j = 0;
    while j < cols {
        let here = width.min(cols - j);
        let from = b.ptr().wrapping_add(j * col_stride);
        // SAFETY: rows below `k` and columns below `cols` are elements of the view; the panel
        // has `k * width` floats.
        unsafe {
            if col_stride == 1 {
                copy(s, from, row_stride, k, here, panel, width);
            } else if row_stride == 1 {
                transpose(s, from, col_stride, here, k, panel, width);
            } else {
                for row in 0..k {
                    for col in 0..here {
                        *panel.add(row * width + col) =
                            *from.add(row * row_stride + col * col_stride);
                    }
                }
            }
            panel = panel.add(k * width);
        }
        j += width;
    }
}

/// # Safety
/// `from` and `to` are valid for `rows` by `cols`.
#[inline(always)]
unsafe fn copy<S: Simd>(
    s: S,
    from: *const f32,
    from_stride: usize,
    rows: usize,
    cols: usize,
    to: *mut f32,
    to_stride: usize,
) {
    let whole = cols - cols % S::LANES;
    let mask = s.first(cols - whole);
    for row in 0..rows {
        // SAFETY: the caller's.
        unsafe {
            let (from, to) = (from.add(row * from_stride), to.add(row * to_stride));
            for col in (0..whole).step_by(S::LANES) {
                s.store(to.add(col), s.load(from.add(col)));
            }
            if whole < cols {
                s.store_masked(to.add(whole), s.load_masked(from.add(whole), mask), mask);
            }
        }
    }
}

/// # Safety
/// `from` is valid for `rows` by `cols`, `to` for the transpose.
#[inline(always)]
pub(super) unsafe fn transpose<S: Simd>(
    s: S,
    from: *const f32,
    from_stride: usize,
    rows: usize,
    cols: usize,
    to: *mut f32,
    to_stride: usize,
) {
    // Along the rows of `from`: a block's cache lines are used whole while they are near.
    for i in (0..rows).step_by(S::LANES) {
        for j in (0..cols).step_by(S::LANES) {
            let (rows, cols) = ((rows - i).min(S::LANES), (cols - j).min(S::LANES));
            // SAFETY: the caller's.
            unsafe {
                let (from, to) = (from.add(i * from_stride + j), to.add(j * to_stride + i));
                s.transpose_block(from, from_stride, rows, cols, to, to_stride);
            }
        }
    }
}
