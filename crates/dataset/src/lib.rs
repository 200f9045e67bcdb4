//! Files to images and labels.
//!
//! A pixel's way through this crate: an IDX file is memory-mapped, its header checked, and its
//! payload handed out as a `&[u8]` view ([`Examples`]) that no step copies.
#![warn(missing_docs)]

mod examples;
mod order;

pub use examples::{Examples, FeaturesView, LabelsView};
pub use order::shuffle;
