//! Products with everything that any epilogue needs, and what they should come to.

use kernels::gemm::{self, Epilogue, PackedB, Plan, Right, Start};
use kernels::{Activation, Isa, MatRef, reference};

use super::matrix::{Layout, Matrix, Output};
use super::{EPS, Guarded, Random, assert_near};

/// The operands of `[m, k] x [k, n]`.
pub struct Case {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Matrix,
    pub b: Matrix,
    /// What is in C.
    pub c: Matrix,
    pub bias: Matrix,
    /// Outputs of an activation.
    pub outputs: Matrix,
}

/// An epilogue without its operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Store,
    Bias,
    BiasActivation(Activation),
    Gradient(Activation),
}

impl Kind {
    pub fn all() -> Vec<Self> {
        let activations = Activation::ALL.into_iter();
        let forward = activations.clone().map(Self::BiasActivation);
        let backward = activations.map(Self::Gradient);
        [Self::Store, Self::Bias].into_iter().chain(forward).chain(backward).collect()
    }

    pub fn epilogue<'a>(self, bias: &'a [f32], outputs: MatRef<'a>) -> Epilogue<'a> {
        match self {
            Self::Store => Epilogue::Store,
            Self::Bias => Epilogue::Bias(bias),
            Self::BiasActivation(activation) => Epilogue::BiasActivation(bias, activation),
            Self::Gradient(activation) => Epilogue::ActivationGradient(outputs, activation),
        }
    }
}

pub const STARTS: [Start; 2] = [Start::Zero, Start::FromC];

impl Case {
    pub fn random(random: &mut Random, [m, n, k]: [usize; 3]) -> Self {
        let mut outputs = Matrix::random(random, m, n);
        // Some are exactly zero, where a relu was off.
        outputs.values.iter_mut().step_by(3).for_each(|y| *y = 0.0);
        Self {
            m,
            n,
            k,
            a: Matrix::random(random, m, k),
            b: Matrix::random(random, k, n),
            c: Matrix::random(random, m, n),
            bias: Matrix::random(random, 1, n),
            outputs,
        }
    }

    /// Whole numbers whose sums are exact for `k` below 180,000.
    pub fn whole(random: &mut Random, [m, n, k]: [usize; 3]) -> Self {
        Self {
            m,
            n,
            k,
            a: Matrix::whole(random, m, k, 9),
            b: Matrix::whole(random, k, n, 9),
            c: Matrix::whole(random, m, n, 99),
            bias: Matrix::whole(random, 1, n, 99),
            outputs: Matrix::whole(random, m, n, 1),
        }
    }

    /// Runs the product on operands in these layouts; C starts as NaN unless it is read.
    pub fn run(&self, isa: Isa, layouts: [Layout; 2], start: Start, kind: Kind) -> Vec<f32> {
        self.run_as(layouts, start, kind, |a, b| {
            let (a_by_rows, b_by_rows) = (a.col_stride() == 1, b.col_stride() == 1);
            Plan::new(isa, self.m, self.n, self.k, a_by_rows, b_by_rows)
        })
    }

    /// As a plan says that is made for the operands.
    pub fn run_as(
        &self,
        layouts: [Layout; 2],
        start: Start,
        kind: Kind,
        plan: impl Fn(MatRef<'_>, MatRef<'_>) -> Plan,
    ) -> Vec<f32> {
        let b = self.b.stored(layouts[1]);
        let what = format!("{layouts:?}");
        self.run_on(layouts[0], b.view().into(), start, kind, |a| plan(a, b.view()), &what)
    }

