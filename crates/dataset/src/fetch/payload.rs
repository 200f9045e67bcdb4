//! Is it the file? Nothing gets its good name before this module has said so.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::sources::{Keep, SourceFile};
use crate::gzip::{is_gzip, read_header};
use crate::idx::Header;
use crate::{Error, write_atomically};

/// How far a file could be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The sha256 of the inflated file is the published one.
    Payload,
    /// The sha256 of the compressed download (or of the archive that held it) is the published one.
    Download,
    /// No hash is known that would apply: header and length are right, and gzip's own checksum
    /// where the file came compressed.
    NoHashKnown,
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Payload => "sha256 verified",
            Self::Download => "sha256 of the download verified",
            Self::NoHashKnown => "no sha256 is known for this file; header and length verified",
        })
    }
}

/// Why a file was not accepted.
#[derive(Debug)]
pub(super) enum Problem {
    /// Its content is wrong, in words that continue "a file that".
    Damaged(String),
    /// It could not be read.
    Read(io::Error),
    /// Its verified copy could not be written.
    Write(PathBuf, io::Error),
}

/// Where a candidate comes from, which says how it may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Straight from a mirror: if the hash of the download is the only one known, it must match.
    Mirror,
    /// A member of an archive whose hash has matched.
    Archive,
    /// Another tool's cache, which may hold the file inflated.
    Cache,
}

/// Checks `candidate`, a gzip file or a bare IDX file, and writes what is kept of it to `target`,
/// which appears only if everything is right.
pub(super) fn place(
    candidate: &Path,
    from: From,
    file: &SourceFile,
    target: &Path,
) -> Result<Check, Problem> {
    let (mut input, compressed) = open(candidate)?;
    let mut check = match file.sha256 {
        Some(_) => Check::Payload,
        None if from == From::Archive => Check::Download,
        None => Check::NoHashKnown,
    };
    if let (Some(expected), None) = (&file.download_sha256, &file.sha256) {
        if compressed {
            same_hash(expected, &sha256_of(candidate).map_err(Problem::Read)?)?;
            check = Check::Download;
        } else if from == From::Mirror {
            // An error page, say: what it is says more than what it is not.
            check_payload(&mut input, &file.header, None, |_| Ok(()))?;
            return Err(Problem::Damaged("is not gzip, as the published one is".into()));
        }
    }
    write_checked(&mut input, file, target)?;
    Ok(check)
}

/// Checks the payload that `input` yields, and writes what is kept of it to `target`, which appears
/// only if everything is right.
pub(super) fn write_checked(
    input: &mut dyn Read,
    file: &SourceFile,
    target: &Path,
) -> Result<(), Problem> {
    let mut refused = None;
    let written = write_atomically(target, |out| {
        copy_checked(input, file, out).map_err(|problem| match problem {
            Problem::Write(_, error) => error,
            other => {
                refused = Some(other);
                io::Error::other("refused")
            }
        })
    });
    match (refused, written) {
        (Some(problem), _) => Err(problem),
        (None, Ok(())) => Ok(()),
        (None, Err(Error::Write { path, source })) => Err(Problem::Write(path, source)),
        (None, Err(other)) => Err(Problem::Write(target.into(), io::Error::other(other))),
    }
}

/// Checks a file that lies in its place already, inflating it if it is compressed.
pub(super) fn verify(path: &Path, file: &SourceFile) -> Result<Check, Problem> {
    let (mut input, _) = open(path)?;
    let sha256 = file.kept_sha256();
    check_payload(&mut input, &file.kept_header(), sha256, |_| Ok(()))?;
    Ok(if sha256.is_some() { Check::Payload } else { Check::NoHashKnown })
}

/// The header of a file that is IDX, of whatever, whole to the last byte, gzipped or not.
pub(super) fn whole_idx(path: &Path) -> Option<Header> {
    let (mut input, _) = open(path).ok()?;
    let header = read_header(path, &mut input).ok()?;
    let elements = (header.file_size() - header.size()) as u64;
    // One byte more is asked for: there must be none, and gzip's checksum is at the end.
    let found = io::copy(&mut input.take(elements.saturating_add(1)), &mut io::sink());
    found.is_ok_and(|found| found == elements).then_some(header)
}

/// Opens a gzip file or a bare one; what is read is inflated. Also says whether it is gzip.
fn open(path: &Path) -> Result<(Box<dyn Read>, bool), Problem> {
    let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(Problem::Read)?);
    let compressed = is_gzip(input.fill_buf().map_err(Problem::Read)?);
    Ok((
        if compressed { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) },
        compressed,
    ))
}

