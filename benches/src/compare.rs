//! Outcomes of the interleaved comparison, and their table.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use trainer::roofline::{Layout, Product};

use crate::peers::Contender;

/// One round: every contender once, next to each other in time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Seconds of one product, in the order of [`Contender::ALL`].
    pub seconds: [f64; 4],
    /// Seconds that the multiply-adds of one product take from registers, on as many threads.
    pub peak: f64,
    /// Seconds that they take in products so small that nothing leaves the first-level cache.
    pub near: f64,
    /// Seconds of one of our products on a single thread.
    pub alone: f64,
}

/// All rounds of one shape on one team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The shape's name.
    pub name: String,
    /// `m x k x n`
    pub shape: String,
    /// Whether it is a product of a reference workload's training step.
    pub layer: bool,
    /// Whether ours finds B in panels: not among the means, as the peers copy theirs each time.
    pub packed: bool,
    /// Columns of the result.
    pub columns: usize,
    /// Floating-point operations.
    pub flops: f64,
    /// Threads of the team.
    pub threads: usize,
    /// The rounds.
    pub rounds: Vec<Round>,
}

/// A median with the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// A quarter of the values are smaller.
    pub low: f64,
    /// Half of the values are smaller.
    pub median: f64,
    /// A quarter of the values are larger.
    pub high: f64,
}

impl Spread {
    /// Of some values.
    ///
    /// # Panics
    /// If there are none.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

impl Outcome {
    /// No round yet.
    pub fn new(product: &Product, layer: bool, threads: usize) -> Self {
        Self {
            name: product.name.clone(),
            shape: product.shape(),
            layer,
            packed: product.layout == Layout::PackedB,
            columns: product.n,
            flops: product.flops(),
            threads,
            rounds: Vec::new(),
        }
    }

    /// A contender's rate, in floating-point operations a second.
    pub fn rate(&self, contender: Contender) -> Spread {
        Spread::of(self.rounds.iter().map(|round| self.flops / round.seconds[contender as usize]))
    }

    /// How many times as fast as `peer` we are: of the pairs of a round.
    pub fn ratio(&self, peer: Contender) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.seconds[peer as usize] / round.seconds[0]))
    }

    /// The peer that comes closest to us, and how many times as fast we are.
    pub fn best_peer(&self) -> (Contender, Spread) {
        let peers = Contender::ALL[1..].iter().map(|peer| (*peer, self.ratio(*peer)));
        peers.min_by(|(_, a), (_, b)| a.median.total_cmp(&b.median)).expect("there are three peers")
    }

    /// Our rate as a fraction of the processor's.
    pub fn of_peak(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.peak / round.seconds[0]))
    }

    /// The same in the quarter of the rounds in which our smallest products took the least time: when
    /// nobody else used the core, as far as there was such a time. The rates themselves choose none.
    pub fn of_peak_when_quiet(&self) -> Spread {
        let mut rounds = self.rounds.clone();
        rounds.sort_by(|a, b| a.near.total_cmp(&b.near));
        rounds.truncate(rounds.len().div_ceil(4));
        Spread::of(rounds.iter().map(|round| round.peak / round.seconds[0]))
    }

    /// The rate of our smallest products, from the first-level cache, as a fraction of the processor's.
    pub fn near_of_peak(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.peak / round.near))
    }

    /// How many times as fast as on one thread we are.
    pub fn speed_up(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.alone / round.seconds[0]))
    }
}

/// The geometric mean of the ratios to the best peer, of the outcomes that `belongs` picks; `None`
/// if there are none.
pub fn geometric_mean(outcomes: &[&Outcome], belongs: impl Fn(&Outcome) -> bool) -> Option<f64> {
    let picked = outcomes.iter().filter(|outcome| belongs(outcome));
    let logarithms: Vec<f64> = picked.map(|outcome| outcome.best_peer().1.median.ln()).collect();
    let mean = logarithms.iter().sum::<f64>() / logarithms.len() as f64;
    (!logarithms.is_empty()).then(|| mean.exp())
}

