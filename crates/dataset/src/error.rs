//! What can be wrong with data, each as one sentence: the file, what was found, what was
//! expected, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why data could not be found, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder is not there.
    #[error("{}: no such file or folder; expected {expected}", path.display())]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// What should have been there.
        expected: String,
    },
    /// A folder, a pipe or a device where a file should be.
    #[error("{}: found {found}, expected a file", path.display())]
    NotAFile {
        /// What is not a file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A file of no bytes.
    #[error("{}: the file is empty (0 bytes), expected {expected}; get it again", path.display())]
    Empty {
        /// The empty file.
        path: PathBuf,
        /// What should have been in it.
        expected: &'static str,
    },
    /// The first bytes are not those of an IDX file.
    #[error(
        "{}: not an IDX file: found magic number {}, expected 00 00, an element type (08 09 0B \
         0C 0D 0E) and the number of dimensions", path.display(), hex(found)
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// The header says more than a file of this machine can hold.
    #[error(
        "{}: the dimensions {dims:?} of {element} overflow; expected a product that fits in \
         memory: the file is damaged or not IDX", path.display()
    )]
    Overflow {
        /// The file.
        path: PathBuf,
        /// The dimensions in its header.
        dims: Vec<usize>,
        /// Name of its element type.
        element: &'static str,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "{}: found {found} bytes, expected {expected} for {what}: the file is {}; get it again",
        path.display(), if found < expected { "truncated" } else { "too long" }
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length, in bytes.
        found: u64,
        /// The length that its header asks for, in bytes.
        expected: u64,
        /// What the header says, such as "uint8 [60000, 28, 28]".
        what: String,
    },
    /// A gzip stream that does not inflate to what it should.
    #[error("{}: corrupt gzip: {detail}; delete it and get it again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Images and labels are not of the same number.
    #[error(
        "{} holds {images} examples but {} holds {labels} labels; expected as many of each",
        images_path.display(), labels_path.display()
    )]
    CountsDiffer {
        /// Where the images are.
        images_path: PathBuf,
        /// How many there are.
        images: usize,
        /// Where the labels are.
        labels_path: PathBuf,
        /// How many there are.
        labels: usize,
    },
    /// A label that is not the number of a class.
    #[error(
        "{}: label {label} of example {index} is not one of the {classes} classes (expected 0 to \
         {})", path.display(), classes.saturating_sub(1)
    )]
    LabelOutOfRange {
        /// Where the labels are.
        path: PathBuf,
        /// Which label, from 0.
        index: usize,
        /// Its value.
        label: i64,
        /// How many classes there are.
        classes: usize,
    },
    /// A field of a file has a value that cannot be used.
    #[error("{}: {field}: found {found}, expected {expected}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in it: a header field, a row, an array.
        field: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// Some, but not all, files of a data set are in a folder.
    #[error(
        "{}: the data set is incomplete: {} missing; expected the four files train-images-idx3-\
         ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, raw or \
         .gz", folder.display(), missing.join(" and ")
    )]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// What is not in it.
        missing: Vec<String>,
    },
    /// A data set that is known, but nowhere to be found.
    #[error("data set {name} is not here: looked in {}; {remedy}", list(looked))]
    NotFound {
        /// Its name.
        name: String,
        /// Every folder that was tried.
        looked: Vec<PathBuf>,
        /// How to get it.
        remedy: String,
    },
    /// A name that is neither a known data set nor a path.
    #[error(
        "unknown data set {name:?}{}; expected {known}, or the path of \
         a file or folder",
        suggestion.as_ref().map(|s| format!(" (did you mean {s:?}?)")).unwrap_or_default()
    )]
    UnknownName {
        /// The name.
        name: String,
        /// The nearest known name.
        suggestion: Option<String>,
        /// All known names.
        known: String,
    },
    /// A mapped file was modified while in use.
    #[error(
        "{}: changed while in use: {detail}; results are not to be trusted, run again",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// What changed.
        detail: String,
    },
    /// Reading failed.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Writing failed; what was there before is as it was.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Whether the mistake is in what was asked for (a name), not in a file: exit code 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownName { .. })
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    pub(crate) fn invalid(
        path: &Path,
        field: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            field: field.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "(no bytes at all)".into();
    }
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(" ")
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "no folder (none is set)".into();
    }
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}
