//! The rows of a batch, gathered from wherever they lie.

use bytemuck::{cast_slice, cast_slice_mut};

use super::PANEL;
use crate::Isa;
use crate::simd::{Kernel, Simd};

/// The rows of a batch, gathered side by side: bytes as they lie in the file, or floats.
#[derive(Clone, Debug)]
pub struct Batch {
    capacity: usize,
    pub(super) rows: usize,
    pub(super) width: usize,
    /// Words of four bytes a row, rounded up to sixteen words.
    pub(super) stride: usize,
    /// `[rows rounded up to 16, and one of zeros, stride]`; for floats, their bits, one a word.
    pub(super) words: Vec<u32>,
    pub(super) bytes: bool,
    pub(super) scale: f32,
}

impl Batch {
    /// Room for `capacity` rows of `width` bytes, which stand for themselves times `scale`.
    pub fn of_bytes(capacity: usize, width: usize, scale: f32) -> Self {
        let stride = width.div_ceil(4).next_multiple_of(16);
        let words = vec![0; (capacity.next_multiple_of(16) + 1) * stride];
        Self { capacity, rows: 0, width, stride, words, bytes: true, scale }
    }

    /// Room for `capacity` rows of `width` floats.
    pub fn of_floats(capacity: usize, width: usize) -> Self {
        let stride = width.next_multiple_of(16);
        let words = vec![0; (capacity.next_multiple_of(16) + 1) * stride];
        Self { capacity, rows: 0, width, stride, words, bytes: false, scale: 1.0 }
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
        assert!(
            self.bytes == bytes && self.width == len,
            "a row of {len} {} for a batch of {} {}",
            kind(bytes),
            self.width,
            kind(self.bytes)
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

/// Rows that are sent for together.
const GROUP: usize = 8;

/// Rows of a later batch on their way from memory to the second-level cache while something else is
/// computed: the rows of a shuffled epoch lie far apart, and all of them at once would wait for the
/// few lines that a core can have under way.
#[derive(Debug)]
pub struct Ahead<'a> {
    data: &'a [u8],
    /// Bytes of a row.
    width: usize,
    /// Row numbers in the lower halves.
    rows: &'a [u64],
    /// The next line: its row among `rows`, its byte within the row.
    at: (usize, usize),
    /// Lines fetched at a time.
    lines: usize,
}

impl<'a> Ahead<'a> {
    /// Fetches `rows` of `data`, whose rows are `width` long, within `times` calls of `fetch`. Row
    /// numbers are the lower halves of the words.
    pub fn new<T: bytemuck::NoUninit>(
        data: &'a [T],
        width: usize,
        rows: &'a [u64],
        times: usize,
    ) -> Self {
        let width = width * size_of::<T>();
        let lines = (rows.len() * width.div_ceil(64)).div_ceil(times.max(1));
        Self { data: cast_slice(data), width, rows, at: (0, 0), lines }
    }

    /// Fetches nothing.
    pub fn nothing() -> Self {
        Self { data: &[], width: 0, rows: &[], at: (0, 0), lines: 0 }
    }

    /// Sends for some lines.
    #[inline(always)]
    pub(crate) fn fetch<S: Simd>(&mut self, s: S) {
        let mut left = self.lines;
        let (mut row, mut byte) = self.at;
        while left > 0 && row < self.rows.len() {
            // The same line of some rows, then their next: what a page's address costs to find is
            // paid for all of them at a time.
            let group = row / GROUP * GROUP;
            let end = (group + GROUP).min(self.rows.len());
            if byte == 0 {
                for number in &self.rows[group..end] {
                    let start = *number as u32 as usize * self.width;
                    s.prefetch_far(self.data.as_ptr().wrapping_add(start));
                }
                left = left.saturating_sub(end - group);
                (row, byte) = (group, 64);
                continue;
            }
            if byte >= self.width {
                (row, byte) = (end, 0);
                continue;
            }
            let start = self.rows[row] as u32 as usize * self.width + byte;
            s.prefetch_far(self.data.as_ptr().wrapping_add(start));
            left -= 1;
            (row, byte) = if row + 1 < end { (row + 1, byte) } else { (group, byte + 64) };
        }
        self.at = (row, byte);
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

/// Which four features share a panel of the weight gradient.
///
/// The more often neighbours in a panel are zero together, the less there is to compute. Of MNIST's
/// pixels 28 % are kept in panels of four neighbours in a row, 26 % in patches of two by two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fours {
    features: usize,
    /// Width of an image cut into patches.
    patches: Option<usize>,
}

impl Fours {
    /// Neighbours: features 0 to 3, 4 to 7, and so on.
    pub fn in_order(features: usize) -> Self {
        Self { features, patches: None }
    }

    /// Patches of two by two pixels where height and width are even, neighbours elsewhere.
    pub fn of_image(height: usize, width: usize) -> Self {
        let even = height.is_multiple_of(2) && width.is_multiple_of(2) && width > 0;
        Self { features: height * width, patches: even.then_some(width) }
    }

    /// Width of the image whose patches these are, if they are.
    pub fn patches(self) -> Option<usize> {
        self.patches
    }

    /// All features.
    pub fn features(self) -> usize {
        self.features
    }

    /// Panels.
    pub fn count(self) -> usize {
        self.features.div_ceil(PANEL)
    }

    /// The features of a panel; only the last panel has less than four.
    #[inline(always)]
    pub fn of(self, panel: usize) -> impl ExactSizeIterator<Item = usize> + Clone {
        let (first, below) = match self.patches {
            None => (PANEL * panel, 2),
            Some(width) => {
                let across = width / 2;
                (panel / across * 2 * width + panel % across * 2, width)
            }
        };
        let count = PANEL.min(self.features - PANEL * panel);
        (0..count).map(move |r| first + r % 2 + r / 2 * below)
    }
}
