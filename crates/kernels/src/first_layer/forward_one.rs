//! The forward product of a single example.

use super::forward::Outputs;
use super::{strips, widest};
use crate::gemm::step::load_row;
use crate::panels::{One, Values};
use crate::simd::{Kernel, Simd, store_part};
use crate::view::MatRef;
use crate::{Activation, Isa};

/// `out = activation(x W + bias)` for one example.
///
/// `weights` is `[k, n]`, row-major, for the k features of `x` in their order; `bias` and `out` are
/// `[n]`. Each output is one chain of multiply-adds in the order of the features, as in
/// [`forward`](super::forward()), and has its bits.
///
/// # Panics
/// If the shapes disagree.
pub fn forward_one(
    isa: Isa,
    x: &One,
    weights: MatRef<'_>,
    bias: &[f32],
    activation: Activation,
    out: &mut [f32],
) {
    let n = weights.cols();
    assert_eq!(weights.rows(), x.features(), "weights {weights:?} for {} features", x.features());
    assert!(weights.col_stride() == 1 || n <= 1, "weights by rows: {weights:?}");
    assert_eq!((bias.len(), out.len()), (n, n), "biases and outputs of {n} units");
    isa.run(Forward { x, weights, bias, activation, out });
}

struct Forward<'a> {
    x: &'a One,
    weights: MatRef<'a>,
    bias: &'a [f32],
    activation: Activation,
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, weights, bias, activation, out } = self;
        for (at, cols) in strips::<S>(weights.cols(), widest(S::REGISTERS, 1)) {
            let weights = weights.col_range(at..at + cols);
            let sums = &mut out[at..at + cols];
            macro_rules! strip {
                ($($vectors:literal)*) => {
                    match (cols.div_ceil(S::LANES), cols.is_multiple_of(S::LANES)) {
                        $(
                            ($vectors, true) => {
                                s.call(Strip::<$vectors, false> { x, weights, sums });
                            }
                            ($vectors, false) => {
                                s.call(Strip::<$vectors, true> { x, weights, sums });
                            }
                        )*
                        _ => unreachable!("a strip of {cols} columns"),
                    }
                };
            }
            match S::REGISTERS {
                32 => strip! { 1 2 3 4 5 6 7 8 },
                16 => strip! { 1 2 3 4 5 6 },
                _ => strip! { 1 2 3 },
            }
        }
        let out = out.as_mut_ptr();
        s.call(Outputs { sums: out, stride: 0, rows: 1, bias, activation, out, out_row: 0 });
    }
}

/// The sums of a strip of `NV` vectors of columns; `MASKED` if the last vector is partial.
struct Strip<'a, const NV: usize, const MASKED: bool> {
    x: &'a One,
    /// The columns of the strip.
    weights: MatRef<'a>,
    sums: &'a mut [f32],
}

impl<const NV: usize, const MASKED: bool> Kernel for Strip<'_, NV, MASKED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, weights, sums } = self;
        let mask = s.first(sums.len() - (NV - 1) * S::LANES);
        let (w, w_row) = (weights.ptr(), weights.row_stride());
        let mut acc = [s.splat(0.0); NV];
        // SAFETY: the weights have a row for each feature, of which a strip lies in the view, and there
        // are as many sums.
        unsafe {
            match x.values() {
                Values::Bytes(words, table) => {
                    for (feature, word) in x.list().iter().zip(words) {
                        let row = w.add(*feature as usize * w_row);
                        add::<S, NV, MASKED>(s, &mut acc, table[*word as usize & 0xff], row, mask);
                    }
                }
                Values::Floats(floats) => {
                    for (feature, x) in x.list().iter().zip(floats) {
                        let row = w.add(*feature as usize * w_row);
                        add::<S, NV, MASKED>(s, &mut acc, *x, row, mask);
                    }
                }
            }
            for (v, acc) in acc.iter().enumerate() {
                let sums = sums.as_mut_ptr().add(v * S::LANES);
                if v + 1 == NV {
                    store_part::<S, MASKED>(s, sums, *acc, mask);
                } else {
                    s.store(sums, *acc);
                }
            }
        }
    }
}

/// Adds a feature times its weights.
///
/// # Safety
/// `row` is valid for `NV` vectors, of the last one for the mask's lanes.
#[inline(always)]
unsafe fn add<S: Simd, const NV: usize, const MASKED: bool>(
    s: S,
    sums: &mut [S::F; NV],
    x: f32,
    row: *const f32,
    mask: S::M,
) {
    // SAFETY: the caller's.
    let row = unsafe { load_row::<S, NV, MASKED>(s, row, mask) };
    let x = s.splat(x);
    for (sum, w) in sums.iter_mut().zip(row) {
        *sum = s.fma(x, w, *sum);
    }
}