    /// With B in panels, packed from this layout in place of another matrix, as a plan says that is made for it.
    pub fn run_packed(
        &self,
        isa: Isa,
        layouts: [Layout; 2],
        start: Start,
        kind: Kind,
        plan: impl Fn(MatRef<'_>, &PackedB) -> Plan,
    ) -> Vec<f32> {
        let ones = vec![1.0; self.k * self.n];
        let mut packed = PackedB::new(isa, MatRef::new(&ones, self.k, self.n));
        packed.pack(self.b.stored(layouts[1]).view());
        let what = format!("{layouts:?}, packed");
        let plan = |a: MatRef<'_>| plan(a, &packed);
        self.run_on(layouts[0], Right::from(&packed), start, kind, plan, &what)
    }

    fn run_on(
        &self,
        layout: Layout,
        b: Right<'_>,
        start: Start,
        kind: Kind,
        plan: impl Fn(MatRef<'_>) -> Plan,
        layouts: &str,
    ) -> Vec<f32> {
        let a = self.a.stored(layout);
        let gap = (self.m + self.n) % 5;
        let outputs = self.outputs.stored(Layout::Rows(gap % 3));
        let mut c = match start {
            Start::Zero => Output::nan(self.m, self.n, gap),
            Start::FromC => Output::holding(&self.c, gap),
        };
        let plan = plan(a.view());
        // NaN in the scratch memory too, and nothing written around it.
        let mut scratch = Guarded::nan(plan.scratch(), gap);
        let epilogue = kind.epilogue(&self.bias.values, outputs.view());
        gemm::run(plan.isa, &plan, a.view(), b, c.view(), start, epilogue, scratch.get());
        let what = format!("{self} {layouts} {start:?} {kind:?}");
        scratch.done(&what);
        c.done(&what)
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {}] x [{}, {}]", self.m, self.k, self.k, self.n)
    }
}

/// `A B` in `f64`, and how far a chain of `k` multiply-adds may be from it.
pub struct Twin<'a> {
    case: &'a Case,
    sums: Vec<f64>,
    magnitudes: Vec<f64>,
}

impl<'a> Twin<'a> {
    pub fn new(case: &'a Case) -> Self {
        let (m, n, k) = (case.m, case.n, case.k);
        let sums = reference::gemm(m, n, k, case.a.twin(), case.b.twin());
        let magnitudes = reference::gemm_of_magnitudes(m, n, k, case.a.twin(), case.b.twin());
        Self { case, sums, magnitudes }
    }

    /// The value of an element and its bound.
    ///
    /// Each of `k` steps rounds once (twice without fused multiply-adds, where only the first sum
    /// is exact): to first order `(k + 1) eps (|C| + |A| |B|)`; 1.01 covers the higher orders.
    /// What follows adds its own roundings; no activation is steeper than 1.
    fn element(&self, i: usize, j: usize, start: Start, kind: Kind) -> (f64, f64) {
        let at = i * self.case.n + j;
        let before = match start {
            Start::Zero => 0.0,
            Start::FromC => f64::from(self.case.c.values[at]),
        };
        let sum = before + self.sums[at];
        let steps = (self.case.k + 1) as f64;
        let bound = 1.01 * steps * EPS * (before.abs() + self.magnitudes[at]);
        let biased = sum + f64::from(self.case.bias.values[j]);
        let bound_biased = bound + 1.01 * EPS * (biased.abs() + bound);
        match kind {
            Kind::Store => (sum, bound),
            Kind::Bias => (biased, bound_biased),
            Kind::BiasActivation(activation) => {
                let y = reference::activation(activation, biased);
                let exact = matches!(activation, Activation::Linear | Activation::Relu);
                let own = if exact { 0.0 } else { 5.0 * EPS * (1.0 + y.abs()) };
                (y, bound_biased + own)
            }
            Kind::Gradient(activation) => {
                let y = f64::from(self.case.outputs.values[at]);
                let slope = reference::activation_gradient(activation, y);
                let exact = matches!(activation, Activation::Linear | Activation::Relu);
                let own = if exact { 0.0 } else { 3.0 * EPS * (1.0 + y * y) };
                (sum * slope, bound * slope.abs() + own * (sum.abs() + bound))
            }
        }
    }

    /// All elements with their bounds, row by row.
    pub fn expected(&self, start: Start, kind: Kind) -> Vec<(f64, f64)> {
        let (m, n) = (self.case.m, self.case.n);
        (0..m * n).map(|at| self.element(at / n, at % n, start, kind)).collect()
    }
}

/// Each element within its bound.
#[track_caller]
pub fn assert_all_near(got: &[f32], expected: &[(f64, f64)], what: impl Fn() -> String) {
    assert_eq!(got.len(), expected.len(), "{}", what());
    for (at, (x, (value, bound))) in got.iter().zip(expected).enumerate() {
        let near = (f64::from(*x) - value).abs() <= *bound;
        if !near {
            assert_near(*x, *value, *bound, &format!("{}, element {at}", what()));
        }
    }
}
