//! The forward product over panels of features: training's.
//!
//! ```text
//! for each strip of up to 96 columns, for each chunk of examples:
//!   sums = 0                                             [examples, strip], in memory
//!   for each panel of four features:
//!     weights of the panel and strip                     4 rows x 6 vectors, in registers
//!     for each example k listed: sums[k] += x[k][panel] weights
//!   out = activation(sums + bias)
//! ```
//!
//! Panels of features keep less than panels of examples, of MNIST's pixels 26 % for 32 %, and the
//! weight gradient needs them in any case. The price is that the sums of an example are loaded and
//! stored at each entry, which takes what is saved. What is left over: no second set of lists, no order
//! of the batch that makes them short. Each output is one chain of multiply-adds in the order of the
//! features, as in [`forward_by_examples`](super::forward_by_examples()), and has its bits.

use super::{STRIP, strips};
use crate::gemm::tile::{Left, Rows, Words, load_row, store_row};
use crate::panels::{CHUNK_OF_EXAMPLES, PANEL, Panels, Values};
use crate::simd::{Kernel, Simd, for_each_vector};
use crate::view::{MatMut, MatRef};
use crate::{Activation, Isa};

/// Vectors of the widest strip: four rows of weights, one of sums and the broadcasts in registers.
const fn widest(registers: usize) -> usize {
    if registers == 32 { 6 } else { 2 }
}

/// Floats that [`forward_by_features`] needs for its sums.
pub(super) fn sums(examples: usize) -> usize {
    examples.min(CHUNK_OF_EXAMPLES) * STRIP
}

/// `out = activation(X W + bias)`.
///
/// `x` holds panels of features `[k, b]`; `weights` is `[k, n]`, row-major; `bias` `[n]`; `out`
/// `[b, n]`, or more rows, of which the first b are written; `room` has [`sums`](super::sums) floats.
///
/// # Panics
/// If the shapes disagree.
pub fn forward_by_features(
    isa: Isa,
    x: &Panels,
    weights: MatRef<'_>,
    bias: &[f32],
    activation: Activation,
    room: &mut [f32],
    out: MatMut<'_>,
) {
    let n = weights.cols();
    assert_eq!(weights.rows(), x.rows(), "weights {weights:?} for {} features", x.rows());
    assert!(weights.col_stride() == 1 || n <= 1, "weights by rows: {weights:?}");
    assert_eq!(bias.len(), n, "biases of {n} units");
    assert!(
        out.cols() == n && out.rows() >= x.depth(),
        "{out:?} for {} examples and {n} columns",
        x.depth()
    );
    assert!(room.len() >= sums(x.depth()), "{} floats for sums", room.len());
    isa.run(Forward { x, weights, bias, activation, room, out });
}

struct Forward<'a> {
    x: &'a Panels,
    weights: MatRef<'a>,
    bias: &'a [f32],
    activation: Activation,
    room: &'a mut [f32],
    out: MatMut<'a>,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, weights, bias, activation, room, mut out } = self;
        for (at, cols) in strips::<S>(weights.cols(), widest(S::REGISTERS)) {
            let stride = cols.next_multiple_of(S::LANES);
            let weights = weights.col_range(at..at + cols);
            for chunk in 0..x.chunks() {
                let examples = x.columns(chunk);
                let sums = &mut room[..examples.len() * stride];
                sums.fill(0.0);
                macro_rules! strip {
                    ($($vectors:literal)*) => {
                        match (stride / S::LANES, stride == cols) {
                            $(
                                ($vectors, true) => {
                                    s.call(Strip::<$vectors, false> { x, chunk, weights, sums });
                                }
                                ($vectors, false) => {
                                    s.call(Strip::<$vectors, true> { x, chunk, weights, sums });
                                }
                            )*
                            _ => unreachable!("a strip of {cols} columns"),
                        }
                    };
                }
                match S::REGISTERS {
                    32 => strip! { 1 2 3 4 5 6 },
                    _ => strip! { 1 2 },
                }
                s.call(Outputs {
                    sums,
                    stride,
                    bias: &bias[at..at + cols],
                    activation,
                    out: out.ptr().wrapping_add(examples.start * out.row_stride() + at),
                    out_row: out.row_stride(),
                });
            }
        }
    }
}

