//! The batch as the first layer's products read it: panels of four rows, zeros left out.
//!
//! A panel holds four neighbouring rows of a matrix: four examples for the forward product, four
//! features for the weight gradient. Its entries are the columns at which any of the four is not
//! zero, each with its index and its four values:
//!
//! ```text
//!   rows   0 0 7 1 0 0      list    2        3
//!          0 0 0 2 0 0      values  7 0 5 0  1 2 3 0
//!          0 0 5 3 0 0
//!          0 0 0 0 0 0
//! ```
//!
//! The microkernel runs over the entries as over any summation dimension. What is left out adds
//! nothing, `fma(0, w, sum) = sum`, and the entries keep their order: the result has the bits of
//! the product that skips nothing.
//!
//! Four rows, because a tile of four rows and six vectors still keeps every multiply-add unit
//! busy, while of MNIST's pixels 19 % are not zero alone, 28 % in any of four neighbouring
//! columns, 39 % in any of four examples, 47 % in any of eight.

use bytemuck::{cast_slice, cast_slice_mut};

use crate::Isa;
use crate::aligned::Aligned;
use crate::simd::{Kernel, Simd};

/// Rows of a panel.
pub const PANEL: usize = 4;

/// Slack of entries that vector code may write past the last one.
const SLACK: usize = 16;

/// The rows of a batch, gathered side by side: bytes as they lie in the file, or floats.
#[derive(Clone, Debug)]
pub struct Batch {
    capacity: usize,
    rows: usize,
    width: usize,
    /// Words of four bytes a row, rounded up to sixteen words.
    stride: usize,
    /// `[rows rounded up to 16, stride]`; for floats, their bits, one a word.
    words: Vec<u32>,
    bytes: bool,
    scale: f32,
}

impl Batch {
    /// Room for `capacity` rows of `width` bytes, which stand for themselves times `scale`.
    pub fn of_bytes(capacity: usize, width: usize, scale: f32) -> Self {
        let stride = width.div_ceil(4).next_multiple_of(16);
        let words = vec![0; capacity.next_multiple_of(16) * stride];
        Self { capacity, rows: 0, width, stride, words, bytes: true, scale }
    }

    /// Room for `capacity` rows of `width` floats.
    pub fn of_floats(capacity: usize, width: usize) -> Self {
        let stride = width.next_multiple_of(16);
        let words = vec![0; capacity.next_multiple_of(16) * stride];
        Self { capacity, rows: 0, width, stride, words, bytes: false, scale: 1.0 }
    }

    /// Forgets the rows.
    pub fn clear(&mut self) {
        // Rows of an earlier, fuller batch must not look like examples of this one.
        self.words[..self.rows * self.stride].fill(0);
        self.rows = 0;
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

    /// Starts to bring a row of a later batch near: the rows of a shuffled epoch lie far apart, and
    /// waiting for them from memory takes longer than copying them.
    #[inline]
    pub fn prefetch<T>(row: &[T]) {
        #[cfg(target_arch = "x86_64")]
        for line in 0..size_of_val(row).div_ceil(64) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: any address may be prefetched; the instruction is in every x86-64.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().cast::<i8>().wrapping_add(64 * line));
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = row;
    }

    /// Rows in the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Features a row.
    pub fn width(&self) -> usize {
        self.width
    }

    fn floats(&self) -> &[f32] {
        cast_slice(&self.words)
    }
}

/// Panels of four rows of a batch or of its transpose.
#[derive(Clone, Debug)]
pub struct Panels {
    /// Rows of the matrix (examples, or features), without the padding of the last panel.
    rows: usize,
    /// Columns of the matrix: the summation dimension.
    depth: usize,
    /// Entries of panel p are `starts[p]..starts[p + 1]`.
    starts: Vec<usize>,
    list: Vec<u32>,
    values: Aligned,
    words: Vec<u32>,
}

impl Panels {
    /// Room for a matrix `[rows, depth]`.
    pub fn with_capacity(rows: usize, depth: usize) -> Self {
        let panels = rows.div_ceil(PANEL);
        let entries = panels * depth + SLACK;
        Self {
            rows: 0,
            depth: 0,
            starts: Vec::with_capacity(panels + 1),
            list: vec![0; entries],
            values: Aligned::zeros(PANEL * entries),
            words: vec![0; transposed_words(panels, depth)],
        }
    }

