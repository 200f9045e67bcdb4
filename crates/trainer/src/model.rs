//! The model: a stack of layers with its parameters.

use std::ops::ControlFlow;
use std::time::Instant;

use dataset::Examples;

use crate::check;
use crate::engine::dynamic::{DynamicTeam, Epoch};
use crate::engine::network::Network;
use crate::engine::{Engine, infer};
use crate::optimizer::State;
use crate::predictor::Predictor;
use crate::{
    EpochReport, Error, Evaluation, Fit, History, Layer, Loss, Optimizer, Parameters, Phase,
    Progress, Streaming, stream,
};

/// A stack of layers, described but not yet built.
#[derive(Clone, Debug)]
pub struct Sequential {
    input_shape: Vec<usize>,
    layers: Vec<Layer>,
    seed: u64,
}

impl Sequential {
    /// A model whose examples have `input_shape`.
    pub fn new(input_shape: impl Into<Vec<usize>>) -> Self {
        Self { input_shape: input_shape.into(), layers: Vec::new(), seed: 0 }
    }

    /// Adds a layer at the end.
    #[must_use]
    pub fn layer(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// Sets the seed of the initial weights (0 otherwise).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the stack, draws the weights (Glorot uniform; biases zero) and fixes how to train.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a stack, an optimizer or a loss that cannot work.
    pub fn compile(self, optimizer: Optimizer, loss: Loss) -> Result<Model, Error> {
        let mut parameters = Parameters::zeros(&check::widths(&self.input_shape, &self.layers)?);
        parameters.draw(self.seed);
        self.compile_with_parameters(optimizer, loss, parameters)
    }

    /// Checks the stack and takes `parameters` as its weights, as loading a model file does.
    ///
    /// # Errors
    /// As [`compile`](Self::compile), and if the parameters are of another stack.
    pub fn compile_with_parameters(
        self,
        optimizer: Optimizer,
        loss: Loss,
        parameters: Parameters,
    ) -> Result<Model, Error> {
        let Self { input_shape, layers, .. } = self;
        let network = check::network(&input_shape, &layers, loss)?;
        check::optimizer(optimizer)?;
        if parameters.layout_of(&network.widths) != parameters.layers() {
            return Err(Error::Invalid(format!(
                "the parameters are not those of layers of {:?} units: compile the stack they come from",
                network.widths
            )));
        }
        let state = State::new(optimizer, parameters.values().len());
        let class_names = Vec::new();
        Ok(Model { input_shape, layers, network, parameters, state, class_names, optimizer, loss })
    }
}

/// A model with its parameters.
#[derive(Clone, Debug)]
pub struct Model {
    input_shape: Vec<usize>,
    layers: Vec<Layer>,
    network: Network,
    parameters: Parameters,
    state: State,
    class_names: Vec<String>,
    optimizer: Optimizer,
    loss: Loss,
}

impl Model {
    /// Trains on `examples`. Called again, it goes on with the weights and the optimizer's state, but
    /// numbers epochs from 1 again, and they have the same orders: change [`Fit::seed`] for new ones.
    ///
    /// # Errors
    /// See [`fit_with`](Self::fit_with).
    pub fn fit(&mut self, examples: Examples<'_>, settings: &Fit) -> Result<History, Error> {
        self.fit_with(examples, settings, &Progress::default(), |_| ControlFlow::Continue(()))
    }

