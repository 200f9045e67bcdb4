//! NPY, the format of one NumPy array: a magic string, a Python dictionary that says element type
//! and shape, then the elements.
//!
//! Source: "numpy.lib.format" in the NumPy documentation, versions 1.0 to 3.0. Parsed here rather
//! than by a library so that the elements can be viewed where they lie in the map, and so that a
//! header's claims are checked before anything is allocated.

mod header;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use header::{Dtype, Flaw, Header};

use crate::map::Bytes;
use crate::part::{self, Part};
use crate::{Error, Map};

/// An array: its header, checked against the bytes there are.
#[derive(Debug)]
pub struct Array {
    path: PathBuf,
    header: Header,
    bytes: Bytes,
    start: usize,
}

impl Array {
    /// Maps an NPY file.
    ///
    /// # Errors
    /// If it is missing, not NPY of numbers, truncated or too long.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::check(path, Bytes::Mapped(Map::open(path)?))
    }

    /// Checks `bytes` as an NPY file; `path` is used in messages.
    ///
    /// # Errors
    /// As [`Array::open`].
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        Self::check(path, Bytes::Owned(bytes))
    }

    fn check(path: &Path, bytes: Bytes) -> Result<Self, Error> {
        let (header, start) = Header::parse(&bytes).map_err(|flaw| flaw.of(path))?;
        let (found, expected) = (bytes.len() as u64, (start + header.payload_bytes()) as u64);
        if found != expected {
            let what = format!("{:?} {:?}", header.dtype, header.shape);
            return Err(Error::Length { path: path.to_owned(), found, expected, what });
        }
        Ok(Self { path: path.to_owned(), header, bytes, start })
    }

    /// Its element type, byte order and shape.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// See [`Map::check_unchanged`]: whoever copied elements asks before the map is gone.
    fn check_unchanged(&self) -> Result<(), Error> {
        self.bytes.check_unchanged()
    }

    /// The elements' bytes, as they lie in the file.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The elements as numbers; integers above 2^53 are rounded.
    pub fn to_f64(&self) -> Vec<f64> {
        macro_rules! wide {
            ($type:ty) => {{
                let (elements, _) = self.payload().as_chunks();
                let decode = if self.header.big_endian {
                    <$type>::from_be_bytes
                } else {
                    <$type>::from_le_bytes
                };
                elements.iter().map(|&e| decode(e) as f64).collect()
            }};
        }
        match self.header.dtype {
            Dtype::Bool | Dtype::U8 => self.payload().iter().map(|&v| f64::from(v)).collect(),
            Dtype::I8 => self.payload().iter().map(|&v| f64::from(v as i8)).collect(),
            Dtype::U16 => wide!(u16),
            Dtype::I16 => wide!(i16),
            Dtype::U32 => wide!(u32),
            Dtype::I32 => wide!(i32),
            Dtype::U64 => wide!(u64),
            Dtype::I64 => wide!(i64),
            Dtype::F16 => {
                let (elements, _) = self.payload().as_chunks();
                let decode =
                    if self.header.big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
                elements.iter().map(|&e| half(decode(e))).collect()
            }
            Dtype::F32 => wide!(f32),
            Dtype::F64 => wide!(f64),
        }
    }
}

/// The number that a float16 (binary16 of IEEE 754) stands for: a sign, 5 bits of exponent, 10 of
/// fraction.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// Pairs an array of features, `[n, ...]`, with one of labels, `[n]` or `[n, 1]`.
///
/// # Errors
/// As [`Part::from_idx`].
pub(crate) fn pair(features: Array, labels: Array) -> Result<Part, Error> {
    let &[count, ref shape @ ..] = &features.header.shape[..] else {
        return Err(wrong_shape(&features, "(examples, ...)"));
    };
    if shape.is_empty() {
        return Err(wrong_shape(&features, "(examples, rows, columns) or (examples, features)"));
    }
    let label_count = match labels.header.shape[..] {
        [n] | [n, 1] => n,
        _ => return Err(wrong_shape(&labels, "(examples,), a class number each (not one-hot)")),
    };
    let shape = shape.to_vec();
    part::check_counts((&features.path, count, &shape), (&labels.path, label_count))?;
    let numbers = labels.to_f64();
    labels.check_unchanged()?;
    let numbers = part::class_numbers(&labels.path, &numbers)?;
    let path = features.path.clone();
    let Header { dtype, big_endian, .. } = features.header;
    let native = big_endian == cfg!(target_endian = "big");
    let features = match dtype {
        Dtype::U8 => part::Features::pixels(features.bytes, features.start),
        Dtype::U16 => {
            // Pixels of 16 bits, scaled as those of 8 are.
            let numbers = features.to_f64().iter().map(|v| (v / 65_535.0) as f32).collect();
            features.check_unchanged()?;
            part::Features::F32(numbers)
        }
        Dtype::F32 if native => part::Features::numbers(&path, features.bytes, features.start)?,
        _ => {
            let numbers = features.to_f64().into_iter().map(|v| v as f32).collect();
            features.check_unchanged()?;
            part::Features::F32(part::finite(&path, numbers)?)
        }
    };
    Ok(Part::assemble(features, numbers, shape, path, labels.path))
}

