//! The way back through a narrow layer, such as the ten units of an output layer.
//!
//! Its weights' gradient and the gradient below it both run over the outputs of the layer below: as two
//! products they read them twice, each with little to do for what it reads. Here they are read once:
//!
//! ```text
//! for each vector of columns:
//!   w, sums                                              a vector each for every unit, in registers
//!   for each example:
//!     h = outputs[example]
//!     for each unit:  sums[unit] += above[example][unit] h;  dz += above[example][unit] w[unit]
//!     below[example] = dz activation'(h);  biases += below[example]
//! ```
//!
//! Each output is one chain of multiply-adds, over the units or over the examples in their order: the
//! bits of the products.

use crate::gemm::Start;
use crate::simd::{Kernel, Simd, load_part, store_part};
use crate::view::{MatMut, MatRef};
use crate::{Activation, Isa};

/// Units of the widest layer that is narrow: two vectors for each, and four or five besides, fit the
/// registers of AVX-512 and of AVX2. (Ten units on AVX2, in two groups with the gradient below through
/// memory between them: W2 took 1.02 of the products' time.)
pub fn widest(isa: Isa) -> usize {
    isa.run(Widest)
}

struct Widest;

impl Kernel for Widest {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        if S::REGISTERS == 32 { 12 } else { 5 }
    }
}

/// A narrow layer of n units above one of m, and what came of some examples.
#[derive(Clone, Copy, Debug)]
pub struct Narrow<'a> {
    /// Gradient with respect to the narrow layer's sums, `[examples, n]`, row-major.
    pub above: MatRef<'a>,
    /// Its weights' transpose, `[n, m]`, row-major.
    pub weights: MatRef<'a>,
    /// Outputs of the layer below, `[examples, m]`, row-major.
    pub outputs: MatRef<'a>,
    /// Activation of the layer below.
    pub activation: Activation,
}

/// Where the gradients go.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// With respect to the sums of the layer below, `[examples, m]`: `(above weights) activation'`.
    pub below: MatMut<'a>,
    /// With respect to the narrow layer's weights, transposed, `[n, m]`: `above^T outputs`.
    pub weights: MatMut<'a>,
    /// With respect to the biases of the layer below, `[m]`: the sum of `below` over the examples.
    pub biases: &'a mut [f32],
}

/// Computes the gradients. Those of weights and biases are sums over the examples, which `start` from
/// zero or go on from what is there.
///
/// # Panics
/// If the shapes disagree, a matrix is not row-major, or the layer is wider than [`widest`].
pub fn backward(isa: Isa, narrow: Narrow<'_>, start: Start, gradients: Gradients<'_>) {
    let Narrow { above, weights, outputs, .. } = narrow;
    let (examples, n, m) = (above.rows(), above.cols(), outputs.cols());
    let by_rows = |x: MatRef<'_>| x.col_stride() == 1 || x.cols() <= 1;
    assert!(by_rows(above) && by_rows(weights) && by_rows(outputs), "matrices by rows: {narrow:?}");
    assert!(n <= widest(isa), "a narrow layer of {n} units");
    assert_eq!((weights.rows(), weights.cols()), (n, m), "weights of {n} units over {m}");
    assert_eq!(outputs.rows(), examples, "outputs of {examples} examples");
    let Gradients { below, weights, biases } = &gradients;
    assert_eq!((below.rows(), below.cols()), (examples, m), "gradient below");
    assert_eq!((weights.rows(), weights.cols()), (n, m), "gradient of the weights");
    assert_eq!(biases.len(), m, "gradient of the biases");
    isa.run(Backward { narrow, start, gradients });
}

struct Backward<'a> {
    narrow: Narrow<'a>,
    start: Start,
    gradients: Gradients<'a>,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { narrow, start, mut gradients } = self;
        let (units, cols) = (narrow.above.cols(), narrow.outputs.cols());
        for at in (0..cols).step_by(S::LANES) {
            let here = S::LANES.min(cols - at);
            let (narrow, gradients) = (&narrow, &mut gradients);
            macro_rules! columns {
                ($($units:literal)*) => {
                    match (units, here == S::LANES) {
                        $(
                            ($units, true) => {
                                s.call(Columns::<$units, false> { narrow, start, gradients, at });
                            }
                            ($units, false) => {
                                s.call(Columns::<$units, true> { narrow, start, gradients, at });
                            }
                        )*
                        _ => unreachable!("{units} units"),
                    }
                };
            }
            match S::REGISTERS {
                32 => columns! { 0 1 2 3 4 5 6 7 8 9 10 11 12 },
                _ => columns! { 0 1 2 3 4 5 },
            }
        }
    }
}

