//! The naive twins: every kernel once more, as its formula reads, in `f64`.
//!
//! Slow on purpose. Tests compare the kernels with these under absolute bounds that grow with the
//! size of the terms, never relative to a result that may be zero.

mod loss;
mod optimizer;
mod product;

pub use loss::{RowLosses, mean_squared_error, softmax, softmax_cross_entropy};
pub use optimizer::{adam, rmsprop, sgd};
pub use product::{Strided, gemm, gemm_of_magnitudes};

use crate::Activation;

/// The activation of `x`.
pub fn activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Linear => x,
        Activation::Relu => {
            if x < 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Elu => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
    }
}

/// The derivative of the activation whose output is `y`: see
/// [`Activation::backward`](crate::Activation::backward).
pub fn activation_gradient(activation: Activation, y: f64) -> f64 {
    let step = if y > 0.0 { 1.0 } else { 0.0 };
    match activation {
        Activation::Linear => 1.0,
        Activation::Relu => step,
        Activation::Sigmoid => y * (1.0 - y),
        Activation::Tanh => 1.0 - y * y,
        Activation::Elu => {
            if y > 0.0 {
                1.0
            } else {
                y + 1.0
            }
        }
    }
}

/// `c[i, j] = activation(c[i, j] + bias[j])` over `[m, n]` row-major, `n = bias.len()`.
pub fn bias_activation(c: &mut [f64], bias: &[f32], function: Activation) {
    for row in c.chunks_exact_mut(bias.len()) {
        for (x, b) in row.iter_mut().zip(bias) {
            *x = activation(function, *x + f64::from(*b));
        }
    }
}
