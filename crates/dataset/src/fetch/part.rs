//! The part of a download that has arrived, and what it is a part of.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::FetchError;
use super::http::Identity;

/// `NAME.part`, locked for as long as this lives, and `NAME.part.from` beside it, which says from
/// where the bytes came, so that a later run can go on where this one was stopped.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    from_path: PathBuf,
    length: u64,
    from: Option<From>,
}

/// What a part is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct From {
    pub url: String,
    pub identity: Identity,
}

impl Part {
    /// Opens the part of the download that is to become `target`, or begins one.
    pub fn open(target: &Path) -> Result<Self, FetchError> {
        let path = with_suffix(target, ".part");
        let from_path = with_suffix(target, ".part.from");
        let failed = |source| FetchError::Write { path: path.clone(), kept: false, source };
        // Not truncated: it may hold what an earlier run received.
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FetchError::Busy { path }),
            // A file system without locks: two runs at once would be caught by the verification.
            Err(TryLockError::Error(_)) => {}
        }
        let length = file.metadata().map_err(failed)?.len();
        let from = fs::read_to_string(&from_path).ok().and_then(|text| From::parse(&text));
        let mut part = Self { file, path, from_path, length, from };
        if part.from.is_none() || part.length == 0 {
            part.clear()?;
        }
        Ok(part)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that have arrived.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// What the bytes are a part of; `None` if there is none.
    pub fn from(&self) -> Option<&From> {
        self.from.as_ref()
    }

    /// Forgets all bytes.
    pub fn clear(&mut self) -> Result<(), FetchError> {
        let _ = fs::remove_file(&self.from_path);
        self.from = None;
        if self.length > 0 {
            self.length = 0;
            self.file.set_len(0).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Begins anew with bytes of `from`.
    pub fn begin(&mut self, from: From) -> Result<(), FetchError> {
        self.clear()?;
        fs::write(&self.from_path, from.to_text()).map_err(|source| FetchError::Write {
            path: self.from_path.clone(),
            kept: false,
            source,
        })?;
        self.from = Some(from);
        Ok(())
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let written =
            self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(bytes));
        written.map_err(|source| self.failed(source))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Removes the part: its file has its good name, or there is nothing to keep.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.from_path);
        let _ = fs::remove_file(&self.path);
    }

    fn failed(&self, source: std::io::Error) -> FetchError {
        FetchError::Write { path: self.path.clone(), kept: self.length > 0, source }
    }
}

impl From {
    /// Three lines: address, validator, total length (empty if unknown).
    fn to_text(&self) -> String {
        let total = self.identity.total.map(|total| total.to_string()).unwrap_or_default();
        format!("{}\n{}\n{total}\n", self.url, self.identity.validator)
    }

    fn parse(text: &str) -> Option<Self> {
        let [url, validator, total] = text.strip_suffix('\n')?.split('\n').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        // It goes into a header as it is; a damaged one would make every request fail.
        if !validator.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return None;
        }
        let total = if total.is_empty() { None } else { Some(total.parse().ok()?) };
        Some(Self { url: url.into(), identity: Identity { validator: validator.into(), total } })
    }
}

/// `path` with `suffix` appended to its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
