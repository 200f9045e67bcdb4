//! The batch as the first layer's products read it: panels of four features, zeros left out.
//!
//! A panel holds four neighbouring features of all examples of a batch, as words of four values, and
//! lists the examples in which any of the four is not zero:
//!
//! ```text
//!   example   0 1 2 3 4 5
//!   features  0 0 7 1 0 0      list   2 3
//!             0 0 0 2 0 0
//!             0 0 5 3 0 0
//!             0 0 0 0 0 0
//! ```
//!
//! Products run over the list instead of all examples. What is left out adds nothing,
//! `fma(0, w, sum) = sum`, and the listed keep their order: the result has the bits of the product
//! that skips nothing.
//!
//! Four features, because a tile of four rows and six vectors still keeps every multiply-add unit
//! busy, while of MNIST's pixels 19 % are not zero alone, 28 % in any of four neighbours in a row,
//! 26 % in any of a patch of two by two, 37 % in any of eight neighbours.
//!
//! A number in a list is a byte: examples are counted from the first of a run of 256. Values stay in
//! their columns and only the numbers are listed: to copy the rows first and write both, four values of a
//! byte to each number, took the lists half as long again on W2, a tenth on W1.

mod ahead;
mod fill;
mod one;
mod order;

pub use ahead::Ahead;
pub use one::One;
pub use order::FeatureOrder;

use std::ops::Range;

use bytemuck::cast_slice;

use crate::Isa;
use crate::aligned::{Aligned, Arena};

/// Features of a panel.
pub const PANEL: usize = 4;

/// Examples of a chunk. The first layer's products read or write a row of some columns for each
/// example of a chunk, again and again: so many rows must stay near. A whole number of groups.
pub const CHUNK: usize = 128;

/// Chunks of a run, from whose first example on the numbers in the lists are counted.
pub(crate) const RUN: usize = 2;
const _: () = assert!(RUN * CHUNK <= 1 << u8::BITS);

/// Examples that are read together: their bits fill a word of sixteen.
const GROUP: usize = 16;

/// Numbers that vector code may write past the last one.
const SLACK: usize = 64;

/// What examples are made of.
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

/// Examples where they lie, one after the other.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// Features of a byte.
    Bytes(&'a [u8]),
    /// Features of a float.
    Floats(&'a [f32]),
}

impl Data<'_> {
    /// Features of all examples together.
    fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Floats(floats) => floats.len(),
        }
    }
}

/// Panels of four features of a batch.
///
/// Values are kept as they are in the data, and bytes are looked up by the product: to write four
/// floats an entry took longer than the lookups do.
#[derive(Clone, Debug)]
pub struct Panels {
    form: Form,
    order: FeatureOrder,
    examples: usize,
    /// Examples of a chunk: products run over a chunk or two of all panels before the next.
    chunk: usize,
    chunks: usize,
    /// What is listed of chunk c of panel p starts at `[p * chunks + c]` and ends where the next
    /// starts.
    starts: Vec<usize>,
    list: Aligned<u8>,
    /// `[panels, examples rounded up to whole groups]` of each run, one run after the other: words of
    /// four bytes, or four words of a float. (All of a panel's side by side lay 32 KiB apart in a batch
    /// of 8,192, in the same few sets of the caches: an epoch took 1.12 times as long.)
    values: Aligned<u32>,
    /// Likewise `[panels, groups]`: which examples of a group have a value in a panel.
    bits: Aligned<u16>,
    /// The floats that bytes stand for.
    table: Aligned,
}

/// What is listed of some chunks of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'a> {
    /// Numbers of examples, from the first of the run on.
    pub list: &'a [u8],
    pub values: Values<'a>,
}

/// The values of a panel, four an example, from the first of the run on; or those of [`One`] example.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a> {
    /// Words of a panel's four bytes or of one byte, and the [`TABLE`] of what bytes stand for.
    Bytes(&'a [u32], &'a [f32]),
    Floats(&'a [f32]),
}

