//! The forward product of a batch.
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
//! The sums of an example are loaded and stored at each entry; the other way round, panels of four
//! examples whose sums stay in registers, keep more (of MNIST's pixels 31 % for 26 %, and that in an
//! order of the batch that has to be found first) and read the weights anew for each panel. Each output
//! is one chain of multiply-adds in the order of the features.

use super::{STRIP, strips};
use crate::gemm::step::{Left, Rows, Words, load_row, store_row};
use crate::panels::{CHUNK, PANEL, Panels, Values};
use crate::simd::{Kernel, Simd, for_each_vector};
use crate::view::{MatMut, MatRef};
use crate::{Activation, Isa};

/// Vectors of the widest strip: four rows of weights, one of sums and the broadcasts in registers.
const fn widest(registers: usize) -> usize {
    if registers == 32 { 6 } else { 2 }
}

/// Floats that [`forward`] needs for its sums.
pub(super) fn sums(examples: usize) -> usize {
    examples.min(CHUNK) * STRIP
}

/// `out = activation(X W + bias)`.
///
/// `x` holds b examples of k features; `weights` is `[k, n]`, row-major; `bias` `[n]`; `out`
/// `[b, n]`, or more rows, of which the first b are written; `room` has [`sums`](super::sums) floats.
///
/// # Panics
/// If the shapes disagree.
pub fn forward(
    isa: Isa,
    x: &Panels,
    weights: MatRef<'_>,
    bias: &[f32],
    activation: Activation,
    room: &mut [f32],
    out: MatMut<'_>,
) {
    let n = weights.cols();
    assert_eq!(weights.rows(), x.features(), "weights {weights:?} for {} features", x.features());
    assert!(weights.col_stride() == 1 || n <= 1, "weights by rows: {weights:?}");
    assert_eq!(bias.len(), n, "biases of {n} units");
    assert!(
        out.cols() == n && out.rows() >= x.examples(),
        "{out:?} for {} examples and {n} columns",
        x.examples()
    );
    assert!(room.len() >= sums(x.examples()), "{} floats for sums", room.len());
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
                let examples = x.chunk(chunk);
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
                    sums: sums.as_ptr(),
                    stride,
                    rows: examples.len(),
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
        // Where the row of the run's first example would be.
        let before = x.chunk(chunk).start - x.run_start(chunk);
        let sums = sums.as_mut_ptr().wrapping_sub(before * stride);
        for panel in 0..x.count() {
            let entries = x.entries(panel, chunk..chunk + 1);
            if entries.list.is_empty() {
                continue;
            }
            // SAFETY: the weights have a row for each feature; the listed examples are those of the
            // chunk, and the sums have a row for each.
            unsafe {
                let rows = PANEL.min(x.features() - panel * PANEL);
                let w = w.wrapping_add(panel * PANEL * w_row);
                let row = |r| {
                    if r < rows {
                        load_row::<S, NV, MASKED>(s, w.wrapping_add(r * w_row), mask)
                    } else {
                        [s.splat(0.0); NV]
                    }
                };
                let weights = [row(0), row(1), row(2), row(3)];
                let examples = entries.list.iter().map(|example| *example as usize);
                match entries.values {
                    Values::Bytes(words, table) => {
                        for example in examples {
                            let x = Words::new(words.as_ptr().add(example), table.as_ptr());
                            add(s, &weights, &x, sums.wrapping_add(example * stride));
                        }
                    }
                    Values::Floats(values) => {
                        for example in examples {
                            let values = values.as_ptr().add(PANEL * example);
                            let x = Rows::<PANEL, PANEL>::new(values, 1);
                            add(s, &weights, &x, sums.wrapping_add(example * stride));
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

/// Sums to outputs: rows as wide as there are biases.
pub(super) struct Outputs<'a> {
    /// Valid to read `rows` rows of as many floats as there are biases, `stride` apart.
    pub(super) sums: *const f32,
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) bias: &'a [f32],
    pub(super) activation: Activation,
    /// Valid to write as many, `out_row` apart; they may be the same.
    pub(super) out: *mut f32,
    pub(super) out_row: usize,
}

impl Kernel for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { sums, stride, rows, bias, activation, out, out_row } = self;
        for row in 0..rows {
            let (sums, out) = (sums.wrapping_add(row * stride), out.wrapping_add(row * out_row));
            for_each_vector(s, bias.len(), |at, mask| {
                // SAFETY: who makes this vouches for the rows; a vector of them has all its lanes, or the
                // mask's.
                unsafe {
                    let (sums, bias, out) = (sums.add(at), bias.as_ptr().add(at), out.add(at));
                    match mask {
                        None => {
                            let z = s.add(s.load(sums), s.load(bias));
                            s.store(out, activation.forward_vector(s, z));
                        }
                        Some(mask) => {
                            let z = s.add(s.load_masked(sums, mask), s.load_masked(bias, mask));
                            s.store_masked(out, activation.forward_vector(s, z), mask);
                        }
                    }
                }
            });
        }
    }
}
