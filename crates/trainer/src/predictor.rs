//! Predictions in memory that is used again: one by one, or many at a time.

use dataset::Examples;
use kernels::panels::Form;

use crate::engine::forward::{ForwardOne, Row, Weights};
use crate::engine::gather::Reading;
use crate::engine::infer::Team;
use crate::engine::network::Network;
use crate::{Error, Parameters};

/// A model's weights in the kernels' order with the memory of forward passes, made by
/// [`Model::predictor`](crate::Model::predictor).
#[derive(Debug)]
pub struct Predictor {
    network: Network,
    weights: Weights,
    forward: ForwardOne,
    /// How it reads examples, in whatever shape their numbers come.
    reading: Reading,
    /// For many at a time, once there have been any.
    team: Option<Team>,
}

impl Predictor {
    pub(crate) fn new(network: &Network, parameters: &Parameters, examples: &Examples<'_>) -> Self {
        let reading = Reading::of(examples);
        let weights = Weights::whole(parameters, reading);
        let forward = ForwardOne::new(network, reading);
        let mut predictor =
            Self { network: network.clone(), weights, forward, reading, team: None };
        // Plans are made, and their memory allocated, by the first prediction: make it here.
        match reading.form {
            Form::Bytes(_) => predictor.predict(Row::Bytes(&vec![0; examples.width()])),
            Form::Floats => predictor.predict(Row::Floats(&vec![0.0; examples.width()])),
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
        let found = Reading::of(&examples);
        if !found.fits(self.reading) {
            return Err(Error::Mismatch(format!(
                "the predictor takes examples of {}, and these have {}: make a predictor for examples \
                 like these",
                kind(self.reading),
                kind(found)
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
        let Self { network, weights, reading, team, .. } = self;
        team.get_or_insert_with(|| Team::new(network, *reading, weights.in_strips()))
            .predict(examples, outputs);
        Ok(())
    }
}

/// The numbers of an example, in words.
fn kind(reading: Reading) -> String {
    let numbers = if reading.form == Form::Floats { "floats" } else { "bytes" };
    format!("{} {numbers}", reading.order.features())
}
