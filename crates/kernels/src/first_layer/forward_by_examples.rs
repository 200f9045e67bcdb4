//! The forward product over panels of examples: prediction's.

use super::{strips, widest};
use crate::gemm::tile::{self, Finish, Tile};
use crate::panels::{PANEL, Panels, Values};
use crate::simd::{Kernel, Simd, for_each_vector};
use crate::view::{MatMut, MatRef};
use crate::{Activation, Isa};

/// `out = activation(X W + bias)` for the examples in `x`.
///
/// `x` holds panels of examples `[b, k]`; `weights` is `[k, n]`, row-major; `bias` `[n]`; `out`
/// `[b, n]`, or more rows, of which the first b are written.
///
/// # Panics
/// If the shapes disagree.
pub fn forward_by_examples(
    isa: Isa,
    x: &Panels,
    weights: MatRef<'_>,
    bias: &[f32],
    activation: Activation,
    out: MatMut<'_>,
) {
    let n = weights.cols();
    assert_eq!(weights.rows(), x.depth(), "weights {weights:?} for {} features", x.depth());
    assert_eq!(x.chunks(), 1, "panels of examples, not of features");
    assert!(weights.col_stride() == 1 || n <= 1, "weights by rows: {weights:?}");
    assert_eq!(bias.len(), n, "biases of {n} units");
    assert!(
        out.cols() == n && out.rows() >= x.rows(),
        "{out:?} for {} examples and {n} columns",
        x.rows()
    );
    isa.run(Forward { x, weights, bias, activation, out });
}

struct Forward<'a> {
    x: &'a Panels,
    weights: MatRef<'a>,
    bias: &'a [f32],
    activation: Activation,
    out: MatMut<'a>,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let widest = widest(S::REGISTERS, self.x.rows());
        for (j, cols) in strips::<S>(self.weights.cols(), widest) {
            for panel in 0..self.x.count() {
                self.tile(s, j, cols, panel);
            }
        }
    }
}

impl Forward<'_> {
    /// One panel's outputs in the columns from `j` on.
    #[inline(always)]
    fn tile<S: Simd>(&mut self, s: S, j: usize, cols: usize, panel: usize) {
        let c_row = self.out.row_stride();
        let rows = PANEL.min(self.x.rows() - panel * PANEL);
        let c = self.out.ptr().wrapping_add(panel * PANEL * c_row + j);
        let entries = self.x.entries(panel, 0..1);
        let (a, table) = match entries.values {
            Values::Floats(values) => (values.as_ptr(), std::ptr::null()),
            Values::Bytes(words, table) => (words.as_ptr().cast(), table.as_ptr()),
        };
        let bias = self.bias.as_ptr().wrapping_add(j);
        let finish = match self.activation {
            Activation::Relu => Finish::BiasRelu(bias),
            _ => Finish::Bias(bias),
        };
        let (b, b_row) = (self.weights.ptr().wrapping_add(j), self.weights.row_stride());
        let tile = Tile {
            k: entries.len,
            a,
            a_row: 1,
            a_k: PANEL,
            b,
            b_row,
            list: entries.list.as_ptr(),
            table,
            c,
            c_row,
            cols,
            continues: false,
            finish,
        };
        // SAFETY: the panels' columns are rows of the weights, and `out` has their rows:
        // checked in `forward_by_examples`.
        unsafe { tile::run(s, rows, tile) };
        if matches!(self.activation, Activation::Relu | Activation::Linear) {
            return;
        }
        for r in 0..rows {
            let row = c.wrapping_add(r * c_row);
            for_each_vector(s, cols, |at, mask| {
                // SAFETY: within the tile that was just written.
                unsafe {
                    let p = row.add(at);
                    match mask {
                        None => s.store(p, self.activation.forward_vector(s, s.load(p))),
                        Some(m) => {
                            let y = self.activation.forward_vector(s, s.load_masked(p, m));
                            s.store_masked(p, y, m);
                        }
                    }
                }
            });
        }
    }
}
