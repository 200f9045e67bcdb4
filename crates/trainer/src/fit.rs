//! Settings of a training run.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How to train.
#[derive(Clone, Debug)]
pub struct Fit {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples a step.
    pub batch_size: usize,
    /// Fraction of the examples, taken from the end before shuffling, to validate on; 0 for none.
    pub validation_split: f64,
    /// Whether each epoch visits the examples in a new random order.
    pub shuffle: bool,
    /// Seed of the epochs' orders, which each call of `fit` numbers from 1. (The seed of the weights
    /// is given to `Sequential`.)
    pub seed: u64,
    /// Threads. 0 means as many as pay, up to one a processor: training starts with all of them,
    /// and tries fewer now and then where they spend a fifth of their time waiting for each other or
    /// doing the same. No result changes by it.
    pub threads: usize,
    /// Bytes of features that may be in memory at a time. If `None`, half of the machine's (or the
    /// control group's) on Linux, and no limit elsewhere. A mapped file with more of them is
    /// streamed, in windows of a batch at least: see [`Fit::streaming`]. Has no say about what is in
    /// memory already.
    pub memory: Option<u64>,
}

impl Default for Fit {
    /// Keras's defaults: one epoch, batches of 32.
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_size: 32,
            validation_split: 0.0,
            shuffle: true,
            seed: 0,
            threads: 0,
            memory: None,
        }
    }
}

impl Fit {
    /// Threads that may train: [`threads`](Self::threads), or one a processor.
    pub fn most_threads(&self) -> usize {
        match self.threads {
            // Where the system does not say, one thread is always right.
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

/// How far the current epoch is; read by a progress bar while another thread trains.
#[derive(Debug, Default)]
pub struct Progress {
    epoch: AtomicUsize,
    step: AtomicUsize,
}

impl Progress {
    /// The current epoch, from 1 (0 before training starts), and the steps done in it.
    pub fn get(&self) -> (usize, usize) {
        (self.epoch.load(Ordering::Relaxed), self.step.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, epoch: usize, step: usize) {
        self.epoch.store(epoch, Ordering::Relaxed);
        self.step.store(step, Ordering::Relaxed);
    }

    /// One more step of the epoch is done. Called by one thread.
    pub(crate) fn step(&self) {
        self.step.store(self.step.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}
