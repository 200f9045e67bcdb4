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
pub(crate) mod dynamic;
pub(crate) mod forward;
pub(crate) mod gather;
pub(crate) mod infer;
pub(crate) mod network;
mod owned;
pub(crate) mod place;
mod profile;
mod search;
mod shares;
mod step;
#[cfg(test)]
mod tests;
mod update;

pub use profile::{Phase, Profile};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use dataset::Examples;

use crate::optimizer::{Optimizer, State};
use crate::{Parameters, Progress};
use barrier::{Barrier, BreakOnPanic, Waited};
use gather::Reading;
use network::{Network, rule};
use owned::{Owned, Whole};
use profile::Stopwatch;
use shares::read;
use step::{Own, Shared, Step};

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
        let steps_before = steps_before + totals.steps as u64;
        let barrier = Barrier::new(self.own.len());
        let stop = AtomicBool::new(false);
        let totals = Mutex::new(totals);
        self.pool.broadcast(|context| {
            let Some(own) = self.own.get(context.index()) else { return };
            let _guard = BreakOnPanic(&barrier);
            let step_onto_own = || place::on_own_processor(context.index(), self.own.len());
            step_onto_own();
            let wait = |arrival| {
                let waited = barrier.wait(arrival);
                if waited == Ok(Waited::Asleep) {
                    // Where it woke up, another may be at work.
                    step_onto_own();
                }
                waited
            };
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            let own = &mut *own;
            own.watch = Stopwatch::start();
            let steps = order.len().div_ceil(self.batch_size);
            let rows = |number| order.chunks(self.batch_size).nth(number).unwrap_or_default();
            let step = |number: usize| Step {
                network: &self.network,
                shared: &self.shared,
                data: examples,
                rule: rule(self.optimizer, steps_before + number as u64 + 1),
                len: rows(number).len(),
                number,
            };
            own.gather.announce(rows(0));
            own.gather.read(own.isa, &examples, rows(1));
            own.watch.lap(Phase::Gather);
            step(0).first_forward(own);
            for number in 0..steps {
                let (step, next) = (step(number), (number + 1 < steps).then(|| step(number + 1)));
                own.turn();
                // What a thread has to do for itself alone, it does while others may still be on
                // their way.
                let arrival = barrier.arrive();
                if next.is_some() {
                    own.gather.read(own.isa, &examples, rows(number + 2));
                    own.watch.lap(Phase::Gather);
                }
                let waited = wait(arrival);
                own.watch.lap(Phase::Wait);
                if waited.is_err() || stop.load(Ordering::Relaxed) {
                    return;
                }
                step.own_examples(own);
                let arrival = barrier.arrive();
                let waited = wait(arrival);
                own.watch.lap(Phase::Wait);
                if waited.is_err() {
                    return;
                }
                step.update(own, next.as_ref());
                if context.index() == 0 {
                    let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    let loss = self.add_up(&mut totals);
                    progress.step();
                    if !loss.is_finite() {
                        totals.failed = Some((totals.steps, loss / step.len as f64));
                        // Seen by all after the next barrier, which orders it.
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            }
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
            finite &= l % self.own.len() != own.index || read(biases).0.is_finite();
        }
        finite
    }

    /// Counts a step and adds its losses in the order of the examples; returns their sum.
    fn add_up(&self, totals: &mut Totals) -> f64 {
        let mut sum = 0.0;
        for block in &self.shared.examples {
            let block = read(block);
            for loss in &block.losses {
                sum += f64::from(*loss);
            }
            totals.correct += block.correct;
        }
        totals.loss += sum;
        totals.steps += 1;
        sum
    }

    /// Copies the trained parameters and the optimizer's state back.
    pub(crate) fn save(&self, parameters: &mut Parameters, state: &mut State) {
        for own in &self.own {
            let own = own.lock().unwrap_or_else(PoisonError::into_inner);
            own.columns.save(parameters, state);
        }
        for (l, (rows, biases)) in self.shared.rows.iter().zip(&self.shared.biases).enumerate() {
            for share in rows {
                read(share).save(parameters, state, l + 1);
            }
            read(biases).save(parameters, state, l + 1);
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