    /// Trains on `examples`; `progress` can be read from another thread, and `on_epoch` sees each
    /// epoch's report as it comes and may end the training.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings that cannot work, [`Error::Mismatch`] for examples with
    /// another number of features or with labels beyond the last layer's units,
    /// [`Error::NotFinite`] if the loss stops being a number, [`Error::File`] if a file that is
    /// streamed was changed; the parameters are then those of the last epoch that ended well.
    /// [`Error::Threads`] if the system does not start the threads.
    pub fn fit_with(
        &mut self,
        examples: Examples<'_>,
        settings: &Fit,
        progress: &Progress,
        mut on_epoch: impl FnMut(&EpochReport) -> ControlFlow<()>,
    ) -> Result<History, Error> {
        check::settings(settings)?;
        self.check_examples(&examples)?;
        let (train, validation) = examples.split_validation(settings.validation_split);
        if train.is_empty() {
            return Err(Error::Invalid(format!(
                "no example is left to train on: {} with a validation split of {}",
                examples.len(),
                settings.validation_split
            )));
        }
        let pool = team(settings.most_threads())?;
        let start = Instant::now();
        let engine = Engine::new(
            self.network.clone(),
            self.optimizer,
            &self.parameters,
            &self.state,
            &train,
            settings.batch_size,
            pool,
        );
        let mut team = match settings.threads {
            0 => DynamicTeam::searching(engine, start.elapsed()),
            _ => DynamicTeam::fixed(engine),
        };
        let streaming = settings.streaming(&examples);
        examples.on_large_pages(streaming.is_none());
        let mut order: Vec<u32> = match streaming {
            Some(_) => Vec::new(),
            None => (0..train.len() as u32).collect(),
        };
        let steps = train.len().div_ceil(settings.batch_size);
        let mut history = History::default();
        for epoch in 1..=settings.epochs {
            progress.set(epoch, 0);
            let start = Instant::now();
            let steps_before = self.state.steps;
            let mut trained = if let Some(Streaming { shuffle, .. }) = streaming {
                let number = (settings.seed, epoch as u64);
                stream::epoch(&mut team, train, shuffle, number, steps_before, progress)?
            } else {
                if settings.shuffle {
                    dataset::shuffle(&mut order, settings.seed, epoch as u64);
                }
                let mut trained = Epoch::default();
                team.train(train, &order, steps_before, progress, &mut trained);
                trained
            };
            team.finish(&mut trained);
            let (time, totals) = (start.elapsed(), trained.totals);
            if let Some((step, loss)) = totals.failed {
                return Err(Error::NotFinite { epoch, step, loss: loss as f32 });
            }
            self.state.steps += steps as u64;
            team.engine().save(&mut self.parameters, &mut self.state);
            let validation = (!validation.is_empty()).then(|| {
                let evaluate = || infer::evaluate(&self.network, &self.parameters, validation);
                team.engine().pool().install(evaluate)
            });
            let report = EpochReport {
                epoch,
                loss: totals.loss / train.len() as f64,
                accuracy: totals.correct as f64 / train.len() as f64,
                validation,
                time,
                samples: train.len(),
                steps,
                flops: self.network.flops_per_example() * train.len() as f64,
                threads: trained.threads(),
                profile: trained.profile,
            };
            history.epochs.push(report);
            if on_epoch(&report).is_break() {
                break;
            }
        }
        Ok(history)
    }

    /// Loss and accuracy over `examples`, on all processors.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for examples with another number of features or with labels beyond the
    /// last layer's units.
    pub fn evaluate(&self, examples: Examples<'_>) -> Result<Evaluation, Error> {
        self.check_examples(&examples)?;
        Ok(infer::evaluate(&self.network, &self.parameters, examples))
    }

    /// Outputs of the last layer for `examples`, row-major `[len, units]`, on all processors. The
    /// labels are not looked at.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for examples with another number of features.
    pub fn predict(&self, examples: Examples<'_>) -> Result<Vec<f32>, Error> {
        self.check_shape(&examples)?;
        Ok(infer::predict(&self.network, &self.parameters, examples))
    }

    /// Prepares to predict examples one by one, without allocating, or many at a time again and again in
    /// the same memory; `examples` show their kind (bytes or floats) and shape.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for examples with another number of features.
    pub fn predictor(&self, examples: &Examples<'_>) -> Result<Predictor, Error> {
        self.check_shape(examples)?;
        Ok(Predictor::new(&self.network, &self.parameters, examples))
    }

    fn check_shape(&self, examples: &Examples<'_>) -> Result<(), Error> {
        let expected: usize = self.input_shape.iter().product();
        if examples.width() == expected {
            return Ok(());
        }
        Err(Error::Mismatch(format!(
            "the model takes examples of shape {:?} ({expected} numbers), the data has {:?} ({}): \
             train a model for this data or choose the data it was trained on",
            self.input_shape,
            examples.shape(),
            examples.width()
        )))
    }

    fn check_examples(&self, examples: &Examples<'_>) -> Result<(), Error> {
        self.check_shape(examples)?;
        let classes = self.network.classes();
        let labels = examples.labels();
        match (0..labels.len()).find(|&i| labels.get(i) >= classes) {
            None => Ok(()),
            Some(i) => Err(Error::Mismatch(format!(
                "label {} of example {i} is beyond the model's {classes} outputs (0 to {}): give \
                 the last layer a unit for each class",
                labels.get(i),
                classes - 1
            ))),
        }
    }

    /// The shape of one example.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The trained numbers, to be changed; the optimizer's state stays.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// The trained numbers.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Names of the classes, one an output unit; empty if none were given.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Names the classes.
    ///
    /// # Panics
    /// If there are names, but not one an output unit.
    pub fn set_class_names(&mut self, names: Vec<String>) {
        let classes = self.network.classes();
        assert!(
            names.is_empty() || names.len() == classes,
            "{} names for {classes} output units",
            names.len()
        );
        self.class_names = names;
    }

    /// Floating-point operations that a phase of training takes an example, zeros not skipped.
    pub fn flops_of(&self, phase: Phase) -> f64 {
        self.network.flops(phase)
    }

    /// How it is trained.
    pub fn optimizer(&self) -> Optimizer {
        self.optimizer
    }

    /// What training minimizes.
    pub fn loss(&self) -> Loss {
        self.loss
    }
}

/// A pool of `threads` threads.
fn team(threads: usize) -> Result<rayon::ThreadPool, Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("trainer {index}"))
        .build()
        .map_err(|error| Error::Threads(format!("{threads} threads could not be started: {error}")))
}
