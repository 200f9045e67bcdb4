//! Where an epoch's time goes.

use std::time::{Duration, Instant};

use kernels::panels::Panels;

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Rows read from the data set, and the panels made of them.
    Gather,
    /// Products, biases and activations of all layers.
    Forward,
    /// The loss and its gradient.
    Loss,
    /// Gradients with respect to hidden layers, with that of a narrow second layer's weights, which is
    /// computed in the same reading.
    Backward,
    /// Weight gradients with the optimizer's update.
    Update,
    /// Waiting for the other threads.
    Wait,
}

impl Phase {
    /// All phases in the order of a step.
    pub const ALL: [Phase; 6] =
        [Self::Gather, Self::Forward, Self::Loss, Self::Backward, Self::Update, Self::Wait];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gather => "gather and lists",
            Self::Forward => "forward",
            Self::Loss => "loss",
            Self::Backward => "backward",
            Self::Update => "weight gradient + update",
            Self::Wait => "waiting at barriers",
        }
    }
}

/// Time spent in each phase, summed over the threads of the team, and what the zeros saved.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Profile {
    times: [Duration; Phase::ALL.len()],
    /// Entries of the first layer's lists: kept, and all.
    kept: [f64; 2],
}

impl Profile {
    /// Time in `phase`, all threads together.
    pub fn time(&self, phase: Phase) -> Duration {
        self.times[phase as usize]
    }

    /// Fraction of the first layer's multiply-adds that were computed: the others are with zeros.
    pub fn density(&self) -> f64 {
        self.kept[0] / self.kept[1].max(1.0)
    }

    pub(crate) fn book(&mut self, phase: Phase, time: Duration) {
        self.times[phase as usize] += time;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (time, more) in self.times.iter_mut().zip(other.times) {
            *time += more;
        }
        for (kept, more) in self.kept.iter_mut().zip(other.kept) {
            *kept += more;
        }
    }

    pub(crate) fn add_lists(&mut self, lists: &Panels) {
        let all = (lists.count() * lists.examples()) as f64;
        self.kept[0] += lists.density() * all;
        self.kept[1] += all;
    }
}

/// A stopwatch that books the time since its last lap to a phase.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    last: Instant,
    pub(crate) profile: Profile,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { last: Instant::now(), profile: Profile::default() }
    }

    pub(crate) fn lap(&mut self, phase: Phase) {
        let now = Instant::now();
        self.profile.book(phase, now - self.last);
        self.last = now;
    }
}
