//! What a run reports: each epoch, and the result of an evaluation.

use std::time::Duration;

use crate::Profile;

/// Loss and accuracy over a set of examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Fraction of examples whose most probable class is their label.
    pub accuracy: f64,
}

/// One epoch of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the epoch's steps, each with the weights of its time.
    pub loss: f64,
    /// Accuracy over the same.
    pub accuracy: f64,
    /// The validation split after the epoch, if there is one.
    pub validation: Option<Evaluation>,
    /// Time of the training part alone (shuffle and every step), without validation.
    pub time: Duration,
    /// Examples trained on.
    pub samples: usize,
    /// Steps taken, a last partial batch included.
    pub steps: usize,
    /// Multiply-adds of the dense products, times two: what an engine that skips nothing computes.
    pub flops: f64,
    /// Threads that trained, on average over the time: see [`Fit::threads`](crate::Fit::threads).
    pub threads: f64,
    /// Where the time went.
    pub profile: Profile,
}

impl EpochReport {
    /// Examples a second of the training part.
    pub fn samples_per_second(&self) -> f64 {
        self.samples as f64 / self.time.as_secs_f64()
    }

    /// Dense-equivalent GFLOP/s of the training part.
    pub fn gflops(&self) -> f64 {
        self.flops / self.time.as_secs_f64() / 1e9
    }
}

/// All epochs of a call of `fit`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// One report an epoch.
    pub epochs: Vec<EpochReport>,
}

impl History {
    /// Threads that trained, on average over the time of all epochs; 0 if there were none.
    pub fn threads(&self) -> f64 {
        let seconds = |epoch: &EpochReport| epoch.time.as_secs_f64();
        let all: f64 = self.epochs.iter().map(seconds).sum();
        let threads: f64 = self.epochs.iter().map(|epoch| epoch.threads * seconds(epoch)).sum();
        if all > 0.0 { threads / all } else { 0.0 }
    }

    /// Where the time of all epochs went.
    pub fn profile(&self) -> Profile {
        let mut sum = Profile::default();
        for epoch in &self.epochs {
            sum.add(&epoch.profile);
        }
        sum
    }
}
