//! The way back through a narrow layer: against the naive twins, and against the products of which it
//! is made: not a bit may differ.

mod common;

use std::ops::Range;

use common::matrix::Layout::Rows;
use common::matrix::{Matrix, Output};
use common::{EPS, Guarded, Random, assert_near, bits, same_on_avx2_and_avx512, skip};
use kernels::gemm::{Epilogue, Products, Start};
use kernels::narrow::{self, Gradients, Narrow, widest};
use kernels::{Activation, Isa, MatMut, MatRef, reference};

/// `[examples, units of the narrow layer, units below]`: every number of units, each a function of its
/// own; in Miri three of the portable ones.
#[cfg(miri)]
const SHAPES: [[usize; 3]; 3] = [[3, 1, 5], [2, 4, 4], [5, 5, 9]];
#[cfg(not(miri))]
const SHAPES: [[usize; 3]; 12] = [
    [1, 1, 1],
    [9, 2, 33],
    [16, 3, 16],
    [5, 4, 17],
    [31, 5, 8],
    [64, 6, 47],
    [12, 7, 31],
    [20, 8, 40],
    [7, 9, 64],
    [128, 10, 96],
    [50, 11, 23],
    [33, 12, 80],
];

/// The instruction sets for which a layer of so many units is narrow.
fn sets(units: usize) -> impl Iterator<Item = Isa> {
    Isa::available().into_iter().filter(move |isa| units <= widest(*isa))
}

/// All shapes, and every activation with some of them.
fn cases() -> impl Iterator<Item = ([usize; 3], Activation)> {
    let activations = (0..).flat_map(|_| Activation::ALL);
    SHAPES.into_iter().chain(SHAPES.into_iter().rev()).zip(activations)
}

struct Case {
    above: Matrix,
    weights: Matrix,
    outputs: Matrix,
    activation: Activation,
}

/// `[below, weights, biases]`
type Found = [Vec<f32>; 3];

impl Case {
    fn new(
        random: &mut Random,
        [examples, units, below]: [usize; 3],
        activation: Activation,
    ) -> Self {
        let mut outputs = Matrix::random(random, examples, below);
        // Relu's are often zero.
        outputs.values.iter_mut().step_by(3).for_each(|y| *y = 0.0);
        let above = Matrix::random(random, examples, units);
        Self { above, weights: Matrix::random(random, units, below), outputs, activation }
    }

    fn examples(&self) -> usize {
        self.above.rows
    }

    /// The examples some at a time, in memory with canaries, and nothing of which is read before it is
    /// written.
    fn run(&self, isa: Isa, parts: &[Range<usize>]) -> Found {
        let (units, below) = (self.weights.rows, self.weights.cols);
        let [above, weights, outputs] = [&self.above, &self.weights, &self.outputs];
        let stored = [above.stored(Rows(3)), weights.stored(Rows(2)), outputs.stored(Rows(1))];
        let mut gradient = Output::nan(units, below, 5);
        let mut biases = Guarded::nan(below, 1);
        let mut all = Vec::new();
        let mut start = Start::Zero;
        for part in parts {
            let mut gradient_below = Output::nan(part.len(), below, 2);
            let narrow = Narrow {
                above: stored[0].view().row_range(part.clone()),
                weights: stored[1].view(),
                outputs: stored[2].view().row_range(part.clone()),
                activation: self.activation,
            };
            let gradients = Gradients {
                below: gradient_below.view(),
                weights: gradient.view(),
                biases: biases.get(),
            };
            narrow::backward(isa, narrow, start, gradients);
            all.extend(gradient_below.done("gradient below"));
            start = Start::FromC;
        }
        [all, gradient.done("gradient of weights"), biases.done("gradient of biases")]
    }

    fn whole(&self, isa: Isa) -> Found {
        let all = 0..self.examples();
        self.run(isa, &[all])
    }

    /// The three as products.
    fn products(&self, isa: Isa) -> Found {
        let (units, below) = (self.weights.rows, self.weights.cols);
        let stored = [&self.above, &self.weights, &self.outputs].map(|x| x.stored(Rows(0)));
        let [above, weights, outputs] = [0, 1, 2].map(|i| stored[i].view());
        let mut products = Products::new(isa);
        let mut run = |a: MatRef<'_>, b, rows, epilogue: Epilogue<'_>| {
            let mut c = Output::nan(rows, below, 0);
            products.run(a, b, c.view(), Start::Zero, epilogue);
            Matrix { rows, cols: below, values: c.done("product") }
        };
        let epilogue = Epilogue::ActivationGradient(outputs, self.activation);
        let gradient_below = run(above, weights, self.examples(), epilogue);
        let gradient = run(above.t(), outputs, units, Epilogue::Store);
        let ones = MatRef::with_strides(&[1.0], 1, self.examples(), 0, 0);
        let biases = run(ones, gradient_below.stored(Rows(0)).view(), 1, Epilogue::Store);
        [gradient_below.values, gradient.values, biases.values]
    }
}

