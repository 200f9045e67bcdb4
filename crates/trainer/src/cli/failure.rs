//! How a run ends that did not succeed.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use super::pipe::ReaderGone;
use super::terminal;

/// The command line asked for something that cannot be.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The exit code for flags and names that cannot work.
const USAGE: u8 = 2;

/// Says what went wrong, and gives the exit code: 2 for usage, 1 for the rest, 0 where the reader
/// of our output has gone away.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if has_no_reader(error) {
        return ExitCode::SUCCESS;
    }
    let mut stderr = io::stderr().lock();
    let word =
        if terminal::colour(stderr.is_terminal()) { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    // Nothing is left to do if this cannot be written either.
    let _ = writeln!(stderr, "{word} {error}");
    if is_usage(error) { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause.downcast_ref().is_some_and(dataset::Error::is_usage)
            || cause.downcast_ref().is_some_and(dataset::fetch::FetchError::is_usage)
            || matches!(cause.downcast_ref(), Some(trainer::Error::Invalid(_)))
    })
}

/// Whether standard output was closed: another pipe that breaks is an error.
fn has_no_reader(error: &anyhow::Error) -> bool {
    let inner = |cause: &(dyn std::error::Error + 'static)| {
        let error = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        error.is_some_and(|error| error.is::<ReaderGone>())
    };
    error.chain().any(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        assert!(is_usage(&UsageError(String::new()).into()));
        assert!(is_usage(&trainer::Error::Invalid(String::new()).into()));
        assert!(!is_usage(&trainer::Error::File(String::new()).into()));
        let unknown = dataset::Dataset::find("mnsit", &dataset::Search::default()).unwrap_err();
        assert!(is_usage(&unknown.into()));
        let gone = anyhow::Error::from(io::Error::other(ReaderGone));
        assert!(has_no_reader(&gone.context("while writing")));
        let broken = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(!has_no_reader(&broken));
    }
}
