//! What a training run prints: a table for people, or JSON objects a line each for programs.

use std::io::{self, Write};

use dataset::{BlockShuffle, Dataset};
use serde::Serialize;
use trainer::format::{bytes, grouped, tuple};
use trainer::{EpochReport, Evaluation, History, Model, Optimizer, Streaming};

use super::settings::{Output, TrainSettings};
use super::{pipe, profile};

/// The result of a training run.
#[derive(Serialize)]
pub struct RunResult {
    pub test_loss: f64,
    pub test_accuracy: f64,
    /// From the start of the program to the test's result.
    pub seconds: f64,
    pub threads: usize,
    pub isa: &'static str,
    pub weights_hash: String,
    pub shuffle: Shuffle,
}

/// How the examples of an epoch were put in order.
#[derive(Clone, Copy, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Shuffle {
    /// All of them together.
    Full,
    /// Neighbours in blocks of `block`, the blocks of a window of `window` together, so as to need
    /// no more than `memory` bytes of them at a time (but a window is a batch at least).
    Blocks { block: usize, window: usize, memory: u64 },
}

impl From<Option<Streaming>> for Shuffle {
    fn from(streaming: Option<Streaming>) -> Self {
        streaming.map_or(
            Self::Full,
            |Streaming { shuffle: BlockShuffle { block, window }, memory }| Self::Blocks {
                block,
                window,
                memory,
            },
        )
    }
}

#[derive(Serialize)]
struct EpochLine {
    epoch: usize,
    loss: f64,
    accuracy: f64,
    val_loss: Option<f64>,
    val_accuracy: Option<f64>,
    seconds: f64,
    samples_per_second: f64,
    gflops: f64,
    threads: f64,
}

#[derive(Serialize)]
struct UntilLine {
    until_accuracy: f64,
    reached: bool,
    epoch: Option<usize>,
    training_seconds: Option<f64>,
}

/// Writes the reports of one run to `out`.
pub struct Reporter<W> {
    out: W,
    output: Output,
    epochs: usize,
}

impl<W: Write> Reporter<W> {
    pub fn new(out: W, output: Output, epochs: usize) -> Self {
        Self { out, output, epochs }
    }

    /// What is about to happen, and the head of the table of epochs.
    pub fn start(
        &mut self,
        settings: &TrainSettings,
        set: &Dataset,
        model: &Model,
        (training, validation): (usize, usize),
    ) -> io::Result<()> {
        if self.output.json || self.output.quiet {
            return Ok(());
        }
        let count = |n: usize| grouped(n as u64);
        let out = &mut self.out;
        writeln!(
            out,
            "data      {}, {} {}, {} classes",
            set.title(),
            tuple(set.train.shape()),
            set.train.dtype(),
            count(set.classes.len())
        )?;
        write!(out, "examples  {} training, ", count(training))?;
        if validation > 0 {
            write!(out, "{} validation, ", count(validation))?;
        }
        writeln!(out, "{} test", count(set.test.len()))?;
        writeln!(out, "model     {}", model.summary_line())?;
        writeln!(
            out,
            "training  {}, {}, batch {}, seed {}",
            describe(&model.optimizer()),
            model.loss().name(),
            count(settings.fit.batch_size),
            settings.fit.seed
        )?;
        let examples = set.train.examples();
        if let Shuffle::Blocks { block, window, memory } = settings.fit.streaming(&examples).into()
        {
            writeln!(
                out,
                "shuffle   blocks of {}, {} of them together: {} of data, {} of memory for them \
                 (--memory)",
                count(block),
                count(window),
                bytes(examples.feature_bytes().len() as u64),
                bytes(memory)
            )?;
        }
        let threads = settings.fit.most_threads();
        let most = if settings.fit.threads == 0 && threads > 1 { "up to " } else { "" };
        let noun = if threads == 1 { "thread" } else { "threads" };
        writeln!(out, "machine   {most}{threads} {noun}, {}\n", kernels::Isa::best())?;
        let validation = if validation > 0 {
            format!("{:>10}{:>14}", "val_loss", "val_accuracy")
        } else {
            String::new()
        };
        writeln!(
            out,
            "{:>7}{:>10}{:>10}{validation}{:>9}{:>12}{:>9}",
            "epoch", "loss", "accuracy", "seconds", "samples/s", "GFLOP/s"
        )
    }

