//! Output whose reader may go away, as `head` does after ten lines.

use std::io::{self, ErrorKind, IsTerminal, Stdout, Write};

use serde::Serialize;

/// Nobody reads standard output any more: no error, but nothing is left to do.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub struct ReaderGone;

/// A stream whose reader may go away.
pub struct Pipe<W> {
    stream: W,
    /// Whether there is more to do than to be read: then what nobody reads is dropped.
    goes_on: bool,
}

/// Standard output of a command that is over when nobody reads it.
pub fn stdout() -> Pipe<Stdout> {
    Pipe { stream: io::stdout(), goes_on: false }
}

impl<W> Pipe<W> {
    /// What is written to `stream`, by a command with more to do than that.
    pub fn beside(stream: W) -> Self {
        Self { stream, goes_on: true }
    }

    fn heard<T>(&self, result: io::Result<T>, all: T) -> io::Result<T> {
        match result {
            Err(e) if e.kind() == ErrorKind::BrokenPipe && self.goes_on => Ok(all),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(io::Error::other(ReaderGone)),
            result => result,
        }
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.stream.write(bytes);
        self.heard(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.stream.flush();
        self.heard(result, ())
    }
}

impl<W: IsTerminal> Pipe<W> {
    pub fn is_terminal(&self) -> bool {
        self.stream.is_terminal()
    }
}

/// Writes an object on a line of its own.
pub fn json_line(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_command_with_more_to_do_goes_on() {
        let mut pipe = Pipe::beside(Gone);
        json_line(&mut pipe, &[1, 2]).and_then(|()| pipe.flush()).unwrap();
        let error = json_line(&mut Pipe { stream: Gone, goes_on: false }, &[1]).unwrap_err();
        assert!(error.get_ref().is_some_and(|e| e.is::<ReaderGone>()), "{error:?}");
    }
}
