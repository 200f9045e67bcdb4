//! The program as its users meet it: every test runs the built binary in a folder of its own.

mod bad_data;
mod bad_flags;
mod bad_models;
mod get;
mod large;
mod predict;
mod train;
mod util;
