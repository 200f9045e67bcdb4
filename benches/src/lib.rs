//! What the benches share: the named shapes, the peers behind one interface, models, tables.
#![warn(missing_docs)]

pub mod compare;
pub mod grid;
pub mod interruptions;
pub mod models;
pub mod peers;
pub mod record;
pub mod rounds;
pub mod shapes;
pub mod triad;
