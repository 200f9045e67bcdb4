//! The first layer's weight gradient with the optimizer as its epilogue, against the naive twins
//! and against the same in two steps that skip nothing: not a bit may differ.

mod common;

use common::examples::{DENSITIES, Examples, FORMS, PIXELS, shapes};
use common::matrix::Layout::Rows;
use common::matrix::{Matrix, Output};
use common::steps::{RULES, assert_step, uses};
use common::{Random, bits, same_on_avx2_and_avx512, sparse};
use kernels::first_layer::{self, Weights};
use kernels::gemm::{Epilogue, gemm};
use kernels::panels::{Ahead, Data, FeatureOrder, Form, PANEL, Panels};
use kernels::{Arena, Isa, MatMut, MatRef, Update, reference};

/// Weights and both states, `[k, n]`, and the marks.
#[derive(Clone)]
struct State {
    values: Matrix,
    first: Matrix,
    second: Matrix,
    touched: Vec<bool>,
}

fn same(a: &Matrix, b: &Matrix) -> bool {
    bits(&a.values) == bits(&b.values)
}

impl State {
    fn new(rows: usize, cols: usize, rule: &Update) -> Self {
        let mut values = Matrix::random(&mut Random(rows as u64), rows, cols);
        values.values.iter_mut().for_each(|w| *w *= 0.1);
        let zeros = Matrix { rows, cols, values: vec![0.0; rows * cols] };
        let second = vec![rule.initial_second(); rows * cols];
        let touched = vec![false; rows.div_ceil(PANEL)];
        Self {
            values,
            first: zeros.clone(),
            second: Matrix { rows, cols, values: second },
            touched,
        }
    }

    fn slices(&self) -> [&[f32]; 3] {
        [&self.values, &self.first, &self.second].map(|matrix| &matrix.values[..])
    }

    /// One step, in memory with canaries; state that the rule does not use is empty.
    fn update(&mut self, isa: Isa, x: &Panels, dz: MatRef<'_>, rule: &Update) {
        let mut values = Output::holding(&self.values, 1);
        let mut first = Output::holding(&self.first, 2);
        let mut second = Output::holding(&self.second, 5);
        let (uses_first, uses_second) = uses(rule);
        let empty = || MatMut::new(&mut [], 0, 0);
        let weights = Weights {
            values: values.view(),
            first: if uses_first { first.view() } else { empty() },
            second: if uses_second { second.view() } else { empty() },
            touched: &mut self.touched,
            sums: &mut vec![f32::NAN; first_layer::sums(x.count(), dz.rows())],
        };
        // What is sent for ahead changes nothing, be there more calls or less than were planned.
        let (far, rows) = (vec![0_u8; 5000], [7, 9, 1]);
        let mut ahead = Ahead::new(&far, 500, &rows, x.count());
        first_layer::update(isa, x, dz, rule, weights, &mut ahead);
        let what = format!("{isa} {rule:?} of [{}, {}]", self.values.rows, self.values.cols);
        self.values.values = values.done(&what);
        self.first.values = first.done(&what);
        self.second.values = second.done(&what);
    }
}

/// The same step in two: a product that skips nothing, then the optimizer over all of it.
fn dense_update(isa: Isa, x: &Matrix, dz: MatRef<'_>, rule: &Update, state: &mut State) {
    let dense = x.stored(Rows(0));
    let mut gradient = Output::nan(x.cols, dz.cols(), 0);
    gemm(isa, dense.view().t(), dz, gradient.view(), Epilogue::Store);
    let gradient = gradient.done("gradient");
    let (w, m, v) = (&mut state.values, &mut state.first, &mut state.second);
    rule.apply(isa, &mut w.values, &gradient, &mut m.values, &mut v.values);
}

#[test]
fn updates_are_those_of_the_product_that_skips_nothing() {
    let mut random = Random(34);
    for (index, [rows, width, units]) in shapes(&mut random).into_iter().enumerate() {
        let (form, density) = (FORMS[index % 3], DENSITIES[index / 3 % 4]);
        for (number, rule) in RULES.iter().enumerate() {
            let mut x = Examples::new(&mut random, form, rows, width, density);
            for isa in Isa::available() {
                let mut state = State::new(width, units, rule);
                let mut expected = state.clone();
                for step in 0..3 {
                    let dz = Matrix::random(&mut random, rows, units).stored(Rows(index % 4));
                    state.update(isa, &x.panels(isa), dz.view(), rule);
                    dense_update(isa, &x.matrix, dz.view(), rule, &mut expected);
                    let what = format!(
                        "{isa} [{rows}, {width}] {units} {form:?} {density}, rule {number}, step {step}"
                    );
                    assert!(same(&state.values, &expected.values), "{what}: weights");
                    // Until a feature has a value, its state is left alone: what the rule adds to
                    // keep it from fading is missing then.
                    for at in 0..width * units {
                        let [_, first, second] = state.slices().map(|x| x[at]);
                        let [_, first_2, second_2] = expected.slices().map(|x| x[at]);
                        let near = |a: f32, b: f32| (a - b).abs() <= 1e-28 + 1e-7 * b.abs();
                        assert!(near(first, first_2), "{what}: first state {at}");
                        assert!(near(second, second_2), "{what}: second state {at}");
                    }
                    // Fewer and fewer features have values, but all that had once are updated.
                    x.fill(&mut random, form, rows, density / (step + 2) as f64);
                }
            }
        }
    }
}

