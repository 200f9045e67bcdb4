//! How a team of threads computes one product: each its share of C, by rows or by columns.

use std::ops::Range;

use super::Plan;
use crate::Isa;

/// What it costs, in cycles of a multiply-add unit, that the threads of a team wait for each other
/// after a product: half a microsecond, a third of it waiting and the rest for what their shares
/// lose by being shorter.
const BARRIER: f64 = 1_500.0;

/// Columns of a share are a multiple of this: a line of the cache belongs to one thread.
const LINE: usize = 16;

/// How a team of threads shares `[m, k] x [k, n]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Threads that have work: as many as pay, and no more than there are.
    pub threads: usize,
    /// Whether each computes some columns of C, or some rows.
    pub by_columns: bool,
    m: usize,
    n: usize,
}

impl Team {
    /// Plans for up to `available` threads. More threads are never planned to take longer: where
    /// the shares of more would not be so much shorter that it pays for waiting for each other,
    /// fewer are used.
    pub fn new(isa: Isa, m: usize, n: usize, k: usize, available: usize) -> Self {
        let of = |threads| Self { threads, by_columns: by_columns(m, n, threads), m, n };
        let mut best = of(1);
        let mut least = best.cycles(isa, k);
        for threads in 2..=available {
            let team = of(threads);
            let cycles = team.cycles(isa, k);
            if cycles < least {
                (best, least) = (team, cycles);
            }
        }
        best
    }

    /// Rows and columns of C of thread `index`.
    pub fn share(&self, index: usize) -> (Range<usize>, Range<usize>) {
        if self.by_columns {
            (0..self.m, share(self.n, LINE, index, self.threads))
        } else {
            (share(self.m, 1, index, self.threads), 0..self.n)
        }
    }

    /// Cycles of the longest share and of waiting, by the model of [`Plan::cycles`].
    pub fn cycles(&self, isa: Isa, k: usize) -> f64 {
        let of = |index| {
            let (rows, cols) = self.share(index);
            Plan::new(isa, rows.len(), cols.len(), k, true, true).cycles()
        };
        // Shares differ by a row, or by a line: the longest are as long as the first or the last.
        let longest = of(0).max(of(self.threads - 1));
        longest + if self.threads > 1 { BARRIER } else { 0.0 }
    }
}

/// Cut by rows, every thread reads all of B; by columns, all of A. The smaller one is to be the one
/// that all read; but a cut that leaves a thread less than a line of columns, or no row, is none.
fn by_columns(m: usize, n: usize, threads: usize) -> bool {
    let rows_fit = m >= threads;
    let columns_fit = n >= threads.saturating_mul(LINE);
    if rows_fit && columns_fit { n > m } else { columns_fit }
}

/// The share of `index` among `shares` nearly equal parts of `0..len`, cut at multiples of
/// `quantum`: how a team of threads divides rows or columns of a product.
pub fn share(len: usize, quantum: usize, index: usize, shares: usize) -> Range<usize> {
    let units = len.div_ceil(quantum);
    let cut = |i: usize| (units * i / shares * quantum).min(len);
    cut(index)..cut(index + 1)
}
