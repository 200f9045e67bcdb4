//! The IDX header: two zero bytes, the element type, the number of dimensions, and each dimension
//! as a big-endian 32-bit unsigned integer.

use super::ElementType;

/// What an IDX file says it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type of its elements.
    pub element: ElementType,
    /// Its dimensions, outermost first; up to 255 of them. None stands for a single element.
    pub dims: Vec<usize>,
}

/// Why bytes are not an IDX header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The first four bytes (or as many as there are) are not an IDX magic number.
    Magic(Vec<u8>),
    /// The bytes end within the header, which is this long.
    Truncated {
        /// Bytes there are.
        found: usize,
        /// Bytes of the whole header.
        expected: usize,
    },
    /// The file's length, header included, does not fit in a `usize`.
    Overflow(Header),
}

impl Header {
    /// Bytes of the longest header: 255 dimensions.
    pub const MAX_SIZE: usize = 4 + 4 * 255;

    /// Reads the header that `bytes` begin with; what follows it is not looked at.
    ///
    /// # Errors
    /// If `bytes` do not begin with a whole header of a file that could exist on this machine.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let magic = || HeaderError::Magic(bytes[..bytes.len().min(4)].to_vec());
        let &[0, 0, code, rank, ..] = bytes else { return Err(magic()) };
        let element = ElementType::from_code(code).ok_or_else(magic)?;
        let size = 4 + 4 * rank as usize;
        let Some(dims) = bytes.get(4..size) else {
            return Err(HeaderError::Truncated { found: bytes.len(), expected: size });
        };
        let (dims, _) = dims.as_chunks();
        let dims = dims.iter().map(|&d| u32::from_be_bytes(d) as usize).collect();
        let header = Self { element, dims };
        match header.checked_file_size() {
            Some(_) => Ok(header),
            None => Err(HeaderError::Overflow(header)),
        }
    }

    /// The header's bytes.
    ///
    /// # Panics
    /// If there are more than 255 dimensions, or one is above `u32::MAX`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let rank = u8::try_from(self.dims.len()).expect("IDX has at most 255 dimensions");
        let mut bytes = vec![0, 0, self.element.code(), rank];
        for &dim in &self.dims {
            let dim = u32::try_from(dim).expect("a dimension of IDX is below 2^32");
            bytes.extend_from_slice(&dim.to_be_bytes());
        }
        bytes
    }

    /// Bytes of the header itself: where the elements begin.
    pub fn size(&self) -> usize {
        4 + 4 * self.dims.len()
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// Bytes of the whole file: header and elements.
    pub fn file_size(&self) -> usize {
        self.size() + self.elements() * self.element.size()
    }

    fn checked_file_size(&self) -> Option<usize> {
        let elements = self.dims.iter().try_fold(1usize, |product, &d| product.checked_mul(d))?;
        // Slices hold at most isize::MAX bytes; a file beyond that could not be mapped.
        let bytes = elements.checked_mul(self.element.size())?.checked_add(self.size())?;
        isize::try_from(bytes).is_ok().then_some(bytes)
    }

    /// What the header says, for messages: "uint8 [60000, 28, 28]".
    pub fn describe(&self) -> String {
        format!("{} {:?}", self.element.name(), self.dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_published_example() {
        // train-images-idx3-ubyte: magic 2051, 60,000 images of 28 rows and 28 columns.
        let bytes = [0, 0, 8, 3, 0, 0, 0xea, 0x60, 0, 0, 0, 28, 0, 0, 0, 28, 99];
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header, Header { element: ElementType::U8, dims: vec![60_000, 28, 28] });
        assert_eq!((header.size(), header.file_size()), (16, 47_040_016));
        assert_eq!(header.to_bytes(), bytes[..16]);
    }

    #[test]
    fn every_type_and_rank_round_trips() {
        for element in ElementType::ALL {
            for rank in [0, 1, 2, 5, 255] {
                let header = Header { element, dims: vec![1; rank] };
                assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
            }
        }
    }

    #[test]
    fn wrong_magic_is_refused() {
        for bytes in [&b""[..], &[0], &[0, 0, 8], b"PK\x03\x04", &[0, 1, 8, 0], &[0, 0, 10, 0]] {
            assert_eq!(Header::parse(bytes), Err(HeaderError::Magic(bytes.to_vec())));
        }
    }

    #[test]
    fn a_header_cut_short_says_how_long_it_should_be() {
        let bytes = [0, 0, 8, 3, 0, 0, 0, 1, 0];
        let expected = HeaderError::Truncated { found: 9, expected: 16 };
        assert_eq!(Header::parse(&bytes), Err(expected));
    }

    #[test]
    fn dimensions_that_overflow_are_refused() {
        let overflows = |element, dims: &[usize]| {
            let header = Header { element, dims: dims.to_vec() };
            assert_eq!(Header::parse(&header.to_bytes()), Err(HeaderError::Overflow(header)));
        };
        let max = u32::MAX as usize;
        overflows(ElementType::U8, &[max, max, max]);
        overflows(ElementType::U8, &[2; 255]);
        // The product of these fits, their bytes do not.
        overflows(ElementType::F64, &[1 << 31, 1 << 30]);
        // These fit in a usize, but not in a slice.
        overflows(ElementType::U8, &[1 << 31, 1 << 31, 2]);
        assert!(Header::parse(&[0, 0, 8, 2, 0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]).is_ok());
    }
}
