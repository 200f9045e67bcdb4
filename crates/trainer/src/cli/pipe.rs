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
    /// Whether there is more to do than to be read: then what cannot be written is dropped.
    goes_on: bool,
    /// Why the first of it could not, but for want of a reader.
    failed: Option<io::Error>,
}

/// Standard output of a command that is over when nobody reads it.
pub fn stdout() -> Pipe<Stdout> {
    Pipe { stream: io::stdout(), goes_on: false, failed: None }
}

impl<W> Pipe<W> {
    /// What is written to `stream`, by a command with more to do than that.
    pub fn beside(stream: W) -> Self {
        Self { stream, goes_on: true, failed: None }
    }

    /// Says, at the end of a command that went on, what could not be written on its way.
    pub fn end(self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    fn heard<T>(&mut self, result: io::Result<T>, all: T) -> io::Result<T> {
        let Err(error) = result else { return result };
        match (error.kind(), self.goes_on) {
            (ErrorKind::Interrupted, _) => return Err(error),
            (ErrorKind::BrokenPipe, false) => return Err(io::Error::other(ReaderGone)),
            (_, false) => return Err(error),
            (ErrorKind::BrokenPipe, true) => {}
            (_, true) => drop(self.failed.get_or_insert(error)),
        }
        Ok(all)
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

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_command_with_more_to_do_goes_on() {
        let gone = || Pipe::beside(Fails(ErrorKind::BrokenPipe));
        let mut pipe = gone();
        json_line(&mut pipe, &[1, 2]).and_then(|()| pipe.flush()).unwrap();
        pipe.end().unwrap();
        let mut full = Pipe::beside(Fails(ErrorKind::StorageFull));
        json_line(&mut full, &[1, 2]).unwrap();
        assert_eq!(full.end().unwrap_err().kind(), ErrorKind::StorageFull);
        let error = json_line(&mut Pipe { goes_on: false, ..gone() }, &[1]).unwrap_err();
        assert!(error.get_ref().is_some_and(|e| e.is::<ReaderGone>()), "{error:?}");
    }
}