    /// One epoch.
    pub fn epoch(&mut self, report: &EpochReport) -> io::Result<()> {
        let seconds = report.time.as_secs_f64();
        if self.output.quiet {
            return Ok(());
        }
        if self.output.json {
            return self.json(&EpochLine {
                epoch: report.epoch,
                loss: report.loss,
                accuracy: report.accuracy,
                val_loss: report.validation.map(|validation| validation.loss),
                val_accuracy: report.validation.map(|validation| validation.accuracy),
                seconds,
                samples_per_second: report.samples_per_second(),
                gflops: report.gflops(),
                threads: (100.0 * report.threads).round() / 100.0,
            });
        }
        let validation =
            report.validation.map_or(String::new(), |Evaluation { loss, accuracy }| {
                format!("{loss:>10.4}{accuracy:>14.4}")
            });
        writeln!(
            self.out,
            "{:>7}{:>10.4}{:>10.4}{validation}{seconds:>9.3}{:>12}{:>9.1}",
            format!("{}/{}", report.epoch, self.epochs),
            report.loss,
            report.accuracy,
            grouped(report.samples_per_second() as u64),
            report.gflops()
        )
    }

    /// The end; `training_seconds` are those of the epochs without validation.
    pub fn finish(
        &mut self,
        result: &RunResult,
        test_examples: usize,
        training_seconds: f64,
    ) -> io::Result<()> {
        if self.output.json {
            return self.json(result);
        }
        let RunResult { test_loss, test_accuracy, seconds, weights_hash, .. } = result;
        if self.output.quiet {
            return writeln!(self.out, "test loss {test_loss:.4}, accuracy {test_accuracy:.4}");
        }
        let examples = grouped(test_examples as u64);
        writeln!(
            self.out,
            "\ntest      loss {test_loss:.4}, accuracy {test_accuracy:.4} ({examples} examples)\n\
             time      {training_seconds:.3} s training, {seconds:.3} s in all\n\
             weights   sha256 {weights_hash}"
        )
    }

    /// Whether and when the validation accuracy reached `target`: epoch and training seconds.
    pub fn reached(&mut self, target: f64, at: Option<(usize, f64)>) -> io::Result<()> {
        if self.output.json {
            let (epoch, seconds) = at.unzip();
            return self.json(&UntilLine {
                until_accuracy: target,
                reached: at.is_some(),
                epoch,
                training_seconds: seconds,
            });
        }
        match at {
            Some((epoch, seconds)) => writeln!(
                self.out,
                "reached   validation accuracy {target} after epoch {epoch}, {seconds:.3} s of training"
            ),
            None => writeln!(self.out, "reached   validation accuracy {target} in no epoch"),
        }
    }

    /// How many threads trained on average, if they were clearly fewer than could have.
    pub fn threads(&mut self, average: f64, most: usize) -> io::Result<()> {
        if self.output.json || self.output.quiet || average > 0.95 * most as f64 {
            return Ok(());
        }
        writeln!(self.out, "threads   {average:.1} of {most} on average, as many as paid")
    }

    /// Where the time went.
    pub fn profile(&mut self, model: &Model, history: &History) -> io::Result<()> {
        profile::write(&mut self.out, model, history)
    }

    /// That the model was written.
    pub fn saved(&mut self, path: &std::path::Path) -> io::Result<()> {
        if self.output.json || self.output.quiet {
            return Ok(());
        }
        writeln!(self.out, "saved     {}", path.display())
    }

    fn json(&mut self, line: &impl Serialize) -> io::Result<()> {
        pipe::json_line(&mut self.out, line)
    }
}

