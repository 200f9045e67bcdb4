//! The point where a team's threads wait for each other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread looks whether the others are there before it sleeps. A step's phases are tens of
/// microseconds long and nearly equal, so they usually are within that time. If not, one of them has no
/// processor, or waits for this thread's: the system leaves a thread that runs or yields where it is for
/// tens of milliseconds, while one that wakes up is mostly put on an idle processor, and sees to it itself
/// (see `place`).
const SPIN: Duration = Duration::from_micros(30);
/// Looks between two looks at the clock.
const LOOKS: usize = 64;
/// Yields before the thread sleeps, with more threads than processors: what lets all make progress.
const YIELDS: usize = 200;

/// A thread of the team panicked: there is nobody to wait for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// How a thread waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Awake,
    Asleep,
}

/// That a thread has arrived, and must wait for the others.
#[derive(Debug)]
#[must_use]
pub(crate) struct Arrival(usize);

/// A barrier that spins, or yields where threads are many, then sleeps, and that a panicking thread breaks.
#[derive(Debug)]
pub(crate) struct Barrier {
    threads: usize,
    /// Whether there are more threads than processors.
    crowded: bool,
    arrived: AtomicUsize,
    generation: AtomicUsize,
    broken: AtomicBool,
    sleepers: Mutex<usize>,
    wake: Condvar,
}

impl Barrier {
    /// A barrier for `threads` threads.
    pub(crate) fn new(threads: usize) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads,
            crowded: threads > processors,
            arrived: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
        }
    }

    /// Says that this thread is there. What it wrote before, all may read after their
    /// [`wait`](Self::wait); what it does in between, nobody may depend on.
    pub(crate) fn arrive(&self) -> Arrival {
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.generation.store(generation.wrapping_add(1), Ordering::Release);
            self.wake_sleepers();
        }
        Arrival(generation)
    }

    /// Waits until all threads have arrived.
    pub(crate) fn wait(&self, Arrival(generation): Arrival) -> Result<Waited, Broken> {
        let passed = || {
            self.generation.load(Ordering::Acquire) != generation
                || self.broken.load(Ordering::Acquire)
        };
        if self.crowded {
            // Who spins keeps away whom it waits for.
            for _ in 0..YIELDS {
                if passed() {
                    return self.check(Waited::Awake);
                }
                thread::yield_now();
            }
        } else {
            let start = Instant::now();
            while start.elapsed() < SPIN {
                for _ in 0..LOOKS {
                    if passed() {
                        return self.check(Waited::Awake);
                    }
                    std::hint::spin_loop();
                }
            }
        }
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        *sleepers += 1;
        while !passed() {
            sleepers = self.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner);
        }
        *sleepers -= 1;
        self.check(Waited::Asleep)
    }

    /// Ends every wait, now and later, with [`Broken`].
    pub(crate) fn break_it(&self) {
        self.broken.store(true, Ordering::Release);
        self.wake_sleepers();
    }

    fn check(&self, waited: Waited) -> Result<Waited, Broken> {
        if self.broken.load(Ordering::Acquire) { Err(Broken) } else { Ok(waited) }
    }

    fn wake_sleepers(&self) {
        // The lock, not a flag beside it: a thread that is about to sleep has either seen the new
        // generation under the lock or is counted.
        let sleepers = *self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        if sleepers > 0 {
            self.wake.notify_all();
        }
    }
}

/// Breaks the barrier if its thread panics.
pub(crate) struct BreakOnPanic<'a>(pub(crate) &'a Barrier);

impl Drop for BreakOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.break_it();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_pass_together_many_times() {
        for threads in [1, 2, 5] {
            let barrier = Barrier::new(threads);
            let count = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for round in 0..300 {
                            count.fetch_add(1, Ordering::Relaxed);
                            barrier.wait(barrier.arrive()).unwrap();
                            assert_eq!(count.load(Ordering::Relaxed), (round + 1) * threads);
                            barrier.wait(barrier.arrive()).unwrap();
                        }
                    });
                }
            });
        }
    }

    #[test]
    fn who_waits_long_sleeps() {
        let barrier = Barrier::new(2);
        let waited = thread::scope(|scope| {
            let waiting = scope.spawn(|| barrier.wait(barrier.arrive()));
            // Longer than any spin; the barrier knows that one is asleep.
            while *barrier.sleepers.lock().unwrap() == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            assert!(barrier.wait(barrier.arrive()).is_ok());
            waiting.join().unwrap()
        });
        assert_eq!(waited, Ok(Waited::Asleep));
        let alone = Barrier::new(1);
        assert_eq!(alone.wait(alone.arrive()), Ok(Waited::Awake));
    }

    #[test]
    fn a_panic_frees_who_waits() {
        let barrier = Barrier::new(2);
        let result = thread::scope(|scope| {
            let waiting = scope.spawn(|| barrier.wait(barrier.arrive()));
            let panicking = scope.spawn(|| {
                let _guard = BreakOnPanic(&barrier);
                panic!("on purpose");
            });
            assert!(panicking.join().is_err());
            waiting.join().unwrap()
        });
        assert_eq!(result, Err(Broken));
    }
}
