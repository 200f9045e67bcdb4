//! `C = epilogue(A B)` over strided views.
//!
//! Reading order: [`Plan`] decides once a shape, by `rules`, with the tile that takes the fewest `cycles`;
//! [`Gemm`] owns the plan and its scratch memory and runs it; `product` holds the loops around the tiles,
//! `blocks` cuts what they go through; `tile` is the microkernel, `walk` its hot loop, `step` one k of it, and
//! `turned` another for few rows; `pack` copies blocks for it, `packed` all of B for many products, `ahead`
//! says what tiles do for later ones; `swapped` computes a narrow result through its transpose; [`Team`] cuts
//! a product for several threads.

mod ahead;
mod blocks;
mod cycles;
mod outer;
mod pack;
mod packed;
mod plan;
mod product;
mod rules;
pub(crate) mod step;
mod swapped;
mod team;
mod tile;
mod turned;
mod walk;

pub use packed::{PackedB, Right};
pub use plan::{PackB, Plan};
pub use team::{Team, share};

use crate::Isa;
use crate::activation::Activation;
use crate::aligned::Aligned;
use crate::view::{MatMut, MatRef};
use product::Product;
use rules::LayoutB;
use swapped::Swapped;

/// What is done to a finished sum on its way to C.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// `C = A B`
    Store,
    /// `C = A B + bias`, `bias` of length n.
    Bias(&'a [f32]),
    /// `C = activation(A B + bias)`.
    BiasActivation(&'a [f32], Activation),
    /// `C = (A B) * activation'(.)`, the derivative taken from the activation's output, `[m, n]`.
    ActivationGradient(MatRef<'a>, Activation),
}

/// Where each sum starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At zero; C is not read.
    Zero,
    /// At what is in C: the product continues one whose summation dimension is spread over
    /// several buffers, and each sum stays one chain of multiply-adds.
    FromC,
}

/// A planned product with the memory it needs: running it allocates nothing.
///
/// Large operands (1,024 squared and more) are multiplied 2 to 5 % faster where they lie on large pages, as those
/// of [`Arena::on_large_pages`](crate::Arena::on_large_pages) do.
#[derive(Clone, Debug)]
pub struct Gemm {
    plan: Plan,
    scratch: Aligned,
}

impl Gemm {
    /// Plans `[m, k] x [k, n]`; `a_by_rows` and `b_by_rows` say whether rows lie contiguous.
    pub fn new(isa: Isa, m: usize, n: usize, k: usize, a_by_rows: bool, b_by_rows: bool) -> Self {
        Self::of(Plan::new(isa, m, n, k, a_by_rows, b_by_rows))
    }

    /// Plans `[m, k] x B` for a B in panels.
    pub fn packed(m: usize, b: &PackedB, a_by_rows: bool) -> Self {
        Self::of(Plan::packed(m, b, a_by_rows))
    }

    fn of(plan: Plan) -> Self {
        let scratch = Aligned::zeros(plan.scratch());
        Self { plan, scratch }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Computes `C = epilogue(A B)`.
    ///
    /// # Panics
    /// If the shapes are not the planned ones, or an operand of the epilogue has another shape.
    pub fn run<'b>(
        &mut self,
        a: MatRef<'_>,
        b: impl Into<Right<'b>>,
        c: MatMut<'_>,
        epilogue: Epilogue<'_>,
    ) {
        run(self.plan.isa, &self.plan, a, b, c, Start::Zero, epilogue, &mut self.scratch);
    }
}

/// Products of shapes that come again and again: each is planned when it is first seen, and all
/// share one scratch memory. Once every shape has been seen, nothing is allocated.
#[derive(Clone, Debug)]
pub struct Products {
    isa: Isa,
    plans: Vec<(bool, LayoutB, Plan)>,
    scratch: Aligned,
}

impl Products {
    /// No product yet.
    pub fn new(isa: Isa) -> Self {
        Self { isa, plans: Vec::new(), scratch: Aligned::default() }
    }

    /// Computes `C = epilogue(start + A B)`.
    ///
    /// # Panics
    /// If the shapes disagree, or B is in panels for another instruction set.
    pub fn run<'b>(
        &mut self,
        a: MatRef<'_>,
        b: impl Into<Right<'b>>,
        c: MatMut<'_>,
        start: Start,
        epilogue: Epilogue<'_>,
    ) {
        let b = b.into();
        b.assert_for(self.isa);
        let (m, n, k) = (a.rows(), b.shape().1, a.cols());
        let layout = (a.col_stride() == 1, b.layout());
        let known = self
            .plans
            .iter()
            .position(|(a, b, plan)| (*a, *b) == layout && (plan.m, plan.n, plan.k) == (m, n, k));
        let index = known.unwrap_or_else(|| {
            let plan = Plan::of(self.isa, m, n, k, layout.0, layout.1);
            if plan.scratch() > self.scratch.len() {
                self.scratch = Aligned::zeros(plan.scratch());
            }
            self.plans.push((layout.0, layout.1, plan));
            self.plans.len() - 1
        });
        run(self.isa, &self.plans[index].2, a, b, c, start, epilogue, &mut self.scratch);
    }
}

