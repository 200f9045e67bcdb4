//! A team that has as many threads as pay: OpenMP calls it dynamic adjustment.

use std::time::{Duration, Instant};

use dataset::Examples;

use super::search::{Search, Stretch};
use super::{Engine, Profile, Totals};
use crate::Progress;

/// An engine, and how many threads it has.
pub(crate) struct DynamicTeam {
    engine: Engine,
    /// `None` if it is not to change.
    search: Option<Search>,
}

/// An epoch, part by part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Epoch {
    pub(crate) totals: Totals,
    /// Where the time went, all threads together.
    pub(crate) profile: Profile,
    /// Seconds of training, and of all its threads together.
    seconds: f64,
    thread_seconds: f64,
}

impl Epoch {
    /// Threads, on average over the time; 0 if there was none.
    pub(crate) fn threads(&self) -> f64 {
        if self.seconds > 0.0 { self.thread_seconds / self.seconds } else { 0.0 }
    }
}

impl DynamicTeam {
    /// A team whose number of threads stays.
    pub(crate) fn fixed(engine: Engine) -> Self {
        Self { engine, search: None }
    }

    /// A team of at most as many threads as the engine has, which it took `making` to make.
    pub(crate) fn searching(engine: Engine, making: Duration) -> Self {
        let most = engine.threads();
        let search = (most > 1).then(|| Search::new(most, making.as_secs_f64()));
        Self { engine, search }
    }

    /// The engine with the team's threads.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Trains on `examples` in `order`, the next part of an epoch that came after `steps_before`
    /// steps; nothing more once the loss was not a number.
    pub(crate) fn train(
        &mut self,
        examples: Examples<'_>,
        order: &[u32],
        steps_before: u64,
        progress: &Progress,
        epoch: &mut Epoch,
    ) {
        let mut rest = order;
        while !rest.is_empty() && epoch.totals.failed.is_none() {
            let engine = &self.engine;
            let most = self.search.as_ref().map_or(usize::MAX, Search::steps);
            let (stretch, later) =
                rest.split_at(most.saturating_mul(engine.batch_size()).min(rest.len()));
            let (start, before) = (Instant::now(), epoch.totals.steps);
            engine.train(examples, stretch, steps_before, progress, &mut epoch.totals);
            let profile = engine.profile();
            let (steps, seconds) = (epoch.totals.steps - before, start.elapsed().as_secs_f64());
            epoch.profile.add(&profile);
            epoch.seconds += seconds;
            epoch.thread_seconds += seconds * engine.threads() as f64;
            rest = later;
            if let Some(search) = &mut self.search {
                search.observe(&Stretch { steps, seconds, profile });
                if search.threads() != self.engine.threads() {
                    let start = Instant::now();
                    self.engine.resize(search.threads(), &examples);
                    search.moved(start.elapsed().as_secs_f64());
                }
            }
        }
    }

    /// Ends an epoch: what its last step made of the weights must be numbers too.
    pub(crate) fn finish(&self, epoch: &mut Epoch) {
        if epoch.totals.failed.is_none() && !self.engine.is_finite() {
            epoch.totals.failed = Some((epoch.totals.steps, f64::NAN));
        }
    }
}
