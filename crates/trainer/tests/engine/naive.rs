//! A dense network in `f64` as the textbook has it, forward only: the gradient is taken by central
//! differences, so that it shares no formula with what it checks.

use trainer::{Activation, Loss};

pub struct Naive {
    /// Inputs first.
    pub widths: Vec<usize>,
    pub hidden: Activation,
    pub output: Activation,
    pub loss: Loss,
}

impl Naive {
    fn activation(&self, layer: usize) -> Activation {
        if layer + 2 == self.widths.len() { self.output } else { self.hidden }
    }

    /// Calls `see` with each layer's activation and sums; returns the outputs for one example.
    fn forward(
        &self,
        parameters: &[f64],
        example: &[f64],
        mut see: impl FnMut(Activation, &[f64]),
    ) -> Vec<f64> {
        let (mut x, mut rest) = (example.to_vec(), parameters);
        for (layer, pair) in self.widths.windows(2).enumerate() {
            let (weights, after) = rest.split_at(pair[0] * pair[1]);
            let (biases, after) = after.split_at(pair[1]);
            rest = after;
            let mut sums = biases.to_vec();
            for (x, row) in x.iter().zip(weights.chunks(pair[1])) {
                for (sum, weight) in sums.iter_mut().zip(row) {
                    *sum += x * weight;
                }
            }
            see(self.activation(layer), &sums);
            x = apply(self.activation(layer), &sums);
        }
        x
    }

    /// Outputs for one example, `[classes]`.
    pub fn outputs(&self, parameters: &[f64], example: &[f64]) -> Vec<f64> {
        self.forward(parameters, example, |_, _| ())
    }

    /// Mean loss over the examples.
    pub fn loss(&self, parameters: &[f64], inputs: &[f64], labels: &[usize]) -> f64 {
        let sum: f64 = inputs
            .chunks(self.widths[0])
            .zip(labels)
            .map(|(example, &label)| {
                let outputs = self.outputs(parameters, example);
                match self.loss {
                    Loss::SparseCategoricalCrossentropy => -outputs[label].ln(),
                    Loss::MeanSquaredError => {
                        let target = |j| if j == label { 1.0 } else { 0.0 };
                        let square = |(j, y): (usize, &f64)| (y - target(j)).powi(2);
                        outputs.iter().enumerate().map(square).sum::<f64>() / outputs.len() as f64
                    }
                }
            })
            .sum();
        sum / labels.len() as f64
    }

    /// Fraction of examples whose first largest output is their label's.
    pub fn accuracy(&self, parameters: &[f64], inputs: &[f64], labels: &[usize]) -> f64 {
        let hits = inputs
            .chunks(self.widths[0])
            .zip(labels)
            .filter(|(example, label)| argmax(&self.outputs(parameters, example)) == **label)
            .count();
        hits as f64 / labels.len() as f64
    }

    /// The loss's derivative by every parameter, by central differences.
    ///
    /// With h = 1e-5, what the third derivative adds (h^2/6 of it) and what the rounding of the
    /// loss adds (1e-16 / h) are both about 1e-11.
    pub fn gradient(&self, parameters: &[f64], inputs: &[f64], labels: &[usize]) -> Vec<f64> {
        const H: f64 = 1e-5;
        let mut moved = parameters.to_vec();
        let mut loss_at = |i: usize, value: f64| {
            let old = std::mem::replace(&mut moved[i], value);
            let loss = self.loss(&moved, inputs, labels);
            moved[i] = old;
            loss
        };
        parameters
            .iter()
            .enumerate()
            .map(|(i, &w)| (loss_at(i, w + H) - loss_at(i, w - H)) / (2.0 * H))
            .collect()
    }

    /// The smallest distance of a sum from the place where its activation has no derivative (relu)
    /// or a jump in the second one (elu).
    pub fn distance_from_kinks(&self, parameters: &[f64], inputs: &[f64]) -> f64 {
        let mut smallest = f64::INFINITY;
        for example in inputs.chunks(self.widths[0]) {
            self.forward(parameters, example, |activation, sums| {
                if matches!(activation, Activation::Relu | Activation::Elu) {
                    smallest = sums.iter().fold(smallest, |least, z| least.min(z.abs()));
                }
            });
        }
        smallest
    }
}

fn apply(activation: Activation, sums: &[f64]) -> Vec<f64> {
    let each = |f: fn(f64) -> f64| sums.iter().map(|&z| f(z)).collect();
    match activation {
        Activation::Linear => sums.to_vec(),
        Activation::Relu => each(|z| z.max(0.0)),
        Activation::Sigmoid => each(|z| 1.0 / (1.0 + (-z).exp())),
        Activation::Tanh => each(f64::tanh),
        Activation::Elu => each(|z| if z > 0.0 { z } else { z.exp() - 1.0 }),
        Activation::Softmax => {
            let largest = sums.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let powers: Vec<f64> = sums.iter().map(|z| (z - largest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.iter().map(|e| e / sum).collect()
        }
    }
}

/// The first largest.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}
