//! One step of training against the gradient by finite differences, for every activation, loss and
//! optimizer.
//!
//! One step of plain SGD with learning rate 1 leaves `w0 - w1 = gradient`. The other optimizers'
//! first steps are compared with their formulas in `f64` applied to the same gradient.

use trainer::{Activation, Fit, Loss, Model, Optimizer};

use crate::data::{Data, model, signed};
use crate::naive::Naive;

const HIDDEN: [Activation; 5] =
    [Activation::Relu, Activation::Sigmoid, Activation::Tanh, Activation::Elu, Activation::Linear];

/// Every output and loss that a model can be compiled with.
const HEADS: [(Activation, Loss); 7] = [
    (Activation::Softmax, Loss::SparseCategoricalCrossentropy),
    (Activation::Softmax, Loss::MeanSquaredError),
    (Activation::Linear, Loss::MeanSquaredError),
    (Activation::Sigmoid, Loss::MeanSquaredError),
    (Activation::Tanh, Loss::MeanSquaredError),
    (Activation::Elu, Loss::MeanSquaredError),
    (Activation::Relu, Loss::MeanSquaredError),
];

/// Largest difference allowed between the engine's `f32` gradient and the `f64` one.
///
/// An entry is a chain of at most some 60 multiply-adds from the pixel to the loss and back, of
/// terms below 1, whose roundings (6e-8 each, of either sign) come to about 5e-7; reading it off as
/// a difference of weights below 2 adds at most 1.2e-7. A step too large by one part in a hundred
/// anywhere in a tensor exceeds it: `CLEAR`.
const BOUND: f64 = 1e-6;
/// Every tensor's largest gradient must be at least this, for the bound to mean something.
const CLEAR: f64 = 100.0 * BOUND;

/// A network with its parameters, a batch, and the gradient of the batch's loss.
struct Case {
    name: String,
    naive: Naive,
    parameters: Vec<f64>,
    data: Data,
    loss: f64,
    gradient: Vec<f64>,
}

impl Case {
    fn new(
        widths: &[usize],
        hidden: Activation,
        (output, loss): (Activation, Loss),
        batch: &Data,
    ) -> Self {
        let naive = Naive { widths: widths.to_vec(), hidden, output, loss };
        let (inputs, labels) = (batch.inputs(), batch.label_numbers());
        // Weights that leave every sum clear of the kinks, so that neither the differences nor the
        // rounding of `f32` crosses one, and every tensor with something to learn.
        let (parameters, gradient) = (0..10_000)
            .map(|seed| parameters(widths, seed))
            .filter(|parameters| naive.distance_from_kinks(parameters, &inputs) > 1e-3)
            .map(|parameters| {
                let gradient = naive.gradient(&parameters, &inputs, &labels);
                (parameters, gradient)
            })
            .find(|(_, gradient)| smallest_tensor(widths, gradient) > CLEAR)
            .expect("one in some tens of seeds is such");
        Self {
            name: format!("{widths:?} {} {} {}", hidden.name(), output.name(), loss.name()),
            loss: naive.loss(&parameters, &inputs, &labels),
            naive,
            parameters,
            data: batch.clone(),
            gradient,
        }
    }

    /// One step over the whole batch; returns how much each parameter changed.
    fn step(&self, optimizer: Optimizer, threads: usize) -> Vec<f64> {
        let Naive { widths, hidden, output, loss } = &self.naive;
        let mut model: Model = model(widths, *hidden, *output, optimizer, *loss);
        for (to, from) in model.parameters_mut().values_mut().iter_mut().zip(&self.parameters) {
            *to = *from as f32;
        }
        let settings =
            Fit { batch_size: self.data.len(), shuffle: false, threads, ..Fit::default() };
        let history = model.fit(self.data.examples(), &settings).unwrap();
        let off = (history.epochs[0].loss - self.loss).abs();
        assert!(off < BOUND, "{}: loss {} is off by {off}", self.name, history.epochs[0].loss);
        let after = model.parameters().values().iter();
        after.zip(&self.parameters).map(|(after, before)| f64::from(*after) - before).collect()
    }

    /// Compares a step of plain SGD with the gradient.
    fn check_gradient(&self, threads: usize) {
        let rate_one = Optimizer::Sgd { learning_rate: 1.0, momentum: 0.0, nesterov: false };
        let changes = self.step(rate_one, threads);
        for (i, (change, gradient)) in changes.iter().zip(&self.gradient).enumerate() {
            assert!(
                (change + gradient).abs() < BOUND,
                "{}: parameter {i} on {threads} threads: gradient {}, by finite differences \
                 {gradient}",
                self.name,
                -change
            );
        }
    }

