//! The six element types of IDX, and their big-endian bytes.

use std::borrow::Cow;

/// What one element of an IDX file is: its third magic byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// 0x08: unsigned byte.
    U8,
    /// 0x09: signed byte.
    I8,
    /// 0x0B: 16-bit signed integer.
    I16,
    /// 0x0C: 32-bit signed integer.
    I32,
    /// 0x0D: 32-bit IEEE float.
    F32,
    /// 0x0E: 64-bit IEEE float.
    F64,
}

impl ElementType {
    /// All six.
    pub const ALL: [Self; 6] = [Self::U8, Self::I8, Self::I16, Self::I32, Self::F32, Self::F64];

    /// The byte that stands for it in the magic number.
    pub fn code(self) -> u8 {
        match self {
            Self::U8 => 0x08,
            Self::I8 => 0x09,
            Self::I16 => 0x0b,
            Self::I32 => 0x0c,
            Self::F32 => 0x0d,
            Self::F64 => 0x0e,
        }
    }

    /// The element type that `code` stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.code() == code)
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The name that NumPy gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }
}

/// A Rust type that is one of the six: `u8`, `i8`, `i16`, `i32`, `f32`, `f64`.
pub trait Element: Copy + 'static + sealed::Sealed {
    /// Which of them.
    const TYPE: ElementType;

    /// The elements of big-endian `bytes`, whose length is a multiple of the element's size:
    /// a view where one element is one byte, decoded where it is more.
    fn decode(bytes: &[u8]) -> Cow<'_, [Self]>;

    /// Appends the element's big-endian bytes to `out`.
    fn encode(self, out: &mut Vec<u8>);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! one_byte {
    ($type:ty, $variant:ident) => {
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const TYPE: ElementType = ElementType::$variant;

            fn decode(bytes: &[u8]) -> Cow<'_, [Self]> {
                Cow::Borrowed(bytemuck::cast_slice(bytes))
            }

            fn encode(self, out: &mut Vec<u8>) {
                out.push(self as u8);
            }
        }
    };
}

macro_rules! big_endian {
    ($type:ty, $variant:ident) => {
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const TYPE: ElementType = ElementType::$variant;

            fn decode(bytes: &[u8]) -> Cow<'_, [Self]> {
                let (elements, rest) = bytes.as_chunks();
                debug_assert!(rest.is_empty());
                Cow::Owned(elements.iter().map(|&e| <$type>::from_be_bytes(e)).collect())
            }

            fn encode(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
    };
}

one_byte!(u8, U8);
one_byte!(i8, I8);
big_endian!(i16, I16);
big_endian!(i32, I32);
big_endian!(f32, F32);
big_endian!(f64, F64);