fn describe(optimizer: &Optimizer) -> String {
    let base = format!("{} {}", optimizer.name(), optimizer.learning_rate());
    match *optimizer {
        Optimizer::Sgd { momentum, nesterov, .. } if momentum > 0.0 => {
            let kind = if nesterov { "Nesterov momentum" } else { "momentum" };
            format!("{base} with {kind} {momentum}")
        }
        _ => base,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trainer::Profile;

    use super::*;

    fn report(validation: Option<Evaluation>) -> EpochReport {
        EpochReport {
            epoch: 2,
            loss: 0.25631,
            accuracy: 0.9251,
            validation,
            time: Duration::from_millis(125),
            samples: 60_000,
            steps: 469,
            flops: 98.2e9,
            threads: 5.0 / 3.0,
            profile: Profile::default(),
        }
    }

    fn text(output: Output, write: impl FnOnce(&mut Reporter<&mut Vec<u8>>)) -> String {
        let mut bytes = Vec::new();
        write(&mut Reporter::new(&mut bytes, output, 5));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn epochs_stand_under_their_headings() {
        let line = text(Output { json: false, quiet: false, profile: false }, |reporter| {
            reporter.epoch(&report(None)).unwrap();
        });
        assert_eq!(line, "    2/5    0.2563    0.9251    0.125     480,000    785.6\n");
    }

    #[test]
    fn json_has_the_documented_keys_in_their_order() {
        let output = Output { json: true, quiet: false, profile: false };
        let line = text(output, |reporter| reporter.epoch(&report(None)).unwrap());
        let expected = r#"{"epoch":2,"loss":0.25631,"accuracy":0.9251,"val_loss":null,"#.to_owned()
            + r#""val_accuracy":null,"seconds":0.125,"samples_per_second":480000.0,"#
            + r#""gflops":785.6,"threads":1.67}"#;
        assert_eq!(line.trim_end(), expected);
        let validation = Some(Evaluation { loss: 0.5, accuracy: 0.75 });
        let line = text(output, |reporter| reporter.epoch(&report(validation)).unwrap());
        assert!(line.contains(r#""val_loss":0.5,"val_accuracy":0.75"#), "{line}");
        let result = RunResult {
            test_loss: 0.5,
            test_accuracy: 0.75,
            seconds: 2.0,
            threads: 2,
            isa: "avx2",
            weights_hash: "ab".to_owned(),
            shuffle: Shuffle::Full,
        };
        let line = text(output, |reporter| reporter.finish(&result, 10, 1.0).unwrap());
        let expected = r#"{"test_loss":0.5,"test_accuracy":0.75,"seconds":2.0,"threads":2,"#
            .to_owned()
            + r#""isa":"avx2","weights_hash":"ab","shuffle":{"kind":"full"}}"#;
        assert_eq!(line.trim_end(), expected);
        let shuffle = BlockShuffle { block: 64, window: 16 };
        let blocks = Shuffle::from(Some(Streaming { shuffle, memory: 4096 }));
        let line = text(output, |reporter| {
            reporter.finish(&RunResult { shuffle: blocks, ..result }, 10, 1.0).unwrap();
        });
        let expected = r#""shuffle":{"kind":"blocks","block":64,"window":16,"memory":4096}}"#;
        assert!(line.trim_end().ends_with(expected), "{line}");
    }

    #[test]
    fn fewer_threads_than_there_could_be_are_mentioned() {
        let people = Output { json: false, quiet: false, profile: false };
        let line = |output, average| text(output, |reporter| reporter.threads(average, 8).unwrap());
        assert_eq!(line(people, 5.26), "threads   5.3 of 8 on average, as many as paid\n");
        assert_eq!(line(people, 7.9), "");
        assert_eq!(line(Output { quiet: true, ..people }, 1.0), "");
        assert_eq!(line(Output { json: true, ..people }, 1.0), "");
    }

    #[test]
    fn quiet_is_one_line() {
        let line = text(Output { json: false, quiet: true, profile: false }, |reporter| {
            reporter.epoch(&report(None)).unwrap();
            let result = RunResult {
                test_loss: 0.06691,
                test_accuracy: 0.979,
                seconds: 2.0,
                threads: 2,
                isa: "avx2",
                weights_hash: String::new(),
                shuffle: Shuffle::Full,
            };
            reporter.finish(&result, 10_000, 1.0).unwrap();
            reporter.saved("model".as_ref()).unwrap();
        });
        assert_eq!(line, "test loss 0.0669, accuracy 0.9790\n");
    }
}
