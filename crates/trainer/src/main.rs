//! The command line of Flatiron.
#![forbid(unsafe_code)]

fn main() {}
