//! The batch as the first layer's products read it: panels of four rows, zeros left out.
//!
//! A panel holds four neighbouring rows of a matrix: four features in training, for both of its
//! products, or four examples in prediction. Its entries are the columns at which any of the four is
//! not zero, each with its index and its four values:
//!
//! ```text
//!   rows   0 0 7 1 0 0      list    2        3
//!          0 0 0 2 0 0      values  7 0 5 0  1 2 3 0
//!          0 0 5 3 0 0
//!          0 0 0 0 0 0
//! ```
//!
//! Products run over the entries instead of all columns. What is left out adds nothing,
//! `fma(0, w, sum) = sum`, and the entries keep their order: the result has the bits of the product
//! that skips nothing.
//!
//! Four rows, because a tile of four rows and six vectors still keeps every multiply-add unit
//! busy, while of MNIST's pixels 19 % are not zero alone, 28 % in any of four neighbouring
//! columns, 39 % in any of four examples, 47 % in any of eight.

mod ahead;
mod alike;
mod batch;
mod fill;
mod order;

pub use ahead::Ahead;
pub use alike::Alike;
pub use batch::Batch;
pub use order::FeatureOrder;

use std::ops::Range;

use bytemuck::cast_slice;

use crate::Isa;
use crate::aligned::{Aligned, Arena};

/// Rows of a panel.
pub const PANEL: usize = 4;

/// Examples of a chunk of panels of features. The first layer's products over those read or write a
/// row of some columns for each example of a chunk, again and again: so many rows must stay near. A
/// whole number of vectors, so that chunks start where those of the lists do.
///
/// Panels of examples have no chunks: with 48 to 208 features each, what the weights gained by
/// staying in the first-level cache was lost by starting more tiles (some hundred cycles a tile).
pub(crate) const CHUNK_OF_EXAMPLES: usize = 128;

/// Panels of features that are listed together: as many as the words of a line of the batch.
const GROUP: usize = 16;

/// Slack of entries that vector code may write past the last one, and a product look at.
const SLACK: usize = 16;

/// How many entries ahead a product may look: past the last entry are others, or any number.
pub(crate) const LIST_AHEAD: usize = 5;
const _: () = assert!(LIST_AHEAD <= SLACK);

/// What a batch is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Bytes that stand for themselves times this.
    Bytes(f32),
    /// Floats as they are.
    Floats,
}

impl Form {
    /// The floats that bytes stand for; none for floats.
    fn table(self, arena: &mut Arena) -> Aligned {
        let Self::Bytes(scale) = self else { return arena.zeros(0) };
        let mut table: Aligned = arena.zeros(TABLE);
        (0_u8..=255).zip(&mut *table).for_each(|(byte, x)| *x = f32::from(byte) * scale);
        table
    }

    /// Words of four bytes of an entry's four values.
    fn words(self) -> usize {
        match self {
            Self::Bytes(_) => 1,
            Self::Floats => PANEL,
        }
    }
}

/// Floats of a table: one a byte.
pub(crate) const TABLE: usize = 256;

/// Panels of four rows of a batch or of its transpose.
///
/// Values are kept as they are in the batch, and bytes are looked up by the product: to write four
/// floats an entry took longer than the lookups do.
#[derive(Clone, Debug)]
pub struct Panels {
    form: Form,
    /// Rows of the matrix (examples, or features), without the padding of the last panel.
    rows: usize,
    /// Columns of the matrix.
    depth: usize,
    /// Columns of a chunk: products run over a chunk or two of all panels before the next.
    chunk: usize,
    chunks: usize,
    /// Entries of chunk c of panel p start at `[p * chunks + c]` and end where the next start.
    starts: Vec<usize>,
    /// Columns.
    list: Aligned<u32>,
    /// Values: four bytes a word, or a float.
    values: Aligned<u32>,
    /// The floats that bytes stand for.
    table: Aligned,
    /// Of a group of panels of features: all their values, by rows.
    group: Aligned<u32>,
}

/// Entries of some chunks of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'a> {
    /// How many there are.
    pub len: usize,
    /// Their columns, and [`LIST_AHEAD`] numbers more.
    pub list: &'a [u32],
    pub values: Values<'a>,
}

/// The values of some entries, four each.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a> {
    /// Words of four bytes, and the [`TABLE`] of what bytes stand for.
    Bytes(&'a [u32], &'a [f32]),
    Floats(&'a [f32]),
}

impl Panels {
    /// Room for a matrix `[rows, depth]`.
    pub fn with_capacity(arena: &mut Arena, form: Form, rows: usize, depth: usize) -> Self {
        let panels = rows.div_ceil(PANEL);
        let entries = panels * depth + SLACK;
        Self {
            form,
            rows: 0,
            depth: 0,
            chunk: 0,
            chunks: 1,
            starts: Vec::with_capacity(panels * Self::chunks_of_examples(depth) + 1),
            list: arena.zeros(entries),
            values: arena.zeros(form.words() * entries),
            table: form.table(arena),
            group: arena.zeros(GROUP * depth.next_multiple_of(16)),
        }
    }

