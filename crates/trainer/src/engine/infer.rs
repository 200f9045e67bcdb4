//! Evaluation and prediction of many examples: a team of threads with a forward pass each.

use std::sync::{Mutex, PoisonError};

use dataset::Examples;
use kernels::panels::CHUNK;

use super::forward::{Forward, Weights};
use super::gather::Reading;
use super::network::Network;
use super::shares::Activations;
use crate::{Evaluation, Parameters};

/// The forward pass of many examples, on the threads of the current rayon pool. Each has its own memory,
/// which it makes when it first has something to do. A thread computes a chunk of the panels at a time,
/// whose activations stay in its second-level cache.
#[derive(Debug)]
pub(crate) struct Team {
    network: Network,
    reading: Reading,
    weights: Weights,
    members: Vec<Mutex<Option<Forward>>>,
}

impl Team {
    /// For examples that are read like the weights.
    pub(crate) fn new(network: &Network, reading: Reading, weights: Weights) -> Self {
        Self { network: network.clone(), reading, weights, members: Vec::new() }
    }

    /// For the parameters of a model and examples like these.
    fn of(network: &Network, parameters: &Parameters, examples: &Examples<'_>) -> Self {
        let reading = Reading::of(examples);
        Self::new(network, reading, Weights::new(parameters, reading))
    }

    /// Calls `work` with each chunk of `examples` and what belongs to it of `targets`. Whoever is
    /// free takes the next.
    fn chunks<T: Send>(
        &mut self,
        examples: Examples<'_>,
        targets: impl Iterator<Item = T> + Send,
        work: impl Fn(&mut Forward, &Network, &Weights, Examples<'_>, T) + Sync,
    ) {
        let threads = rayon::current_num_threads();
        self.members.resize_with(self.members.len().max(threads), || Mutex::new(None));
        let Self { network, reading, weights, members } = &*self;
        let chunks = Mutex::new((0..examples.len()).step_by(CHUNK).zip(targets));
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
        rayon::broadcast(|context| {
            let member = members[context.index()].lock();
            let mut member = member.unwrap_or_else(PoisonError::into_inner);
            while let Some((start, target)) = next() {
                let forward = member.get_or_insert_with(|| Forward::new(network, *reading, CHUNK));
                let end = (start + CHUNK).min(examples.len());
                work(forward, network, weights, examples.slice(start..end), target);
            }
        });
    }

    /// Loss and accuracy. The sum runs over chunks in order, so the number of threads does not change
    /// it.
    fn evaluate(&mut self, examples: Examples<'_>) -> Evaluation {
        let mut sums = vec![(0.0, 0); examples.len().div_ceil(CHUNK)];
        let mut rest = sums.iter_mut();
        in_pieces(examples, |piece| {
            self.chunks(piece, rest.by_ref(), |forward, network, weights, chunk, sum| {
                *sum = forward.evaluate(network, weights, &chunk);
            });
        });
        let loss: f64 = sums.iter().map(|sum| sum.0).sum();
        let correct: usize = sums.iter().map(|sum| sum.1).sum();
        let len = examples.len().max(1) as f64;
        Evaluation { loss: loss / len, accuracy: correct as f64 / len }
    }

    /// Outputs `[len, classes]`.
    pub(crate) fn predict(&mut self, examples: Examples<'_>, outputs: &mut [f32]) {
        let classes = self.network.classes();
        let targets = outputs.chunks_mut(CHUNK * classes);
        self.chunks(examples, targets, |forward, network, weights, chunk, out| {
            let Activations { values, stride, .. } = forward.outputs(network, weights, &chunk);
            for (out, row) in out.chunks_mut(classes).zip(values.chunks(*stride)) {
                out.copy_from_slice(&row[..classes]);
            }
        });
    }
}

/// Loss and accuracy, on the current rayon pool.
pub(crate) fn evaluate(
    network: &Network,
    parameters: &Parameters,
    examples: Examples<'_>,
) -> Evaluation {
    Team::of(network, parameters, &examples).evaluate(examples)
}

/// Outputs `[len, classes]`, on the current rayon pool.
pub(crate) fn predict(
    network: &Network,
    parameters: &Parameters,
    examples: Examples<'_>,
) -> Vec<f32> {
    let mut outputs = vec![0.0; examples.len() * network.classes()];
    Team::of(network, parameters, &examples).predict(examples, &mut outputs);
    outputs
}

/// Hands `examples` to `each` in stretches of whole chunks that are in memory one after the other: a
/// file may be larger than memory.
fn in_pieces<'a>(examples: Examples<'a>, mut each: impl FnMut(Examples<'a>)) {
    const PIECE: usize = 64 << 20;
    let bytes = examples.feature_bytes().len();
    if bytes <= PIECE {
        return each(examples);
    }
    let chunk = CHUNK * (bytes / examples.len());
    let len = CHUNK * (PIECE / chunk).max(1);
    for start in (0..examples.len()).step_by(len) {
        let end = (start + len).min(examples.len());
        let piece = examples.slice(start..end);
        piece.will_need();
        each(piece);
        // With all before it: reading one piece may have brought in the end of another.
        examples.slice(0..end).release();
    }
}