    /// Compares the first step of `optimizer` with `change`, its formula.
    fn check_step(&self, optimizer: Optimizer, change: impl Fn(f64) -> f64) {
        // The formulas fall as the gradient rises, so the bound on the gradient bounds the change,
        // steep as it is where the gradient is nearly zero. The rest is rounding of changes and
        // weights below 4.
        const ROUNDING: f64 = 2e-6;
        for (i, (found, &g)) in self.step(optimizer, 2).iter().zip(&self.gradient).enumerate() {
            let (least, most) = (change(g + BOUND) - ROUNDING, change(g - BOUND) + ROUNDING);
            assert!(
                (least..=most).contains(found),
                "{}: {optimizer:?} changes parameter {i}, of gradient {g}, by {found}, not by \
                 {least} to {most}",
                self.name
            );
        }
    }
}

/// Weights spread so that the signal keeps its size from layer to layer; exact in `f32`.
fn parameters(widths: &[usize], seed: u64) -> Vec<f64> {
    let mut all = Vec::new();
    for pair in widths.windows(2) {
        let spread = 2.0 / (pair[0] as f64).sqrt();
        for i in 0..pair[0] * pair[1] {
            all.push((signed(seed, all.len() + i) * spread) as f32);
        }
        for i in 0..pair[1] {
            all.push((signed(seed, all.len() + i) * 0.25) as f32);
        }
    }
    all.into_iter().map(f64::from).collect()
}

/// The largest gradient of the tensor that has the smallest.
fn smallest_tensor(widths: &[usize], mut gradient: &[f64]) -> f64 {
    let mut smallest = f64::INFINITY;
    for pair in widths.windows(2) {
        for len in [pair[0] * pair[1], pair[1]] {
            let (tensor, rest) = gradient.split_at(len);
            smallest = tensor.iter().fold(0.0, |most: f64, g| most.max(g.abs())).min(smallest);
            gradient = rest;
        }
    }
    smallest
}

fn widths(depth: usize) -> Vec<usize> {
    let mut widths = vec![12, 9, 7, 6];
    widths.truncate(depth);
    widths.push(5);
    widths
}

fn cases(depths: std::ops::RangeInclusive<usize>, batch: &Data) -> Vec<Case> {
    let mut cases = Vec::new();
    for depth in depths {
        for head in HEADS {
            // Without hidden layers, their activation makes no difference.
            for hidden in &HIDDEN[..if depth == 1 { 1 } else { HIDDEN.len() }] {
                cases.push(Case::new(&widths(depth), *hidden, head, batch));
            }
        }
    }
    cases
}

#[test]
fn every_network_has_the_gradient_of_its_loss() {
    let batch = Data::bytes(5, 12, 5, 1);
    let cases = cases(1..=4, &batch);
    assert_eq!(cases.len(), 7 + 3 * 35);
    for (i, case) in cases.iter().enumerate() {
        case.check_gradient(1 + i % 3);
    }
}

#[test]
fn features_may_be_floats_of_either_sign() {
    let batch = Data::floats(6, 12, 5, 2);
    for case in cases(1..=2, &batch) {
        case.check_gradient(2);
    }
}

#[test]
fn wide_layers_cut_among_threads_have_the_same_gradient() {
    // Four blocks of sixteen columns and a ragged one; more classes than a vector holds.
    let batch = Data::bytes(7, 21, 19, 3);
    let head = HEADS[0];
    for (widths, hidden) in
        [(vec![21, 70, 19], Activation::Relu), (vec![21, 37, 50, 19], Activation::Tanh)]
    {
        let case = Case::new(&widths, hidden, head, &batch);
        for threads in [1, 2, 3, 5] {
            case.check_gradient(threads);
        }
    }
}

#[test]
fn the_first_step_of_every_optimizer_is_its_formula() {
    let batch = Data::bytes(5, 12, 5, 4);
    for case in cases(1..=3, &batch) {
        for nesterov in [false, true] {
            let (rate, momentum) = (0.5, 0.75);
            let optimizer = Optimizer::Sgd { learning_rate: rate, momentum, nesterov };
            // m = -rate g; w += m, or momentum m - rate g.
            let factor = if nesterov { 1.0 + momentum } else { 1.0 };
            case.check_step(optimizer, |g| -rate * g * factor);
        }
        let (rate, rho, epsilon) = (0.5, 0.9, 1e-7);
        let optimizer = Optimizer::RmsProp { learning_rate: rate, rho, epsilon };
        case.check_step(optimizer, |g| -rate * g / ((1.0 - rho) * g * g + epsilon).sqrt());

        let (rate, beta_1, beta_2, epsilon) = (0.5, 0.9, 0.999, 1e-7);
        let optimizer = Optimizer::Adam { learning_rate: rate, beta_1, beta_2, epsilon };
        case.check_step(optimizer, |g| {
            let (mean, square) = ((1.0 - beta_1) * g, (1.0 - beta_2) * g * g);
            // At step 1, as Keras has it: lr sqrt(1 - beta_2) / (1 - beta_1).
            let rate = rate * (1.0 - beta_2).sqrt() / (1.0 - beta_1);
            -rate * mean / (square.sqrt() + epsilon)
        });
    }
}
