//! Dense classifiers, trained on a CPU.
//!
//! ```no_run
//! use trainer::{Activation, Dense, Fit, Flatten, Loss, Optimizer, Sequential};
//!
//! # fn on(train: dataset::Examples<'_>, test: dataset::Examples<'_>) -> Result<(), trainer::Error> {
//! let mut model = Sequential::new([28, 28])
//!     .layer(Flatten)
//!     .layer(Dense::new(512, Activation::Relu))
//!     .layer(Dense::new(10, Activation::Softmax))
//!     .compile(Optimizer::rmsprop(), Loss::SparseCategoricalCrossentropy)?;
//! let history = model.fit(train, &Fit { epochs: 5, batch_size: 128, ..Fit::default() })?;
//! let result = model.evaluate(test)?;
//! println!("test accuracy {:.4}", result.accuracy);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod check;
mod engine;
mod error;
mod fit;
pub mod format;
mod history;
pub mod image_file;
mod layers;
mod memory;
mod model;
mod model_file;
mod optimizer;
mod parameters;
pub mod plot;
mod predictor;
pub mod roofline;
mod stream;
mod summary;
mod weights_hash;

pub use engine::{Phase, Profile, forward::Row};
pub use error::Error;
pub use fit::{Fit, Progress};
pub use history::{EpochReport, Evaluation, History};
pub use layers::{Activation, Dense, Flatten, Layer};
pub use model::{Model, Sequential};
pub use optimizer::{Loss, Optimizer};
pub use parameters::{DenseLayout, Parameters};
pub use predictor::Predictor;
pub use stream::Streaming;
pub use summary::{Summary, SummaryRow};
