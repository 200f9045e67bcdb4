//! `C = epilogue(A B)` over strided views.
//!
//! Reading order: [`Plan`] decides once a shape; [`Gemm`] owns the plan and its scratch memory and
//! runs it; `tile` is the hot loop; `pack` copies blocks for it.
//!
//! ```text
//! for each block of n columns:
//!   for each block of k:                     (pack B if planned; C is summed across blocks of k)
//!     for each block of m rows:              (pack A if planned)
//!       for each strip of columns:           (a strip of B stays in the first-level cache)
//!         for each tile of rows: microkernel (the last block of k applies the epilogue)
//! ```

mod pack;
mod plan;
pub(crate) mod tile;

pub use plan::{Plan, share};

use crate::Isa;
use crate::activation::Activation;
use crate::aligned::Aligned;
use crate::simd::{Kernel, Simd, for_each_vector};
use crate::view::{MatMut, MatRef};
use tile::{Finish, Tile};

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
#[derive(Clone, Debug)]
pub struct Gemm {
    isa: Isa,
    plan: Plan,
    scratch: Aligned,
}

impl Gemm {
    /// Plans `[m, k] x [k, n]`; `a_by_rows` and `b_by_rows` say whether rows lie contiguous.
    pub fn new(isa: Isa, m: usize, n: usize, k: usize, a_by_rows: bool, b_by_rows: bool) -> Self {
        let plan = Plan::new(isa, m, n, k, a_by_rows, b_by_rows);
        let scratch = Aligned::zeros(plan.scratch());
        Self { isa, plan, scratch }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Computes `C = epilogue(A B)`.
    ///
    /// # Panics
    /// If the shapes are not the planned ones, or an operand of the epilogue has another shape.
    pub fn run(&mut self, a: MatRef<'_>, b: MatRef<'_>, c: MatMut<'_>, epilogue: Epilogue<'_>) {
        run(self.isa, &self.plan, a, b, c, Start::Zero, epilogue, &mut self.scratch);
    }
}

/// Products of shapes that come again and again: each is planned when it is first seen, and all
/// share one scratch memory. Once every shape has been seen, nothing is allocated.
#[derive(Clone, Debug)]
pub struct Products {
    isa: Isa,
    plans: Vec<(bool, bool, Plan)>,
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
    /// If the shapes disagree.
    pub fn run(
        &mut self,
        a: MatRef<'_>,
        b: MatRef<'_>,
        c: MatMut<'_>,
        start: Start,
        epilogue: Epilogue<'_>,
    ) {
        let (m, n, k) = (a.rows(), b.cols(), a.cols());
        let layout = (a.col_stride() == 1, b.col_stride() == 1 || n <= 1);
        let known = self.plans.iter().position(|(by_rows_a, by_rows_b, plan)| {
            (*by_rows_a, *by_rows_b) == layout && (plan.m, plan.n, plan.k) == (m, n, k)
        });
        let index = known.unwrap_or_else(|| {
            let plan = Plan::new(self.isa, m, n, k, layout.0, layout.1);
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
/// If the shapes are not the planned ones, an operand of the epilogue has another shape, or
/// `scratch` is shorter than [`Plan::scratch`].
pub fn run(
    isa: Isa,
    plan: &Plan,
    a: MatRef<'_>,
    b: MatRef<'_>,
    c: MatMut<'_>,
    start: Start,
    epilogue: Epilogue<'_>,
    scratch: &mut [f32],
) {
    let Plan { m, n, k, .. } = *plan;
    assert!((a.rows(), a.cols()) == (m, k), "A is {a:?}; planned [{m}, {k}]");
    assert!((b.rows(), b.cols()) == (k, n), "B is {b:?}; planned [{k}, {n}]");
    assert!((c.rows(), c.cols()) == (m, n), "C is {c:?}; planned [{m}, {n}]");
    assert!(plan.pack_b || b.col_stride() == 1 || n <= 1, "planned for contiguous rows: {b:?}");
    assert!(scratch.len() >= plan.scratch(), "scratch of {}: {}", plan.scratch(), scratch.len());
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
    if m > 0 && n > 0 {
        isa.run(Product { plan, a, b, c, start, epilogue, scratch });
    }
}

struct Product<'a, 'b> {
    plan: &'a Plan,
    a: MatRef<'b>,
    b: MatRef<'b>,
    c: MatMut<'b>,
    start: Start,
    epilogue: Epilogue<'b>,
    scratch: &'a mut [f32],
}

/// One block of the three outer loops.
#[derive(Clone, Copy)]
struct Block {
    m: (usize, usize),
    n: (usize, usize),
    k: (usize, usize),
}

impl Kernel for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let Plan { m, n, k, k_block, m_block, n_block, .. } = *self.plan;
        let (scratch_a, scratch_b) = self.scratch.split_at_mut(self.plan.scratch_a());
        let (packed_a, packed_b) = (scratch_a.as_mut_ptr(), scratch_b.as_mut_ptr());
        let mut n0 = 0;
        while n0 < n {
            let n1 = (n0 + n_block).min(n);
            let mut k0 = 0;
            loop {
                let k1 = (k0 + k_block).min(k);
                if self.plan.pack_b {
                    let block = self.b.row_range(k0..k1).col_range(n0..n1);
                    // SAFETY: `scratch_b` counts a whole block.
                    unsafe { pack::pack_panels(block, self.plan.tile_cols, packed_b) };
                }
                let mut m0 = 0;
                while m0 < m {
                    let m1 = (m0 + m_block).min(m);
                    if self.plan.pack_a {
                        let block = self.a.row_range(m0..m1).col_range(k0..k1);
                        // SAFETY: `scratch_a` counts a whole block.
                        unsafe { pack::pack_a(block, self.plan.tile_rows, packed_a) };
                    }
                    let block = Block { m: (m0, m1), n: (n0, n1), k: (k0, k1) };
                    self.block(s, block, packed_a, packed_b);
                    m0 = m1;
                }
                k0 = k1;
                if k0 >= k {
                    break;
                }
            }
            n0 = n1;
        }
    }
}

impl Product<'_, '_> {
    /// The two inner loops: strips of columns, tiles of rows.
    #[inline(always)]
    fn block<S: Simd>(&mut self, s: S, at: Block, packed_a: *const f32, packed_b: *const f32) {
        let plan = self.plan;
        let (m0, m1) = at.m;
        let k = at.k.1 - at.k.0;
        let last = at.k.1 == plan.k;
        let continues = at.k.0 > 0 || self.start == Start::FromC;
        // Tiles of nearly equal height: an edge of one row would run at an eighth of the rate.
        let tiles = (m1 - m0).div_ceil(plan.tile_rows);
        let mut j = at.n.0;
        while j < at.n.1 {
            let panel = j - (j - at.n.0) % plan.tile_cols;
            let strip = (panel + plan.tile_cols).min(at.n.1);
            let vectors = tile::widest(S::REGISTERS, (strip - j).div_ceil(S::LANES));
            let cols = (strip - j).min(vectors * S::LANES);
            for index in 0..tiles {
                let (i, rows) = if plan.pack_a {
                    let i = m0 + index * plan.tile_rows;
                    (i, plan.tile_rows.min(m1 - i))
                } else {
                    let i = m0 + (m1 - m0) * index / tiles;
                    (i, m0 + (m1 - m0) * (index + 1) / tiles - i)
                };
                let (a, a_row, a_k) = if plan.pack_a {
                    (packed_a.wrapping_add((i - m0) * k), 1, plan.tile_rows)
                } else {
                    let offset = i * self.a.row_stride() + at.k.0 * self.a.col_stride();
                    (self.a.ptr().wrapping_add(offset), self.a.row_stride(), self.a.col_stride())
                };
                let (b, b_row) = if plan.pack_b {
                    let offset = (panel - at.n.0) * k + (j - panel);
                    (packed_b.wrapping_add(offset), plan.tile_cols)
                } else {
                    let offset = at.k.0 * self.b.row_stride() + j;
                    (self.b.ptr().wrapping_add(offset), self.b.row_stride())
                };
                let c_row = self.c.row_stride();
                let c = self.c.ptr().wrapping_add(i * c_row + j);
                let finish = if last { self.finish(i, j) } else { Finish::Store };
                let list = std::ptr::null();
                let tile =
                    Tile { k, a, a_row, a_k, b, b_row, list, c, c_row, cols, continues, finish };
                // SAFETY: the tile lies in the checked views, or in packed blocks that cover it.
                unsafe { tile::run(s, rows, tile) };
                if last {
                    self.activate(s, i, rows, j, cols);
                }
            }
            j += cols;
        }
    }

    /// The part of the epilogue that the tile applies to its registers at row `i`, column `j`.
    #[inline(always)]
    fn finish(&self, i: usize, j: usize) -> Finish {
        match self.epilogue {
            Epilogue::Store => Finish::Store,
            Epilogue::BiasActivation(bias, Activation::Relu) => {
                Finish::BiasRelu(bias.as_ptr().wrapping_add(j))
            }
            Epilogue::Bias(bias) | Epilogue::BiasActivation(bias, _) => {
                Finish::Bias(bias.as_ptr().wrapping_add(j))
            }
            Epilogue::ActivationGradient(h, Activation::Relu) => {
                Finish::ReluGradient(h.ptr().wrapping_add(i * h.row_stride() + j), h.row_stride())
            }
            Epilogue::ActivationGradient(..) => Finish::Store,
        }
    }

    /// The part that is too long to be unrolled into every tile: activations made of an
    /// exponential, over the tile's rows while they are in the first-level cache.
    #[inline(always)]
    fn activate<S: Simd>(&mut self, s: S, i: usize, rows: usize, j: usize, cols: usize) {
        let activation = match self.epilogue {
            Epilogue::BiasActivation(_, activation)
            | Epilogue::ActivationGradient(_, activation) => activation,
            _ => return,
        };
        if matches!(activation, Activation::Relu | Activation::Linear) {
            return;
        }
        for r in i..i + rows {
            let row = self.c.ptr().wrapping_add(r * self.c.row_stride() + j);
            let output = match self.epilogue {
                Epilogue::ActivationGradient(h, _) => {
                    Some(h.ptr().wrapping_add(r * h.row_stride() + j))
                }
                _ => None,
            };
            for_each_vector(s, cols, |offset, mask| {
                // SAFETY: within the tile's columns of row `r` of C, and of H of the same shape.
                unsafe {
                    let p = row.add(offset);
                    let load = |p| match mask {
                        None => s.load(p),
                        Some(mask) => s.load_masked(p, mask),
                    };
                    let x = load(p.cast_const());
                    let y = match output {
                        None => activation.forward_vector(s, x),
                        Some(h) => activation.backward_vector(s, load(h.add(offset)), x),
                    };
                    match mask {
                        None => s.store(p, y),
                        Some(mask) => s.store_masked(p, y, mask),
                    }
                }
            });
        }
    }
}
