//! Whether a team is ever slower than one thread: our products over a grid of shapes.

use std::fmt::Write as _;
use std::time::Duration;

use kernels::Isa;
use kernels::gemm::Team;
use trainer::roofline::{Layout, Operands, Product, time_team};

use crate::compare::Spread;

const ROWS: [usize; 6] = [1, 8, 32, 128, 512, 2048];
const COLUMNS: [usize; 5] = [10, 64, 128, 512, 2048];
const SUMMANDS: [usize; 3] = [10, 128, 784];
const SAMPLE: Duration = Duration::from_millis(2);

/// All shapes, by rows, then columns, then summands.
pub fn shapes() -> impl Iterator<Item = [usize; 3]> {
    ROWS.into_iter()
        .flat_map(|m| COLUMNS.into_iter().map(move |n| (m, n)))
        .flat_map(|(m, n)| SUMMANDS.into_iter().map(move |k| [m, n, k]))
}

/// Times one thread and a team of up to `threads` in turns, and writes a Markdown table of how many
/// times as fast the team is: medians of `rounds` pairs. A round passes over all shapes: a bad tenth of a
/// second is in one pair of some shapes, not in all pairs of one.
pub fn table(threads: usize, rounds: usize) -> String {
    let mut cells: Vec<Cell> = shapes().map(|shape| Cell::new(shape, threads)).collect();
    for round in 0..rounds.max(1) {
        cells.iter_mut().for_each(|cell| cell.measure(round));
    }
    let mut text = String::from("| rows | columns |");
    SUMMANDS.iter().for_each(|k| _ = write!(text, " {k} summands |"));
    text += "\n|---:|---:|---:|---:|---:|";
    let mut least = (f64::INFINITY, [0; 3]);
    for Cell { shape, team, ratios, .. } in cells {
        let [m, n, k] = shape;
        if k == SUMMANDS[0] {
            let _ = write!(text, "\n| {m} | {n} |");
        }
        // On as many threads as before: the same work, on the same thread.
        let ratio = if team == 1 { 1.0 } else { Spread::of(ratios.into_iter()).median };
        let _ = match team {
            1 => write!(text, " one thread |"),
            _ => write!(text, " {ratio:.2} |"),
        };
        if ratio < least.0 {
            least = (ratio, shape);
        }
    }
    let (ratio, [m, n, k]) = least;
    let _ = writeln!(text, "\n\nLeast: {ratio:.2}, at [{m}, {k}] x [{k}, {n}].");
    text
}

/// A shape on its way through the rounds.
struct Cell {
    shape: [usize; 3],
    operands: Operands,
    /// Threads that the team's plan uses; one is never measured.
    team: usize,
    threads: usize,
    /// Products of a sample.
    repetitions: usize,
    ratios: Vec<f64>,
}

impl Cell {
    fn new([m, n, k]: [usize; 3], threads: usize) -> Self {
        let product = Product { name: String::new(), m, k, n, layout: Layout::Plain };
        let team = Team::new(Isa::best(), m, n, k, threads).threads;
        let operands = Operands::new(&product);
        let (repetitions, ratios) = (1, Vec::new());
        let mut cell = Self { shape: [m, n, k], operands, team, threads, repetitions, ratios };
        while team > 1 && cell.time(1) < SAMPLE && cell.repetitions < 1 << 20 {
            cell.repetitions *= 2;
        }
        cell
    }

    fn time(&mut self, threads: usize) -> Duration {
        time_team(&mut self.operands.team(Isa::best(), threads, None), self.repetitions)
    }

    /// One pair; each is first in every other round.
    fn measure(&mut self, round: usize) {
        if self.team == 1 {
            return;
        }
        let (one, all) = if round.is_multiple_of(2) {
            let one = self.time(1);
            (one, self.time(self.threads))
        } else {
            let all = self.time(self.threads);
            (self.time(1), all)
        };
        self.ratios.push(one.as_secs_f64() / all.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_all_shapes() {
        assert_eq!(shapes().count(), ROWS.len() * COLUMNS.len() * SUMMANDS.len());
        assert_eq!(shapes().next(), Some([1, 10, 10]));
        // A team of one is never measured.
        let text = table(1, 1);
        assert_eq!(text.matches(" one thread |").count(), shapes().count(), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with('|')).count(), 2 + 30, "{text}");
    }
}
