//! The first layer's two products over [`Panels`]: forward, and the weight gradient with the
//! optimizer as its epilogue.

use crate::gemm::tile::{self, Finish, Tile};
use crate::optimizer::{Place, Rule, Update, WithRule, update_row, with_rule};
use crate::panels::{Ahead, PANEL, Panels};
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
        let (_, list, values) = self.x.entries(panel, 0);
        let bias = self.bias.as_ptr().wrapping_add(j);
        let finish = match self.activation {
            Activation::Relu => Finish::BiasRelu(bias),
            _ => Finish::Bias(bias),
        };
        let (b, b_row) = (self.weights.ptr().wrapping_add(j), self.weights.row_stride());
        let tile = over(list, values, b, b_row, c, c_row, cols, finish);
        // SAFETY: the panels' columns are rows of the weights, and `out` has their rows:
        // checked in `forward`.
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

/// The parameters of a layer's columns with the optimizer's state, and which panels of features
/// have ever been seen to be not zero.
pub struct Weights<'a> {
    /// `[k, n]`
    pub values: MatMut<'a>,
    /// The momentum or Adam's sum of gradients, `[k, n]`; empty where the optimizer has none.
    pub first: MatMut<'a>,
    /// The sum of squares, `[k, n]`; empty where the optimizer has none.
    pub second: MatMut<'a>,
    /// One a panel of features in `x`. Where no example has ever had a value, the gradient is zero
    /// and the state as it was at the start: the update of such weights by any rule is nothing.
    pub touched: &'a mut [bool],
    /// Room for the sums of panels of several chunks: [`sums`] floats.
    pub sums: &'a mut [f32],
}

/// Columns of the widest strip: weights and gradients of as many columns or fewer, side by side in
/// memory, are read in the order in which they lie.
pub const STRIP: usize = 96;

/// Floats that [`update`] needs for its sums.
pub fn sums(panels: usize, examples: usize) -> usize {
    if Panels::chunks_of_examples(examples) > 1 { panels * PANEL * STRIP } else { 0 }
}

/// Updates `weights` by the gradient `X^T dZ`, which is never stored whole.
///
/// `x` holds panels of features `[k, b]`; `dz` is `[b, n]`, row-major. Each tile of a panel and up to
/// [`STRIP`] columns makes one call of `ahead`.
///
/// # Panics
/// If the shapes disagree.
pub fn update(
    isa: Isa,
    x: &Panels,
    dz: MatRef<'_>,
    rule: &Update,
    weights: Weights<'_>,
    ahead: &mut Ahead<'_>,
) {
    let (k, n) = (x.rows(), dz.cols());
    let shape = |m: &MatMut<'_>| (m.rows(), m.cols());
    assert_eq!(dz.rows(), x.depth(), "gradient {dz:?} of {} examples", x.depth());
    assert!(dz.col_stride() == 1 || n <= 1, "gradient by rows: {dz:?}");
    assert_eq!(shape(&weights.values), (k, n), "weights of {k} features and {n} units");
    let (has_first, has_second) = rule.uses();
    assert!(!has_first || shape(&weights.first) == (k, n), "first state: {:?}", weights.first);
    assert!(!has_second || shape(&weights.second) == (k, n), "second state: {:?}", weights.second);
    assert!(weights.touched.len() >= x.count(), "a mark for each of {} panels", x.count());
    assert!(weights.sums.len() >= sums(x.count(), dz.rows()), "{} sums", weights.sums.len());
    isa.run(Apply { x, dz, rule, weights, ahead });
}

struct Apply<'a, 'b> {
    x: &'a Panels,
    dz: MatRef<'a>,
    rule: &'a Update,
    weights: Weights<'a>,
    ahead: &'a mut Ahead<'b>,
}

impl Kernel for Apply<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rule = self.rule;
        with_rule(s, rule, self);
    }
}

impl<S: Simd> WithRule<S> for Apply<'_, '_> {
    #[inline(always)]
    fn run(mut self, s: S, rule: &impl Rule<S>) {
        for index in 0..self.x.count() {
            self.weights.touched[index] |= !self.x.is_zero(index);
        }
        // A tile's gradient: written and read while it is in the first-level cache.
        let mut gradient = Gradient([0.0; PANEL * STRIP]);
        let last = self.x.chunks() - 1;
        for (j, cols) in strips::<S>(self.dz.cols(), widest(S::REGISTERS, PANEL)) {
            for chunk in 0..=last {
                for index in 0..self.x.count() {
                    if chunk == last {
                        self.ahead.fetch(s);
                    }
                    if !self.weights.touched[index] {
                        continue;
                    }
                    let g = match last {
                        0 => gradient.0.as_mut_ptr(),
                        _ => self.weights.sums[index * PANEL * STRIP..].as_mut_ptr(),
                    };
                    self.sum(s, index, chunk, j, cols, g);
                    if chunk == last {
                        self.step(s, index, j, cols, g, rule);
                    }
                }
            }
        }
    }
}

impl Apply<'_, '_> {
    /// The places of a panel's parameters from column `j` on, a row a feature.
    #[inline(always)]
    fn places(&mut self, index: usize, j: usize, g: *const f32) -> impl Iterator<Item = Place> {
        let Weights { values, first, second, .. } = &mut self.weights;
        let [values, first, second] =
            [values, first, second].map(|m| (m.ptr().wrapping_add(j), m.row_stride()));
        let rows = PANEL.min(self.x.rows() - index * PANEL);
        (0..rows).map(move |r| {
            let row = index * PANEL + r;
            let at = |(base, stride): (*mut f32, usize)| base.wrapping_add(row * stride);
            let g = g.wrapping_add(r * STRIP);
            Place { w: at(values), g, first: at(first), second: at(second) }
        })
    }

    /// Adds a chunk of examples to the gradient of a panel, `[4, STRIP]` at `g`.
    #[inline(always)]
    fn sum<S: Simd>(&self, s: S, index: usize, chunk: usize, j: usize, cols: usize, g: *mut f32) {
        let (first, list, values) = self.x.entries(index, chunk);
        let b_row = self.dz.row_stride();
        let b = self.dz.ptr().wrapping_add(first * b_row + j);
        let tile = over(list, values, b, b_row, g, STRIP, cols, Finish::Store);
        // SAFETY: the panels' columns are rows of `dz`; `g` has room for four rows.
        unsafe { tile::run(s, PANEL, Tile { continues: chunk > 0, ..tile }) };
    }

    #[inline(always)]
    fn step<S: Simd>(
        &mut self,
        s: S,
        index: usize,
        j: usize,
        cols: usize,
        g: *const f32,
        rule: &impl Rule<S>,
    ) {
        for place in self.places(index, j, g) {
            // SAFETY: `update` has checked the shapes of weights and state; the gradient is there.
            unsafe { update_row(s, cols, place, rule) };
        }
    }
}

#[repr(align(64))]
struct Gradient([f32; PANEL * STRIP]);

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