/// More examples than are summed at a time: the sums go on from memory.
#[test]
#[cfg_attr(miri, ignore = "batches of more than 256 examples")]
fn large_batches_are_one_chain_too() {
    let mut random = Random(40);
    for [rows, width, units] in [[257, 9, 40], [600, 13, 100], [1030, 6, 7]] {
        for (form, rule) in FORMS.iter().zip(&RULES[2..]) {
            let x = Examples::new(&mut random, *form, rows, width, 0.4);
            let dz = Matrix::random(&mut random, rows, units).stored(Rows(1));
            for isa in Isa::available() {
                let panels = x.panels(isa);
                assert!(panels.chunks() > 2);
                let mut state = State::new(width, units, rule);
                let mut expected = state.clone();
                state.update(isa, &panels, dz.view(), rule);
                dense_update(isa, &x.matrix, dz.view(), rule, &mut expected);
                assert!(same(&state.values, &expected.values), "{isa} {rule:?} of {rows}");
            }
        }
    }
}

/// Panels of examples of bytes, one after the other.
fn panels_of(isa: Isa, bytes: &[u8], examples: usize) -> Panels {
    let order = FeatureOrder::as_given(bytes.len() / examples);
    let mut panels =
        Panels::with_capacity(&mut Arena::default(), Form::Bytes(1.0), order, examples);
    let rows: Vec<u32> = (0..examples as u32).collect();
    panels.fill(isa, Data::Bytes(bytes), &rows);
    panels
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs the portable kernels alone")]
fn avx2_and_avx512_agree_in_every_bit_of_an_update() {
    let mut random = Random(35);
    for form in FORMS {
        for rule in &RULES {
            let x = Examples::new(&mut random, form, 37, 131, 0.3);
            let dz = Matrix::random(&mut random, 37, 203).stored(Rows(3));
            same_on_avx2_and_avx512(|isa| {
                let mut state = State::new(131, 203, rule);
                for _ in 0..3 {
                    state.update(isa, &x.panels(isa), dz.view(), rule);
                }
                [state.values, state.first, state.second].map(|state| bits(&state.values))
            });
        }
    }
}

/// The whole step against the naive product and the naive optimizer. The features are whole
/// numbers and the gradients eighths, so that `X^T dZ` is exact and only the step rounds.
#[test]
fn updates_match_the_twin() {
    let mut random = Random(36);
    for [rows, width, units] in
        [[1, 3, 1], [32, 50, 33], [70, 31, 100], [5, 17, 10]].into_iter().step_by(sparse(3))
    {
        let x = Examples::new(&mut random, Form::Bytes(1.0), rows, width, 0.5);
        let mut dz = Matrix::whole(&mut random, rows, units, 16);
        dz.values.iter_mut().for_each(|g| *g *= 0.125);
        let gradient = reference::gemm(width, units, rows, x.matrix.twin().t(), dz.twin());
        for rule in &RULES {
            for isa in Isa::available() {
                let mut state = State::new(width, units, rule);
                let panels = x.panels(isa);
                for t in 1..=3 {
                    let old = state.clone();
                    state.update(isa, &panels, dz.stored(Rows(0)).view(), rule);
                    let what = format!("{isa} {rule:?} of [{width}, {units}], step {t}");
                    assert_step(old.slices(), state.slices(), &gradient, rule, &what);
                }
            }
        }
    }
}

/// Where no example ever had a value: not even minus zero becomes zero.
#[test]
fn weights_of_features_that_are_always_zero_keep_their_bits() {
    let (rows, width, units) = (9, 40, 21);
    for rule in &RULES {
        for isa in Isa::available() {
            let mut state = State::new(width, units, rule);
            state.values.values.iter_mut().step_by(2).for_each(|w| *w = -0.0);
            let old = state.clone();
            for step in 0..3 {
                let mut bytes = [0; 9 * 40];
                for (row, bytes) in bytes.chunks_exact_mut(40).enumerate() {
                    // Panel 2 from the first step on, panel 7 in the second alone.
                    bytes[9] = row as u8;
                    bytes[30] = if step == 1 { 3 } else { 0 };
                }
                let panels = panels_of(isa, &bytes, rows);
                let dz = vec![0.5; rows * units];
                state.update(isa, &panels, MatRef::new(&dz, rows, units), rule);
                let touched: Vec<usize> = (0..10).filter(|panel| state.touched[*panel]).collect();
                assert_eq!(touched, if step == 0 { vec![2] } else { vec![2, 7] }, "{isa}");
            }
            for (at, (x, y)) in state.values.values.iter().zip(&old.values.values).enumerate() {
                let (feature, same) = (at / units, x.to_bits() == y.to_bits());
                if feature / PANEL != 2 && feature / PANEL != 7 {
                    assert!(same, "{isa} {rule:?}: weight {at}, {x} for {y}");
                }
                assert!(!same || (feature != 9 && feature != 30), "{isa} {rule:?}: weight {at}");
            }
        }
    }
}

/// What a mark says is believed: state of an earlier training goes on decaying.
#[test]
fn marked_features_are_updated_without_values() {
    let rule = &RULES[1];
    for isa in Isa::available() {
        let mut state = State::new(8, 3, rule);
        state.first.values.fill(1.0);
        state.touched[1] = true;
        let old = state.clone();
        let panels = panels_of(isa, &[0; 16], 2);
        state.update(isa, &panels, MatRef::new(&[1.0; 6], 2, 3), rule);
        for at in 0..24 {
            let change = if at / 3 < PANEL { 0.0 } else { 0.75 };
            assert_eq!(state.values.values[at], old.values.values[at] + change, "{isa} {at}");
            assert_eq!(state.first.values[at], 1.0 - change / 3.0, "{isa} {at}");
        }
    }
}

/// Panels and batches live as long as a training; a batch may be smaller than the one before.
#[test]
fn nothing_of_a_fuller_batch_is_left() {
    let mut random = Random(38);
    for form in [PIXELS, Form::Floats] {
        let (width, units) = if cfg!(miri) { (9, 3) } else { (45, 20) };
        for isa in Isa::available() {
            let mut x = Examples::new(&mut random, form, 33, width, 1.0);
            let mut panels = x.room(33);
            for (rows, density) in [(33, 1.0), (5, 0.3), (30, 0.1), (1, 1.0), (17, 0.0), (2, 0.5)] {
                x.fill(&mut random, form, rows, density);
                x.read(isa, &mut panels);
                assert_eq!((panels.features(), panels.examples()), (width, rows));
                let dz = Matrix::random(&mut random, rows, units).stored(Rows(0));
                let updated = |panels: &Panels| {
                    let mut state = State::new(width, units, &RULES[0]);
                    state.update(isa, panels, dz.view(), &RULES[0]);
                    state.values
                };
                let fresh = x.panels(isa);
                assert!(same(&updated(&panels), &updated(&fresh)), "{isa} {rows}");
            }
        }
    }
}

#[test]
fn nan_and_infinity_are_features_too() {
    for bad in [f32::NAN, f32::INFINITY] {
        for isa in Isa::available() {
            let mut floats = [0.0; 6 * 9];
            floats[4 * 9 + 7] = bad;
            let (arena, order) = (&mut Arena::default(), FeatureOrder::as_given(9));
            let mut panels = Panels::with_capacity(arena, Form::Floats, order, 6);
            panels.fill(isa, Data::Floats(&floats), &[0, 1, 2, 3, 4, 5]);
            let mut state = State::new(9, 5, &RULES[0]);
            state.update(isa, &panels, MatRef::new(&[1.0; 30], 6, 5), &RULES[0]);
            for (at, w) in state.values.values.iter().enumerate() {
                assert_eq!(!w.is_finite(), at / 5 == 7, "{isa} {bad}: weight {at} is {w}");
            }
        }
    }
}

/// A state that the rule needs is missing.
#[test]
#[should_panic(expected = "second state")]
fn a_missing_state_is_refused() {
    let panels = panels_of(Isa::best(), &[1, 2, 3, 1, 2, 3], 2);
    let (dz, mut values) = ([0.0; 8], [0.0; 12]);
    let weights = Weights {
        values: MatMut::new(&mut values, 3, 4),
        first: MatMut::new(&mut [], 0, 0),
        second: MatMut::new(&mut [], 0, 0),
        touched: &mut [false],
        sums: &mut [],
    };
    let (dz, mut ahead) = (MatRef::new(&dz, 2, 4), Ahead::nothing());
    first_layer::update(Isa::best(), &panels, dz, &RULES[3], weights, &mut ahead);
}
