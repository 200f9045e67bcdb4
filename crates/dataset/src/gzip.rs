//! Gzipped IDX files: inflated once, checked against the header as they inflate.
//!
//! A gzip stream may claim anything; this is how it is kept honest. The IDX header is inflated
//! first and says how many bytes must follow. If deflate cannot possibly make that many from the
//! compressed file it is refused before anything is allocated; else exactly that many are
//! inflated, and the stream must end there, with its checksum right and nothing after it.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::idx::{Header, HeaderError, Idx, header_error};
use crate::map::Map;
use crate::{Error, write};

/// Deflate makes at most 1,032 bytes of one: a 258-byte match from two bits.
pub(crate) const MAX_RATIO: u64 = 1032;

/// Whether `bytes` begin as a gzip stream does.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Opens the gzipped IDX file at `path`, whose bytes are `compressed`.
///
/// # Errors
/// [`Error::Gzip`] if it is damaged, and whatever is wrong with the IDX file within.
pub(crate) fn open(path: &Path, compressed: &[u8]) -> Result<Idx, Error> {
    let raw = raw_path(path);
    if let Some(raw) = &raw
        && is_current(raw, path)
    {
        return Idx::new(raw, Map::open(raw)?);
    }
    let stream = Stream::open(path, compressed)?;
    let reason = match raw {
        Some(raw) if !raw.exists() => match stream.inflate_to_file(&raw) {
            Ok(()) => return Idx::new(&raw, Map::open(&raw)?),
            // Only writing failed: the stream may well be good, and memory is another place.
            Err(Error::Write { source, .. }) => source.to_string(),
            Err(other) => return Err(other),
        },
        Some(_) => "an older file has its name".into(),
        None => "its name does not end in .gz".into(),
    };
    let mut idx = parse(path, compressed)?;
    idx.not_kept = Some(reason);
    Ok(idx)
}

/// Inflates `compressed` in memory; `path` is used in messages.
///
/// # Errors
/// As [`open`].
pub(crate) fn parse(path: &Path, compressed: &[u8]) -> Result<Idx, Error> {
    Idx::parse(path, Stream::open(path, compressed)?.inflate_to_memory()?)
}

/// Where the inflated file goes: `name.gz` to `name`.
fn raw_path(path: &Path) -> Option<PathBuf> {
    (path.extension()? == "gz").then(|| path.with_extension(""))
}

/// Whether `raw` is there and not older than the file it was inflated from.
fn is_current(raw: &Path, compressed: &Path) -> bool {
    let modified = |path| fs::metadata(path).and_then(|m| m.modified());
    matches!((modified(raw), modified(compressed)), (Ok(raw), Ok(from)) if raw >= from)
}

/// A gzip stream inflated as far as the IDX header.
struct Stream<'a> {
    path: &'a Path,
    decoder: MultiGzDecoder<&'a [u8]>,
    header: Header,
}

impl<'a> Stream<'a> {
    fn open(path: &'a Path, compressed: &'a [u8]) -> Result<Self, Error> {
        let mut decoder = MultiGzDecoder::new(compressed);
        let header = read_header(path, &mut decoder)?;
        let promised = header.file_size() as u64;
        if promised > MAX_RATIO.saturating_mul(compressed.len() as u64) {
            let detail = format!(
                "its header says {}, {promised} bytes, more than {} compressed bytes can hold",
                header.describe(),
                compressed.len()
            );
            return Err(Error::Gzip { path: path.to_owned(), detail });
        }
        Ok(Self { path, decoder, header })
    }

    fn inflate_to_file(self, raw: &Path) -> Result<(), Error> {
        let temporary = write::temporary_beside(raw).map_err(|e| Error::write(raw, e))?;
        self.inflate(&mut temporary.as_file(), raw)?;
        temporary.as_file().sync_all().map_err(|e| Error::write(raw, e))?;
        // Another process may have finished first: its file has the same content.
        temporary.persist(raw).map_err(|e| Error::write(raw, e.error))?;
        Ok(())
    }

    fn inflate_to_memory(self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let path = self.path.to_owned();
        let size = self.header.file_size();
        bytes.try_reserve_exact(size).map_err(|_| {
            let found = format!("{size} bytes when inflated");
            Error::invalid(&path, "size", found, "a file that fits in memory")
        })?;
        self.inflate(&mut bytes, &path)?;
        Ok(bytes)
    }

    /// Writes header and elements to `out`, and sees to it that the stream ends there.
    fn inflate(mut self, out: &mut impl Write, out_path: &Path) -> Result<(), Error> {
        let written = |result: io::Result<()>| result.map_err(|e| Error::write(out_path, e));
        written(out.write_all(&self.header.to_bytes()))?;
        let expected = self.header.file_size();
        let mut found = self.header.size();
        let mut block = vec![0; 1 << 18];
        loop {
            let wanted = block.len().min(expected - found);
            // At the end one byte more is asked for: there must be none, and asking for it makes
            // the decoder check the stream's checksum and whatever follows it.
            let count = match self.decoder.read(&mut block[..wanted.max(1)]) {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(damaged(self.path, found, &e)),
            };
            if wanted == 0 && count == 0 {
                return Ok(());
            }
            if wanted == 0 || count == 0 {
                return Err(Error::Length {
                    path: self.path.to_owned(),
                    found: (found + count) as u64,
                    expected: expected as u64,
                    what: format!("{}, inflated", self.header.describe()),
                });
            }
            written(out.write_all(&block[..count]))?;
            found += count;
        }
    }
}

pub(crate) fn read_header(path: &Path, decoder: &mut impl Read) -> Result<Header, Error> {
    let mut bytes = Vec::new();
    let mut wanted = 4;
    loop {
        let found = bytes.len();
        decoder
            .take((wanted - found) as u64)
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(path, found, &e))?;
        match Header::parse(&bytes) {
            Err(HeaderError::Truncated { expected, .. }) if bytes.len() == wanted => {
                wanted = expected;
            }
            Err(other) => return Err(header_error(path, other)),
            Ok(header) => return Ok(header),
        }
    }
}

fn damaged(path: &Path, inflated: usize, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the stream ends too early (truncated)".into(),
        _ => error.to_string(),
    };
    Error::Gzip { path: path.to_owned(), detail: format!("{reason}, after {inflated} bytes") }
}
