//! How close to the machine's limits the kernels run.
//!
//! The roofline (S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance
//! model for multicore architectures", 2009): a kernel takes at least the time of its multiply-adds
//! at the processor's peak, and at least the time of its bytes at the bandwidth of the level of
//! memory where its data lives from one call to the next. The longer of the two is its bound.
//!
//! The bytes are the least that any algorithm moves, each operand read once and each result written
//! once, and the bandwidth is that of reading where hardly anything is written, else that of a
//! triad. Peaks are measured on the machine, by the same team of threads.

mod cases;
mod machine;
mod peaks;
mod products;
mod team;

use serde::Serialize;

pub use machine::{Caches, Level, Machine};
pub use peaks::{Bandwidth, Peaks};
pub use products::{Layout, Operands, Product, WORKLOADS, Workload, random};
pub use team::{Effort, time_team, warming};

use cases::Demand;

/// What holds a kernel back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Multiply-adds.
    Compute,
    /// The bandwidth of a level of memory.
    #[serde(untagged)]
    Memory(Level),
}

impl Bound {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory(level) => level.name(),
        }
    }
}

/// One kernel on one team.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Threads of the team.
    pub threads: usize,
    /// Seconds a call, the median of several samples.
    pub seconds: f64,
    /// What bounds the kernel.
    pub bound: Bound,
    /// Floating-point operations a second where the bound is compute, else bytes a second; of all
    /// threads together.
    pub achieved: f64,
    /// The same at the bound.
    pub at_most: f64,
}

impl Figure {
    fn new(demand: Demand, seconds: f64, machine: &Machine, peaks: &Peaks) -> Self {
        let threads = peaks.threads as f64;
        let bandwidth = peaks.bandwidth(machine.caches.level_of(demand.set, peaks.threads));
        let hardly_writes = 4.0 * demand.writes < demand.reads;
        let bytes_a_second = if hardly_writes { bandwidth.read } else { bandwidth.triad };
        let flops = threads * demand.flops;
        let bytes = threads * (demand.reads + demand.writes);
        let (bound, work, at_most) = if flops / peaks.flops >= bytes / bytes_a_second {
            (Bound::Compute, flops, peaks.flops)
        } else {
            (Bound::Memory(bandwidth.level), bytes, bytes_a_second)
        };
        Self { threads: peaks.threads, seconds, bound, achieved: work / seconds, at_most }
    }

    /// Per cent of the bound.
    pub fn percent(&self) -> f64 {
        100.0 * self.achieved / self.at_most
    }
}

/// A kernel at a shape, on each team.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What is computed.
    pub kernel: String,
    /// Of what size.
    pub shape: String,
    /// In the order of the teams.
    pub figures: Vec<Figure>,
}

/// The names of the kernels that [`rows`] knows.
pub fn names() -> Vec<String> {
    cases::all().into_iter().map(|case| case.kernel).collect()
}

