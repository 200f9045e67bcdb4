//! Rounds of the interleaved comparison: a round times every contender once, in an order that rotates.

use std::time::Duration;

use kernels::{Isa, peak};
use trainer::roofline::{Layout, Operands, Product, time_team};

use crate::compare::Round;
use crate::peers::{Contender, assert_equal_results};

/// A shape whose product takes longer than this has part in every fourth round.
const LONG: Duration = Duration::from_millis(20);

/// Times all contenders at these shapes, on a team of `threads`; the rounds of each shape. A round passes
/// over all of them: a bad second is in one pair of some shapes, not in most pairs of one.
///
/// # Panics
/// If a contender computes something else.
pub fn measure(shapes: &[&Product], threads: usize, rounds: usize) -> Vec<Vec<Round>> {
    let mut shapes: Vec<_> = shapes.iter().map(|product| Shape::new(product, threads)).collect();
    for round in 0..rounds {
        shapes.iter_mut().filter(|shape| round % shape.every == 0).for_each(Shape::round);
    }
    shapes.into_iter().map(|shape| shape.rounds).collect()
}

/// A shape on its way through the rounds.
struct Shape {
    operands: Operands,
    threads: usize,
    /// Products of a sample, of each contender.
    repetitions: [usize; 4],
    /// Has part in one of so many rounds.
    every: usize,
    rounds: Vec<Round>,
}

impl Shape {
    fn new(product: &Product, threads: usize) -> Self {
        assert_equal_results(product, threads);
        let mut operands = Operands::new(product);
        // Each contender repeats its product until a sample is long enough.
        let mut repetitions = [1; 4];
        let mut slowest = Duration::ZERO;
        for (contender, repetitions) in Contender::ALL.into_iter().zip(&mut repetitions) {
            let mut time = contender.time(&mut operands, threads, 1);
            slowest = slowest.max(time);
            while time < sample(threads) && *repetitions < 1 << 20 {
                *repetitions *= 2;
                time = contender.time(&mut operands, threads, *repetitions);
            }
        }
        let every = if slowest > LONG { 4 } else { 1 };
        Self { operands, threads, repetitions, every, rounds: Vec::new() }
    }

    fn round(&mut self) {
        let Self { operands, threads, repetitions, rounds, .. } = self;
        let threads = *threads;
        let (mut seconds, mut rate, mut near) = ([0.0; 4], 0.0, 0.0);
        for turn in 0..seconds.len() {
            let index = (rounds.len() + turn) % seconds.len();
            let repetitions = repetitions[index];
            let time = Contender::ALL[index].time(operands, threads, repetitions);
            seconds[index] = time.as_secs_f64() / repetitions as f64;
            if Contender::ALL[index] == Contender::Ours {
                rate = peak_rate(threads);
                near = near_rate(threads);
            }
        }
        let alone = if threads > 1 {
            let time = Contender::Ours.time(operands, 1, repetitions[0]);
            time.as_secs_f64() / repetitions[0] as f64
        } else {
            seconds[0]
        };
        let flops = operands.product.flops();
        rounds.push(Round { seconds, peak: flops / rate, near: flops / near, alone });
    }
}

/// What a sample is to take at least; of a team, longer than the system takes to give each thread
/// a processor of its own.
fn sample(threads: usize) -> Duration {
    Duration::from_millis(if threads == 1 { 1 } else { 4 })
}

/// Multiply-adds a second from registers, on all threads, in a sample of a fraction of a millisecond
/// right after a product of ours, which still runs at the product's clock: left to its registers alone,
/// a processor raises it within a millisecond, by up to a fifth.
fn peak_rate(threads: usize) -> f64 {
    const ROUNDS: usize = 10_000;
    const REPETITIONS: usize = 10;
    let isa = Isa::best();
    let work = || {
        peak::multiply_adds(isa, ROUNDS);
    };
    let time = time_team(&mut vec![work; threads], REPETITIONS);
    (threads * REPETITIONS) as f64 * peak::multiply_adds(isa, ROUNDS) / time.as_secs_f64()
}

/// Floating-point operations a second of a single tile whose operands stay in the first-level cache, on
/// all threads, measured likewise: what is left of the peak to a program that loads its operands, where
/// another one may have half of the same core.
fn near_rate(threads: usize) -> f64 {
    const REPETITIONS: usize = 100;
    let (name, layout) = (String::from("near"), Layout::Plain);
    let product = Product { name, m: 8, k: 192, n: 48, layout };
    let mut operands = vec![Operands::new(&product); threads];
    let mut team: Vec<_> = operands
        .iter_mut()
        .flat_map(|operands| operands.team(Isa::best(), 1, None))
        .map(|mut work| move || (0..REPETITIONS).for_each(|_| work()))
        .collect();
    let time = time_team(&mut team, 1);
    (threads * REPETITIONS) as f64 * product.flops() / time.as_secs_f64()
}