fn copy_checked(
    input: &mut dyn Read,
    file: &SourceFile,
    out: &mut impl Write,
) -> Result<(), Problem> {
    // `write_atomically` knows the path.
    let write = |out: &mut dyn Write, bytes: &[u8]| {
        out.write_all(bytes).map_err(|error| Problem::Write(PathBuf::new(), error))
    };
    let sha256 = file.sha256.as_deref();
    match file.keep {
        Keep::Whole => check_payload(input, &file.header, sha256, |bytes| write(out, bytes)),
        Keep::FirstColumn => {
            let mut payload = Vec::new();
            check_payload(input, &file.header, sha256, |bytes| {
                payload.extend_from_slice(bytes);
                Ok(())
            })?;
            write(out, &first_column(&payload, file)?)
        }
    }
}

/// An IDX file of bytes with the first 32-bit column of `payload`, an IDX file that was checked.
fn first_column(payload: &[u8], file: &SourceFile) -> Result<Vec<u8>, Problem> {
    let columns = file.header.dims[1];
    let mut kept = file.kept_header().to_bytes();
    for row in payload[file.header.size()..].chunks_exact(4 * columns) {
        let [0, 0, 0, class] = row[..4] else {
            let found = i32::from_be_bytes([row[0], row[1], row[2], row[3]]);
            return Err(Problem::Damaged(format!("has the class number {found}")));
        };
        kept.push(class);
    }
    Ok(kept)
}

/// Reads `input` to its end, hands it to `take` piece by piece, and checks header, length and hash.
/// Never reads further than one piece past the expected length, however much there is.
fn check_payload(
    input: &mut dyn Read,
    header: &Header,
    sha256: Option<&str>,
    mut take: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let expected = header.file_size();
    let mut begin = vec![0; header.size()];
    let mut length = read_full(input, &mut begin)?;
    if begin[..length] != header.to_bytes() {
        return Err(Problem::Damaged(wrong_header(&begin[..length], header)));
    }
    let mut hash = Sha256::new();
    hash.update(&begin);
    take(&begin)?;
    let mut piece = vec![0; 1 << 16];
    loop {
        let got = read_full(input, &mut piece)?;
        length += got;
        if length > expected {
            return Err(Problem::Damaged(format!("inflates to more than its {expected} bytes")));
        }
        hash.update(&piece[..got]);
        take(&piece[..got])?;
        if got < piece.len() {
            break;
        }
    }
    if length < expected {
        return Err(Problem::Damaged(format!("inflates to {length} of its {expected} bytes")));
    }
    match sha256 {
        Some(sha256) => same_hash(sha256, &hex(&hash.finalize())),
        None => Ok(()),
    }
}

/// Fills `buffer` as far as `input` goes.
fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Problem> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read_problem(error)),
        }
    }
    Ok(filled)
}

/// The decoder reports bad data as an error of reading; an error of the disk is another thing.
fn read_problem(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Problem::Damaged("ends within its gzip data".into()),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            Problem::Damaged(format!("is corrupt gzip ({error})"))
        }
        _ => Problem::Read(error),
    }
}

fn wrong_header(found: &[u8], expected: &Header) -> String {
    if found.is_empty() {
        return "is empty".into();
    }
    if found.trim_ascii_start().starts_with(b"<") {
        return format!("is a web page, not {}", expected.describe());
    }
    match Header::parse(found) {
        Ok(header) => format!("is {}, not {}", header.describe(), expected.describe()),
        Err(_) => format!("is neither gzip nor IDX of {}", expected.describe()),
    }
}

fn same_hash(expected: &str, found: &str) -> Result<(), Problem> {
    if expected == found {
        return Ok(());
    }
    Err(Problem::Damaged(format!("has sha256 {found} where {expected} is published")))
}

/// Checks the length and the hash of a downloaded archive.
pub(super) fn verify_archive(path: &Path, bytes: u64, sha256: &str) -> Result<(), Problem> {
    let found = fs::metadata(path).map_err(Problem::Read)?.len();
    if found != bytes {
        return Err(Problem::Damaged(format!("has {found} bytes where {bytes} are published")));
    }
    same_hash(sha256, &sha256_of(path).map_err(Problem::Read)?)
}

/// The sha256 of a file, in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 18];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            got => hash.update(&piece[..got]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