    /// Panels of four examples: the left operand `[examples, features]` of prediction.
    pub fn fill_examples(&mut self, isa: Isa, batch: &Batch) {
        self.begin_examples(batch.width);
        self.add_examples(isa, batch);
    }

    /// No examples yet, of `width` features: [`add_examples`](Self::add_examples) adds some, any
    /// number of times, so that they are near when they are listed.
    pub fn begin_examples(&mut self, width: usize) {
        self.begin(0, width, usize::MAX);
    }

    /// Adds panels of four examples: the rows of a batch.
    ///
    /// # Panics
    /// If there is no room for them, the batch has another width, or those before did not fill their
    /// last panel.
    pub fn add_examples(&mut self, isa: Isa, batch: &Batch) {
        let first = self.count();
        assert_eq!(self.rows, PANEL * first, "whole panels");
        assert_eq!((self.form, self.depth), (batch.form, batch.width), "features");
        self.grow(self.rows + batch.rows);
        isa.run(fill::Fill { panels: self, source: fill::Source::Examples(batch), first });
    }

    /// Adds panels of four of `data`'s rows, in the order of `rows`, as they lie. With rows of a
    /// multiple of sixteen bytes nothing is copied before it is listed.
    ///
    /// # Panics
    /// If the panels are of floats; if the rows are of another length than the features, or that is
    /// no multiple of sixteen; if a row is not there, there is no room for them, or those before did
    /// not fill their last panel.
    pub fn add_rows(&mut self, isa: Isa, data: &[u8], rows: &[u32]) {
        let (first, width) = (self.count(), self.depth);
        assert_ne!(self.form, Form::Floats, "rows of bytes");
        assert_eq!(self.rows, PANEL * first, "whole panels");
        assert!(width > 0 && width.is_multiple_of(16), "rows of {width} bytes");
        let there = data.len() / width;
        assert!(rows.iter().all(|row| (*row as usize) < there), "rows below {there}");
        self.grow(self.rows + rows.len());
        isa.run(fill::Fill { panels: self, source: fill::Source::Rows { data, rows }, first });
    }

    /// Panels of four neighbouring features: `[features, examples]`, for training's products.
    pub fn fill_features(&mut self, isa: Isa, batch: &Batch) {
        assert_eq!(self.form, batch.form, "values");
        self.begin(batch.width, batch.rows, CHUNK_OF_EXAMPLES);
        isa.run(fill::Fill { panels: self, source: fill::Source::Features(batch), first: 0 });
    }

    fn begin(&mut self, rows: usize, depth: usize, chunk: usize) {
        self.depth = depth;
        self.chunks = depth.div_ceil(chunk).max(1);
        self.chunk = depth.div_ceil(self.chunks).next_multiple_of(16);
        self.starts.clear();
        self.starts.push(0);
        self.grow(rows);
    }

    fn grow(&mut self, rows: usize) {
        let depth = self.depth;
        // Both, since another shape of as many entries may have longer rows.
        let room = rows.div_ceil(PANEL) * depth + SLACK <= self.list.len()
            && GROUP * depth.next_multiple_of(16) <= self.group.len();
        assert!(room, "panels of [{rows}, {depth}] have no room");
        self.rows = rows;
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

    /// Panels.
    pub fn count(&self) -> usize {
        self.rows.div_ceil(PANEL)
    }

    /// Chunks that the panels of features of so many examples are cut into.
    pub(crate) fn chunks_of_examples(examples: usize) -> usize {
        examples.div_ceil(CHUNK_OF_EXAMPLES).max(1)
    }

    /// Chunks that the columns are cut into.
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// The columns of a chunk.
    pub(crate) fn columns(&self, chunk: usize) -> Range<usize> {
        chunk * self.chunk..self.depth.min((chunk + 1) * self.chunk)
    }

    /// Entries of some chunks of a panel.
    #[inline(always)]
    pub(crate) fn entries(&self, panel: usize, chunks: Range<usize>) -> Entries<'_> {
        let at = panel * self.chunks;
        let (start, end) = (self.starts[at + chunks.start], self.starts[at + chunks.end]);
        let values = match self.form {
            Form::Bytes(_) => Values::Bytes(&self.values[start..end], &self.table),
            Form::Floats => Values::Floats(cast_slice(&self.values[PANEL * start..PANEL * end])),
        };
        Entries { len: end - start, list: &self.list[start..end + LIST_AHEAD], values }
    }

    /// Whether a panel has no entry.
    #[inline(always)]
    pub(crate) fn is_zero(&self, panel: usize) -> bool {
        self.starts[panel * self.chunks] == self.starts[(panel + 1) * self.chunks]
    }
}