/// The vector of columns from `at` on, of a layer of `U` units; `MASKED` if it is partial.
struct Columns<'a, 'b, const U: usize, const MASKED: bool> {
    narrow: &'b Narrow<'a>,
    start: Start,
    gradients: &'b mut Gradients<'a>,
    at: usize,
}

impl<const U: usize, const MASKED: bool> Kernel for Columns<'_, '_, U, MASKED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // A loop of its own for the usual activation, without a branch in it.
        match self.narrow.activation {
            Activation::Relu => self.rows(s, Activation::Relu),
            other => self.rows(s, other),
        }
    }
}

impl<const U: usize, const MASKED: bool> Columns<'_, '_, U, MASKED> {
    #[inline(always)]
    fn rows<S: Simd>(self, s: S, activation: Activation) {
        let Self { narrow, start, gradients, at } = self;
        let Narrow { above, weights, outputs, .. } = *narrow;
        let (above_row, outputs_row) = (above.row_stride(), outputs.row_stride());
        let (weights_row, sums_row) = (weights.row_stride(), gradients.weights.row_stride());
        let below_row = gradients.below.row_stride();
        let mask = s.first(outputs.cols() - at);
        let zero = s.splat(0.0);
        // SAFETY: `backward` has checked the shapes: the units are rows of weights and sums and columns of
        // `above`, and the vector's columns, or the mask's lanes of it, lie in the others.
        unsafe {
            let w = weights.ptr().wrapping_add(at);
            let w: [S::F; U] = load_column::<S, U, MASKED>(s, w, weights_row, mask);
            let to = gradients.weights.ptr().wrapping_add(at);
            let biases = gradients.biases.as_mut_ptr().add(at);
            let (mut sums, mut bias) = ([zero; U], zero);
            if start == Start::FromC {
                sums = load_column::<S, U, MASKED>(s, to, sums_row, mask);
                bias = load_part::<S, MASKED>(s, biases, mask);
            }
            let (mut g, mut h) = (above.ptr(), outputs.ptr().wrapping_add(at));
            let mut below = gradients.below.ptr().wrapping_add(at);
            for _ in 0..above.rows() {
                // The next vector of columns, whose lines lie a row apart: nobody else sends for them.
                s.prefetch_far(h.wrapping_add(S::LANES).cast());
                let y = load_part::<S, MASKED>(s, h, mask);
                let mut dz = zero;
                for u in 0..U {
                    let g = s.splat(*g.add(u));
                    sums[u] = s.fma(g, y, sums[u]);
                    dz = s.fma(g, w[u], dz);
                }
                dz = activation.backward_vector(s, y, dz);
                bias = s.add(bias, dz);
                store_part::<S, MASKED>(s, below, dz, mask);
                g = g.wrapping_add(above_row);
                h = h.wrapping_add(outputs_row);
                below = below.wrapping_add(below_row);
            }
            for (u, sum) in sums.iter().enumerate() {
                store_part::<S, MASKED>(s, to.add(u * sums_row), *sum, mask);
            }
            store_part::<S, MASKED>(s, biases, bias, mask);
        }
    }
}

/// Loads a vector of each of `U` rows.
///
/// # Safety
/// Each is valid for it, or for the mask's lanes.
#[inline(always)]
unsafe fn load_column<S: Simd, const U: usize, const MASKED: bool>(
    s: S,
    p: *const f32,
    stride: usize,
    mask: S::M,
) -> [S::F; U] {
    let mut column = [s.splat(0.0); U];
    for (u, x) in column.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *x = unsafe { load_part::<S, MASKED>(s, p.add(u * stride), mask) };
    }
    column
}