#[test]
fn gradients_are_those_of_the_textbook() {
    let mut random = Random(51);
    for (shape, activation) in cases() {
        let case = Case::new(&mut random, shape, activation);
        let [examples, units, below] = shape;
        let twins = [&case.above, &case.weights, &case.outputs].map(Matrix::twin);
        let [above, weights, outputs] = twins;
        let mut expected_below = reference::gemm(examples, below, units, above, weights);
        for (i, x) in expected_below.iter_mut().enumerate() {
            let y = outputs.at(i / below, i % below);
            *x *= reference::activation_gradient(case.activation, y);
        }
        let expected = reference::gemm(units, below, examples, above.t(), outputs);
        for isa in sets(units) {
            let what = format!("{isa} {shape:?} {:?}", case.activation);
            let found = case.whole(isa);
            // All numbers are below 1 (a derivative below 2), so sums are off by a rounding a summand.
            let bound = |summands: usize| 4.0 * EPS * ((summands + 2) * summands) as f64;
            for (found, expected) in found[0].iter().zip(&expected_below) {
                assert_near(*found, *expected, bound(units), &what);
            }
            for (found, expected) in found[1].iter().zip(&expected) {
                assert_near(*found, *expected, bound(examples), &what);
            }
            for (j, found) in found[2].iter().enumerate() {
                let expected = expected_below[j..].iter().step_by(below).sum();
                assert_near(*found, expected, bound(examples * units), &what);
            }
        }
    }
}

#[test]
fn bits_are_those_of_the_products() {
    let mut random = Random(52);
    for (shape, activation) in cases() {
        let case = Case::new(&mut random, shape, activation);
        for isa in sets(shape[1]) {
            let expected = case.products(isa).map(|x| bits(&x));
            let what = format!("{isa} {shape:?} {:?}", case.activation);
            assert_eq!(case.whole(isa).map(|x| bits(&x)), expected, "{what}");
            // Sums go on from what is there, through parts without examples too.
            let (end, middle) = (case.examples(), case.examples() / 3);
            for parts in [vec![0..middle, middle..end], vec![0..0, 0..1, 1..1, 1..end]] {
                let found = case.run(isa, &parts).map(|x| bits(&x));
                assert_eq!(found, expected, "{what} in {parts:?}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs the portable kernels alone")]
fn avx2_and_avx512_agree_in_every_bit() {
    let mut random = Random(53);
    let Some(avx2) = Isa::by_name("avx2") else { return skip("narrow results on AVX2: no AVX2") };
    for (shape, activation) in cases().filter(|([_, units, _], _)| *units <= widest(avx2)) {
        let case = Case::new(&mut random, shape, activation);
        same_on_avx2_and_avx512(|isa| case.whole(isa).map(|x| bits(&x)));
    }
}

/// Nothing to add up, or nothing to add it to, in slices without a float.
#[test]
fn empty_shapes_are_computed() {
    for isa in Isa::available() {
        for [examples, units, below] in [[0, 3, 20], [3, 0, 20], [3, 2, 0], [0, 0, 0]] {
            let full = [[examples, units], [units, below], [examples, below]];
            let floats = full.map(|[rows, cols]| vec![1.0; rows * cols]);
            let [above, weights, outputs] =
                [0, 1, 2].map(|i| MatRef::new(&floats[i], full[i][0], full[i][1]));
            let mut found =
                [vec![2.0; examples * below], vec![2.0; units * below], vec![2.0; below]];
            let [gradient_below, gradient, biases] = &mut found;
            let layer = Narrow { above, weights, outputs, activation: Activation::Relu };
            let gradients = Gradients {
                below: MatMut::new(gradient_below, examples, below),
                weights: MatMut::new(gradient, units, below),
                biases,
            };
            narrow::backward(isa, layer, Start::Zero, gradients);
            assert!(found.iter().flatten().all(|x| *x == 0.0), "{isa} {examples} {units} {below}");
        }
    }
}

/// A call with matrices of these shapes: `above`, `weights`, `outputs`, and gradients to match.
fn call(isa: Isa, [above, weights, outputs]: [[usize; 2]; 3], by_rows: bool) {
    let floats = vec![0.0; 4000];
    let view = |[rows, cols]: [usize; 2]| match by_rows {
        true => MatRef::with_strides(&floats, rows, cols, cols, 1),
        false => MatRef::with_strides(&floats, rows, cols, 1, rows),
    };
    let [examples, units] = above;
    let (mut below, mut gradient) = (vec![0.0; 4000], vec![0.0; 4000]);
    let layer = Narrow {
        above: view(above),
        weights: view(weights),
        outputs: view(outputs),
        activation: Activation::Relu,
    };
    let gradients = Gradients {
        below: MatMut::new(&mut below, examples, 3),
        weights: MatMut::new(&mut gradient, units, 3),
        biases: &mut [0.0; 3],
    };
    narrow::backward(isa, layer, Start::Zero, gradients);
}

#[test]
#[should_panic(expected = "outputs of 4 examples")]
fn examples_without_outputs_are_refused() {
    call(Isa::best(), [[4, 2], [2, 3], [5, 3]], true);
}

#[test]
#[should_panic(expected = "weights of 2 units over 3")]
fn weights_of_another_layer_are_refused() {
    call(Isa::best(), [[4, 2], [3, 3], [4, 3]], true);
}

#[test]
#[should_panic(expected = "a narrow layer of")]
fn wide_layers_are_refused() {
    let units = widest(Isa::best()) + 1;
    call(Isa::best(), [[4, units], [units, 3], [4, 3]], true);
}

#[test]
#[should_panic(expected = "matrices by rows")]
fn columns_are_refused() {
    call(Isa::best(), [[4, 2], [2, 3], [4, 3]], false);
}
