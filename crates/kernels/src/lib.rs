//! The arithmetic of dense networks.
//!
//! No files, no threads, no knowledge of models: slices and views in, slices and views out.
#![warn(missing_docs)]

pub mod activation;
pub mod isa;

pub use activation::Activation;
pub use isa::Isa;
