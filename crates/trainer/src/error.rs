//! What can go wrong in the library, said in one sentence each.

/// An error of the trainer library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model, a setting or an argument that cannot work, whatever the data.
    #[error("{0}")]
    Invalid(String),
    /// Data that does not fit the model.
    #[error("{0}")]
    Mismatch(String),
    /// The loss stopped being a number.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}: lower the learning rate or check the data for extreme values"
    )]
    NotFinite {
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// The loss of that step; NaN where it was the weights that overflowed in the last step of
        /// an epoch, which no loss has seen.
        loss: f32,
    },
    /// Threads that the system did not start.
    #[error("{0}")]
    Threads(String),
    /// A file that could not be read or written, or does not hold what it should.
    #[error("{0}")]
    File(String),
}
