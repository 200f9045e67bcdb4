//! Timing work that a team of threads shares.

use std::thread;
use std::time::{Duration, Instant};

use crate::engine::barrier::{Barrier, BreakOnPanic, Waited};
use crate::engine::place;

/// Lets each thread of a team call its own work `repetitions` times, all of them meeting at a
/// barrier after each, and returns the time that took. Threads step onto processors of their own as
/// those of a training epoch do: at the start, and when they wake up at a barrier.
///
/// The start of the threads and the calls that come first, a quarter as many and at least one, are
/// not in the time: they warm the caches. The barriers are. A team of one runs on the caller's thread,
/// without barriers.
///
/// # Panics
/// If there is no team, or a work panics.
pub fn time_team<W: FnMut() + Send>(team: &mut [W], repetitions: usize) -> Duration {
    let (first, others) = team.split_first_mut().expect("a team of at least one");
    if others.is_empty() {
        for _ in 0..warming(repetitions) {
            first();
        }
        let start = Instant::now();
        for _ in 0..repetitions {
            first();
        }
        return start.elapsed();
    }
    let threads = others.len() + 1;
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        for (index, work) in (1..).zip(others) {
            let barrier = &barrier;
            scope.spawn(move || run(work, Member { barrier, index, threads }, repetitions));
        }
        run(first, Member { barrier: &barrier, index: 0, threads }, repetitions)
    })
}

/// A thread of a team.
#[derive(Clone, Copy)]
struct Member<'a> {
    barrier: &'a Barrier,
    index: usize,
    threads: usize,
}

impl Member<'_> {
    fn step_onto_own_processor(self) {
        place::on_own_processor(self.index, self.threads);
    }

    /// Waits for the others; returns whether they are all well.
    fn meet(self) -> bool {
        let waited = self.barrier.wait(self.barrier.arrive());
        if waited == Ok(Waited::Asleep) {
            self.step_onto_own_processor();
        }
        waited.is_ok()
    }
}

/// Calls before the first that is timed.
pub fn warming(repetitions: usize) -> usize {
    repetitions.div_ceil(4).max(1)
}

fn run(work: &mut impl FnMut(), member: Member<'_>, repetitions: usize) -> Duration {
    let _guard = BreakOnPanic(member.barrier);
    member.step_onto_own_processor();
    let mut whole = true;
    for _ in 0..warming(repetitions) {
        if !whole {
            break;
        }
        work();
        whole = member.meet();
    }
    let start = Instant::now();
    for _ in 0..repetitions {
        // A panic elsewhere: the scope passes it on once all threads have left.
        if !whole {
            break;
        }
        work();
        whole = member.meet();
    }
    start.elapsed()
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// A sample repeats its work until it is about this long.
    pub sample: Duration,
    /// Samples a figure; fewer where one takes very long.
    pub samples: usize,
    /// Bytes that a bandwidth is measured on, at most.
    pub most_bytes: usize,
}

impl Effort {
    /// A sample is longer than the clock's and the scheduler's grain, and the whole table takes
    /// some seconds.
    pub const USUAL: Self =
        Self { sample: Duration::from_millis(2), samples: 9, most_bytes: usize::MAX };

    /// Once each, on little memory: for tests.
    pub const ONCE: Self = Self { sample: Duration::ZERO, samples: 1, most_bytes: 64 << 10 };

    /// Seconds of one call of the team's work in each sample, shortest first.
    pub(super) fn seconds<W: FnMut() + Send>(self, team: &mut [W]) -> Vec<f64> {
        let mut repetitions = 1;
        let mut time = time_team(team, repetitions);
        while time < self.sample && repetitions < 1 << 20 {
            let short = self.sample.as_secs_f64() / time.as_secs_f64().max(1e-9);
            repetitions = (repetitions as f64 * short.clamp(1.1, 64.0)).ceil() as usize;
            time = time_team(team, repetitions);
        }
        let mut seconds = Vec::with_capacity(self.samples);
        let (start, long) = (Instant::now(), 50 * self.sample);
        while seconds.len() < self.samples.max(1) {
            seconds.push(time_team(team, repetitions).as_secs_f64() / repetitions as f64);
            if seconds.len() >= 3 && start.elapsed() > long {
                break;
            }
        }
        seconds.sort_by(f64::total_cmp);
        seconds
    }

    /// The shortest: for what the machine can do.
    pub(super) fn best<W: FnMut() + Send>(self, team: &mut [W]) -> f64 {
        self.seconds(team)[0]
    }

    /// The median: for what a kernel does.
    pub(super) fn median<W: FnMut() + Send>(self, team: &mut [W]) -> f64 {
        let seconds = self.seconds(team);
        seconds[seconds.len() / 2]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_thread_works_a_quarter_more_than_it_is_timed() {
        for threads in [1, 2, 3] {
            let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            let count = |count: &AtomicUsize| {
                count.fetch_add(1, Ordering::Relaxed);
            };
            let mut team: Vec<_> = counts.iter().map(|mine| move || count(mine)).collect();
            time_team(&mut team, 10);
            for count in &counts {
                assert_eq!(count.load(Ordering::Relaxed), 13, "{threads} threads");
            }
        }
    }

    #[test]
    fn no_thread_runs_ahead() {
        let (slow, fast) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (slow, fast) = (&slow, &fast);
        let mut team: Vec<Box<dyn FnMut() + Send>> = vec![
            Box::new(move || {
                thread::sleep(Duration::from_millis(1));
                slow.fetch_add(1, Ordering::SeqCst);
            }),
            Box::new(move || {
                let mine = fast.fetch_add(1, Ordering::SeqCst);
                assert!(mine <= slow.load(Ordering::SeqCst) + 1);
            }),
        ];
        time_team(&mut team, 5);
        assert_eq!(fast.load(Ordering::SeqCst), 7);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_ends_the_team() {
        let mut team: Vec<Box<dyn FnMut() + Send>> =
            vec![Box::new(|| ()), Box::new(|| panic!("on purpose"))];
        time_team(&mut team, 1000);
    }

    #[test]
    fn samples_are_sorted() {
        let effort = Effort { sample: Duration::from_millis(1), samples: 5, most_bytes: 0 };
        let mut calls = 0;
        let seconds = effort.seconds(&mut [|| {
            calls += 1;
            thread::sleep(Duration::from_micros(20));
        }]);
        assert_eq!(seconds.len(), 5);
        assert!(seconds.is_sorted() && seconds[0] >= 20e-6, "{seconds:?}");
    }
}
