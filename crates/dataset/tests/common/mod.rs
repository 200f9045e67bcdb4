//! What the test programs of this crate share.

use std::io::{self, Write};

/// Says that a test does nothing here; past the capture of the output of tests that pass.
pub fn skip(why: &str) {
    #[expect(clippy::explicit_write, reason = "the test runner swallows what eprintln! prints")]
    writeln!(io::stderr(), "skipped: {why}").unwrap();
}