/// Measures the kernels whose name contains `filter`, one after the other, on the teams that
/// `peaks` was measured with.
pub fn rows<'a>(
    machine: &'a Machine,
    peaks: &'a [Peaks],
    filter: &'a str,
    effort: Effort,
) -> impl Iterator<Item = Row> + 'a {
    let wanted = cases::all().into_iter().filter(move |case| case.kernel.contains(filter));
    wanted.map(move |case| {
        let figure = |peaks: &Peaks| {
            let seconds = (case.seconds)(machine.isa, peaks.threads, effort);
            Figure::new((case.demand)(peaks.threads), seconds, machine, peaks)
        };
        let figures = peaks.iter().map(figure).collect();
        Row { kernel: case.kernel, shape: case.shape, figures }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            processor: "test".to_owned(),
            cores: 2,
            isa: kernels::Isa::best(),
            caches: Caches { l1: 32 << 10, l2: 1 << 20, l3: 0 },
        }
    }

    /// 100 GFLOP/s; L1 400 and 300, L2 200 and 100, memory 20 and 10 GB/s to read and in a triad.
    fn peaks(threads: usize) -> Peaks {
        let bandwidth = |level, read: f64, triad: f64| Bandwidth {
            level,
            bytes_a_thread: 0,
            read: read * 1e9,
            triad: triad * 1e9,
        };
        Peaks {
            threads,
            flops: 100e9,
            bandwidths: vec![
                bandwidth(Level::L1, 400.0, 300.0),
                bandwidth(Level::L2, 200.0, 100.0),
                bandwidth(Level::Memory, 20.0, 10.0),
            ],
        }
    }

    #[test]
    fn the_longer_of_two_times_is_the_bound() {
        // 1 ms of multiply-adds; 200 kB in the second level, read at 200 GB/s in 1 us.
        let demand = Demand { flops: 100e6, reads: 200e3, writes: 0.0, set: 200_000 };
        let figure = Figure::new(demand, 2e-3, &machine(), &peaks(1));
        assert_eq!(figure.bound, Bound::Compute);
        assert_eq!((figure.achieved, figure.percent()), (50e9, 50.0));

        let demand = Demand { flops: 0.0, ..demand };
        let figure = Figure::new(demand, 4e-6, &machine(), &peaks(1));
        assert_eq!(figure.bound, Bound::Memory(Level::L2));
        assert_eq!((figure.achieved.round(), figure.percent().round()), (50e9, 25.0));
    }

    #[test]
    fn what_writes_is_held_against_the_triad_of_its_level() {
        let demand = |reads, writes, set| Demand { flops: 1.0, reads, writes, set };
        let at_most =
            |demand| Figure::new(demand, 1.0, &machine(), &peaks(1)).at_most.round() / 1e9;
        assert_eq!(at_most(demand(1e4, 0.0, 10_000)), 400.0);
        assert_eq!(at_most(demand(1e4, 1e4, 10_000)), 300.0);
        assert_eq!(at_most(demand(1e4, 2.4e3, 10_000)), 400.0);
        assert_eq!(at_most(demand(1e4, 2.6e3, 100_000)), 100.0);
        // No third level here: memory follows the second.
        assert_eq!(at_most(demand(1e7, 1e7, 2_000_000)), 10.0);
    }

    #[test]
    fn the_busiest_thread_stands_for_all() {
        let demand = Demand { flops: 25e6, reads: 0.0, writes: 0.0, set: 0 };
        let figure = Figure::new(demand, 1e-3, &machine(), &peaks(2));
        // Two threads with 25 MFLOP each in a millisecond, of 100 GFLOP/s together.
        assert_eq!((figure.achieved.round(), figure.percent().round()), (50e9, 50.0));
    }

    #[test]
    fn every_kernel_can_be_measured_on_one_thread_and_on_three() {
        let machine = Machine { caches: Caches::ASSUMED, ..machine() };
        let peaks = [1, 3].map(|threads| Peaks::measure(&machine, threads, Effort::ONCE));
        let mut names = Vec::new();
        for row in rows(&machine, &peaks, "", Effort::ONCE) {
            assert_eq!(row.figures.len(), 2);
            for figure in &row.figures {
                assert!(figure.seconds > 0.0 && figure.achieved > 0.0, "{row:?}");
                assert!(figure.at_most.is_finite() && figure.at_most > 0.0, "{row:?}");
            }
            names.push((row.kernel, row.shape));
        }
        for name in ["W1 forward 1", "W2 weight gradient 1 + rmsprop, zeros skipped", "W1 adam"] {
            assert!(names.iter().any(|(kernel, _)| kernel == name), "{name} in {names:?}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "each kernel and shape once");
    }

    #[test]
    fn only_what_is_asked_for_is_measured() {
        let machine = machine();
        let peaks = [peaks(1)];
        let found: Vec<Row> = rows(&machine, &peaks, "softmax", Effort::ONCE).collect();
        assert!(found.len() >= 3 && found.iter().all(|row| row.kernel.contains("softmax")));
    }

    #[test]
    fn bounds_have_plain_names_in_json() {
        let json = |bound| serde_json::to_string(&bound).unwrap();
        assert_eq!(json(Bound::Compute), "\"compute\"");
        assert_eq!(json(Bound::Memory(Level::L2)), "\"l2\"");
    }
}
