//! The matrix products of the reference workloads, and how a team of threads shares one.

use std::ops::Range;

use kernels::gemm::{Epilogue, Gemm, PackedB, Right, Team};
use kernels::{Activation, Aligned, Arena, Isa, MatMut, MatRef};

/// How the operands of `C = A B` lie in memory; C is always row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Both row-major: the forward product.
    Plain,
    /// A is the transpose of a row-major matrix: the weight gradient.
    TransposedA,
    /// B is the transpose of a row-major matrix: the gradient with respect to a layer's input.
    TransposedB,
    /// Both row-major, and B is copied to panels once, for all products with it: the forward product of weights
    /// that are kept so.
    PackedB,
}

/// A product `[m, k] x [k, n]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// What it is for.
    pub name: String,
    /// Rows of A and C.
    pub m: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Columns of B and C.
    pub n: usize,
    /// How A and B lie in memory.
    pub layout: Layout,
}

/// A reference workload: a network of one hidden layer, and how it is trained.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// `W1` or `W2`.
    pub name: &'static str,
    /// Examples a step.
    pub batch: usize,
    /// Features, hidden units, classes.
    pub widths: [usize; 3],
}

/// Fashion-MNIST with 128 hidden units and batches of 32; MNIST with 512 and 128.
pub const WORKLOADS: [Workload; 2] = [
    Workload { name: "W1", batch: 32, widths: [784, 128, 10] },
    Workload { name: "W2", batch: 128, widths: [784, 512, 10] },
];

impl Workload {
    /// The five products of a training step.
    pub fn products(&self) -> Vec<Product> {
        let Self { name, batch, widths: [inputs, hidden, classes] } = *self;
        let product = |what, (m, k, n), layout| {
            let name = format!("{name} {what}");
            Product { name, m, k, n, layout }
        };
        vec![
            product("forward 1", (batch, inputs, hidden), Layout::Plain),
            product("forward 2", (batch, hidden, classes), Layout::Plain),
            product("weight gradient 1", (inputs, batch, hidden), Layout::TransposedA),
            product("weight gradient 2", (hidden, batch, classes), Layout::TransposedA),
            product("input gradient 2", (batch, classes, hidden), Layout::TransposedB),
        ]
    }

    /// The forward products with the weights in panels.
    pub fn packed(&self) -> Vec<Product> {
        let forward = self.products().into_iter().filter(|product| product.layout == Layout::Plain);
        let packed = |product: Product| Product {
            name: format!("{}, packed", product.name),
            layout: Layout::PackedB,
            ..product
        };
        forward.map(packed).collect()
    }
}

impl Product {
    /// `32x784x128`, with a prime at a transposed operand's inner size: `784x32x128 A'`.
    pub fn shape(&self) -> String {
        let mark = match self.layout {
            Layout::Plain | Layout::PackedB => "",
            Layout::TransposedA => " A'",
            Layout::TransposedB => " B'",
        };
        format!("{}x{}x{}{mark}", self.m, self.k, self.n)
    }

    /// Floating-point operations: two a multiply-add.
    pub fn flops(&self) -> f64 {
        2.0 * (self.m * self.k * self.n) as f64
    }

    /// Row and column stride of A.
    pub fn a_strides(&self) -> (usize, usize) {
        if self.layout == Layout::TransposedA { (1, self.m) } else { (self.k, 1) }
    }

    /// Row and column stride of B.
    pub fn b_strides(&self) -> (usize, usize) {
        if self.layout == Layout::TransposedB { (1, self.k) } else { (self.n, 1) }
    }

    /// Rows and columns of C of each thread of a team of up to `threads`, as many as pay.
    pub fn shares(&self, isa: Isa, threads: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let team = Team::new(isa, self.m, self.n, self.k, threads);
        (0..team.threads).map(|index| team.share(index)).collect()
    }
}

/// A product with its matrices, filled with numbers between -1 and 1.
#[derive(Clone, Debug)]
pub struct Operands {
    /// The product.
    pub product: Product,
    /// A as it lies in memory.
    pub a: Aligned,
    /// B as it lies in memory.
    pub b: Aligned,
    /// C, row-major.
    pub c: Aligned,
    /// `[n]`
    pub bias: Aligned,
}

impl Operands {
    /// Allocates and fills the matrices; C with NaN.
    pub fn new(product: &Product) -> Self {
        let Product { m, k, n, .. } = *product;
        // As a model's lie in training: a large one on large pages.
        let arena = &mut Arena::for_bytes((m * k + k * n + m * n) * size_of::<f32>());
        let mut filled = |len, seed| {
            let mut numbers = arena.zeros(len);
            fill(&mut numbers, seed);
            numbers
        };
        let (a, b, bias) = (filled(m * k, 1), filled(k * n, 2), filled(n, 3));
        let mut c = arena.zeros(m * n);
        c.fill(f32::NAN);
        Self { product: product.clone(), a, b, c, bias }
    }

