//! The weight gradient with the optimizer as its epilogue.
//!
//! ```text
//! for each strip of up to 96 columns:
//!   for each panel of four features:
//!     sums = 0                                4 rows x 6 vectors, in registers
//!     for each example k listed: sums += x[k][panel] dz[k][strip]
//!     optimizer: weights and state of these rows and columns, read and written once
//! ```
//!
//! Where no example of the batch has a value in a panel, its gradient is zero: RMSprop's state decays
//! and the weights are not even read. (Of MNIST's panels that have ever had a value, every fifth in a
//! batch of 128.)
//!
//! The gradient never is in memory. (A batch of more than 256 examples is cut into runs of two
//! chunks, and between them it is: the rows of `dz` that all panels read must stay near. One chunk at
//! a time would send the sums to memory and back twice as often.)

use super::{STRIP, strips, widest};
use crate::Isa;
use crate::gemm::step::{Rows, Words, load_row, step, store_row};
use crate::optimizer::{Place, Rule, Update, WithRule, with_rule};
use crate::panels::{Ahead, PANEL, Panels, RUN, Values};
use crate::simd::{Kernel, Simd};
use crate::view::{MatMut, MatRef};

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
    /// Room for the sums of several runs of chunks: [`sums`](super::sums) floats.
    pub sums: &'a mut [f32],
}

/// Floats that [`update`] needs for its sums.
pub(super) fn sums(panels: usize, examples: usize) -> usize {
    if Panels::chunks_of(examples) > RUN { panels * PANEL * STRIP } else { 0 }
}

/// Updates `weights` by the gradient `X^T dZ`, which is never stored whole.
///
/// `x` holds b examples of k features; `dz` is `[b, n]`, row-major. Each tile of a panel and up to
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
    let (k, n) = (x.features(), dz.cols());
    let shape = |m: &MatMut<'_>| (m.rows(), m.cols());
    assert_eq!(dz.rows(), x.examples(), "gradient {dz:?} of {} examples", x.examples());
    assert!(dz.col_stride() == 1 || n <= 1, "gradient by rows: {dz:?}");
    assert_eq!(shape(&weights.values), (k, n), "weights of {k} features and {n} units");
    let (has_first, has_second) = rule.uses();
    assert!(!has_first || shape(&weights.first) == (k, n), "first state: {:?}", weights.first);
    assert!(!has_second || shape(&weights.second) == (k, n), "second state: {:?}", weights.second);
    assert!(weights.touched.len() >= x.count(), "a mark for each of {} panels", x.count());
    assert!(weights.sums.len() >= sums(x.count(), dz.rows()), "{} sums", weights.sums.len());
    with_rule(rule, Apply { isa, x, dz, weights, ahead });
}

struct Apply<'a, 'b> {
    isa: Isa,
    x: &'a Panels,
    dz: MatRef<'a>,
    weights: Weights<'a>,
    ahead: &'a mut Ahead<'b>,
}

impl WithRule for Apply<'_, '_> {
    fn run(self, rule: impl Rule) {
        for panel in 0..self.x.count() {
            self.weights.touched[panel] |= !self.x.is_zero(panel);
        }
        self.isa.run(Strips { work: self, rule });
    }
}

struct Strips<'a, 'b, R> {
    work: Apply<'a, 'b>,
    rule: R,
}

impl<R: Rule> Kernel for Strips<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let columns = self.work.dz.cols();
        for (at, cols) in strips::<S>(columns, widest(S::REGISTERS, PANEL)) {
            let (work, rule) = (&mut self.work, self.rule);
            macro_rules! strip {
                ($($vectors:literal)*) => {
                    match (cols.div_ceil(S::LANES), cols.is_multiple_of(S::LANES)) {
                        $(
                            ($vectors, true) => {
                                s.call(Strip::<R, $vectors, false> { work, rule, at, cols });
                            }
                            ($vectors, false) => {
                                s.call(Strip::<R, $vectors, true> { work, rule, at, cols });
                            }
                        )*
                        _ => unreachable!("a strip of {cols} columns"),
                    }
                };
            }
            match S::REGISTERS {
                32 => strip! { 1 2 3 4 5 6 },
                _ => strip! { 1 2 3 },
            }
        }
    }
}

/// A strip of `NV` vectors of columns, through all panels; `MASKED` if the last vector is partial.
struct Strip<'a, 'b, 'c, R, const NV: usize, const MASKED: bool> {
    work: &'c mut Apply<'a, 'b>,
    rule: R,
    /// The first column.
    at: usize,
    cols: usize,
}

