//! The arithmetic of dense networks.
//!
//! No files, no threads, no knowledge of models: slices and views in, slices and views out.
#![warn(missing_docs)]

pub mod activation;
mod aligned;
pub mod first_layer;
pub mod gemm;
mod inverse_sqrt;
pub mod isa;
pub mod loss;
mod math;
pub mod narrow;
pub mod optimizer;
pub mod panels;
pub mod peak;
pub mod reference;
mod short_row;
mod simd;
mod slices;
mod view;

pub use activation::Activation;
pub use aligned::{Aligned, Arena};
pub use isa::Isa;
pub use loss::Targets;
pub use optimizer::Update;
pub use view::{MatMut, MatRef};
