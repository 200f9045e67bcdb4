//! IDX, the format of MNIST: a small header, then the elements, row-major and big-endian.
//!
//! The format is described at the end of the MNIST database's page (LeCun, Cortes, Burges).

mod element;
mod header;

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use element::{Element, ElementType};
pub use header::{Header, HeaderError};

use crate::map::{Bytes, Map};
use crate::{Error, gzip, write_atomically};

/// An IDX file whose header has been checked against its length.
#[derive(Debug)]
pub struct Idx {
    path: PathBuf,
    header: Header,
    bytes: Bytes,
    /// Why it had to be inflated in memory, if it had.
    pub(crate) not_kept: Option<String>,
}

impl Idx {
    /// Opens an IDX file, raw or gzipped (told apart by their first bytes, whatever their names).
    ///
    /// A raw file is mapped. A gzipped one is inflated once to a raw file beside it, which is then
    /// mapped: `name.gz` to `name`. Where that cannot be written it is inflated in memory.
    ///
    /// # Errors
    /// If the file is missing, not a file, empty, not IDX, truncated or too long, or corrupt gzip.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let map = Map::open(path).map_err(|e| match e {
            Error::Empty { path, .. } => Error::Empty { path, expected: "an IDX header" },
            Error::Missing { path, .. } => Error::Missing { path, expected: "an IDX file".into() },
            other => other,
        })?;
        if gzip::is_gzip(&map) { gzip::open(path, &map) } else { Self::new(path, map) }
    }

    /// Checks `bytes` as an IDX file, raw or gzipped; `path` is used in messages alone.
    ///
    /// # Errors
    /// As [`Idx::open`].
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        if gzip::is_gzip(&bytes) {
            return gzip::parse(path, &bytes);
        }
        Self::check(path, Bytes::Owned(bytes))
    }

    pub(crate) fn new(path: &Path, map: Map) -> Result<Self, Error> {
        Self::check(path, Bytes::Mapped(map))
    }

    fn check(path: &Path, bytes: Bytes) -> Result<Self, Error> {
        let header = Header::parse(&bytes).map_err(|e| header_error(path, e))?;
        let (found, expected) = (bytes.len() as u64, header.file_size() as u64);
        if found != expected {
            let what = header.describe();
            return Err(Error::Length { path: path.to_owned(), found, expected, what });
        }
        Ok(Self { path: path.to_owned(), header, bytes, not_kept: None })
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The type of its elements.
    pub fn element(&self) -> ElementType {
        self.header.element
    }

    /// Its dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.header.dims
    }

    /// The elements' bytes, as they lie in the file: big-endian, row-major.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.header.size()..]
    }

    /// The elements, if they are of type `T`: without a copy where an element is one byte.
    pub fn view<T: Element>(&self) -> Option<Cow<'_, [T]>> {
        (T::TYPE == self.header.element).then(|| T::decode(self.payload()))
    }

    /// The elements as numbers, whatever their type (`f64` holds each exactly).
    pub fn to_f64(&self) -> Vec<f64> {
        fn wide<T: Element + Into<f64>>(bytes: &[u8]) -> Vec<f64> {
            T::decode(bytes).iter().map(|&v| v.into()).collect()
        }
        match self.header.element {
            ElementType::U8 => wide::<u8>(self.payload()),
            ElementType::I8 => wide::<i8>(self.payload()),
            ElementType::I16 => wide::<i16>(self.payload()),
            ElementType::I32 => wide::<i32>(self.payload()),
            ElementType::F32 => wide::<f32>(self.payload()),
            ElementType::F64 => wide::<f64>(self.payload()),
        }
    }

    /// The elements rounded to `f32`, whatever their type.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.view::<f32>() {
            Some(values) => values.into_owned(),
            None => self.to_f64().into_iter().map(|v| v as f32).collect(),
        }
    }

    /// See [`Map::check_unchanged`]: whoever copied elements asks before the map is gone.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        self.bytes.check_unchanged()
    }

    /// The whole file's bytes and where in them the elements begin.
    pub(crate) fn into_bytes(self) -> (Bytes, usize) {
        (self.bytes, self.header.size())
    }
}

pub(crate) fn header_error(path: &Path, error: HeaderError) -> Error {
    let path = path.to_owned();
    match error {
        HeaderError::Magic(found) => Error::Magic { path, found },
        HeaderError::Truncated { found, expected } => Error::Length {
            path,
            found: found as u64,
            expected: expected as u64,
            what: "the header alone".into(),
        },
        HeaderError::Overflow(Header { element, dims }) => {
            Error::Overflow { path, dims, element: element.name() }
        }
    }
}

/// Writes `values` (row-major, as many as the product of `dims`) as an IDX file.
///
/// # Errors
/// [`Error::Write`]; nothing is left half-written.
///
/// # Panics
/// If the number of values is not the product of `dims`, or `dims` do not fit in IDX.
pub fn write<T: Element>(path: &Path, dims: &[usize], values: &[T]) -> Result<(), Error> {
    write_atomically(path, |out| write_to(out, dims, values))
}

/// As [`write()`], to any writer.
///
/// # Errors
/// What the writer returns.
///
/// # Panics
/// As [`write()`].
pub fn write_to<T: Element>(out: &mut impl Write, dims: &[usize], values: &[T]) -> io::Result<()> {
    let header = Header { element: T::TYPE, dims: dims.to_vec() };
    assert_eq!(values.len(), header.elements(), "as many values as {dims:?} has elements");
    out.write_all(&header.to_bytes())?;
    let mut encoded = Vec::with_capacity(1 << 16);
    for block in values.chunks((1 << 16) / T::TYPE.size()) {
        encoded.clear();
        block.iter().for_each(|value| value.encode(&mut encoded));
        out.write_all(&encoded)?;
    }
    Ok(())
}