fn wrong_shape(array: &Array, expected: &str) -> Error {
    Error::invalid(&array.path, "shape", format!("{:?}", array.header.shape), expected)
}

/// The features of `part` as an NPY file: uint8 or little-endian float32, `[n, shape...]`.
///
/// # Errors
/// What the writer returns.
pub(crate) fn write_features(out: &mut impl Write, part: &Part) -> io::Result<()> {
    let examples = part.examples();
    let mut shape = vec![examples.len()];
    shape.extend_from_slice(examples.shape());
    match examples.features() {
        crate::FeaturesView::U8(pixels) => {
            let header = Header { dtype: Dtype::U8, big_endian: false, shape };
            out.write_all(&header.to_bytes())?;
            out.write_all(pixels)
        }
        crate::FeaturesView::F32(numbers) => {
            let header = Header { dtype: Dtype::F32, big_endian: false, shape };
            out.write_all(&header.to_bytes())?;
            write_blocks(out, numbers, |number, bytes| bytes.extend(number.to_le_bytes()))
        }
    }
}

/// The labels of `part` as an NPY file: uint8 or little-endian uint16, `[n]`.
///
/// # Errors
/// What the writer returns.
pub(crate) fn write_labels(out: &mut impl Write, part: &Part) -> io::Result<()> {
    let header = |dtype| Header { dtype, big_endian: false, shape: vec![part.len()] };
    match part.examples().labels() {
        crate::LabelsView::U8(labels) => {
            out.write_all(&header(Dtype::U8).to_bytes())?;
            out.write_all(labels)
        }
        crate::LabelsView::U16(labels) => {
            out.write_all(&header(Dtype::U16).to_bytes())?;
            write_blocks(out, labels, |label, bytes| bytes.extend(label.to_le_bytes()))
        }
    }
}

/// Writes `values`, encoded a block at a time.
fn write_blocks<T: Copy>(
    out: &mut impl Write,
    values: &[T],
    encode: impl Fn(T, &mut Vec<u8>),
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(1 << 16);
    for block in values.chunks(1 << 14) {
        bytes.clear();
        block.iter().for_each(|&value| encode(value, &mut bytes));
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// An array of `shape` whose elements are all zeros, in a file of its own.
    fn zeros(path: PathBuf, dtype: Dtype, big_endian: bool, shape: &[usize]) -> Array {
        let header = Header { dtype, big_endian, shape: shape.to_vec() };
        let bytes = [header.to_bytes(), vec![0; header.payload_bytes()]].concat();
        fs::write(&path, bytes).unwrap();
        Array::open(&path).unwrap()
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn numbers_that_change_while_they_are_decoded_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let [x, y] = ["x.npy", "y.npy"].map(|name| folder.path().join(name));
        for (dtype, big_endian) in [(Dtype::U16, false), (Dtype::F32, true), (Dtype::F64, false)] {
            for changed in [&x, &y] {
                let features = zeros(x.clone(), dtype, big_endian, &[6, 2]);
                let labels = zeros(y.clone(), Dtype::U8, false, &[6]);
                File::options().write(true).open(changed).unwrap().set_len(2000).unwrap();
                let result = pair(features, labels);
                assert!(
                    matches!(&result, Err(Error::Changed { path, .. }) if path == changed),
                    "{dtype:?}: {result:?}"
                );
            }
        }
    }
}
