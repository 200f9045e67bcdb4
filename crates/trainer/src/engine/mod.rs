//! Training as the machine wants it: one fork an epoch, or a stretch of one, and two barriers a step.
//!
//! All threads of a team run the same program over the whole of it; [`dynamic`] decides how many.
//!
//! ```text
//! for each batch of the epoch's order:
//!        --- barrier: everyone's columns of the first layer's outputs are there ---
//!     1. own examples: later layers, loss, and back to the second layer's sums
//!        --- barrier: everyone's gradients are there ---
//!     2. own rows of the weights from the third layer on: gradient, optimizer step;
//!        own columns of the first layer, a block at a time: back to their sums, with the step of the
//!        second layer's rows; gradient of the weights with the optimizer step as its epilogue; and at
//!        once the next batch's outputs, z = X W[:, block] + b, activation
//! ```
//!
//! Between arriving at a barrier and waiting there a thread does what concerns it alone: at the
//! first it reads the next batch.
//!
//! The first layer holds nearly all parameters. Cut by columns, its weights and their state never
//! leave the core that owns them: what crosses between cores is the hidden activations (W2: 256 KiB
//! a step) and not the weights (1.6 MiB). A block is used twice while it is near. Two barriers are
//! enough, at any depth.
//!
//! Every output of every product is one chain of multiply-adds in the order of its summation
//! dimension, wherever the cuts are, so the trained weights are the same bits for any number of
//! threads.

pub(crate) mod barrier;
mod block;
pub(crate) mod dynamic;
pub(crate) mod forward;
pub(crate) mod gather;
pub(crate) mod infer;
pub(crate) mod network;
mod owned;
mod pass;
pub(crate) mod place;
mod profile;
mod search;
mod shares;
mod step;
#[cfg(test)]
mod tests;
mod update;

pub use profile::{Phase, Profile};

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use dataset::Examples;

use crate::optimizer::{Optimizer, State};
use crate::{Parameters, Progress};
use barrier::Barrier;
use gather::Reading;
use network::Network;
use owned::{Owned, Whole};
use pass::Pass;
use shares::read;
use step::{Own, Shared};

/// Bytes stand for 0 to 1.
pub(crate) const BYTE_SCALE: f32 = 1.0 / 255.0;

/// A team of threads with the parameters cut among them.
pub(crate) struct Engine {
    network: Network,
    optimizer: Optimizer,
    batch_size: usize,
    pool: rayon::ThreadPool,
    shared: Shared,
    own: Vec<Mutex<Own>>,
}

/// What an epoch adds up to, part by part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Sum of the examples' losses, in the order of training.
    pub(crate) loss: f64,
    pub(crate) correct: usize,
    pub(crate) steps: usize,
    /// The step, from 1, whose loss was not a number, and that loss; NaN for a last step that left
    /// weights which are not.
    pub(crate) failed: Option<(usize, f64)>,
}

impl Engine {
    /// Cuts the parameters among the threads of `pool` and allocates all that a step needs.
    pub(crate) fn new(
        network: Network,
        optimizer: Optimizer,
        parameters: &Parameters,
        state: &State,
        examples: &Examples<'_>,
        batch_size: usize,
        pool: rayon::ThreadPool,
    ) -> Self {
        let batch_size = batch_size.min(examples.len()).max(1);
        let threads = pool.current_num_threads();
        // State from an earlier training may be anything: then no panel is known to be untouched.
        let touched = &vec![state.steps > 0; Reading::of(examples).panels()];
        let network = &network;
        let whole = Whole { network, parameters, state, touched, examples, batch_size, threads };
        let (shared, own) = cut(&pool, whole);
        Self { network: network.clone(), optimizer, batch_size, pool, shared, own }
    }

    /// Threads that train.
    pub(crate) fn threads(&self) -> usize {
        self.own.len()
    }

