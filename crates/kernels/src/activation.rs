//! Activation functions and their gradients.

use crate::Isa;
use crate::math;
use crate::simd::{Kernel, Simd};
use crate::slices::{self, Op};

/// An elementwise activation function.
///
/// Gradients are taken from the output of the activation, so that nothing but the output need be
/// kept for the way back. The naive twins are [`reference::activation`] and
/// [`reference::activation_gradient`].
///
/// [`reference::activation`]: crate::reference::activation
/// [`reference::activation_gradient`]: crate::reference::activation_gradient
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x`
    Linear,
    /// `max(x, 0)`; NaN stays NaN.
    Relu,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `x` where positive, `exp(x) - 1` elsewhere (Keras's `elu` with alpha 1)
    Elu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Linear, Self::Relu, Self::Sigmoid, Self::Tanh, Self::Elu];

    /// Replaces each value by its activation.
    pub fn forward(self, isa: Isa, values: &mut [f32]) {
        if self != Self::Linear {
            isa.run(Forward { activation: self, values });
        }
    }

    /// Multiplies `gradient`, taken with respect to the activation's `outputs`, by the
    /// activation's derivative: the gradient with respect to its inputs.
    ///
    /// | | derivative from the output y |
    /// |---|---|
    /// | linear | 1 |
    /// | relu | 1 where y > 0, else 0 |
    /// | sigmoid | y (1 - y) |
    /// | tanh | 1 - y² |
    /// | elu | 1 where y > 0, else y + 1 |
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn backward(self, isa: Isa, outputs: &[f32], gradient: &mut [f32]) {
        assert_eq!(outputs.len(), gradient.len(), "one gradient for each output");
        if self != Self::Linear {
            isa.run(Backward { activation: self, outputs, gradient });
        }
    }

    /// [`forward`](Self::forward) of one vector.
    #[inline(always)]
    pub(crate) fn forward_vector<S: Simd>(self, s: S, x: S::F) -> S::F {
        match self {
            Self::Linear => x,
            // NaN stays, being the second operand.
            Self::Relu => s.max(s.splat(0.0), x),
            Self::Sigmoid => math::sigmoid(s, x),
            Self::Tanh => math::tanh(s, x),
            Self::Elu => math::elu(s, x),
        }
    }

    /// [`backward`](Self::backward) of one vector: outputs `y`, gradient `g`.
    #[inline(always)]
    pub(crate) fn backward_vector<S: Simd>(self, s: S, y: S::F, g: S::F) -> S::F {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        match self {
            Self::Linear => g,
            Self::Relu => s.if_gt(y, zero, g, zero),
            Self::Sigmoid => s.mul(g, s.mul(y, s.sub(one, y))),
            Self::Tanh => s.mul(g, s.fnma(y, y, one)),
            Self::Elu => s.mul(g, s.if_gt(y, zero, one, s.add(y, one))),
        }
    }
}

/// The vector forms as operations on slices.
#[derive(Clone, Copy)]
struct OfInput(Activation);

impl Op<1> for OfInput {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::F; 1]) -> S::F {
        self.0.forward_vector(s, x)
    }
}

#[derive(Clone, Copy)]
struct TimesDerivative(Activation);

impl Op<2> for TimesDerivative {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [g, y]: [S::F; 2]) -> S::F {
        self.0.backward_vector(s, y, g)
    }
}

/// Evaluates `$body` with a constant `$name` in place of each activation: one loop a function,
/// with the choice outside.
macro_rules! hoisted {
    ($activation:expr, $name:ident => $body:expr) => {
        hoisted!($activation, $name => $body, Linear, Relu, Sigmoid, Tanh, Elu)
    };
    ($activation:expr, $name:ident => $body:expr, $($variant:ident),*) => {
        match $activation {
            $(Activation::$variant => {
                const $name: Activation = Activation::$variant;
                $body
            })*
        }
    };
}

struct Forward<'a> {
    activation: Activation,
    values: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        hoisted!(self.activation, A => slices::map(s, self.values, OfInput(A)));
    }
}

struct Backward<'a> {
    activation: Activation,
    outputs: &'a [f32],
    gradient: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        hoisted!(self.activation, A => {
            slices::zip(s, self.gradient, self.outputs, TimesDerivative(A));
        });
    }
}
