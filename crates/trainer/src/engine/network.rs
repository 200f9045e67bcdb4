//! A model as the engine sees it: widths, activations, loss and rule.

use kernels::{Activation, Isa, Update, narrow};

use super::Phase;
use crate::{Loss, Optimizer};

/// What the last layer and the loss are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Softmax with cross-entropy, fused.
    SoftmaxCrossEntropy,
    /// Mean squared error of an activation's outputs.
    SquaredError(Activation),
    /// Mean squared error of softmax's probabilities.
    SquaredErrorOfSoftmax,
}

/// Dense layers: layer l maps `widths[l]` to `widths[l + 1]` numbers.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) widths: Vec<usize>,
    /// Of every layer but the last.
    pub(crate) hidden: Vec<Activation>,
    pub(crate) head: Head,
}

impl Network {
    /// Dense layers.
    pub(crate) fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    /// Classes: the width of the last layer.
    pub(crate) fn classes(&self) -> usize {
        self.widths[self.depth()]
    }

    /// The activation that follows layer `l`'s products in the forward pass; the head applies the
    /// last layer's itself.
    pub(crate) fn activation(&self, l: usize) -> Activation {
        self.hidden.get(l).copied().unwrap_or(Activation::Linear)
    }

    /// Whether the second layer is narrow: its weight gradient is then part of the way back through it.
    pub(crate) fn second_is_narrow(&self, isa: Isa) -> bool {
        self.depth() > 1 && self.widths[2] <= narrow::widest(isa)
    }

    /// Floating-point operations of a step an example, by phase: two a multiply-add of the forward
    /// products, of the weight gradients, and of the input gradients of all layers but the first.
    pub(crate) fn flops(&self, phase: Phase) -> f64 {
        let of = |from: usize| -> f64 {
            let layers = self.widths.windows(2).skip(from);
            layers.map(|pair| 2.0 * (pair[0] * pair[1]) as f64).sum()
        };
        let narrow = if self.second_is_narrow(Isa::best()) {
            2.0 * (self.widths[1] * self.widths[2]) as f64
        } else {
            0.0
        };
        match phase {
            Phase::Forward => of(0),
            Phase::Update => of(0) - narrow,
            Phase::Backward => of(1) + narrow,
            Phase::Gather | Phase::Loss | Phase::Wait => 0.0,
        }
    }

    /// All of them.
    pub(crate) fn flops_per_example(&self) -> f64 {
        Phase::ALL.into_iter().map(|phase| self.flops(phase)).sum()
    }
}

/// The loss's head for a last activation; `None` is softmax.
pub(crate) fn head(loss: Loss, last: Option<Activation>) -> Option<Head> {
    match (loss, last) {
        (Loss::SparseCategoricalCrossentropy, None) => Some(Head::SoftmaxCrossEntropy),
        (Loss::SparseCategoricalCrossentropy, Some(_)) => None,
        (Loss::MeanSquaredError, None) => Some(Head::SquaredErrorOfSoftmax),
        (Loss::MeanSquaredError, Some(activation)) => Some(Head::SquaredError(activation)),
    }
}

/// The rule of step `t`, from 1.
pub(crate) fn rule(optimizer: Optimizer, t: u64) -> Update {
    match optimizer {
        Optimizer::Sgd { learning_rate, momentum: 0.0, .. } => {
            Update::Sgd { learning_rate: learning_rate as f32 }
        }
        Optimizer::Sgd { learning_rate, momentum, nesterov } => Update::Momentum {
            learning_rate: learning_rate as f32,
            momentum: momentum as f32,
            nesterov,
        },
        Optimizer::RmsProp { learning_rate, rho, epsilon } => {
            Update::rmsprop(learning_rate, rho, epsilon)
        }
        Optimizer::Adam { learning_rate, beta_1, beta_2, epsilon } => {
            Update::adam(learning_rate, beta_1, beta_2, epsilon, t)
        }
    }
}
