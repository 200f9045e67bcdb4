//! Matrices of known values, and ways to lay them out in memory.

use kernels::reference::Strided;
use kernels::{MatMut, MatRef};

use super::{Guarded, Random};

/// Values `[rows, cols]`, row by row without gaps.
#[derive(Clone)]
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    pub values: Vec<f32>,
}

/// Where the elements of a [`Stored`] matrix lie.
#[derive(Clone, Copy, Debug)]
pub enum Layout {
    /// Rows contiguous, with a gap after each.
    Rows(usize),
    /// Columns contiguous, with a gap after each: a transpose.
    Columns(usize),
    /// Neither contiguous: every other element, and a gap after each row.
    Spread(usize),
}

impl Matrix {
    /// Between -1 and 1.
    pub fn random(random: &mut Random, rows: usize, cols: usize) -> Self {
        Self { rows, cols, values: random.floats(rows * cols, 1.0) }
    }

    /// Whole numbers from `-most` to `most`.
    pub fn whole(random: &mut Random, rows: usize, cols: usize, most: i32) -> Self {
        let values = 2 * most as usize + 1;
        let whole = |random: &mut Random| (random.below(values) as i32 - most) as f32;
        Self { rows, cols, values: (0..rows * cols).map(|_| whole(random)).collect() }
    }

    /// For the naive twins.
    pub fn twin(&self) -> Strided<'_> {
        Strided::row_major(&self.values, self.cols)
    }

    pub fn stored(&self, layout: Layout) -> Stored {
        let (rows, cols) = (self.rows, self.cols);
        let (row_stride, col_stride) = match layout {
            Layout::Rows(gap) => (cols + gap, 1),
            Layout::Columns(gap) => (1, rows + gap),
            Layout::Spread(gap) => (2 * cols + gap, 2),
        };
        let len = match (rows, cols) {
            (0, _) | (_, 0) => 0,
            _ => (rows - 1) * row_stride + (cols - 1) * col_stride + 1,
        };
        // NaN in the gaps: what is read by mistake shows in the result.
        let mut floats = vec![f32::NAN; len];
        for i in 0..rows {
            for j in 0..cols {
                floats[i * row_stride + j * col_stride] = self.values[i * cols + j];
            }
        }
        Stored { floats, rows, cols, row_stride, col_stride }
    }
}

/// A matrix in memory that ends with its last element.
pub struct Stored {
    floats: Vec<f32>,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl Stored {
    pub fn view(&self) -> MatRef<'_> {
        let (rows, cols) = (self.rows, self.cols);
        MatRef::with_strides(&self.floats, rows, cols, self.row_stride, self.col_stride)
    }
}

/// A matrix to be written, with canaries around it and between its rows.
pub struct Output {
    memory: Guarded,
    rows: usize,
    cols: usize,
    stride: usize,
}

const GAP: u32 = 0x7fe2_0bad; // a NaN

impl Output {
    /// NaN everywhere: what is read shows in the result.
    pub fn nan(rows: usize, cols: usize, gap: usize) -> Self {
        let values = vec![f32::NAN; rows * cols];
        Self::holding(&Matrix { rows, cols, values }, gap)
    }

    pub fn holding(matrix: &Matrix, gap: usize) -> Self {
        let (rows, cols, stride) = (matrix.rows, matrix.cols, matrix.cols + gap);
        let mut floats = vec![f32::from_bits(GAP); rows * stride];
        for i in 0..rows {
            floats[i * stride..][..cols].copy_from_slice(&matrix.values[i * cols..][..cols]);
        }
        Self { memory: Guarded::new(&floats, gap % 4), rows, cols, stride }
    }

    pub fn view(&mut self) -> MatMut<'_> {
        MatMut::with_stride(self.memory.get(), self.rows, self.cols, self.stride)
    }

    /// The values, row by row, after a look at the canaries.
    #[track_caller]
    pub fn done(self, what: &str) -> Vec<f32> {
        let floats = self.memory.done(what);
        let mut values = Vec::with_capacity(self.rows * self.cols);
        for i in 0..self.rows {
            let (row, gap) = floats[i * self.stride..][..self.stride].split_at(self.cols);
            assert!(gap.iter().all(|x| x.to_bits() == GAP), "{what}: the gap after row {i}");
            values.extend_from_slice(row);
        }
        values
    }
}