    /// Panels of four examples: the forward product's left operand `[examples, features]`.
    pub fn fill_examples(&mut self, isa: Isa, batch: &Batch) {
        self.begin(batch.rows, batch.width);
        isa.run(Fill { panels: self, batch, transposed: false });
    }

    /// Panels of four features: the weight gradient's left operand `[features, examples]`.
    pub fn fill_features(&mut self, isa: Isa, batch: &Batch) {
        self.begin(batch.width, batch.rows);
        isa.run(Fill { panels: self, batch, transposed: true });
    }

    fn begin(&mut self, rows: usize, depth: usize) {
        let panels = rows.div_ceil(PANEL);
        // Both, since another shape of as many entries may need more words.
        let room = panels * depth + SLACK <= self.list.len()
            && transposed_words(panels, depth) <= self.words.len();
        assert!(room, "panels of [{rows}, {depth}] have no room");
        self.rows = rows;
        self.depth = depth;
        self.starts.clear();
        self.starts.push(0);
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Entries kept, of all there are: what a product costs against one that skips nothing.
    pub fn density(&self) -> f64 {
        let all = self.rows.div_ceil(PANEL) * self.depth;
        *self.starts.last().unwrap_or(&0) as f64 / all.max(1) as f64
    }

    pub(crate) fn count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Entries of a panel: their columns and their values, four an entry.
    pub(crate) fn panel(&self, index: usize) -> (&[u32], &[f32]) {
        let entries = self.starts[index]..self.starts[index + 1];
        (&self.list[entries.clone()], &self.values[PANEL * entries.start..PANEL * entries.end])
    }
}

/// Words that a transpose in blocks of sixteen by sixteen writes; never less than one row for the
/// interleaving.
fn transposed_words(panels: usize, depth: usize) -> usize {
    panels.max(1).next_multiple_of(16) * depth.next_multiple_of(16)
}

struct Fill<'a> {
    panels: &'a mut Panels,
    batch: &'a Batch,
    transposed: bool,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Fill { panels, batch, transposed } = self;
        if !batch.bytes {
            return fill_floats(panels, batch, transposed);
        }
        let count = panels.rows.div_ceil(PANEL);
        let words = panels.words.as_mut_ptr();
        // SAFETY: the batch has its rows rounded up to sixteen, of `stride` words each, a multiple
        // of sixteen; `words` has as many for the transpose and one rounded-up row for the
        // interleaving; `begin` has checked the room for entries.
        unsafe {
            let row_words = panels.depth.next_multiple_of(16);
            if transposed {
                s.transpose(
                    batch.words.as_ptr(),
                    batch.stride,
                    batch.rows,
                    count,
                    words,
                    row_words,
                );
            }
            for panel in 0..count {
                let start = panels.starts[panel];
                let source = if transposed {
                    words.add(panel * row_words)
                } else {
                    let bytes = batch.words.as_ptr().cast::<u8>();
                    let row = |r: usize| bytes.add((panel * PANEL + r) * batch.stride * 4);
                    s.interleave([row(0), row(1), row(2), row(3)], panels.depth, words);
                    words
                };
                let list = panels.list.as_mut_ptr().add(start);
                let values = panels.values.as_mut_ptr().add(PANEL * start);
                let kept = s.compress(source, panels.depth, batch.scale, list, values);
                panels.starts.push(start + kept);
            }
        }
    }
}

/// Floats take the plain way: tables are narrow.
fn fill_floats(panels: &mut Panels, batch: &Batch, transposed: bool) {
    let floats = batch.floats();
    for panel in 0..panels.rows.div_ceil(PANEL) {
        let mut at = panels.starts[panel];
        for k in 0..panels.depth {
            let four = std::array::from_fn(|r| {
                let row = panel * PANEL + r;
                match (row < panels.rows, transposed) {
                    (false, _) => 0.0,
                    (true, false) => floats[row * batch.stride + k],
                    (true, true) => floats[k * batch.stride + row],
                }
            });
            if four != [0.0; PANEL] {
                panels.list[at] = k as u32;
                panels.values[PANEL * at..PANEL * (at + 1)].copy_from_slice(&four);
                at += 1;
            }
        }
        panels.starts.push(at);
    }
}
