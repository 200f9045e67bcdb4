//! `--repeat-seeds`: many models, and how far they lie apart.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;
use dataset::Dataset;
use serde::Serialize;

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
    let side_by_side = if parameters <= SMALL { threads.min(seeds) } else { 1 };
    // One model at a time may have as many threads as pay; side by side, each has its part.
    let team = if side_by_side == 1 { settings.fit.threads } else { threads / side_by_side };
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..side_by_side)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= seeds {
                            return Ok(());
                        }
                        let seed = settings.fit.seed.wrapping_add(index as u64);
                        let result = train(settings, set, seed, team)?;
                        if !settings.output.quiet && !settings.output.json {
                            writeln!(
                                io::stderr(),
                                "seed {seed}: test accuracy {:.4}, {:.3} s training",
                                result.test_accuracy,
                                result.training_seconds
                            )?;
                        }
                        results.lock().expect("no thread panicked").push(result);
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a panic is a bug"))
    })?;
    let mut results = results.into_inner().expect("no thread panicked");
    results.sort_by_key(|result| result.seed.wrapping_sub(settings.fit.seed));
    set.check_unchanged()?;
    let mut out = io::stdout().lock();
    if settings.output.json {
        for result in &results {
            serde_json::to_writer(&mut out, result)?;
            writeln!(out)?;
        }
        return Ok(());
    }
    writeln!(out, "{seeds} seeds, {side_by_side} side by side on {threads} threads\n")?;
    writeln!(out, "{:<18}{:>10}{:>10}{:>10}{:>10}", "", "mean", "std", "min", "max")?;
    let mut row = |name: &str, values: Vec<f64>| {
        let Spread { mean, deviation, min, max } = spread(&values);
        writeln!(out, "{name:<18}{mean:>10.4}{deviation:>10.4}{min:>10.4}{max:>10.4}")
    };
    row("test accuracy", results.iter().map(|result| result.test_accuracy).collect())?;
    row("test loss", results.iter().map(|result| result.test_loss).collect())?;
    row("training seconds", results.iter().map(|result| result.training_seconds).collect())?;
    Ok(())
}

fn train(settings: &TrainSettings, set: &Dataset, seed: u64, threads: usize) -> Result<SeedResult> {
    let settings = settings.with_seed(seed, threads);
    let mut model = settings.model_for(set)?;
    let history = model.fit(set.train.examples(), &settings.fit)?;
    let test = model.evaluate(set.test.examples())?;
    Ok(SeedResult {
        seed,
        test_loss: test.loss,
        test_accuracy: test.accuracy,
        training_seconds: history.epochs.iter().map(|epoch| epoch.time.as_secs_f64()).sum(),
    })
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
    fn the_spread_of_a_sample() {
        let found = spread(&[1.0, 2.0, 3.0, 6.0]);
        assert_eq!((found.mean, found.min, found.max), (3.0, 1.0, 6.0));
        assert!((found.deviation - (14.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(spread(&[5.0]).deviation, 0.0);
    }
}
