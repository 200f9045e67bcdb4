//! What a stack of layers and its settings must satisfy.

use crate::engine::network::{self, Network};
use crate::{Activation, Error, Fit, Layer, Loss, Optimizer};

/// Parameters above this many are taken for a slip: 4 GiB of weights, and up to twice as much again
/// for the optimizer.
const MOST_PARAMETERS: usize = 1 << 30;

fn invalid<T>(message: String) -> Result<T, Error> {
    Err(Error::Invalid(message))
}

/// The kernels' name of an activation; `None` for softmax.
fn elementwise(activation: Activation) -> Option<kernels::Activation> {
    match activation {
        Activation::Linear => Some(kernels::Activation::Linear),
        Activation::Relu => Some(kernels::Activation::Relu),
        Activation::Sigmoid => Some(kernels::Activation::Sigmoid),
        Activation::Tanh => Some(kernels::Activation::Tanh),
        Activation::Elu => Some(kernels::Activation::Elu),
        Activation::Softmax => None,
    }
}

/// Inputs of the first dense layer, then the units of each.
pub(crate) fn widths(input_shape: &[usize], layers: &[Layer]) -> Result<Vec<usize>, Error> {
    let inputs = input_shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
    let inputs = match inputs {
        Some(inputs) if inputs > 0 => inputs,
        _ => return invalid(format!("an input of shape {input_shape:?} holds no usable example")),
    };
    let mut widths = vec![inputs];
    let mut flat = input_shape.len() == 1;
    for layer in layers {
        match layer {
            Layer::Flatten => flat = true,
            Layer::Dense(dense) if dense.units == 0 => {
                return invalid("a dense layer of 0 units: at least 1 is needed".to_string());
            }
            Layer::Dense(dense) => {
                if !flat {
                    return invalid(format!(
                        "a dense layer needs rows of numbers, but its input has shape \
                         {input_shape:?}: put Flatten before it"
                    ));
                }
                widths.push(dense.units);
            }
        }
    }
    if widths.len() == 1 {
        return invalid("the model has no dense layer: add at least one".to_string());
    }
    let parameters = widths.windows(2).try_fold(0usize, |all, pair| {
        pair[0].checked_add(1)?.checked_mul(pair[1])?.checked_add(all)
    });
    match parameters {
        Some(parameters) if parameters <= MOST_PARAMETERS => Ok(widths),
        _ => invalid(format!(
            "layers of {widths:?} units have more than {MOST_PARAMETERS} parameters: use fewer units"
        )),
    }
}

/// The network of a stack with its loss.
pub(crate) fn network(
    input_shape: &[usize],
    layers: &[Layer],
    loss: Loss,
) -> Result<Network, Error> {
    let widths = widths(input_shape, layers)?;
    let dense: Vec<_> = layers
        .iter()
        .filter_map(|layer| match layer {
            Layer::Dense(dense) => Some(dense.activation),
            Layer::Flatten => None,
        })
        .collect();
    let (last, hidden) = dense.split_last().expect("widths has found a dense layer");
    let hidden: Option<Vec<_>> = hidden.iter().map(|&a| elementwise(a)).collect();
    let Some(hidden) = hidden else {
        return invalid("softmax in a hidden layer: it belongs to the last layer".to_string());
    };
    let classes = widths[widths.len() - 1];
    if classes > 1 << 16 {
        return invalid(format!("a last layer of {classes} units: at most 65536 classes"));
    }
    match network::head(loss, elementwise(*last)) {
        Some(head) => Ok(Network { widths, hidden, head }),
        None => invalid(format!(
            "the loss {} needs softmax in the last layer, found {}: change one of them",
            loss.name(),
            last.name()
        )),
    }
}

/// Settings of the optimizer.
pub(crate) fn optimizer(optimizer: Optimizer) -> Result<(), Error> {
    let positive = |name: &str, x: f64| {
        // As the kernels have it.
        if x as f32 > 0.0 && (x as f32).is_finite() {
            Ok(())
        } else {
            invalid(format!("{name} {x}: a positive number is needed, such as 0.001"))
        }
    };
    let fraction = |name: &str, x: f64| {
        if (0.0..1.0).contains(&x) && (x as f32) < 1.0 {
            Ok(())
        } else {
            invalid(format!("{name} {x}: a number from 0 to below 1 is needed"))
        }
    };
    positive("learning rate", optimizer.learning_rate())?;
    match optimizer {
        Optimizer::Sgd { momentum, .. } => fraction("momentum", momentum),
        Optimizer::RmsProp { rho, epsilon, .. } => {
            fraction("rho", rho)?;
            positive("epsilon", epsilon)
        }
        Optimizer::Adam { beta_1, beta_2, epsilon, .. } => {
            fraction("beta_1", beta_1)?;
            fraction("beta_2", beta_2)?;
            positive("epsilon", epsilon)
        }
    }
}

/// Settings of a training run.
pub(crate) fn settings(fit: &Fit) -> Result<(), Error> {
    if fit.batch_size == 0 {
        return invalid("a batch size of 0: at least 1 is needed".to_string());
    }
    if !(0.0..1.0).contains(&fit.validation_split) {
        return invalid(format!(
            "a validation split of {}: a fraction from 0 to below 1 is needed",
            fit.validation_split
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_f32_cannot_hold_are_refused() {
        let adam = |learning_rate, beta_1, epsilon| {
            optimizer(Optimizer::Adam { learning_rate, beta_1, beta_2: 0.999, epsilon })
        };
        assert!(adam(0.001, 0.9, 1e-7).is_ok());
        for (result, name) in [
            (adam(1e39, 0.9, 1e-7), "learning rate"),
            (adam(0.001, 0.999_999_99, 1e-7), "beta_1"),
            (adam(0.001, 0.9, 1e-60), "epsilon"),
        ] {
            assert!(result.unwrap_err().to_string().starts_with(name));
        }
    }
}
