//! The rows of a batch, gathered from wherever they lie.

use bytemuck::{cast_slice, cast_slice_mut};

use super::Form;
use crate::Isa;
use crate::aligned::{Aligned, Arena};
use crate::simd::{Kernel, Simd};

/// The rows of a batch, gathered side by side: bytes as they lie in the file, or floats.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) form: Form,
    capacity: usize,
    pub(super) rows: usize,
    pub(super) width: usize,
    /// Words of four bytes a row, rounded up to sixteen words.
    pub(super) stride: usize,
    /// `[rows rounded up to 16, and one of zeros, stride]`; for floats, their bits, one a word.
    pub(super) words: Aligned<u32>,
}

impl Batch {
    /// Room for `capacity` rows of `width` bytes or floats.
    pub fn with_capacity(arena: &mut Arena, form: Form, capacity: usize, width: usize) -> Self {
        let words = match form {
            Form::Bytes(_) => width.div_ceil(4),
            Form::Floats => width,
        };
        let stride = words.next_multiple_of(16);
        let words = arena.zeros((capacity.next_multiple_of(16) + 1) * stride);
        Self { form, capacity, rows: 0, width, stride, words }
    }

    /// Forgets the rows.
    pub fn clear(&mut self) {
        self.rows = 0;
    }

    /// The words of a row; zeros where the batch has no such row, whatever an earlier batch had.
    pub(super) fn row(&self, row: usize) -> &[u32] {
        let row = if row < self.rows { row } else { self.words.len() / self.stride.max(1) - 1 };
        &self.words[row * self.stride..][..self.stride]
    }

    /// Adds a row of bytes.
    ///
    /// # Panics
    /// If the batch is full, of floats, or of another width.
    pub fn push_bytes(&mut self, row: &[u8]) {
        self.check_row(true, row.len());
        let at = self.rows * self.stride;
        let target: &mut [u8] = cast_slice_mut(&mut self.words[at..at + self.stride]);
        target[..row.len()].copy_from_slice(row);
        self.rows += 1;
    }

    /// Adds a row of floats.
    ///
    /// # Panics
    /// If the batch is full, of bytes, or of another width.
    pub fn push_floats(&mut self, row: &[f32]) {
        self.check_row(false, row.len());
        let at = self.rows * self.stride;
        let target: &mut [f32] = cast_slice_mut(&mut self.words[at..at + self.stride]);
        target[..row.len()].copy_from_slice(row);
        self.rows += 1;
    }

    /// Adds an image of bytes in the order of its 2 x 2 patches: of each the two upper pixels, then
    /// the two lower ones.
    ///
    /// # Panics
    /// As [`push_bytes`](Self::push_bytes), or if `width` or the height is odd.
    pub fn push_patches(&mut self, isa: Isa, image: &[u8], width: usize) {
        self.check_row(true, image.len());
        assert!(width.is_multiple_of(2) && image.len().is_multiple_of(2 * width), "odd {width}");
        let at = self.rows * self.stride;
        isa.run(Patches { image, width, words: &mut self.words[at..at + self.stride] });
        self.rows += 1;
    }

    fn check_row(&self, bytes: bool, len: usize) {
        let kind = |bytes| if bytes { "bytes" } else { "floats" };
        let here = self.form != Form::Floats;
        assert!(
            here == bytes && self.width == len,
            "a row of {len} {} for a batch of {} {}",
            kind(bytes),
            self.width,
            kind(here)
        );
        assert!(self.rows < self.capacity, "the batch is full: {} rows", self.capacity);
    }

    /// Rows in the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Features a row.
    pub fn width(&self) -> usize {
        self.width
    }

    pub(super) fn floats(&self) -> &[f32] {
        cast_slice(&self.words)
    }
}

struct Patches<'a> {
    image: &'a [u8],
    width: usize,
    words: &'a mut [u32],
}

impl Kernel for Patches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { image, width, words } = self;
        let rows = image.chunks_exact(2 * width).zip(words.chunks_exact_mut(width / 2));
        for (rows, words) in rows {
            let (upper, lower) = rows.split_at(width);
            // SAFETY: both rows have `width` bytes, the words half as many.
            unsafe { s.patches(upper.as_ptr(), lower.as_ptr(), width / 2, words.as_mut_ptr()) };
        }
    }
}