/// The least of the ratios to the best peer, and how many are less than 1.
fn least(outcomes: &[&Outcome]) -> String {
    let ratio = |outcome: &&Outcome| outcome.best_peer().1.median;
    let least = outcomes.iter().min_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let least = least.expect("whoever has a mean has a least");
    let (less, all) =
        (outcomes.iter().filter(|outcome| ratio(outcome) < 1.0).count(), outcomes.len());
    format!("Least: {:.2}, {}; less than 1: {less} of {all}.", ratio(least), least.name)
}

/// The Markdown table of one team's outcomes with the geometric means below it.
pub fn table(outcomes: &[Outcome]) -> String {
    let threads = outcomes.first().map_or(0, |outcome| outcome.threads);
    let mut text = String::new();
    let speed_up = threads > 1;
    let names = Contender::ALL.map(Contender::name);
    let _ = write!(text, "| product | shape | {} | of peak | quiet | near |", names.join(" | "));
    let _ = writeln!(text, "{} to the best peer |", if speed_up { " to 1 thread |" } else { "" });
    let _ = write!(text, "|---|---|{}", "---:|".repeat(Contender::ALL.len() + 4));
    let _ = writeln!(text, "{}", if speed_up { "---:|" } else { "" });
    for outcome in outcomes {
        let _ = write!(text, "| {} | {} |", outcome.name, outcome.shape);
        for contender in Contender::ALL {
            let Spread { low, median, high } = outcome.rate(contender);
            let _ = match contender {
                Contender::Ours => {
                    write!(text, " {:.1} ({:.1} to {:.1}) |", median / 1e9, low / 1e9, high / 1e9)
                }
                _ => write!(text, " {:.1} |", median / 1e9),
            };
        }
        for part in [outcome.of_peak(), outcome.of_peak_when_quiet(), outcome.near_of_peak()] {
            let _ = write!(text, " {:.0} % |", 100.0 * part.median);
        }
        if speed_up {
            let _ = write!(text, " {:.2} |", outcome.speed_up().median);
        }
        let (peer, Spread { low, median, high }) = outcome.best_peer();
        let _ = writeln!(text, " **{median:.2}** ({low:.2} to {high:.2}) {} |", peer.name());
    }
    let (packed, named): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|outcome| outcome.packed);
    let means: Vec<String> = [
        ("all", geometric_mean(&named, |_| true)),
        ("layers", geometric_mean(&named, |outcome| outcome.layer)),
        ("results of ten columns", geometric_mean(&named, |outcome| outcome.columns == 10)),
    ]
    .into_iter()
    .filter_map(|(name, mean)| Some(format!("{name} {:.2}", mean?)))
    .collect();
    if !means.is_empty() {
        let means = means.join(", ");
        let _ = writeln!(text, "\nGeometric means of the ratio to the best peer: {means}.");
        let _ = writeln!(text, "{}", least(&named));
    }
    if let Some(mean) = geometric_mean(&packed, |_| true) {
        let _ = writeln!(
            text,
            "\nWith B packed once for all products, in none of these: geometric mean {mean:.2}. {}",
            least(&packed)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use trainer::roofline::WORKLOADS;

    use super::*;

    /// A product of 6,422,528 operations whose rounds have these seconds.
    fn outcome(threads: usize, rounds: &[[f64; 4]]) -> Outcome {
        let product = &WORKLOADS[0].products()[0];
        let round = |seconds: &[f64; 4]| Round {
            seconds: *seconds,
            peak: seconds[0] / 2.0,
            near: seconds[0] / 1.6,
            alone: seconds[0] * 1.5,
        };
        Outcome {
            rounds: rounds.iter().map(round).collect(),
            ..Outcome::new(product, true, threads)
        }
    }

    #[test]
    fn spreads_have_quartiles() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0].into_iter());
        assert_eq!(spread, Spread { low: 2.0, median: 3.0, high: 4.0 });
        assert_eq!(Spread::of([7.0].into_iter()), Spread { low: 7.0, median: 7.0, high: 7.0 });
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine halves its speed in the second round; faer is always 1.5 times as slow.
        let outcome =
            outcome(1, &[[1.0, 3.0, 4.0, 1.5], [2.0, 6.0, 8.0, 3.0], [1.0, 3.0, 4.0, 1.5]]);
        let (peer, ratio) = outcome.best_peer();
        assert_eq!(peer, Contender::Faer);
        assert_eq!(ratio, Spread { low: 1.5, median: 1.5, high: 1.5 });
        assert_eq!(outcome.ratio(Contender::Gemm).median, 4.0);
        assert_eq!(outcome.of_peak().median, 0.5);
    }

    #[test]
    fn quiet_rounds_are_those_of_the_fastest_small_products() {
        let mut outcome = outcome(1, &[[1.0; 4]; 5]);
        for (i, round) in outcome.rounds.iter_mut().enumerate() {
            // The second and the fourth are quiet; the first and the last are as fast by chance.
            round.near = [3.0, 1.0, 2.0, 1.5, 3.0][i];
            round.peak = [0.9, 0.6, 0.5, 0.6, 0.9][i];
        }
        assert_eq!(outcome.of_peak_when_quiet(), Spread { low: 0.6, median: 0.6, high: 0.6 });
        assert_eq!(outcome.of_peak().high, 0.9);
    }

    #[test]
    fn means_are_geometric() {
        let outcomes = [
            outcome(1, &[[1.0, 8.0, 8.0, 2.0]]),
            outcome(1, &[[1.0, 8.0, 8.0, 0.5]]),
            Outcome { layer: false, ..outcome(1, &[[1.0, 8.0, 8.0, 8.0]]) },
        ];
        let outcomes = outcomes.each_ref();
        assert!((geometric_mean(&outcomes, |_| true).unwrap() - 2.0).abs() < 1e-12);
        assert!((geometric_mean(&outcomes, |o| o.layer).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean(&outcomes, |o| o.columns == 10), None);
    }

    #[test]
    fn a_line_has_rates_and_the_ratio() {
        let second = 6.422528e-3;
        let text = table(&[outcome(1, &[[second, 2.0 * second, 4.0 * second, 1.25 * second]])]);
        let expected = "| W1 forward 1 | 32x784x128 | 1.0 (1.0 to 1.0) | 0.5 | 0.2 | 0.8 | 50 % | 50 % | 80 % | \
                        **1.25** (1.25 to 1.25) faer |";
        assert!(text.contains(expected), "{text}");
        let end =
            "best peer: all 1.25, layers 1.25.\nLeast: 1.25, W1 forward 1; less than 1: 0 of 1.\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn what_is_packed_is_in_no_other_mean() {
        let named = outcome(1, &[[1.0, 3.0, 3.0, 1.5]]);
        let packed = Outcome { packed: true, ..outcome(1, &[[1.0, 3.0, 3.0, 0.5]]) };
        let text = table(&[named, packed.clone()]);
        assert!(
            text.contains(
                "all 1.50, layers 1.50.\nLeast: 1.50, W1 forward 1; less than 1: 0 of 1."
            ),
            "{text}"
        );
        let end = "in none of these: geometric mean 0.50. Least: 0.50, W1 forward 1; less than 1: 1 of 1.\n";
        assert!(text.ends_with(end), "{text}");
        assert!(!table(&[packed]).contains("layers"));
    }

    #[test]
    fn all_lines_have_the_columns_of_the_heading() {
        for threads in [1, 2] {
            let text = table(&[outcome(threads, &[[1.0; 4]])]);
            let columns: Vec<usize> =
                text.lines().take(3).map(|line| line.matches('|').count()).collect();
            assert_eq!(columns, [columns[0]; 3], "{text}");
            assert_eq!(text.contains("to 1 thread"), threads > 1);
        }
    }
}
