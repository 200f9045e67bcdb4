//! The memory map: the only unsafe code of this crate, behind one constructor.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use memmap2::Mmap;

use crate::Error;

/// A file, mapped read-only, that remembers what it looked like when it was mapped.
#[derive(Debug)]
pub struct Map {
    map: Mmap,
    /// Kept open: asked later whether the mapped file (not a new one of the same name) changed.
    file: File,
    path: PathBuf,
    modified: Option<SystemTime>,
}

impl Map {
    /// Maps the whole of `path`, read-only.
    ///
    /// This cannot be made fully safe. A map shows the file as it is now, not as it was: if another
    /// process overwrites the file, values change under a `&[u8]` that Rust believes constant, and
    /// if it truncates the file, reading past the new end kills this process (SIGBUS). No portable
    /// system call prevents either. The files are data sets that nothing rewrites in place: this
    /// program itself only replaces whole files by renaming, which leaves an existing map intact.
    /// [`Map::check_unchanged`] detects both kinds of change after the fact.
    ///
    /// # Errors
    /// If there is no such file, it is not a file, it is empty, or it cannot be mapped.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let length = regular_file_length(path)?;
        if length == 0 {
            return Err(Error::Empty { path: path.to_owned(), expected: "data" });
        }
        let file = File::open(path).map_err(|e| Error::read(path, e))?;
        let modified = file.metadata().and_then(|m| m.modified()).ok();
        // SAFETY: the map is read-only and private to this value, and the file stays open as long
        // as it. What remains is a change by somebody else while the map is in use, described
        // above: accepted for the sake of reading data sets without a copy.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::read(path, e))?;
        Ok(Self { map, file, path: path.to_owned(), modified })
    }

    /// The mapped file's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks whether the mapped file still has the length and modification time it was mapped with.
    ///
    /// A change that keeps both, made within the clock's resolution, is not seen. Replacing the
    /// file by renaming another over it is no change: the map keeps the old file alive.
    ///
    /// # Errors
    /// [`Error::Changed`] if it does not; [`Error::Read`] if the system does not say.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        let now = self.file.metadata().map_err(|e| Error::read(&self.path, e))?;
        let changed = |detail| Err(Error::Changed { path: self.path.clone(), detail });
        if now.len() != self.map.len() as u64 {
            return changed(format!("{} bytes long, was {}", now.len(), self.map.len()));
        }
        if now.modified().ok() != self.modified {
            return changed("written to since it was opened".into());
        }
        Ok(())
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// The length of the regular file at `path`, found without opening it (opening a pipe would wait).
pub(crate) fn regular_file_length(path: &Path) -> Result<u64, Error> {
    let metadata = fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::Missing { path: path.to_owned(), expected: "a data file".into() }
        }
        _ => Error::read(path, e),
    })?;
    if metadata.is_dir() {
        return Err(Error::NotAFile { path: path.to_owned(), found: "a folder" });
    }
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: path.to_owned(), found: "a pipe or a device" });
    }
    Ok(metadata.len())
}

/// The bytes of a file: mapped, or in memory where it had to be inflated or made.
#[derive(Debug)]
pub enum Bytes {
    /// A view of the file.
    Mapped(Map),
    /// A copy in memory.
    Owned(Vec<u8>),
}

impl Bytes {
    /// See [`Map::check_unchanged`]; memory does not change.
    ///
    /// # Errors
    /// If the mapped file changed.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        match self {
            Self::Mapped(map) => map.check_unchanged(),
            Self::Owned(_) => Ok(()),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn shows_the_bytes_of_the_file() {
        let (_folder, path) = file(b"abc");
        let map = Map::open(&path).unwrap();
        assert_eq!(&map[..], b"abc");
        map.check_unchanged().unwrap();
    }

    #[test]
    fn a_folder_an_empty_file_and_no_file_are_errors() {
        let (folder, path) = file(b"");
        assert!(matches!(Map::open(folder.path()), Err(Error::NotAFile { .. })));
        assert!(matches!(Map::open(&path), Err(Error::Empty { .. })));
        assert!(matches!(Map::open(&folder.path().join("no")), Err(Error::Missing { .. })));
    }

    #[test]
    fn growing_the_file_is_detected() {
        let (_folder, path) = file(b"abc");
        let map = Map::open(&path).unwrap();
        File::options().append(true).open(&path).unwrap().write_all(b"d").unwrap();
        let error = map.check_unchanged().unwrap_err().to_string();
        assert!(error.contains("4 bytes long, was 3"), "{error}");
    }

    #[test]
    fn writing_in_place_is_detected() {
        let (_folder, path) = file(b"abc");
        let map = Map::open(&path).unwrap();
        let mut other = File::options().write(true).open(&path).unwrap();
        other.write_all(b"x").unwrap();
        // The clock of a file system may be coarser than this test is quick.
        other.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
        assert!(matches!(map.check_unchanged(), Err(Error::Changed { .. })));
    }

    #[test]
    fn replacing_the_file_by_renaming_leaves_the_map_as_it_was() {
        let (folder, path) = file(b"abc");
        let map = Map::open(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, b"longer than before").unwrap();
        fs::rename(&other, &path).unwrap();
        map.check_unchanged().unwrap();
        assert_eq!(&map[..], b"abc");
    }
}
