//! How many threads train fastest, found out while they train.
//!
//! More threads are not always faster: a step of a few microseconds is over before two threads have
//! waited for each other, and a thread whose processor another program uses makes all others wait
//! for it. A model of the machine would have to know that; the clock does.

use super::profile::{Phase, Profile};

/// Steps that say what a step takes, and seconds: with fewer, an interruption decides.
const STEPS: usize = 8;
const SECONDS: f64 = 0.01;
/// The same where nothing is to be decided soon: each stretch starts a pipeline of batches anew.
const SETTLED: f64 = 0.05;
/// Fewer threads are tried where those that train do less than this part of the work that so many could. What
/// they do is an estimate from above: it knows of waiting and of lists that each makes for itself, and not of
/// shorter products and of what crosses between cores.
const ENOUGH: f64 = 0.8;
/// Stretches in a row that must say so, and that what is tried is held against the fastest of: one may
/// have been interrupted.
const IN_A_ROW: usize = 3;
/// A number of threads is better if a step takes less than so much of the time.
const BETTER: f64 = 0.95;
/// After a trial, its time passes so many times before the next: what trials that fail cost in the long
/// run is a small part of that.
const PAUSE: f64 = 50.0;
/// After one that was taken, less: it may have been a bad moment of the other.
const SHORT_PAUSE: f64 = 4.0;
/// Trials that fail one after the other double the pause up to so often.
const DOUBLINGS: u32 = 2;

/// Some steps that a number of threads trained.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stretch {
    pub(crate) steps: usize,
    pub(crate) seconds: f64,
    pub(crate) profile: Profile,
}

impl Stretch {
    fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.seconds += other.seconds;
        self.profile.add(&other.profile);
    }

    fn step(&self) -> f64 {
        self.seconds / self.steps as f64
    }

    /// How many threads' worth of work `threads` threads did: without waiting, and without what each
    /// does again for itself.
    fn parallelism(&self, threads: usize) -> f64 {
        let of = |phase| self.profile.time(phase).as_secs_f64();
        let all: f64 = Phase::ALL.into_iter().map(of).sum();
        let n = threads as f64;
        let again = of(Phase::Gather) * (n - 1.0) / n;
        if all > 0.0 { n * (1.0 - (of(Phase::Wait) + again) / all) } else { n }
    }
}

/// A search for the number of threads that takes the least time a step.
///
/// It starts from all of them. Now and then it tries fewer, where it looks as if they would do, or
/// more, for a stretch of some milliseconds, and stays with what was faster.
#[derive(Debug)]
pub(crate) struct Search {
    most: usize,
    /// The fastest so far.
    best: usize,
    /// Seconds of a step with it, in the last stretches; none before the first.
    steps: Option<[f64; IN_A_ROW]>,
    /// Those that train now: others during a trial.
    threads: usize,
    /// Since the last decision.
    stretch: Stretch,
    /// Seconds since the start.
    clock: f64,
    /// Seconds that it took to change the number of threads, since the last decision about a trial.
    moving: f64,
    /// When the next trial may be.
    due: f64,
    /// Trials in a row that failed.
    failed: u32,
    /// Stretches in a row by which fewer threads may do.
    may_do: usize,
    /// Whether the next trial is of more threads, where either may be.
    upwards: bool,
}

impl Search {
    /// A search among 1 to `most` threads, which are several. To make them a team took `making` seconds,
    /// about what another would take.
    pub(crate) fn new(most: usize, making: f64) -> Self {
        Self {
            most,
            best: most,
            steps: None,
            threads: most,
            stretch: Stretch::default(),
            clock: 0.0,
            moving: 0.0,
            due: SHORT_PAUSE * making,
            failed: 0,
            may_do: 0,
            upwards: false,
        }
    }

    /// Threads that are to train the next stretch.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Steps of the next stretch.
    pub(crate) fn steps(&self) -> usize {
        let Some([.., step]) = self.steps else { return STEPS };
        let seconds = if self.threads != self.best {
            SECONDS
        } else if self.clock < self.due {
            (self.due - self.clock).clamp(SECONDS, SETTLED)
        } else if self.may_do > 0 {
            SECONDS
        } else {
            SETTLED
        };
        ((seconds / step) as usize).max(STEPS)
    }

    /// Notes that changing the number of threads took so long.
    pub(crate) fn moved(&mut self, seconds: f64) {
        self.moving += seconds;
    }

