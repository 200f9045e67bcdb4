//! Predictions one by one, without allocation.

use dataset::Examples;

use crate::Parameters;
use crate::engine::infer::{Forward, Row, Weights};
use crate::engine::network::Network;

/// A model's weights in the kernels' order with the memory of one forward pass, made by
/// [`Model::predictor`](crate::Model::predictor).
#[derive(Debug)]
pub struct Predictor {
    network: Network,
    weights: Weights,
    forward: Forward,
}

impl Predictor {
    pub(crate) fn new(network: &Network, parameters: &Parameters, examples: &Examples<'_>) -> Self {
        let forward = Forward::new(network, examples, 1);
        let mut predictor =
            Self { network: network.clone(), weights: Weights::whole(parameters), forward };
        // Plans are made, and their memory allocated, by the first prediction: make it here.
        let width = network.widths[0];
        match examples.features() {
            dataset::FeaturesView::U8(_) => predictor.predict(Row::Bytes(&vec![0; width])),
            dataset::FeaturesView::F32(_) => predictor.predict(Row::Floats(&vec![0.0; width])),
        };
        predictor
    }

    /// The outputs of the last layer for one example, `[units]`.
    ///
    /// # Panics
    /// If the row is of another kind or length than the examples the predictor was made for.
    pub fn predict(&mut self, row: Row<'_>) -> &[f32] {
        self.forward.one(&self.network, &self.weights, row)
    }
}
