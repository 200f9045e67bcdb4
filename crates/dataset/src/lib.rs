//! Files to images and labels.
//!
//! A pixel's way through this crate: an IDX file is memory-mapped, its header checked, and its
//! payload handed out as a `&[u8]` view ([`Examples`]) that no step copies.
//!
//! ```no_run
//! use dataset::{Dataset, Search};
//!
//! # fn main() -> Result<(), dataset::Error> {
//! let mnist = Dataset::find("mnist", &Search::from_env(None))?;
//! let train = mnist.train.examples();
//! println!("({}, {:?}), {:?}", train.len(), train.shape(), mnist.classes);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod catalogue;
mod class_names;
mod dataset;
mod error;
mod examples;
pub mod fetch;
mod folder;
pub mod formats;
pub mod glyphs;
mod gzip;
pub mod idx;
mod inspect;
mod list;
mod map;
mod order;
mod part;
mod picture;
mod search;
mod split;
mod verify;
mod write;

pub use catalogue::{FILE_NAMES, GLYPHS, Known, known, lookup};
pub use dataset::Dataset;
pub use error::Error;
pub use examples::{Examples, FeaturesView, LabelsView};
pub use formats::ReadOptions;
pub use inspect::{Inspection, PartStatistics};
pub use list::{Found, Listed, list};
pub use map::{Bytes, Map, survive_lost_pages};
pub use order::{BlockShuffle, mix, shuffle};
pub use part::Part;
pub use search::Search;
pub use split::stratified;
pub use verify::{Verdict, Verified};
pub use write::{check_destination, write_atomically};
