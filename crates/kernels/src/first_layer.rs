//! The first layer's two products over [`Panels`]: forward, and the weight gradient with the
//! optimizer as its epilogue.

use crate::gemm::tile::{self, Finish, Tile};
use crate::optimizer::{Place, Rule, Update, WithRule, update_row, with_rule};
use crate::panels::{PANEL, Panels};
use crate::simd::{Kernel, Simd, for_each_vector};
use crate::view::{MatMut, MatRef};
use crate::{Activation, Isa};

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

/// `out = activation(X W + bias)` for the examples in `x`.
///
/// `x` holds panels of examples `[b, k]`; `weights` is `[k, n]`, row-major; `bias` `[n]`; `out`
/// `[b, n]`, or more rows, of which the first b are written.
///
/// # Panics
/// If the shapes disagree.
pub fn forward(
    isa: Isa,
    x: &Panels,
    weights: MatRef<'_>,
    bias: &[f32],
    activation: Activation,
    out: MatMut<'_>,
) {
    let n = weights.cols();
    assert_eq!(weights.rows(), x.depth(), "weights {weights:?} for {} features", x.depth());
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
        let c_row = self.out.row_stride();
        let widest = widest(S::REGISTERS, self.x.rows());
        for (j, cols) in strips::<S>(self.weights.cols(), widest) {
            for index in 0..self.x.count() {
                let rows = PANEL.min(self.x.rows() - index * PANEL);
                let (list, values) = self.x.panel(index);
                let bias = self.bias.as_ptr().wrapping_add(j);
                let c = self.out.ptr().wrapping_add(index * PANEL * c_row + j);
                let finish = match self.activation {
                    Activation::Relu => Finish::BiasRelu(bias),
                    _ => Finish::Bias(bias),
                };
                let b = self.weights.ptr().wrapping_add(j);
                let b_row = self.weights.row_stride();
                // SAFETY: the panels' columns are rows of the weights, and `out` has their rows:
                // checked in `forward`.
                unsafe { tile::run(s, rows, over(list, values, b, b_row, c, c_row, cols, finish)) };
                if !matches!(self.activation, Activation::Relu | Activation::Linear) {
                    for r in 0..rows {
                        let row = c.wrapping_add(r * c_row);
                        for_each_vector(s, cols, |at, mask| {
                            // SAFETY: within the tile that was just written.
                            unsafe {
                                let p = row.add(at);
                                match mask {
                                    None => {
                                        s.store(p, self.activation.forward_vector(s, s.load(p)))
                                    }
                                    Some(m) => {
                                        let y =
                                            self.activation.forward_vector(s, s.load_masked(p, m));
                                        s.store_masked(p, y, m);
                                    }
                                }
                            }
                        });
                    }
                }
            }
        }
    }
}

/// The parameters of a layer's columns with the optimizer's state, and which panels of features
/// have ever been seen to be not zero.
pub struct Weights<'a> {
    /// `[k, n]`
    pub values: MatMut<'a>,
    /// The momentum or Adam's mean, `[k, n]`; empty where the optimizer has none.
    pub first: MatMut<'a>,
    /// The mean square, `[k, n]`; empty where the optimizer has none.
    pub second: MatMut<'a>,
    /// One a panel of features. Where no example has ever had a value, gradient and state are
    /// zero, and the update of such weights by any rule is nothing.
    pub touched: &'a mut [bool],
}

/// Updates `weights` by the gradient `X^T dZ`, which is never stored.
///
/// `x` holds panels of features `[k, b]`; `dz` is `[b, n]`, row-major.
///
/// # Panics
/// If the shapes disagree.
pub fn update(isa: Isa, x: &Panels, dz: MatRef<'_>, rule: &Update, weights: Weights<'_>) {
    let (k, n) = (x.rows(), dz.cols());
    let shape = |m: &MatMut<'_>| (m.rows(), m.cols());
    assert_eq!(dz.rows(), x.depth(), "gradient {dz:?} of {} examples", x.depth());
    assert!(dz.col_stride() == 1 || n <= 1, "gradient by rows: {dz:?}");
    assert_eq!(shape(&weights.values), (k, n), "weights of {k} features and {n} units");
    let states = rule.states();
    let first = states == 2 || matches!(rule, Update::Momentum { .. });
    let second = states == 2 || matches!(rule, Update::RmsProp { .. });
    assert!(!first || shape(&weights.first) == (k, n), "first state: {:?}", weights.first);
    assert!(!second || shape(&weights.second) == (k, n), "second state: {:?}", weights.second);
    assert!(weights.touched.len() >= x.count(), "a mark for each of {} panels", x.count());
    isa.run(Apply { x, dz, rule, weights });
}

struct Apply<'a> {
    x: &'a Panels,
    dz: MatRef<'a>,
    rule: &'a Update,
    weights: Weights<'a>,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rule = self.rule;
        with_rule(s, rule, self);
    }
}

impl<S: Simd> WithRule<S> for Apply<'_> {
    #[inline(always)]
    fn run(mut self, s: S, rule: &impl Rule<S>) {
        let strides = [
            self.weights.values.row_stride(),
            self.weights.first.row_stride(),
            self.weights.second.row_stride(),
        ];
        let bases =
            [self.weights.values.ptr(), self.weights.first.ptr(), self.weights.second.ptr()];
        for index in 0..self.x.count() {
            self.weights.touched[index] |= !self.x.panel(index).0.is_empty();
        }
        // A tile's gradient: written and read while it is in the first-level cache.
        let mut gradient = Gradient([0.0; PANEL * 96]);
        for (j, cols) in strips::<S>(self.dz.cols(), widest(S::REGISTERS, PANEL)) {
            for index in 0..self.x.count() {
                if !self.weights.touched[index] {
                    continue;
                }
                let rows = PANEL.min(self.x.rows() - index * PANEL);
                let at = |which: usize, r: usize| {
                    bases[which].wrapping_add((index * PANEL + r) * strides[which] + j)
                };
                // What the update will read, fetched while the tile is summed.
                for (which, &stride) in strides.iter().enumerate() {
                    for r in 0..if stride == 0 { 0 } else { rows } {
                        for line in (0..cols).step_by(16) {
                            s.prefetch(at(which, r).wrapping_add(line));
                        }
                    }
                }
                let (list, values) = self.x.panel(index);
                let b = self.dz.ptr().wrapping_add(j);
                let g = gradient.0.as_mut_ptr();
                let tile = over(list, values, b, self.dz.row_stride(), g, 96, cols, Finish::Store);
                // SAFETY: the panels' columns are rows of `dz`; the gradient has room for four
                // rows of 96; `update` has checked the shapes of weights and state.
                unsafe {
                    tile::run(s, PANEL, tile);
                    for r in 0..rows {
                        let g = gradient.0.as_ptr().add(r * 96);
                        let place = Place { w: at(0, r), g, first: at(1, r), second: at(2, r) };
                        update_row(s, cols, place, rule);
                    }
                }
            }
        }
    }
}

#[repr(align(64))]
struct Gradient([f32; PANEL * 96]);

/// The tile of one panel.
#[inline(always)]
fn over(
    list: &[u32],
    values: &[f32],
    b: *const f32,
    b_row: usize,
    c: *mut f32,
    c_row: usize,
    cols: usize,
    finish: Finish,
) -> Tile {
    Tile {
        k: list.len(),
        a: values.as_ptr(),
        a_row: 1,
        a_k: PANEL,
        b,
        b_row,
        list: list.as_ptr(),
        c,
        c_row,
        cols,
        continues: false,
        finish,
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