    /// Notes what a stretch took, and decides who trains the next.
    pub(crate) fn observe(&mut self, stretch: &Stretch) {
        self.clock += stretch.seconds;
        self.stretch.add(stretch);
        if self.stretch.steps < STEPS {
            return;
        }
        let Some(steps) = self.steps else {
            // The first steps find nothing in the caches.
            self.steps = Some([self.stretch.step(); IN_A_ROW]);
            self.stretch = Stretch::default();
            return;
        };
        if self.stretch.seconds < SECONDS / 2.0 {
            return;
        }
        let stretch = std::mem::take(&mut self.stretch);
        if self.threads == self.best {
            self.note(&stretch, steps);
        } else {
            self.judge(&stretch, steps);
        }
    }

    /// A stretch of the best, after others of these seconds a step: a trial may be due.
    fn note(&mut self, stretch: &Stretch, mut steps: [f64; IN_A_ROW]) {
        steps.rotate_left(1);
        steps[IN_A_ROW - 1] = stretch.step();
        self.steps = Some(steps);
        self.note_whether_fewer_may_do(stretch);
        if self.clock >= self.due {
            self.threads = self.candidate();
        }
    }

    /// A trial, after stretches of the best of these seconds a step: it becomes the best, or goes.
    fn judge(&mut self, trial: &Stretch, steps: [f64; IN_A_ROW]) {
        let spent = trial.seconds + std::mem::take(&mut self.moving);
        let upwards = self.threads > self.best;
        let best = steps.into_iter().fold(f64::INFINITY, f64::min);
        if trial.step() < BETTER * best {
            (self.best, self.failed) = (self.threads, 0);
            self.steps = Some([trial.step(); IN_A_ROW]);
            self.note_whether_fewer_may_do(trial);
            // On this way, until it does not pay any more.
            self.upwards = upwards;
            let next = self.candidate();
            let goes_on = next != self.best && (next > self.best) == upwards;
            self.due = self.clock + if goes_on { 0.0 } else { SHORT_PAUSE * spent };
        } else {
            self.upwards = !upwards;
            self.due = self.clock + PAUSE * spent * f64::from(1 << self.failed);
            self.failed = (self.failed + 1).min(DOUBLINGS);
            self.threads = self.best;
        }
    }

    fn note_whether_fewer_may_do(&mut self, stretch: &Stretch) {
        let may_do = stretch.parallelism(self.best) < ENOUGH * self.best as f64;
        self.may_do = if self.best > 1 && may_do { self.may_do + 1 } else { 0 };
    }

    /// What to try next: fewer threads where they may do, or more; both in turns. The best if neither.
    fn candidate(&self) -> usize {
        let more = more(self.best).min(self.most);
        let fewer = if self.may_do >= IN_A_ROW { fewer(self.best) } else { self.best };
        if more > self.best && (self.upwards || fewer == self.best) { more } else { fewer }
    }
}

/// The next smaller of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: 0 below 1.
fn fewer(threads: usize) -> usize {
    sizes().take_while(|size| *size < threads).last().unwrap_or(0)
}

/// The next larger one.
fn more(threads: usize) -> usize {
    sizes().find(|size| *size > threads).unwrap_or(threads)
}

