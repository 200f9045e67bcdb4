//! The machine's peaks: multiply-adds, and the bandwidth of each level of memory.

use kernels::{Aligned, Isa, peak};
use serde::Serialize;

use super::machine::{Level, Machine};
use super::team::Effort;

/// What a team of threads reaches at most, all threads together.
#[derive(Clone, Debug, Serialize)]
pub struct Peaks {
    /// Threads of the team.
    pub threads: usize,
    /// Multiply-adds from registers, in floating-point operations a second.
    pub flops: f64,
    /// Bandwidth of the levels that the machine has, nearest first.
    pub bandwidths: Vec<Bandwidth>,
}

/// Bandwidth of one level of memory, in bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bandwidth {
    /// The level.
    pub level: Level,
    /// Bytes that each thread worked on.
    pub bytes_a_thread: usize,
    /// Reading alone.
    pub read: f64,
    /// `a = b + s c`: two floats read and one written.
    pub triad: f64,
}

impl Peaks {
    /// Measures them: the best of several samples each.
    pub fn measure(machine: &Machine, threads: usize, effort: Effort) -> Self {
        let sizes: Vec<(Level, usize)> = Level::ALL
            .into_iter()
            .filter_map(|level| Some((level, machine.caches.probe(level, threads)?)))
            .map(|(level, bytes)| (level, bytes.min(effort.most_bytes)))
            .collect();
        let most = sizes.iter().map(|(_, bytes)| bytes / 4).max().unwrap_or(0);
        let mut memories = vec![Aligned::zeros(most); threads];
        memories.iter_mut().for_each(|memory| memory.fill(0.5));
        let bandwidths = sizes
            .into_iter()
            .map(|(level, bytes)| bandwidth(machine.isa, level, bytes, &mut memories, effort))
            .collect();
        Self { threads, flops: flops(machine.isa, threads, effort), bandwidths }
    }

    /// The bandwidth of `level`, or of the next one that was measured.
    pub fn bandwidth(&self, level: Level) -> Bandwidth {
        let found = self.bandwidths.iter().find(|bandwidth| bandwidth.level >= level);
        *found.expect("memory is always measured")
    }
}

/// The rate of multiply-adds of a team.
fn flops(isa: Isa, threads: usize, effort: Effort) -> f64 {
    const ROUNDS: usize = 10_000;
    let work = || {
        peak::multiply_adds(isa, ROUNDS);
    };
    let mut team = vec![work; threads];
    let seconds = effort.best(&mut team);
    threads as f64 * peak::multiply_adds(isa, ROUNDS) / seconds
}

fn bandwidth(
    isa: Isa,
    level: Level,
    bytes: usize,
    memories: &mut [Aligned],
    effort: Effort,
) -> Bandwidth {
    let threads = memories.len();
    // Whole lines, in three equal parts.
    let third = bytes / 4 / 48 * 16;
    let total = (threads * 3 * third * 4) as f64;
    // Passes a call: the barrier is not to be what is measured.
    let passes = (64_usize << 10).div_ceil(bytes.max(1));
    let read = {
        let mut team: Vec<_> = memories
            .iter()
            .map(|memory| {
                let data = &memory[..3 * third];
                move || {
                    for _ in 0..passes {
                        std::hint::black_box(peak::read(isa, data));
                    }
                }
            })
            .collect();
        effort.best(&mut team)
    };
    let triad = {
        let mut team: Vec<_> = memories
            .iter_mut()
            .map(|memory| {
                let (a, rest) = memory.split_at_mut(third);
                let (b, c) = (&rest[..third], &rest[third..2 * third]);
                move || {
                    for _ in 0..passes {
                        peak::triad(isa, a, b, c, std::hint::black_box(0.5));
                    }
                }
            })
            .collect();
        effort.best(&mut team)
    };
    let rate = |seconds: f64| total * passes as f64 / seconds;
    Bandwidth { level, bytes_a_thread: 12 * third, read: rate(read), triad: rate(triad) }
}
