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
/// times as fast the team is: medians of `rounds` pairs.
pub fn table(threads: usize, rounds: usize) -> String {
    let isa = Isa::best();
    let mut text = String::from("| rows | columns |");
    SUMMANDS.iter().for_each(|k| _ = write!(text, " {k} summands |"));
    text += "\n|---:|---:|---:|---:|---:|";
    let mut least = (f64::INFINITY, [0; 3]);
    for [m, n, k] in shapes() {
        if k == SUMMANDS[0] {
            let _ = write!(text, "\n| {m} | {n} |");
        }
        let product = Product { name: String::new(), m, k, n, layout: Layout::Plain };
        let team = Team::new(isa, m, n, k, threads).threads;
        // On as many threads as before: the same work, on the same thread.
        let ratio = if team == 1 { 1.0 } else { ratio(&product, threads, rounds) };
        let _ = match team {
            1 => write!(text, " one thread |"),
            _ => write!(text, " {ratio:.2} |"),
        };
        if ratio < least.0 {
            least = (ratio, [m, n, k]);
        }
    }
    let (ratio, [m, n, k]) = least;
    let _ = writeln!(text, "\n\nLeast: {ratio:.2}, at [{m}, {k}] x [{k}, {n}].");
    text
}

fn ratio(product: &Product, threads: usize, rounds: usize) -> f64 {
    let isa = Isa::best();
    let mut operands = Operands::new(product);
    let mut time =
        |threads, repetitions| time_team(&mut operands.team(isa, threads, None), repetitions);
    let mut repetitions = 1;
    while time(1, repetitions) < SAMPLE && repetitions < 1 << 20 {
        repetitions *= 2;
    }
    let pair = |round: usize| {
        // Each is first in every other round.
        let first = time(if round.is_multiple_of(2) { 1 } else { threads }, repetitions);
        let second = time(if round.is_multiple_of(2) { threads } else { 1 }, repetitions);
        let (one, all) = if round.is_multiple_of(2) { (first, second) } else { (second, first) };
        one.as_secs_f64() / all.as_secs_f64()
    };
    Spread::of((0..rounds.max(1)).map(pair)).median
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
