//! `trainer train`: open the data, train, test, save.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use trainer::Progress;

use super::args::TrainArgs;
use super::pipe::{self, Pipe};
use super::progress::{self, Extent};
use super::report::{Reporter, RunResult};
use super::settings::TrainSettings;
use super::{data, note_debug_build, repeat};

pub fn run(args: TrainArgs, started: Instant) -> Result<()> {
    let settings = TrainSettings::resolve(args)?;
    if let Some(path) = &settings.save {
        // Now, so that no training is lost for want of a place to put it.
        dataset::check_destination(path)?;
    }
    if settings.fit.threads > 0 {
        // The test runs on these as well; the first who needs any would start one a processor.
        let threads = settings.fit.threads;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().map_err(|e| anyhow!("{threads} threads could not be started: {e}"))?;
    }
    let set = data::open(&settings.data)?;
    let parts = settings.split(set.train.len())?;
    if let Some(seeds) = settings.repeat_seeds {
        note_debug_build();
        return repeat::run(&settings, &set, seeds);
    }
    let mut model = settings.model_for(&set)?;
    note_debug_build();
    // A model that is to be saved is worth training though what is said of it cannot be written.
    let mut out = if settings.save.is_some() { Pipe::beside(io::stdout()) } else { pipe::stdout() };
    let mut reporter = Reporter::new(&mut out, settings.output, settings.fit.epochs);
    reporter.start(&settings, &set, &model, parts)?;

    let extent = Extent {
        epochs: settings.fit.epochs,
        examples: parts.0,
        batch_size: settings.fit.batch_size,
    };
    let progress = Progress::default();
    // Epoch and training time at which the accuracy asked for was reached.
    let mut reached = None;
    let mut trained = Duration::ZERO;
    // What stopped the training from within the report of an epoch.
    let mut stopped: Result<()> = Ok(());
    let history = progress::watch(!settings.output.quiet, extent, &progress, |line| {
        model.fit_with(set.train.examples(), &settings.fit, &progress, |report| {
            stopped = set
                .check_unchanged()
                .map_err(anyhow::Error::from)
                .and_then(|()| Ok(line.beside(|| reporter.epoch(report))?));
            trained += report.time;
            let accuracy = report.validation.map_or(0.0, |validation| validation.accuracy);
            if settings.until_accuracy.is_some_and(|target| accuracy >= target) {
                reached = Some((report.epoch, trained.as_secs_f64()));
            }
            if stopped.is_ok() && reached.is_none() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
    })?;
    stopped?;
    if let Some(path) = &settings.save {
        // Before all that may fail from here on.
        model.save(path)?;
    }

    let test = model.evaluate(set.test.examples())?;
    set.check_unchanged()?;
    let result = RunResult {
        test_loss: test.loss,
        test_accuracy: test.accuracy,
        seconds: started.elapsed().as_secs_f64(),
        threads: settings.fit.most_threads(),
        isa: kernels::Isa::best().name(),
        weights_hash: model.parameters().sha256(),
        shuffle: settings.fit.streaming(&set.train.examples()).into(),
    };
    if let Some(target) = settings.until_accuracy {
        reporter.reached(target, reached)?;
    }
    reporter.finish(&result, set.test.len(), trained.as_secs_f64())?;
    reporter.threads(history.threads(), result.threads)?;
    if settings.output.profile {
        reporter.profile(&model, &history)?;
    }
    if let Some(path) = &settings.save {
        reporter.saved(path)?;
    }
    Ok(out.end()?)
}