impl<R: Rule, const NV: usize, const MASKED: bool> Kernel for Strip<'_, '_, '_, R, NV, MASKED> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { work, rule, at, cols } = self;
        let Apply { x, dz, weights, ahead, .. } = work;
        let mask = s.first(cols - (NV - 1) * S::LANES);
        let [values, first, second] =
            [&mut weights.values, &mut weights.first, &mut weights.second]
                .map(|m| (m.ptr().wrapping_add(at), m.row_stride()));
        for start in (0..x.chunks()).step_by(RUN) {
            let run = start..x.chunks().min(start + RUN);
            let last = run.end == x.chunks();
            let dz_row = dz.row_stride();
            let dz = dz.ptr().wrapping_add(x.run_start(start) * dz_row + at);
            for panel in 0..x.count() {
                if last {
                    ahead.fetch(s);
                }
                if !weights.touched[panel] {
                    continue;
                }
                let [kept, rows] = [panel * PANEL * STRIP, x.features() - panel * PANEL];
                let kept = weights.sums.as_mut_ptr().wrapping_add(kept);
                let place = |r: usize| {
                    let [w, first, second] = [values, first, second]
                        .map(|(p, stride)| p.wrapping_add((panel * PANEL + r) * stride));
                    Place { w, first, second }
                };
                if x.is_zero(panel) {
                    for r in 0..if last { rows.min(PANEL) } else { 0 } {
                        // SAFETY: weights and state have the panel's rows: `update` has checked.
                        unsafe { rest_row::<S, NV, MASKED>(s, rule, place(r), mask) };
                    }
                    continue;
                }
                let entries = x.entries(panel, run.clone());
                let examples = entries.list.iter().map(|example| *example as usize);
                // SAFETY: the run's examples are rows of `dz`, of which a strip lies in the view;
                // `sums` has room for four rows of a strip a panel, weights and state have the
                // panel's rows: `update` has checked.
                unsafe {
                    // Row by row in words: in loops, the compiler left some sums in memory.
                    let mut sums = if start == 0 {
                        [[s.splat(0.0); NV]; PANEL]
                    } else {
                        let row = |r| load_row::<S, NV, false>(s, kept.add(r * STRIP), mask);
                        [row(0), row(1), row(2), row(3)]
                    };
                    match entries.values {
                        Values::Bytes(words, table) => {
                            for example in examples {
                                let x = Words::new(words.as_ptr().add(example), table.as_ptr());
                                let row = dz.add(example * dz_row);
                                step::<S, PANEL, NV, MASKED>(s, &mut sums, &x, 0, row, mask);
                            }
                        }
                        Values::Floats(values) => {
                            for example in examples {
                                let values = values.as_ptr().add(PANEL * example);
                                let x = Rows::<PANEL, PANEL>::new(values, 1);
                                let row = dz.add(example * dz_row);
                                step::<S, PANEL, NV, MASKED>(s, &mut sums, &x, 0, row, mask);
                            }
                        }
                    }
                    if !last {
                        store_row(s, kept, &sums[0]);
                        store_row(s, kept.add(STRIP), &sums[1]);
                        store_row(s, kept.add(2 * STRIP), &sums[2]);
                        store_row(s, kept.add(3 * STRIP), &sums[3]);
                        continue;
                    }
                    update_row::<S, NV, MASKED>(s, rule, place(0), &sums[0], mask);
                    if rows > 1 {
                        update_row::<S, NV, MASKED>(s, rule, place(1), &sums[1], mask);
                    }
                    if rows > 2 {
                        update_row::<S, NV, MASKED>(s, rule, place(2), &sums[2], mask);
                    }
                    if rows > 3 {
                        update_row::<S, NV, MASKED>(s, rule, place(3), &sums[3], mask);
                    }
                }
            }
        }
    }
}

/// One row of a strip.
///
/// # Safety
/// What the rule uses at `place` is valid for the strip's columns.
#[inline(always)]
unsafe fn update_row<S: Simd, const NV: usize, const MASKED: bool>(
    s: S,
    rule: impl Rule,
    place: Place,
    gradient: &[S::F; NV],
    mask: S::M,
) {
    let whole = if MASKED { NV - 1 } else { NV };
    let mut v = 0;
    // SAFETY: the caller's.
    unsafe {
        while v + 2 <= whole {
            let g = [gradient[v], gradient[v + 1]];
            rule.step::<S, 2>(s, place.after(v * S::LANES), g, None);
            v += 2;
        }
        if v < whole {
            rule.step::<S, 1>(s, place.after(v * S::LANES), [gradient[v]], None);
        }
        if MASKED {
            let at = place.after((NV - 1) * S::LANES);
            rule.step::<S, 1>(s, at, [gradient[NV - 1]], Some(mask));
        }
    }
}

/// One row of a strip, where the gradient is zero.
///
/// # Safety
/// As [`update_row`].
#[inline(always)]
unsafe fn rest_row<S: Simd, const NV: usize, const MASKED: bool>(
    s: S,
    rule: impl Rule,
    place: Place,
    mask: S::M,
) {
    for v in 0..NV {
        let mask = (MASKED && v + 1 == NV).then_some(mask);
        // SAFETY: the caller's.
        unsafe { rule.rest::<S, 1>(s, place.after(v * S::LANES), mask) };
    }
}