    /// Cuts the parameters anew, among the first `threads` of the pool's. No result changes by it.
    pub(crate) fn resize(&mut self, threads: usize, examples: &Examples<'_>) {
        let mut parameters = Parameters::zeros(&self.network.widths);
        let mut state = State::new(self.optimizer, parameters.values().len());
        self.save(&mut parameters, &mut state);
        let mut touched = vec![false; Reading::of(examples).panels()];
        // A thread without columns has touched none.
        for own in self.own.drain(..) {
            let own = own.into_inner().unwrap_or_else(PoisonError::into_inner);
            touched.iter_mut().zip(own.columns.touched).for_each(|(all, own)| *all |= own);
        }
        let whole = Whole {
            network: &self.network,
            parameters: &parameters,
            state: &state,
            touched: &touched,
            examples,
            batch_size: self.batch_size,
            threads,
        };
        (self.shared, self.own) = cut(&self.pool, whole);
    }

    /// The threads, for work beside training.
    pub(crate) fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// Examples a step.
    pub(crate) fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Trains on `examples` in `order`, after `steps_before` steps of earlier epochs and those that
    /// `totals` have counted.
    pub(crate) fn train(
        &self,
        examples: Examples<'_>,
        order: &[u32],
        steps_before: u64,
        progress: &Progress,
        totals: &mut Totals,
    ) {
        let pass = Pass {
            network: &self.network,
            shared: &self.shared,
            optimizer: self.optimizer,
            examples,
            order,
            batch_size: self.batch_size,
            steps_before: steps_before + totals.steps as u64,
            barrier: Barrier::new(self.own.len()),
            stop: AtomicBool::new(false),
            totals: Mutex::new(totals),
            progress,
        };
        self.pool.broadcast(|context| {
            let Some(own) = self.own.get(context.index()) else { return };
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            // Broken by a panic, which rayon carries to the caller.
            let _ = pass.run(&mut own);
        });
    }

    /// Whether all parameters are numbers: no loss has seen what the last step made of them.
    pub(crate) fn is_finite(&self) -> bool {
        let finite = self.pool.broadcast(|context| {
            let own = self.own.get(context.index());
            own.is_none_or(|own| {
                self.part_is_finite(&own.lock().unwrap_or_else(PoisonError::into_inner))
            })
        });
        finite.into_iter().all(|finite| finite)
    }

    fn part_is_finite(&self, own: &Own) -> bool {
        let mut finite = own.columns.is_finite();
        for (l, (rows, biases)) in (1..).zip(self.shared.rows.iter().zip(&self.shared.biases)) {
            finite &= read(&rows[own.index]).transposed.is_finite();
            finite &= l % self.own.len() != own.index || read(biases).is_finite();
        }
        finite
    }

    /// Copies the trained parameters and the optimizer's state back.
    pub(crate) fn save(&self, parameters: &mut Parameters, state: &mut State) {
        for own in &self.own {
            let own = own.lock().unwrap_or_else(PoisonError::into_inner);
            own.columns.save(parameters, state);
        }
        for share in self.shared.rows.iter().flatten() {
            read(share).transposed.save(parameters, state);
        }
        for biases in &self.shared.biases {
            read(biases).save(parameters, state);
        }
    }

    /// Where the time of the last call of [`train`](Self::train) went, all threads together.
    pub(crate) fn profile(&self) -> Profile {
        let mut sum = Profile::default();
        for own in &self.own {
            sum.add(&own.lock().unwrap_or_else(PoisonError::into_inner).watch.profile);
        }
        sum
    }
}

/// Each thread's part of the parameters, put in place by that thread, where it will be used.
fn cut(pool: &rayon::ThreadPool, whole: Whole<'_>) -> (Shared, Vec<Mutex<Own>>) {
    let parts = pool.broadcast(|context| {
        (context.index() < whole.threads).then(|| {
            place::on_own_processor(context.index(), whole.threads);
            Owned::new(whole, context.index())
        })
    });
    Owned::join(parts.into_iter().flatten())
}
