//! Predictions without allocation: one by one, or many at a time.

use dataset::{Examples, FeaturesView};

use crate::engine::infer::{ForwardOne, Row, Team, Weights};
use crate::engine::network::Network;
use crate::{Error, Parameters};

/// A model's weights in the kernels' order with the memory of forward passes, made by
/// [`Model::predictor`](crate::Model::predictor).
#[derive(Debug)]
pub struct Predictor {
    network: Network,
    weights: Weights,
    forward: ForwardOne,
    /// Whether examples are of bytes, and the numbers of one.
    kind: (bool, usize),
    /// For many at a time, once there have been any.
    team: Option<Team>,
}

impl Predictor {
    pub(crate) fn new(network: &Network, parameters: &Parameters, examples: &Examples<'_>) -> Self {
        let weights = Weights::whole(parameters, examples);
        let forward = ForwardOne::new(network, examples);
        let (kind, network) = (kind(examples), network.clone());
        let mut predictor = Self { network, weights, forward, kind, team: None };
        // Plans are made, and their memory allocated, by the first prediction: make it here.
        match kind {
            (true, width) => predictor.predict(Row::Bytes(&vec![0; width])),
            (false, width) => predictor.predict(Row::Floats(&vec![0.0; width])),
        };
        predictor
    }

    /// The outputs of the last layer for one example, `[units]`.
    ///
    /// # Panics
    /// If the row is of another kind or length than the examples the predictor was made for.
    pub fn predict(&mut self, row: Row<'_>) -> &[f32] {
        self.forward.run(&self.network, &self.weights, row)
    }

    /// The outputs of the last layer for `examples`, into `outputs`, row-major `[len, units]`, on all
    /// processors. The labels are not looked at. The first call makes each thread's memory; later ones
    /// use it again.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for examples of another kind or length than those the predictor was made
    /// for, and for outputs of another length.
    pub fn predict_all(
        &mut self,
        examples: Examples<'_>,
        outputs: &mut [f32],
    ) -> Result<(), Error> {
        let name = |(bytes, width): (bool, usize)| {
            format!("{width} {}", if bytes { "bytes" } else { "floats" })
        };
        if kind(&examples) != self.kind {
            return Err(Error::Mismatch(format!(
                "the predictor takes examples of {}, and these have {}: make a predictor for examples \
                 like these",
                name(self.kind),
                name(kind(&examples))
            )));
        }
        let needed = examples.len() * self.network.classes();
        if outputs.len() != needed {
            return Err(Error::Mismatch(format!(
                "{} outputs for {} examples and {} units: give room for {needed}",
                outputs.len(),
                examples.len(),
                self.network.classes()
            )));
        }
        let Self { network, weights, team, .. } = self;
        team.get_or_insert_with(|| Team::new(network, weights.in_strips()))
            .predict(examples, outputs);
        Ok(())
    }
}

fn kind(examples: &Examples<'_>) -> (bool, usize) {
    (matches!(examples.features(), FeaturesView::U8(_)), examples.width())
}