fn sizes() -> impl Iterator<Item = usize> {
    std::iter::once(1).chain((1..).flat_map(|i| [1 << i, 3 << (i - 1)]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What a step takes with `threads` threads at a time, and which part of that they wait.
    type Machine = fn(threads: usize, clock: f64) -> (f64, f64);

    /// Seconds to make a team.
    const MAKING: f64 = 0.003;

    fn stretch(threads: usize, steps: usize, step: f64, waiting: f64) -> Stretch {
        let seconds = step * steps as f64;
        let all = seconds * threads as f64;
        let mut profile = Profile::default();
        profile.book(Phase::Wait, Duration::from_secs_f64(all * waiting));
        profile.book(Phase::Forward, Duration::from_secs_f64(all * (1.0 - waiting)));
        Stretch { steps, seconds, profile }
    }

    /// Trains for `seconds` on `machine`; returns the steps done and the threads at the end.
    fn train(machine: Machine, most: usize, seconds: f64) -> (usize, usize) {
        let mut search = Search::new(most, MAKING);
        let (mut clock, mut done) = (0.0, 0);
        while clock < seconds {
            let (threads, steps) = (search.threads(), search.steps());
            assert!((1..=most).contains(&threads));
            // A stretch that ends in the middle of one, as at the end of an epoch, every third time.
            let steps = if done % 3 == 0 { steps.div_ceil(2) } else { steps };
            let (step, waiting) = machine(threads, clock);
            let stretch = stretch(threads, steps, step, waiting);
            clock += stretch.seconds;
            search.observe(&stretch);
            if search.threads() != threads {
                clock += MAKING;
                search.moved(MAKING);
            }
            done += steps;
        }
        (done, search.best)
    }

    /// The rate that `train` reaches, as a fraction of the rate with `best` threads all the time.
    fn of_best(machine: Machine, most: usize, best: usize, seconds: f64) -> f64 {
        let (steps, _) = train(machine, most, seconds);
        steps as f64 * machine(best, 0.0).0 / seconds
    }

    #[test]
    fn a_team_that_hardly_waits_is_left_alone() {
        let two: Machine = |threads, _| [(500e-6, 0.0), (290e-6, 0.1)][threads - 1];
        assert_eq!(train(two, 2, 1.0).1, 2);
        assert!(of_best(two, 2, 2, 1.0) > 0.999);
        let eight: Machine = |threads, _| (800e-6 / threads as f64, 0.1);
        assert!(of_best(eight, 8, 8, 1.0) > 0.999);
    }

    #[test]
    fn short_steps_go_to_one_thread() {
        let short: Machine = |threads, _| [(15e-6, 0.0), (21e-6, 0.3)][threads - 1];
        assert_eq!(train(short, 2, 0.3).1, 1);
        assert!(of_best(short, 2, 1, 0.3) > 0.9);
        assert!(of_best(short, 2, 1, 3.0) > 0.97);
    }

    #[test]
    fn a_team_that_waits_and_is_faster_still_stays() {
        let waits: Machine = |threads, _| [(100e-6, 0.0), (75e-6, 0.28)][threads - 1];
        assert_eq!(train(waits, 2, 2.0).1, 2);
        assert!(of_best(waits, 2, 2, 2.0) > 0.97);
    }

    #[test]
    fn another_program_comes_and_goes() {
        // From one second to three, the second thread has half of its processor.
        let disturbed: Machine = |threads, clock| match (threads, clock) {
            (1, _) => (500e-6, 0.0),
            (_, 1.0..3.0) => (700e-6, 0.45),
            _ => (280e-6, 0.08),
        };
        assert_eq!([0.9, 1.5, 3.0].map(|seconds| train(disturbed, 2, seconds).1), [2, 1, 1]);
        assert_eq!(train(disturbed, 2, 6.0).1, 2);
    }

    #[test]
    fn an_interruption_decides_nothing() {
        let mut search = Search::new(2, MAKING);
        let mut observe = |step: f64, waiting: f64| {
            let (threads, steps) = (search.threads(), search.steps());
            search.observe(&stretch(threads, steps, step, waiting));
            (threads, search.threads())
        };
        // The last of those before the trial is interrupted: one thread is faster than that, and slower
        // than two are otherwise.
        assert_eq!(observe(300e-6, 0.3), (2, 2));
        assert_eq!(observe(200e-6, 0.3), (2, 2));
        assert_eq!(observe(200e-6, 0.3), (2, 2));
        assert_eq!(observe(400e-6, 0.5), (2, 1));
        assert_eq!(observe(300e-6, 0.0), (1, 2));
    }

    #[test]
    fn the_best_of_many_sizes_is_found() {
        // A step of 60 us of work and 1 us for each thread that takes part in it.
        let many: Machine = |threads, _| {
            let work = 60e-6 / threads as f64;
            let step = work + 1e-6 * threads as f64;
            (step, 1.0 - work / step)
        };
        assert_eq!(train(many, 64, 2.0).1, 8);
        assert!(of_best(many, 64, 8, 5.0) > 0.95);
    }

    #[test]
    fn sizes_are_a_third_to_a_half_apart() {
        assert_eq!(sizes().take(9).collect::<Vec<_>>(), [1, 2, 3, 4, 6, 8, 12, 16, 24]);
        assert_eq!([1, 2, 3, 5, 8, 64, 96].map(fewer), [0, 1, 2, 4, 6, 48, 64]);
        assert_eq!([1, 2, 3, 5, 8, 64, 96].map(more), [2, 3, 4, 6, 12, 96, 128]);
    }
}
