//! Strided views of matrices, checked where they are made.
//!
//! A view is a pointer, a shape and two strides. Everything a kernel may touch is proven in
//! bounds by the constructor, so that kernels need no further check; and a mutable view can be
//! split by rows or by columns into views that no element belongs to twice, which is how a team
//! of threads shares one product.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// A matrix `[rows, cols]` to read: element `(i, j)` at `i * row_stride + j * col_stride`.
#[derive(Clone, Copy)]
pub struct MatRef<'a> {
    ptr: *const f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
    lifetime: PhantomData<&'a [f32]>,
}

/// A matrix `[rows, cols]` to write, with rows in memory one after the other: element `(i, j)` at
/// `i * row_stride + j`.
pub struct MatMut<'a> {
    ptr: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: a view of shared floats, as `&[f32]`.
unsafe impl Send for MatRef<'_> {}
// SAFETY: a view of shared floats, as `&[f32]`.
unsafe impl Sync for MatRef<'_> {}
// SAFETY: an exclusive view of floats, as `&mut [f32]`.
unsafe impl Send for MatMut<'_> {}
// SAFETY: `&MatMut` gives no access to the floats.
unsafe impl Sync for MatMut<'_> {}

fn check_bounds(len: usize, rows: usize, cols: usize, row_stride: usize, col_stride: usize) {
    if rows == 0 || cols == 0 {
        return;
    }
    let last = (rows - 1)
        .checked_mul(row_stride)
        .and_then(|row| (cols - 1).checked_mul(col_stride)?.checked_add(row));
    assert!(
        last.is_some_and(|last| last < len),
        "a [{rows}, {cols}] view with strides ({row_stride}, {col_stride}) reaches past {len} floats"
    );
}

impl<'a> MatRef<'a> {
    /// Row-major `[rows, cols]` without gaps.
    ///
    /// # Panics
    /// If `data` has fewer than `rows * cols` floats.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::with_strides(data, rows, cols, cols, 1)
    }

    /// Any strides: `(stride, 1)` is row-major, `(1, stride)` its transpose.
    ///
    /// # Panics
    /// If an element would lie outside `data`.
    pub fn with_strides(
        data: &'a [f32],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Self {
        check_bounds(data.len(), rows, cols, row_stride, col_stride);
        Self { ptr: data.as_ptr(), rows, cols, row_stride, col_stride, lifetime: PhantomData }
    }

    /// The transpose, without moving a float.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Floats from one row to the next.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Floats from one column to the next.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }

    /// The rows of `range`.
    ///
    /// # Panics
    /// If `range` reaches past the last row.
    #[must_use]
    pub fn row_range(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows, "{range:?} of {self:?}");
        let ptr = self.ptr.wrapping_add(range.start * self.row_stride);
        Self { ptr, rows: range.len(), ..self }
    }

    /// The columns of `range`.
    ///
    /// # Panics
    /// If `range` reaches past the last column.
    #[must_use]
    pub fn col_range(self, range: Range<usize>) -> Self {
        self.t().row_range(range).t()
    }

    pub(crate) fn ptr(&self) -> *const f32 {
        self.ptr
    }
}

impl<'a> MatMut<'a> {
    /// Row-major `[rows, cols]` without gaps.
    ///
    /// # Panics
    /// If `data` has fewer than `rows * cols` floats.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::with_stride(data, rows, cols, cols)
    }

    /// Row-major `[rows, cols]`, `row_stride` floats from one row to the next.
    ///
    /// # Panics
    /// If an element would lie outside `data`, or if rows overlap (`row_stride < cols`).
    pub fn with_stride(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check_bounds(data.len(), rows, cols, row_stride, 1);
        assert!(rows <= 1 || row_stride >= cols, "rows of {cols} overlap at stride {row_stride}");
        Self { ptr: data.as_mut_ptr(), rows, cols, row_stride, lifetime: PhantomData }
    }

    /// The same view for a shorter time.
    pub fn reborrow(&mut self) -> MatMut<'_> {
        MatMut { lifetime: PhantomData, ..*self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Floats from one row to the next.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// The rows above `at`, and the rest.
    ///
    /// # Panics
    /// If there are fewer than `at` rows.
    pub fn split_rows(self, at: usize) -> (MatMut<'a>, MatMut<'a>) {
        assert!(at <= self.rows, "row {at} of {self:?}");
        let below = self.ptr.wrapping_add(at * self.row_stride);
        (MatMut { rows: at, ..self }, MatMut { ptr: below, rows: self.rows - at, ..self })
    }

    /// The columns left of `at`, and the rest.
    ///
    /// # Panics
    /// If there are fewer than `at` columns.
    pub fn split_cols(self, at: usize) -> (MatMut<'a>, MatMut<'a>) {
        assert!(at <= self.cols, "column {at} of {self:?}");
        let right = self.ptr.wrapping_add(at);
        (MatMut { cols: at, ..self }, MatMut { ptr: right, cols: self.cols - at, ..self })
    }

    /// The columns of `range`.
    ///
    /// # Panics
    /// If `range` reaches past the last column.
    #[must_use]
    pub fn col_range(self, range: Range<usize>) -> MatMut<'a> {
        self.split_cols(range.end).0.split_cols(range.start).1
    }

    pub(crate) fn ptr(&mut self) -> *mut f32 {
        self.ptr
    }
}

impl fmt::Debug for MatRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MatRef[{}, {}] strides ({}, {})",
            self.rows, self.cols, self.row_stride, self.col_stride
        )
    }
}

impl fmt::Debug for MatMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatMut[{}, {}] stride {}", self.rows, self.cols, self.row_stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "reaches past 11 floats")]
    fn a_view_past_the_end_is_refused() {
        MatRef::new(&[0.0; 11], 3, 4);
    }

    #[test]
    #[should_panic(expected = "reaches past")]
    fn an_overflowing_view_is_refused() {
        MatRef::with_strides(&[0.0; 4], usize::MAX, 2, usize::MAX, 1);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn overlapping_rows_are_refused() {
        MatMut::with_stride(&mut [0.0; 16], 2, 4, 3);
    }

    #[test]
    fn split_views_share_no_element() {
        let mut data = [0.0; 12];
        let (left, right) = MatMut::new(&mut data, 3, 4).split_cols(1);
        let (mut top, mut bottom) = right.split_rows(2);
        assert_eq!((left.rows(), left.cols()), (3, 1));
        assert_eq!((top.rows(), top.cols()), (2, 3));
        // SAFETY: the first element of each view.
        unsafe {
            *top.ptr() = 1.0;
            *bottom.ptr() = 2.0;
        }
        assert_eq!(data.map(|x| x as u32), [0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
    }
}
