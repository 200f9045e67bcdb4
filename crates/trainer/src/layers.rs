//! Layers and their activations, as a model's description lists them.

/// The activation of a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x`
    Linear,
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `x` where positive, `exp(x) - 1` elsewhere
    Elu,
    /// `exp(x_j) / sum_k exp(x_k)` over the units; for the last layer
    Softmax,
}

impl Activation {
    /// All activations.
    pub const ALL: [Activation; 6] =
        [Self::Linear, Self::Relu, Self::Sigmoid, Self::Tanh, Self::Elu, Self::Softmax];

    /// The name Keras uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Elu => "elu",
            Self::Softmax => "softmax",
        }
    }

    /// The activation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|activation| activation.name() == name)
    }
}

/// Turns an example of any shape into a row of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

/// A fully connected layer: `activation(x W + b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Number of outputs.
    pub units: usize,
    /// What is applied to them.
    pub activation: Activation,
}

impl Dense {
    /// A layer of `units` outputs.
    pub fn new(units: usize, activation: Activation) -> Self {
        Self { units, activation }
    }
}

/// A layer of a [`Sequential`](crate::Sequential) model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// See [`Flatten`].
    Flatten,
    /// See [`Dense`].
    Dense(Dense),
}

impl From<Flatten> for Layer {
    fn from(_: Flatten) -> Self {
        Self::Flatten
    }
}

impl From<Dense> for Layer {
    fn from(dense: Dense) -> Self {
        Self::Dense(dense)
    }
}
