//! Matrix products.

/// A matrix in a slice: element `(i, j)` at `offset + i * row_stride + j * col_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a> {
    /// The floats.
    pub data: &'a [f32],
    /// Where element `(0, 0)` stands.
    pub offset: usize,
    /// From one row to the next.
    pub row_stride: usize,
    /// From one column to the next.
    pub col_stride: usize,
}

impl<'a> Strided<'a> {
    /// Row-major with rows of `cols` and no gaps.
    pub fn row_major(data: &'a [f32], cols: usize) -> Self {
        Self { data, offset: 0, row_stride: cols, col_stride: 1 }
    }

    /// The transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Element `(i, j)`.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        f64::from(self.data[self.offset + i * self.row_stride + j * self.col_stride])
    }
}

/// `A B` of `[m, k]` and `[k, n]`, as `[m, n]` row-major.
pub fn gemm(m: usize, n: usize, k: usize, a: Strided<'_>, b: Strided<'_>) -> Vec<f64> {
    product(m, n, k, |i, p| a.at(i, p), |p, j| b.at(p, j))
}

/// `|A| |B|`: what the rounding error of each element of the product is proportional to. A sum
/// of `k` products in single precision is off by at most about `k` times 6e-8 of it.
pub fn gemm_of_magnitudes(
    m: usize,
    n: usize,
    k: usize,
    a: Strided<'_>,
    b: Strided<'_>,
) -> Vec<f64> {
    product(m, n, k, |i, p| a.at(i, p).abs(), |p, j| b.at(p, j).abs())
}

fn product(
    m: usize,
    n: usize,
    k: usize,
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut c = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            c.push((0..k).map(|p| a(i, p) * b(p, j)).sum());
        }
    }
    c
}
