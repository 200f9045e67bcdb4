//! The model: a stack of layers with its parameters.

use std::ops::ControlFlow;

use dataset::Examples;

use crate::{
    EpochReport, Error, Evaluation, Fit, History, Layer, Loss, Optimizer, Parameters, Progress,
};

/// A stack of layers, described but not yet built.
#[derive(Clone, Debug)]
pub struct Sequential {
    input_shape: Vec<usize>,
    layers: Vec<Layer>,
    seed: u64,
}

impl Sequential {
    /// A model whose examples have `input_shape`.
    pub fn new(input_shape: impl Into<Vec<usize>>) -> Self {
        Self { input_shape: input_shape.into(), layers: Vec::new(), seed: 0 }
    }

    /// Adds a layer at the end.
    #[must_use]
    pub fn layer(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// Sets the seed of the initial weights (0 otherwise).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the stack, draws the weights (Glorot uniform; biases zero) and fixes how to train.
    pub fn compile(self, optimizer: Optimizer, loss: Loss) -> Result<Model, Error> {
        let _ = (optimizer, loss);
        todo!()
    }
}

/// A model with its parameters.
#[derive(Clone, Debug)]
pub struct Model {
    input_shape: Vec<usize>,
    layers: Vec<Layer>,
    parameters: Parameters,
    class_names: Vec<String>,
    optimizer: Optimizer,
    loss: Loss,
}

impl Model {
    /// Trains on `examples`.
    pub fn fit(&mut self, examples: Examples<'_>, settings: &Fit) -> Result<History, Error> {
        self.fit_with(examples, settings, &Progress::default(), |_| ControlFlow::Continue(()))
    }

    /// Trains on `examples`; `progress` can be read from another thread, and `on_epoch` sees each
    /// epoch's report as it comes and may end the training.
    pub fn fit_with(
        &mut self,
        examples: Examples<'_>,
        settings: &Fit,
        progress: &Progress,
        on_epoch: impl FnMut(&EpochReport) -> ControlFlow<()>,
    ) -> Result<History, Error> {
        let _ = (examples, settings, progress, on_epoch);
        todo!()
    }

    /// Loss and accuracy over `examples`.
    pub fn evaluate(&self, examples: Examples<'_>) -> Result<Evaluation, Error> {
        let _ = examples;
        todo!()
    }

    /// Outputs of the last layer for `examples`, row-major `[len, units]`.
    pub fn predict(&self, examples: Examples<'_>) -> Result<Vec<f32>, Error> {
        let _ = examples;
        todo!()
    }

    /// The shape of one example.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The trained numbers.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Names of the classes, one an output unit; empty if none were given.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Names the classes.
    ///
    /// # Panics
    /// If there are names, but not one an output unit.
    pub fn set_class_names(&mut self, names: Vec<String>) {
        self.class_names = names;
    }

    /// How it is trained.
    pub fn optimizer(&self) -> Optimizer {
        self.optimizer
    }

    /// What training minimizes.
    pub fn loss(&self) -> Loss {
        self.loss
    }
}
