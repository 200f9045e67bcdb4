//! Optimizers and losses with Keras's names and defaults.

use crate::engine::network::rule;

/// How gradients become updates. The formulas are Keras 3's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Step size.
        learning_rate: f64,
        /// Fraction of the last update that is kept, 0 for none.
        momentum: f64,
        /// Whether the gradient is taken ahead of the momentum.
        nesterov: bool,
    },
    /// RMSprop: `v = rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon)`.
    RmsProp {
        /// Step size.
        learning_rate: f64,
        /// Decay of the mean square.
        rho: f64,
        /// Keeps the root away from zero.
        epsilon: f64,
    },
    /// Adam (Kingma and Ba, 2015), with Keras's placing of epsilon outside the root.
    Adam {
        /// Step size.
        learning_rate: f64,
        /// Decay of the mean.
        beta_1: f64,
        /// Decay of the mean square.
        beta_2: f64,
        /// Keeps the quotient finite.
        epsilon: f64,
    },
}

impl Optimizer {
    /// Names that [`from_name`](Self::from_name) knows.
    pub const NAMES: [&'static str; 3] = ["sgd", "rmsprop", "adam"];

    /// SGD with Keras's defaults: learning rate 0.01, no momentum.
    pub fn sgd() -> Self {
        Self::Sgd { learning_rate: 0.01, momentum: 0.0, nesterov: false }
    }

    /// RMSprop with Keras's defaults: learning rate 1e-3, rho 0.9, epsilon 1e-7.
    pub fn rmsprop() -> Self {
        Self::RmsProp { learning_rate: 1e-3, rho: 0.9, epsilon: 1e-7 }
    }

    /// Adam with Keras's defaults: learning rate 1e-3, betas 0.9 and 0.999, epsilon 1e-7.
    pub fn adam() -> Self {
        Self::Adam { learning_rate: 1e-3, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }

    /// The optimizer of that name with its defaults.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sgd" => Some(Self::sgd()),
            "rmsprop" => Some(Self::rmsprop()),
            "adam" => Some(Self::adam()),
            _ => None,
        }
    }

    /// The name Keras uses.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::RmsProp { .. } => "rmsprop",
            Self::Adam { .. } => "adam",
        }
    }

    /// The step size.
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Self::Sgd { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => learning_rate,
        }
    }

    /// The same optimizer with another step size.
    #[must_use]
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        match &mut self {
            Self::Sgd { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => *learning_rate = rate,
        }
        self
    }
}

/// What training minimizes, by Keras's names. Labels are always class numbers, which the squared
/// error compares as one-hot rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// `-ln p[label]`, with softmax in the last layer.
    SparseCategoricalCrossentropy,
    /// `mean_j (y_j - onehot_j)^2`.
    MeanSquaredError,
}

impl Loss {
    /// All losses.
    pub const ALL: [Loss; 2] = [Self::SparseCategoricalCrossentropy, Self::MeanSquaredError];

    /// The name Keras uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::SparseCategoricalCrossentropy => "sparse_categorical_crossentropy",
            Self::MeanSquaredError => "mean_squared_error",
        }
    }

    /// The loss of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|loss| loss.name() == name)
    }
}

/// What an optimizer remembers between steps, one float a parameter each, in the parameters'
/// order, scaled as [`kernels::Update`] has it; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// The momentum, or Adam's sum of gradients.
    pub(crate) first: Vec<f32>,
    /// The sum of squares.
    pub(crate) second: Vec<f32>,
    /// Steps taken.
    pub(crate) steps: u64,
}

impl State {
    /// The state before the first step.
    pub(crate) fn new(optimizer: Optimizer, parameters: usize) -> Self {
        let (first, second) = match optimizer {
            Optimizer::Sgd { momentum: 0.0, .. } => (0, 0),
            Optimizer::Sgd { .. } => (parameters, 0),
            Optimizer::RmsProp { .. } => (0, parameters),
            Optimizer::Adam { .. } => (parameters, parameters),
        };
        let start = rule(optimizer, 1).initial_second();
        Self { first: vec![0.0; first], second: vec![start; second], steps: 0 }
    }
}