/// `C = epilogue(A B)` once: plans, allocates what the plan asks for, runs. The naive twin is
/// [`reference::gemm`](crate::reference::gemm).
///
/// # Panics
/// If the shapes disagree.
pub fn gemm(isa: Isa, a: MatRef<'_>, b: MatRef<'_>, c: MatMut<'_>, epilogue: Epilogue<'_>) {
    let (a_by_rows, b_by_rows) = (a.col_stride() == 1, b.col_stride() == 1);
    Gemm::new(isa, a.rows(), b.cols(), a.cols(), a_by_rows, b_by_rows).run(a, b, c, epilogue);
}

/// Computes `C = epilogue(start + A B)` with a plan and scratch memory of the caller's.
///
/// # Panics
/// If the shapes or the instruction set are not the planned ones, an operand of the epilogue has
/// another shape, `scratch` is shorter than [`Plan::scratch`], B does not lie as planned, or
/// the fields of a plan, where they have been changed, do not fit each other: blocks that are empty, tiles of a
/// size that there is not, or such as [`PackB`] has no way for.
pub fn run<'b>(
    isa: Isa,
    plan: &Plan,
    a: MatRef<'_>,
    b: impl Into<Right<'b>>,
    c: MatMut<'_>,
    start: Start,
    epilogue: Epilogue<'_>,
    scratch: &mut [f32],
) {
    run_right(isa, plan, a, b.into(), c, start, epilogue, scratch);
}

/// As [`run`] says: compiled once, for whatever becomes a [`Right`].
fn run_right(
    isa: Isa,
    plan: &Plan,
    a: MatRef<'_>,
    right: Right<'_>,
    c: MatMut<'_>,
    start: Start,
    epilogue: Epilogue<'_>,
    scratch: &mut [f32],
) {
    // A swapped product reads columns of A: where they are not contiguous, it is computed as it stands.
    let not_swapped;
    let plan = if plan.swap && a.row_stride() != 1 {
        not_swapped = plan.not_swapped();
        &not_swapped
    } else {
        plan
    };
    let Plan { m, n, k, .. } = *plan;
    assert!(plan.isa == isa, "a plan for {} on {isa}", plan.isa);
    assert!((a.rows(), a.cols()) == (m, k), "A is {a:?}; planned [{m}, {k}]");
    assert!(right.shape() == (k, n), "B is {right:?}; planned [{k}, {n}]");
    assert!((c.rows(), c.cols()) == (m, n), "C is {c:?}; planned [{m}, {n}]");
    right.assert_for(isa);
    let as_planned = match right {
        Right::Packed(b) => (PackB::Packed, b.width()) == (plan.pack_b, plan.tile_cols),
        Right::Matrix(_) => plan.pack_b != PackB::Packed,
    };
    assert!(as_planned, "planned {:?} in {} columns: {right:?}", plan.pack_b, plan.tile_cols);
    let any = !matches!(plan.pack_b, PackB::InPlace | PackB::FirstTile | PackB::Ahead) || plan.swap;
    let by_rows = right.layout() != LayoutB::ByColumns;
    assert!(any || by_rows, "planned for contiguous rows: {right:?}");
    let b = right.first();
    assert!(scratch.len() >= plan.scratch(), "scratch of {}: {}", plan.scratch(), scratch.len());
    plan.assert_consistent();
    match epilogue {
        Epilogue::Bias(bias) | Epilogue::BiasActivation(bias, _) => {
            assert_eq!(bias.len(), n, "biases for {n} columns");
        }
        Epilogue::ActivationGradient(h, _) => {
            assert!((h.rows(), h.cols()) == (m, n), "outputs {h:?} for a gradient [{m}, {n}]");
            assert!(h.col_stride() == 1 || n <= 1, "outputs by rows: {h:?}");
        }
        Epilogue::Store => {}
    }
    if m == 0 || n == 0 {
        return;
    }
    if plan.swap {
        isa.run(Swapped { plan, a, b, c, start, epilogue, scratch });
    } else {
        isa.run(Product { plan, a, b, c, start, epilogue, scratch });
    }
}