    /// A as a view.
    pub fn a(&self) -> MatRef<'_> {
        let (row, col) = self.product.a_strides();
        MatRef::with_strides(&self.a, self.product.m, self.product.k, row, col)
    }

    /// B as a view.
    pub fn b(&self) -> MatRef<'_> {
        let (row, col) = self.product.b_strides();
        MatRef::with_strides(&self.b, self.product.k, self.product.n, row, col)
    }

    /// The work of each thread of a team of up to `threads`, as many as pay: its share of C,
    /// planned once; with `activation`, bias and activation are applied as the epilogue.
    pub fn team(
        &mut self,
        isa: Isa,
        threads: usize,
        activation: Option<Activation>,
    ) -> Vec<impl FnMut() + Send> {
        let Self { product, a, b, c, bias } = self;
        let Product { m, k, n, .. } = *product;
        let (a_row, a_col) = product.a_strides();
        let (b_row, b_col) = product.b_strides();
        let a = MatRef::with_strides(a, m, k, a_row, a_col);
        let b = MatRef::with_strides(b, k, n, b_row, b_col);
        let mut rest = MatMut::new(c, m, n);
        let bias = &*bias;
        let mut team = Vec::new();
        for (rows, cols) in product.shares(isa, threads) {
            let (mut mine, others) = if cols.len() == n && rows.len() < m {
                rest.split_rows(rows.len())
            } else {
                rest.split_cols(cols.len())
            };
            rest = others;
            let (a, b) = (a.row_range(rows.clone()), b.col_range(cols.clone()));
            // The columns of the share: all of them, if it is of rows, which threads that work for long would share.
            let packed = (product.layout == Layout::PackedB).then(|| PackedB::new(isa, b));
            let mut gemm = match &packed {
                Some(b) => Gemm::packed(rows.len(), b, a_col == 1),
                None => Gemm::new(isa, rows.len(), cols.len(), k, a_col == 1, b_col == 1),
            };
            team.push(move || {
                let b = packed.as_ref().map_or(Right::Matrix(b), Right::Packed);
                let epilogue = match activation {
                    None => Epilogue::Store,
                    Some(f) => Epilogue::BiasActivation(&bias[cols.clone()], f),
                };
                gemm.run(a, b, mine.reborrow(), epilogue);
            });
        }
        team
    }
}

/// `len` numbers between -1 and 1, none of them 0, from a linear congruential generator.
pub fn random(len: usize, seed: u32) -> Aligned {
    let mut numbers = Aligned::zeros(len);
    fill(&mut numbers, seed);
    numbers
}

fn fill(numbers: &mut [f32], seed: u32) {
    let mut state = seed;
    for number in numbers.iter_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Odd multiples of 2^-23.
        *number = ((state >> 9) as i32 * 2 + 1 - (1 << 23)) as f32 / (1 << 23) as f32;
    }
}

#[cfg(test)]
mod tests {
    use kernels::reference::{Strided, gemm, gemm_of_magnitudes};

    use super::*;

    fn strided(data: &[f32], (row_stride, col_stride): (usize, usize)) -> Strided<'_> {
        Strided { data, offset: 0, row_stride, col_stride }
    }

    #[test]
    fn a_team_computes_the_product() {
        let isa = Isa::best();
        let products = WORKLOADS[0].products().into_iter().chain(WORKLOADS[0].packed());
        for product in products {
            for threads in [1, 3] {
                for activation in [None, Some(Activation::Relu)] {
                    let mut operands = Operands::new(&product);
                    operands.team(isa, threads, activation).iter_mut().for_each(|work| work());
                    let a = strided(&operands.a, product.a_strides());
                    let b = strided(&operands.b, product.b_strides());
                    let expected = gemm(product.m, product.n, product.k, a, b);
                    let magnitudes = gemm_of_magnitudes(product.m, product.n, product.k, a, b);
                    for (index, found) in operands.c.iter().enumerate() {
                        let (mut z, mut scale) = (expected[index], magnitudes[index]);
                        if activation.is_some() {
                            let bias = f64::from(operands.bias[index % product.n]);
                            (z, scale) = ((z + bias).max(0.0), scale + bias.abs());
                        }
                        let bound = 2.0 * product.k as f64 * f64::from(f32::EPSILON) * scale;
                        assert!((f64::from(*found) - z).abs() <= bound, "{product:?} at {index}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_operand_is_zero() {
        let numbers = random(100_000, 7);
        assert!(numbers.iter().all(|x| *x != 0.0 && x.abs() <= 1.0));
        assert!(numbers.iter().filter(|x| **x > 0.0).count().abs_diff(50_000) < 1_000);
    }
}
