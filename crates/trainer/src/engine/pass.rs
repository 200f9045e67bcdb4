//! What all threads of a team do from one fork to the next: the steps of an epoch, or of a part of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use dataset::Examples;

use super::barrier::{Arrival, Barrier, BreakOnPanic, Broken, Waited};
use super::network::{Network, rule};
use super::profile::{Phase, Stopwatch};
use super::shares::read;
use super::step::{Own, Shared, Step};
use super::{Totals, place};
use crate::Progress;
use crate::optimizer::Optimizer;

/// Some batches, one after the other, as every thread sees them.
pub(super) struct Pass<'a> {
    pub(super) network: &'a Network,
    pub(super) shared: &'a Shared,
    pub(super) optimizer: Optimizer,
    pub(super) examples: Examples<'a>,
    /// The batches' examples, one batch after the other.
    pub(super) order: &'a [u32],
    pub(super) batch_size: usize,
    /// Steps of training that came before.
    pub(super) steps_before: u64,
    pub(super) barrier: Barrier,
    /// Set once a loss was not a number; all see it after the next barrier, which orders it.
    pub(super) stop: AtomicBool,
    /// The first thread counts.
    pub(super) totals: Mutex<&'a mut Totals>,
    pub(super) progress: &'a Progress,
}

impl Pass<'_> {
    /// One thread's way through all batches.
    pub(super) fn run(&self, own: &mut Own) -> Result<(), Broken> {
        let _guard = BreakOnPanic(&self.barrier);
        self.step_onto_own_processor(own);
        own.watch = Stopwatch::start();
        own.gather.announce(self.batch(0));
        self.read(own, 1);
        self.step(0).first_forward(own);
        let steps = self.order.len().div_ceil(self.batch_size);
        for number in 0..steps {
            let (step, next) =
                (self.step(number), (number + 1 < steps).then(|| self.step(number + 1)));
            own.turn();
            // What a thread has to do for itself alone, it does while others may still be on their way.
            let arrival = self.barrier.arrive();
            if next.is_some() {
                self.read(own, number + 2);
            }
            self.wait(own, arrival)?;
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            step.own_examples(own);
            let arrival = self.barrier.arrive();
            self.wait(own, arrival)?;
            step.update(own, next.as_ref());
            if own.index == 0 {
                self.count(&step);
            }
        }
        Ok(())
    }

    /// The examples of batch `number`; none behind the last one.
    fn batch(&self, number: usize) -> &[u32] {
        self.order.chunks(self.batch_size).nth(number).unwrap_or_default()
    }

    fn step(&self, number: usize) -> Step<'_> {
        Step {
            network: self.network,
            shared: self.shared,
            data: self.examples,
            rule: rule(self.optimizer, self.steps_before + number as u64 + 1),
            len: self.batch(number).len(),
            number,
        }
    }

    /// Reads the batch that was announced, and announces batch `number`.
    fn read(&self, own: &mut Own, number: usize) {
        own.gather.read(own.isa, &self.examples, self.batch(number));
        own.watch.lap(Phase::Gather);
    }

    fn wait(&self, own: &mut Own, arrival: Arrival) -> Result<(), Broken> {
        if self.barrier.wait(arrival)? == Waited::Asleep {
            // Where it woke up, another may be at work.
            self.step_onto_own_processor(own);
        }
        own.watch.lap(Phase::Wait);
        Ok(())
    }

    fn step_onto_own_processor(&self, own: &Own) {
        place::on_own_processor(own.index, self.shared.examples.len());
    }

    /// Counts a step, and adds its losses in the order of the examples.
    fn count(&self, step: &Step<'_>) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut loss = 0.0;
        for block in &self.shared.examples {
            let block = read(block);
            for one in &block.losses {
                loss += f64::from(*one);
            }
            totals.correct += block.correct;
        }
        totals.loss += loss;
        totals.steps += 1;
        self.progress.step();
        if !loss.is_finite() {
            totals.failed = Some((totals.steps, loss / step.len as f64));
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
