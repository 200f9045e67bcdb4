//! What a training run does, resolved from its flags.

use std::path::PathBuf;

use anyhow::Result;
use dataset::Dataset;
use trainer::format::grouped;
use trainer::{Activation, Dense, Fit, Flatten, Loss, Model, Optimizer, Sequential};

use super::args::{DataArgs, TrainArgs};
use super::failure::UsageError;

/// A training run.
pub struct TrainSettings {
    pub data: DataArgs,
    pub hidden: Vec<Dense>,
    pub optimizer: Optimizer,
    pub loss: Loss,
    pub fit: Fit,
    /// Validation accuracy at which to stop.
    pub until_accuracy: Option<f64>,
    /// Models to train, one a seed.
    pub repeat_seeds: Option<usize>,
    pub save: Option<PathBuf>,
    pub output: Output,
}

/// What is printed on standard output.
#[derive(Clone, Copy)]
pub struct Output {
    /// JSON objects instead of text for people.
    pub json: bool,
    /// The result alone.
    pub quiet: bool,
    /// Where the time went, after the result.
    pub profile: bool,
}

impl TrainSettings {
    /// Fills in what the flags leave open and checks them against each other.
    pub fn resolve(args: TrainArgs) -> Result<Self, UsageError> {
        let optimizer = optimizer(&args)?;
        if args.until_accuracy.is_some() && args.validation_split == 0.0 {
            return Err(UsageError(
                "--until-accuracy looks at the validation accuracy, and nothing is kept to \
                 validate on; add --validation-split 0.1"
                    .to_owned(),
            ));
        }
        Ok(Self {
            hidden: args.hidden.0.iter().map(|&n| Dense::new(n, args.activation)).collect(),
            optimizer,
            loss: args.loss,
            fit: Fit {
                epochs: args.epochs,
                batch_size: args.batch_size,
                validation_split: args.validation_split,
                seed: args.seed,
                threads: args.threads.unwrap_or(0),
                memory: args.memory,
                ..Fit::default()
            },
            until_accuracy: args.until_accuracy,
            repeat_seeds: args.repeat_seeds,
            save: args.save,
            output: Output { json: args.json, quiet: args.quiet, profile: args.profile },
            data: args.data,
        })
    }

    /// The same run from another seed on so many threads.
    pub fn with_seed(&self, seed: u64, threads: usize) -> Self {
        Self {
            data: self.data.clone(),
            hidden: self.hidden.clone(),
            fit: Fit { seed, threads, ..self.fit.clone() },
            save: None,
            ..*self
        }
    }

    /// The untrained model for `set`.
    pub fn model_for(&self, set: &Dataset) -> Result<Model> {
        let mut stack = Sequential::new(set.train.shape()).seed(self.fit.seed).layer(Flatten);
        for &dense in &self.hidden {
            stack = stack.layer(dense);
        }
        let stack = stack.layer(Dense::new(set.classes.len(), Activation::Softmax));
        // All other flags have been checked; what can be left is a size.
        let mut model = stack
            .compile(self.optimizer, self.loss)
            .map_err(|e| UsageError(format!("--hidden: {e}")))?;
        model.set_class_names(set.classes.clone());
        Ok(model)
    }

    /// Training and validation examples out of `total`.
    pub fn split(&self, total: usize) -> Result<(usize, usize), UsageError> {
        let fraction = self.fit.validation_split;
        let training = (total as f64 * (1.0 - fraction)).floor() as usize;
        if training == 0 {
            return Err(UsageError(format!(
                "--validation-split {fraction} leaves none of {} examples to train on; lower it",
                grouped(total as u64)
            )));
        }
        Ok((training, total - training))
    }
}

fn optimizer(args: &TrainArgs) -> Result<Optimizer, UsageError> {
    let mut optimizer = args.optimizer;
    if let Some(rate) = args.learning_rate {
        optimizer = optimizer.with_learning_rate(rate);
    }
    match (&mut optimizer, args.momentum) {
        (_, None) => {}
        (Optimizer::Sgd { momentum, nesterov, .. }, Some(fraction)) => {
            *momentum = fraction;
            *nesterov = args.nesterov;
        }
        (other, Some(_)) => {
            return Err(UsageError(format!(
                "--momentum belongs to sgd, and the optimizer is {}; add --optimizer sgd",
                other.name()
            )));
        }
    }
    Ok(optimizer)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use dataset::Part;

    use super::super::args::{Cli, Command};
    use super::*;

    fn resolve(flags: &[&str]) -> Result<TrainSettings, UsageError> {
        match Cli::try_parse_from([&["trainer", "train"], flags].concat()).unwrap().command {
            Command::Train(args) => TrainSettings::resolve(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_the_notebooks() {
        let settings = resolve(&[]).unwrap();
        assert_eq!(settings.hidden, [Dense::new(512, Activation::Relu)]);
        assert_eq!(settings.optimizer, Optimizer::rmsprop());
        assert_eq!(settings.loss, Loss::SparseCategoricalCrossentropy);
        assert_eq!((settings.fit.epochs, settings.fit.batch_size), (5, 128));
        assert_eq!(settings.fit.threads, 0);
        assert_eq!(settings.split(60_000).unwrap(), (60_000, 0));
    }

    #[test]
    fn the_optimizers_flags() {
        let flags = ["--optimizer", "sgd", "--momentum", "0.9", "--nesterov"];
        let sgd = Optimizer::Sgd { learning_rate: 0.01, momentum: 0.9, nesterov: true };
        assert_eq!(resolve(&flags).unwrap().optimizer, sgd);
        let adam = resolve(&["--optimizer", "adam", "--learning-rate", "0.5"]).unwrap();
        assert_eq!(adam.optimizer, Optimizer::adam().with_learning_rate(0.5));
        let error = resolve(&["--momentum", "0.9"]).err().unwrap().to_string();
        assert!(error.contains("rmsprop"), "{error}");
    }

    #[test]
    fn a_split_must_leave_something() {
        let settings = resolve(&["--validation-split", "0.1"]).unwrap();
        assert_eq!(settings.split(60_000).unwrap(), (54_000, 6_000));
        let settings = resolve(&["--validation-split", "0.99"]).unwrap();
        assert!(settings.split(60).unwrap_err().to_string().contains("none of 60"));
    }

    #[test]
    fn the_model_fits_the_data_and_depends_on_the_seed() {
        let part = || Part::from_pixels("x".as_ref(), &[2, 3], vec![9; 24], vec![0, 1, 2, 1]);
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let set = Dataset::new("x", "x".as_ref(), Some(classes.clone()), part(), part()).unwrap();
        let model = |seed| resolve(&["--hidden", "4", "--seed", seed]).unwrap().model_for(&set);
        let [one, same, two] = ["1", "1", "2"].map(|seed| model(seed).unwrap());
        assert_eq!(one.input_shape(), [2, 3]);
        assert_eq!(one.summary_line(), "6 -> 4 relu -> 3 softmax, 43 parameters");
        assert_eq!(one.class_names(), classes);
        assert_eq!(one.parameters(), same.parameters());
        assert_ne!(one.parameters(), two.parameters());
    }
}
