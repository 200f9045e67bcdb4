//! The header of an array: a magic string, a version, and a Python dictionary.

use std::path::Path;

use crate::Error;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Bytes that a header may take; NumPy itself refuses headers above 10,000 by default.
const MAX_HEADER: usize = 1 << 16;

/// What the elements of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Dtype {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl Dtype {
    const ALL: [(Self, &'static str, usize); 12] = [
        (Self::Bool, "b1", 1),
        (Self::U8, "u1", 1),
        (Self::I8, "i1", 1),
        (Self::U16, "u2", 2),
        (Self::I16, "i2", 2),
        (Self::U32, "u4", 4),
        (Self::I32, "i4", 4),
        (Self::U64, "u8", 8),
        (Self::I64, "i8", 8),
        (Self::F16, "f2", 2),
        (Self::F32, "f4", 4),
        (Self::F64, "f8", 8),
    ];

    fn code(self) -> &'static str {
        Self::ALL.iter().find(|(dtype, ..)| *dtype == self).map_or("", |(_, code, _)| code)
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        Self::ALL.iter().find(|(dtype, ..)| *dtype == self).map_or(0, |(.., size)| *size)
    }
}

/// The header of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its element type.
    pub dtype: Dtype,
    /// Whether elements of several bytes are most significant byte first.
    pub big_endian: bool,
    /// Its dimensions, outermost first (row-major).
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads the header that `bytes` begin with. Returns it and its length.
    ///
    /// # Errors
    /// What is wrong: the field, what was found, what was expected.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Flaw> {
        let start = |n: usize| format!("{:02X?}", &bytes[..n.min(bytes.len())]);
        if !bytes.starts_with(MAGIC) {
            return Err(Flaw::new(
                "magic string",
                start(6),
                "93 4E 55 4D 50 59, as of an NPY file",
            ));
        }
        let (length, begin) = match bytes[6..] {
            [1, 0, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
            [2 | 3, 0, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
            [a, b, ..] if !matches!((a, b), (1..=3, 0)) => {
                return Err(Flaw::new("version", format!("{a}.{b}"), "1.0, 2.0 or 3.0"));
            }
            _ => return Err(Flaw::new("header", format!("{} bytes", bytes.len()), "at least 12")),
        };
        if length > MAX_HEADER {
            let expected = format!("at most {MAX_HEADER} bytes");
            return Err(Flaw::new("header", format!("{length} bytes"), expected));
        }
        let Some(text) = bytes.get(begin..begin + length) else {
            let found = format!("{} bytes", bytes.len());
            return Err(Flaw::new("header", found, format!("{} bytes", begin + length)));
        };
        Ok((Self::parse_dictionary(text)?, begin + length))
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }`, in any order.
    fn parse_dictionary(text: &[u8]) -> Result<Self, Flaw> {
        let shown = || String::from_utf8_lossy(&text[..text.len().min(120)]).trim().to_owned();
        let flaw = || {
            let expected = "{'descr': ..., 'fortran_order': ..., 'shape': (...)}";
            Flaw::new("header", shown(), expected)
        };
        let text = std::str::from_utf8(text).map_err(|_| flaw())?;
        let mut rest = text.trim().strip_prefix('{').ok_or_else(flaw)?.trim_start();
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        while !rest.starts_with('}') {
            let (key, value) = quoted(rest).ok_or_else(flaw)?;
            let value = value.trim_start().strip_prefix(':').ok_or_else(flaw)?.trim_start();
            rest = match key {
                "descr" if descr.is_none() => {
                    let (code, after) = quoted(value).ok_or_else(flaw)?;
                    descr = Some(code);
                    after
                }
                "fortran_order" if fortran.is_none() => {
                    let yes = value.strip_prefix("True").map(|after| (true, after));
                    let no = || value.strip_prefix("False").map(|after| (false, after));
                    let (order, after) = yes.or_else(no).ok_or_else(flaw)?;
                    fortran = Some(order);
                    after
                }
                "shape" if shape.is_none() => {
                    let (dims, after) = tuple(value).ok_or_else(flaw)?;
                    shape = Some(dims);
                    after
                }
                _ => return Err(flaw()),
            };
            rest = rest.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.starts_with('}') => {}
                None => return Err(flaw()),
            }
        }
        if !rest[1..].trim().is_empty() {
            return Err(flaw());
        }
        let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
            return Err(flaw());
        };
        if fortran && shape.len() > 1 {
            let expected = "False: save numpy.ascontiguousarray of it";
            return Err(Flaw::new("fortran_order", "True", expected));
        }
        let known = || {
            let (order, code) = descr.split_at_checked(1)?;
            let (dtype, _, size) = Dtype::ALL.into_iter().find(|(_, known, _)| *known == code)?;
            match order {
                ">" => Some((dtype, size > 1)),
                "<" => Some((dtype, false)),
                "|" if size == 1 => Some((dtype, false)),
                _ => None,
            }
        };
        let (dtype, big_endian) = known().ok_or_else(|| {
            Flaw::new(
                "descr",
                format!("{descr:?}"),
                "a bool, an integer, float16, float32 or float64",
            )
        })?;
        let header = Self { dtype, big_endian, shape };
        match header.checked_bytes() {
            Some(_) => Ok(header),
            None => {
                let found = format!("{:?}", header.shape);
                Err(Flaw::new("shape", found, "a product that fits in memory"))
            }
        }
    }

    fn checked_bytes(&self) -> Option<usize> {
        let count = self.shape.iter().try_fold(1usize, |product, &d| product.checked_mul(d))?;
        let bytes = count.checked_mul(self.dtype.size())?;
        (bytes <= isize::MAX as usize - MAX_HEADER - 12).then_some(bytes)
    }

    /// Bytes of all elements.
    pub fn payload_bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }

    /// The header's bytes, version 1.0, padded so that the elements begin at a multiple of 64.
    pub fn to_bytes(&self) -> Vec<u8> {
        let order = match (self.dtype.size(), self.big_endian) {
            (1, _) => '|',
            (_, true) => '>',
            (_, false) => '<',
        };
        let shape = match self.shape[..] {
            [only] => format!("({only},)"),
            _ => format!(
                "({})",
                self.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
            ),
        };
        let code = self.dtype.code();
        let mut text =
            format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': {shape}, }}");
        let padding = 63 - (10 + text.len()) % 64;
        text.extend(std::iter::repeat_n(' ', padding));
        text.push('\n');
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }
}

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    field: &'static str,
    found: String,
    expected: String,
}

impl Flaw {
    fn new(field: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { field, found: found.into(), expected: expected.into() }
    }

    pub(crate) fn of(self, path: &Path) -> Error {
        Error::invalid(path, self.field, self.found, self.expected)
    }
}

/// A string in single or double quotes without escapes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// A tuple of whole numbers, and what follows it.
fn tuple(text: &str) -> Option<(Vec<usize>, &str)> {
    let (inner, after) = text.strip_prefix('(')?.split_once(')')?;
    let inner = inner.trim();
    if inner.is_empty() {
        return Some((Vec::new(), after));
    }
    let inner = inner.strip_suffix(',').unwrap_or(inner);
    let dims = inner.split(',').map(|dim| dim.trim().parse().ok()).collect::<Option<Vec<_>>>()?;
    // NumPy allows 64 dimensions.
    (dims.len() <= 64).then_some((dims, after))
}
