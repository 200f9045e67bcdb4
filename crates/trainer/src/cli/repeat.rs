//! `--repeat-seeds`: many models, and how far they lie apart.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;
use dataset::Dataset;
use serde::Serialize;

use super::pipe;
use super::settings::TrainSettings;

/// Up to this many parameters a model and its optimizer's state fit a core's own cache well enough
/// for one core to train it alone, and the cores train side by side.
const SMALL: usize = 1 << 20;

/// One seed's result.
#[derive(Clone, Debug, Serialize)]
struct SeedResult {
    seed: u64,
    test_loss: f64,
    test_accuracy: f64,
    /// Of the epochs, without validation.
    training_seconds: f64,
}

pub fn run(settings: &TrainSettings, set: &Dataset, seeds: usize) -> Result<()> {
    let parameters = settings.model_for(set)?.parameters().values().len();
    let threads = settings.fit.most_threads();
    // Each model that is streamed wants the whole of --memory.
    let streams = settings.fit.streaming(&set.train.examples()).is_some();
    let alone = parameters > SMALL || streams;
    let side_by_side = if alone { 1 } else { threads.min(seeds) };
    // One model at a time may have as many threads as pay; side by side, each has its part.
    let team = if side_by_side == 1 { settings.fit.threads } else { threads / side_by_side };
    let (mut results, end) = side_by_side_for_each(seeds, side_by_side, |index| {
        let seed = settings.fit.seed.wrapping_add(index as u64);
        train(settings, set, seed, team).map_err(|error| {
            let sentence = format!("seed {seed}: {error}");
            error.context(sentence)
        })
    });
    results.sort_by_key(|result| result.seed.wrapping_sub(settings.fit.seed));
    // What was trained before one failed is worth a table.
    if !results.is_empty() {
        set.check_unchanged()?;
        write(settings, &results, side_by_side)?;
    }
    end
}

/// Calls `work` with each number below `count`, on so many threads; what it returned, and the first error
/// of a thread. After an error no other number is begun.
fn side_by_side_for_each<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> (Vec<T>, Result<()>) {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return (results, Ok(()));
            }
            match work(index) {
                Ok(result) => results.push(result),
                Err(error) => {
                    next.store(count, Ordering::Relaxed);
                    return (results, Err(error));
                }
            }
        }
    };
    let ends: Vec<(Vec<T>, Result<()>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a panic is a bug")).collect()
    });
    let (results, ends): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
    (results.into_iter().flatten().collect(), ends.into_iter().collect())
}

fn write(settings: &TrainSettings, results: &[SeedResult], side_by_side: usize) -> Result<()> {
    let mut out = pipe::stdout();
    if settings.output.json {
        return Ok(results.iter().try_for_each(|result| pipe::json_line(&mut out, result))?);
    }
    let (seeds, threads) = (results.len(), settings.fit.most_threads());
    writeln!(out, "{seeds} seeds, {side_by_side} side by side on {threads} threads\n")?;
    writeln!(out, "{:<18}{:>10}{:>10}{:>10}{:>10}", "", "mean", "std", "min", "max")?;
    let mut row = |name: &str, value: fn(&SeedResult) -> f64| {
        let Spread { mean, deviation, min, max } =
            spread(&results.iter().map(value).collect::<Vec<_>>());
        writeln!(out, "{name:<18}{mean:>10.4}{deviation:>10.4}{min:>10.4}{max:>10.4}")
    };
    row("test accuracy", |result| result.test_accuracy)?;
    row("test loss", |result| result.test_loss)?;
    row("training seconds", |result| result.training_seconds)?;
    Ok(())
}

fn train(settings: &TrainSettings, set: &Dataset, seed: u64, threads: usize) -> Result<SeedResult> {
    let settings = settings.with_seed(seed, threads);
    let mut model = settings.model_for(set)?;
    let history = model.fit(set.train.examples(), &settings.fit)?;
    let test = model.evaluate(set.test.examples())?;
    let result = SeedResult {
        seed,
        test_loss: test.loss,
        test_accuracy: test.accuracy,
        training_seconds: history.epochs.iter().map(|epoch| epoch.time.as_secs_f64()).sum(),
    };
    if !settings.output.quiet && !settings.output.json {
        let SeedResult { test_accuracy, training_seconds, .. } = result;
        // A line that cannot be shown stops nothing.
        let _ = writeln!(
            io::stderr(),
            "seed {seed}: test accuracy {test_accuracy:.4}, {training_seconds:.3} s training"
        );
    }
    Ok(result)
}

#[derive(Debug, PartialEq)]
struct Spread {
    mean: f64,
    /// Of the sample: divided by n - 1; 0 for one value.
    deviation: f64,
    min: f64,
    max: f64,
}

fn spread(values: &[f64]) -> Spread {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 };
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Spread { mean, deviation, min, max }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_ends_what_runs_beside_it_and_loses_nothing() {
        for threads in [1, 3] {
            let begun = AtomicUsize::new(0);
            let (results, end) = side_by_side_for_each(10_000, threads, |index| {
                begun.fetch_add(1, Ordering::Relaxed);
                anyhow::ensure!(index != 20, "the twenty-first");
                thread::sleep(std::time::Duration::from_millis(1));
                Ok(index)
            });
            assert_eq!(end.unwrap_err().to_string(), "the twenty-first");
            assert!((0..20).all(|index| results.contains(&index)), "{results:?}");
            assert!(results.len() + 1 == begun.into_inner() && results.len() < 9_999);
        }
        let (results, end) = side_by_side_for_each(50, 3, Ok);
        assert!(end.is_ok() && results.len() == 50);
    }

    #[test]
    fn the_spread_of_a_sample() {
        let found = spread(&[1.0, 2.0, 3.0, 6.0]);
        assert_eq!((found.mean, found.min, found.max), (3.0, 1.0, 6.0));
        assert!((found.deviation - (14.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(spread(&[5.0]).deviation, 0.0);
    }
}
