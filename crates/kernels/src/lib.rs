//! The arithmetic of dense networks.
//!
//! No files, no threads, no knowledge of models: slices and views in, slices and views out.
#![warn(missing_docs)]

pub mod isa;
mod simd;

pub use isa::Isa;