impl Panels {
    /// Room for up to `examples` examples whose features are read in an order.
    pub fn with_capacity(
        arena: &mut Arena,
        form: Form,
        order: FeatureOrder,
        examples: usize,
    ) -> Self {
        let panels = order.features().div_ceil(PANEL);
        let padded = examples.next_multiple_of(GROUP);
        Self {
            form,
            order,
            examples: 0,
            chunk: 0,
            chunks: 1,
            starts: Vec::with_capacity(panels * Self::chunks_of(examples) + 1),
            list: arena.zeros(panels * examples + SLACK),
            values: arena.zeros(form.words() * panels * padded),
            // Four words of bits are read at a time.
            bits: arena.zeros(panels * (padded / GROUP) + 4),
            table: form.table(arena),
        }
    }

    /// Reads a batch: `rows` of `data`, the numbers of its examples.
    ///
    /// # Panics
    /// If the data are of another form, or do not have an example; if there is no room for so many.
    pub fn fill(&mut self, isa: Isa, data: Data<'_>, rows: &[u32]) {
        let features = self.order.features();
        let examples = rows.len();
        let bytes = matches!(data, Data::Bytes(_));
        assert_eq!(bytes, self.form != Form::Floats, "bytes or floats");
        let there = data.len() / features.max(1);
        let all = features == 0 || rows.iter().all(|row| (*row as usize) < there);
        assert!(all, "examples of {features} features below {there}");
        let (panels, padded) = (self.count(), examples.next_multiple_of(GROUP));
        let room = self.form.words() * panels * padded <= self.values.len()
            && panels * (padded / GROUP) + 4 <= self.bits.len()
            && panels * examples + SLACK <= self.list.len();
        assert!(room, "no room for {examples} examples of {features} features");
        self.examples = examples;
        self.chunks = Self::chunks_of(examples);
        self.chunk = examples.div_ceil(self.chunks).next_multiple_of(GROUP);
        isa.run(fill::Fill { panels: self, data, rows });
    }

    /// Features of an example.
    pub fn features(&self) -> usize {
        self.order.features()
    }

    /// Examples of the batch.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Panels.
    pub fn count(&self) -> usize {
        self.features().div_ceil(PANEL)
    }

    /// Examples listed, of all panels' together: what a product costs against one that skips nothing.
    pub fn density(&self) -> f64 {
        let all = self.count() * self.examples;
        *self.starts.last().unwrap_or(&0) as f64 / all.max(1) as f64
    }

    /// Chunks that so many examples are cut into.
    pub(crate) fn chunks_of(examples: usize) -> usize {
        examples.div_ceil(CHUNK).max(1)
    }

    /// Chunks that the examples are cut into.
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// The examples of a chunk.
    pub(crate) fn chunk(&self, chunk: usize) -> Range<usize> {
        (chunk * self.chunk).min(self.examples)..((chunk + 1) * self.chunk).min(self.examples)
    }

    /// The first example of the run that a chunk belongs to.
    pub(crate) fn run_start(&self, chunk: usize) -> usize {
        self.run(chunk).start
    }

    /// The examples of the run that a chunk belongs to, and those missing to whole groups.
    fn run(&self, chunk: usize) -> Range<usize> {
        let (start, padded) =
            (chunk / RUN * RUN * self.chunk, self.examples.next_multiple_of(GROUP));
        start.min(padded)..(start + RUN * self.chunk).min(padded)
    }

    /// Where the values of a panel in a run lie, counted in examples.
    fn place(&self, run: &Range<usize>, panel: usize) -> usize {
        self.count() * run.start + panel * run.len()
    }

    /// What is listed of some chunks of a run.
    #[inline(always)]
    pub(crate) fn entries(&self, panel: usize, chunks: Range<usize>) -> Entries<'_> {
        let at = panel * self.chunks;
        let list = &self.list[self.starts[at + chunks.start]..self.starts[at + chunks.end]];
        let (run, words) = (self.run(chunks.start), self.form.words());
        let values = &self.values[words * self.place(&run, panel)..][..words * run.len()];
        let values = match self.form {
            Form::Bytes(_) => Values::Bytes(values, &self.table),
            Form::Floats => Values::Floats(cast_slice(values)),
        };
        Entries { list, values }
    }

    /// Whether a panel has no value.
    #[inline(always)]
    pub(crate) fn is_zero(&self, panel: usize) -> bool {
        self.starts[panel * self.chunks] == self.starts[(panel + 1) * self.chunks]
    }
}
