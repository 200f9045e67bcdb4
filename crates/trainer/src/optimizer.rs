//! Optimizers and losses with Keras's names and defaults.

/// How gradients become updates. The formulas are Keras 3's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Step size.
        learning_rate: f32,
        /// Fraction of the last update that is kept, 0 for none.
        momentum: f32,
        /// Whether the gradient is taken ahead of the momentum.
        nesterov: bool,
    },
    /// RMSprop: `v = rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon)`.
    RmsProp {
        /// Step size.
        learning_rate: f32,
        /// Decay of the mean square.
        rho: f32,
        /// Keeps the root away from zero.
        epsilon: f32,
    },
    /// Adam (Kingma and Ba, 2015), with Keras's placing of epsilon outside the root.
    Adam {
        /// Step size.
        learning_rate: f32,
        /// Decay of the mean.
        beta_1: f32,
        /// Decay of the mean square.
        beta_2: f32,
        /// Keeps the quotient finite.
        epsilon: f32,
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
    pub fn learning_rate(&self) -> f32 {
        match *self {
            Self::Sgd { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => learning_rate,
        }
    }

    /// The same optimizer with another step size.
    #[must_use]
    pub fn with_learning_rate(mut self, rate: f32) -> Self {
        match &mut self {
            Self::Sgd { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => *learning_rate = rate,
        }
        self
    }
}

/// What training minimizes, by Keras's names. Labels are always class numbers; the categorical
/// forms read them as one-hot rows.
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