/// The sums of a strip of `NV` vectors of columns, for a chunk of examples; `MASKED` if the last vector
/// is partial.
struct Strip<'a, const NV: usize, const MASKED: bool> {
    x: &'a Panels,
    chunk: usize,
    /// The columns of the strip.
    weights: MatRef<'a>,
    /// `[examples, strip]`, rows of whole vectors.
    sums: &'a mut [f32],
}

impl<const NV: usize, const MASKED: bool> Kernel for Strip<'_, NV, MASKED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, chunk, weights, sums } = self;
        let (w, w_row) = (weights.ptr(), weights.row_stride());
        let mask = s.first(weights.cols() - (NV - 1) * S::LANES);
        let stride = NV * S::LANES;
        // Where the row of example 0 would be.
        let sums = sums.as_mut_ptr().wrapping_sub(x.columns(chunk).start * stride);
        for panel in 0..x.count() {
            let entries = x.entries(panel, chunk..chunk + 1);
            let list = &entries.list[..entries.len];
            if list.is_empty() {
                continue;
            }
            // SAFETY: the weights have a row for each feature; the listed examples are those of the
            // chunk, and the sums have a row for each.
            unsafe {
                let rows = PANEL.min(x.rows() - panel * PANEL);
                let w = w.wrapping_add(panel * PANEL * w_row);
                let row = |r| {
                    if r < rows {
                        load_row::<S, NV, MASKED>(s, w.wrapping_add(r * w_row), mask)
                    } else {
                        [s.splat(0.0); NV]
                    }
                };
                let weights = [row(0), row(1), row(2), row(3)];
                match entries.values {
                    Values::Bytes(words, table) => {
                        let mut entry = Words::new(words.as_ptr(), table.as_ptr());
                        for example in list {
                            let sums = sums.wrapping_add(*example as usize * stride);
                            add(s, &weights, &entry, sums);
                            entry.advance();
                        }
                    }
                    Values::Floats(values) => {
                        let mut entry = Rows::<PANEL, PANEL>::new(values.as_ptr(), 1);
                        for example in list {
                            let sums = sums.wrapping_add(*example as usize * stride);
                            add(s, &weights, &entry, sums);
                            entry.advance(PANEL);
                        }
                    }
                }
            }
        }
    }
}

/// Adds an example's four features times their weights to its sums.
///
/// # Safety
/// `x` has four rows; `sums` is valid for `NV` vectors.
#[inline(always)]
unsafe fn add<S: Simd, const NV: usize>(
    s: S,
    weights: &[[S::F; NV]; PANEL],
    x: &impl Left,
    sums: *mut f32,
) {
    // SAFETY: the caller's.
    unsafe {
        // There is no partial vector, so no lane of the mask is looked at.
        let mut acc = load_row::<S, NV, false>(s, sums, s.first(0));
        for (r, row) in weights.iter().enumerate() {
            let x = s.splat(x.at(r, 0));
            for v in 0..NV {
                acc[v] = s.fma(x, row[v], acc[v]);
            }
        }
        store_row(s, sums, &acc);
    }
}

/// Sums to outputs: a strip of rows, as wide as there are biases.
struct Outputs<'a> {
    /// Rows of whole vectors.
    sums: &'a [f32],
    stride: usize,
    bias: &'a [f32],
    activation: Activation,
    /// Where the strip of a view lies that has as many rows.
    out: *mut f32,
    out_row: usize,
}

impl Kernel for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { sums, stride, bias, activation, out, out_row } = self;
        for (row, sums) in sums.chunks_exact(stride).enumerate() {
            let out = out.wrapping_add(row * out_row);
            for_each_vector(s, bias.len(), |at, mask| {
                // SAFETY: the sums have whole vectors; biases and outputs have the mask's lanes.
                unsafe {
                    let z = s.load(sums.as_ptr().add(at));
                    let (bias, out) = (bias.as_ptr().add(at), out.add(at));
                    match mask {
                        None => {
                            let z = s.add(z, s.load(bias));
                            s.store(out, activation.forward_vector(s, z));
                        }
                        Some(mask) => {
                            let z = s.add(z, s.load_masked(bias, mask));
                            s.store_masked(out, activation.forward_vector(s, z), mask);
                        }
                    }
                }
            });
        }
    }
}
