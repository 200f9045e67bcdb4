//! Copies of blocks of A and B in the order in which tiles read them.

use crate::view::MatRef;

/// Copies A `[rows, k]` into panels of `height` rows, each `[k, height]`: the scalars that one
/// step of a tile broadcasts lie side by side. The last panel is padded with zeros.
///
/// # Safety
/// `out` is valid for `rows` rounded up to `height`, times `k` floats.
pub(crate) unsafe fn pack_a(a: MatRef<'_>, height: usize, out: *mut f32) {
    // SAFETY: columns of A in panels of `height`; see `pack_panels`.
    unsafe { pack_panels(a.t(), height, out) }
}

/// Copies B `[k, cols]` into panels of `width` columns, each `[k, width]`, the last padded with
/// zeros.
///
/// # Safety
/// `out` is valid for `cols` rounded up to `width`, times `k` floats.
pub(crate) unsafe fn pack_panels(b: MatRef<'_>, width: usize, out: *mut f32) {
    let (k, cols) = (b.rows(), b.cols());
    let mut panel = out;
    let mut j = 0;
    while j < cols {
        let here = width.min(cols - j);
        let from = b.ptr().wrapping_add(j * b.col_stride());
        // SAFETY: rows below `k` and columns below `cols` are elements of the view; the panel
        // has `k * width` floats.
        unsafe {
            if b.col_stride() == 1 {
                for row in 0..k {
                    let source = from.add(row * b.row_stride());
                    let target = panel.add(row * width);
                    std::ptr::copy_nonoverlapping(source, target, here);
                    for pad in here..width {
                        *target.add(pad) = 0.0;
                    }
                }
            } else {
                transpose(from, b.col_stride(), b.row_stride(), k, here, width, panel);
            }
            panel = panel.add(k * width);
        }
        j += width;
    }
}

/// Fills one panel from columns that lie far apart: in blocks of sixteen rows, so that each cache
/// line of the source is used whole while it is near.
///
/// # Safety
/// As [`pack_panels`].
unsafe fn transpose(
    from: *const f32,
    col_stride: usize,
    row_stride: usize,
    k: usize,
    here: usize,
    width: usize,
    panel: *mut f32,
) {
    let mut row = 0;
    while row < k {
        let rows = (k - row).min(16);
        for j in 0..width {
            for r in row..row + rows {
                // SAFETY: the caller's.
                unsafe {
                    *panel.add(r * width + j) =
                        if j < here { *from.add(j * col_stride + r * row_stride) } else { 0.0 };
                }
            }
        }
        row += rows;
    }
}
