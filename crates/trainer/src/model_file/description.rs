//! The JSON description inside a model file: everything about a model but its numbers.

use serde::{Deserialize, Serialize};

use crate::{Activation, Dense, Flatten, Layer, Loss, Model, Optimizer, Sequential};

/// The version that this program writes, and the only one so far.
const VERSION: u32 = 1;

/// Pixels are divided by this before the first layer.
const PIXEL_SCALE: f32 = 255.0;

#[derive(Serialize, Deserialize)]
pub(super) struct Description {
    version: u32,
    input_shape: Vec<usize>,
    scaling: Scaling,
    layers: Vec<LayerDescription>,
    class_names: Vec<String>,
    optimizer: OptimizerDescription,
    loss: String,
}

/// How stored examples become the first layer's input.
#[derive(Serialize, Deserialize)]
struct Scaling {
    /// Bytes are divided by this; numbers that are floats already are taken as they are.
    uint8_divided_by: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "class")]
enum LayerDescription {
    Flatten,
    Dense { units: usize, activation: String },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
enum OptimizerDescription {
    Sgd { learning_rate: f64, momentum: f64, nesterov: bool },
    RmsProp { learning_rate: f64, rho: f64, epsilon: f64 },
    Adam { learning_rate: f64, beta_1: f64, beta_2: f64, epsilon: f64 },
}

/// A description whose names and sizes have been checked.
pub(super) struct Checked {
    /// The stack, not yet given its parameters.
    pub stack: Sequential,
    /// Width of the input, then of every dense layer.
    pub widths: Vec<usize>,
    pub class_names: Vec<String>,
    pub optimizer: Optimizer,
    pub loss: Loss,
}

impl Description {
    pub fn of(model: &Model) -> Self {
        Self {
            version: VERSION,
            input_shape: model.input_shape().to_vec(),
            scaling: Scaling { uint8_divided_by: PIXEL_SCALE },
            layers: model.layers().iter().map(LayerDescription::from).collect(),
            class_names: model.class_names().to_vec(),
            optimizer: model.optimizer().into(),
            loss: model.loss().name().to_owned(),
        }
    }

    /// Checks everything that can be checked without the numbers. The error is the end of a
    /// sentence that starts with the file's name.
    pub fn check(self) -> Result<Checked, String> {
        if self.version != VERSION {
            return Err(format!(
                "has a description of version {}, and this program reads version {VERSION}",
                self.version
            ));
        }
        if self.scaling.uint8_divided_by != PIXEL_SCALE {
            return Err(format!(
                "divides pixels by {}, and this program divides them by {PIXEL_SCALE}",
                self.scaling.uint8_divided_by
            ));
        }
        let inputs = self
            .input_shape
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size))
            .filter(|&inputs| inputs > 0)
            .ok_or_else(|| format!("has an impossible input shape {:?}", self.input_shape))?;
        let loss = Loss::from_name(&self.loss)
            .ok_or_else(|| format!("names a loss `{}` that is not known", self.loss))?;
        let mut stack = Sequential::new(self.input_shape);
        let mut widths = vec![inputs];
        for (number, layer) in self.layers.into_iter().enumerate() {
            stack = match layer {
                LayerDescription::Flatten => stack.layer(Flatten),
                LayerDescription::Dense { units: 0, .. } => {
                    return Err(format!("has a layer {} of no units", number + 1));
                }
                LayerDescription::Dense { units, activation } => {
                    widths.push(units);
                    let activation = Activation::from_name(&activation).ok_or_else(|| {
                        format!("names an activation `{activation}` that is not known")
                    })?;
                    stack.layer(Dense::new(units, activation))
                }
            };
        }
        let outputs = match widths[..] {
            [_, .., last] => last,
            _ => return Err("has no dense layer".to_owned()),
        };
        let names = self.class_names;
        if !names.is_empty() && names.len() != outputs {
            return Err(format!("has {} class names for {outputs} outputs", names.len()));
        }
        // They are printed on terminals, where control characters are commands.
        if let Some(name) = names.iter().find(|name| name.contains(char::is_control)) {
            return Err(format!("has a class name with control characters, {name:?}"));
        }
        let optimizer = self.optimizer.into();
        Ok(Checked { stack, widths, class_names: names, optimizer, loss })
    }
}

impl From<&Layer> for LayerDescription {
    fn from(layer: &Layer) -> Self {
        match layer {
            Layer::Flatten => Self::Flatten,
            Layer::Dense(dense) => {
                Self::Dense { units: dense.units, activation: dense.activation.name().to_owned() }
            }
        }
    }
}

impl From<Optimizer> for OptimizerDescription {
    fn from(optimizer: Optimizer) -> Self {
        match optimizer {
            Optimizer::Sgd { learning_rate, momentum, nesterov } => {
                Self::Sgd { learning_rate, momentum, nesterov }
            }
            Optimizer::RmsProp { learning_rate, rho, epsilon } => {
                Self::RmsProp { learning_rate, rho, epsilon }
            }
            Optimizer::Adam { learning_rate, beta_1, beta_2, epsilon } => {
                Self::Adam { learning_rate, beta_1, beta_2, epsilon }
            }
        }
    }
}

impl From<OptimizerDescription> for Optimizer {
    fn from(description: OptimizerDescription) -> Self {
        match description {
            OptimizerDescription::Sgd { learning_rate, momentum, nesterov } => {
                Self::Sgd { learning_rate, momentum, nesterov }
            }
            OptimizerDescription::RmsProp { learning_rate, rho, epsilon } => {
                Self::RmsProp { learning_rate, rho, epsilon }
            }
            OptimizerDescription::Adam { learning_rate, beta_1, beta_2, epsilon } => {
                Self::Adam { learning_rate, beta_1, beta_2, epsilon }
            }
        }
    }
}
