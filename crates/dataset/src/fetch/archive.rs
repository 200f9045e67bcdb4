//! Files out of a ZIP archive: EMNIST's, and the arrays of an npz file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::payload::{self, Check, Problem};
use super::sources::{Archive, SourceFile};

/// Whether the archive lies at `path`, whole; if not, what is wrong with it.
pub(super) fn verify(path: &Path, archive: &Archive) -> Result<(), Problem> {
    payload::verify_archive(path, archive.bytes, &archive.sha256)
}

/// Puts `file`, compressed in the archive at `path`, in its place.
pub(super) fn extract(path: &Path, file: &SourceFile, target: &Path) -> Result<Check, Problem> {
    with_member(path, &file.remote, |member| {
        let mut inflated = flate2::read::MultiGzDecoder::new(member);
        payload::write_checked(&mut inflated, file, target)
    })?;
    Ok(if file.sha256.is_some() { Check::Payload } else { Check::Download })
}

/// Puts the array `member` of the npz file at `path` in the place of `file`.
///
/// Whatever the array's header says, what follows it must be the elements of `file`, to the byte:
/// its length and hash are checked as those of any other candidate.
pub(super) fn take_array(
    path: &Path,
    member: &str,
    file: &SourceFile,
    target: &Path,
) -> Result<Check, Problem> {
    with_member(path, member, |member| {
        skip_npy_header(member)?;
        let header = file.header.to_bytes();
        payload::write_checked(&mut header.as_slice().chain(member), file, target)
    })?;
    Ok(if file.sha256.is_some() { Check::Payload } else { Check::NoHashKnown })
}

fn with_member<T>(
    path: &Path,
    name: &str,
    read: impl FnOnce(&mut dyn Read) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let input = BufReader::new(File::open(path).map_err(Problem::Read)?);
    let mut archive = ZipArchive::new(input).map_err(damaged)?;
    read(&mut archive.by_name(name).map_err(damaged)?)
}

/// Reads past the header of an npy file: six bytes of magic, two of version, the header's length in
/// two bytes (four from version 2 on), and the header.
fn skip_npy_header(input: &mut dyn Read) -> Result<(), Problem> {
    let not_npy = |_: io::Error| Problem::Damaged("has an array that is not npy".into());
    let mut magic = [0; 8];
    input.read_exact(&mut magic).map_err(not_npy)?;
    let mut length = [0; 4];
    let width = if magic[6] == 1 { 2 } else { 4 };
    input.read_exact(&mut length[..width]).map_err(not_npy)?;
    let header = u64::from(u32::from_le_bytes(length));
    let skipped = io::copy(&mut input.take(header), &mut io::sink()).map_err(not_npy)?;
    if !magic.starts_with(b"\x93NUMPY") || skipped != header {
        return Err(Problem::Damaged("has an array that is not npy".into()));
    }
    Ok(())
}

fn damaged(error: zip::result::ZipError) -> Problem {
    match error {
        zip::result::ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Problem::Read(error)
        }
        other => Problem::Damaged(format!("is no archive with the file in it ({other})")),
    }
}
