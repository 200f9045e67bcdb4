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

mod ahead;
mod alike;
mod batch;
mod order;

pub use ahead::Ahead;
pub use alike::Alike;
pub use batch::Batch;
pub use order::FeatureOrder;

use std::ops::Range;

use crate::Isa;
use crate::aligned::{Aligned, Arena};
use crate::simd::{Kernel, Simd};

/// Rows of a panel.
pub const PANEL: usize = 4;

/// Examples of a chunk of the weight gradient: as many rows of six vectors of the next layer's
/// gradient are read once for each panel and must stay near. Not less, since with each chunk the
/// sums go to memory and back. A whole number of vectors, so that chunks start where those of the
/// lists do.
///
/// The forward product has no chunks: with 48 to 208 features each, what the weights gained by
/// staying in the first-level cache was lost by starting more tiles (some hundred cycles a tile).
const CHUNK_OF_EXAMPLES: usize = 256;

/// Panels that are listed together: what lies between the steps of that stays in the first-level
/// cache.
const GROUP: usize = 16;

/// Slack of entries that vector code may write past the last one.
const SLACK: usize = 16;

/// Panels of four rows of a batch or of its transpose.
#[derive(Clone, Debug)]
pub struct Panels {
    /// Rows of the matrix (examples, or features), without the padding of the last panel.
    rows: usize,
    /// Columns of the matrix: the summation dimension.
    depth: usize,
    /// Columns of a chunk: the product runs over a chunk of all panels before the next.
    chunk: usize,
    chunks: usize,
    /// Entries of chunk c of panel p start at `[p * chunks + c]` and end where the next start.
    starts: Vec<usize>,
    /// Columns, counted from the chunk's first.
    list: Aligned<u32>,
    values: Aligned,
    /// Of a group of panels: their words of four bytes, by rows.
    words: Aligned<u32>,
    /// Those of them that are not zero.
    kept: Aligned<u32>,
}

impl Panels {
    /// Room for a matrix `[rows, depth]`.
    pub fn with_capacity(arena: &mut Arena, rows: usize, depth: usize) -> Self {
        let panels = rows.div_ceil(PANEL);
        let entries = panels * depth + SLACK;
        Self {
            rows: 0,
            depth: 0,
            chunk: 0,
            chunks: 1,
            starts: Vec::with_capacity(panels * Self::chunks_of_examples(depth) + 1),
            list: arena.zeros(entries),
            values: arena.zeros(PANEL * entries),
            words: arena.zeros(GROUP * depth.next_multiple_of(16)),
            kept: arena.zeros(GROUP * depth + SLACK),
        }
    }

    /// Panels of four examples: the forward product's left operand `[examples, features]`.
    pub fn fill_examples(&mut self, isa: Isa, batch: &Batch) {
        self.begin_examples(batch.width);
        self.add_examples(isa, batch, 0..batch.rows);
    }

    /// No examples yet, of `width` features: [`add_examples`](Self::add_examples) adds some, any
    /// number of times, so that they are near when they are listed.
    pub fn begin_examples(&mut self, width: usize) {
        self.begin(0, width, usize::MAX);
    }

    /// Adds panels of four examples: those in `rows` of a batch.
    ///
    /// # Panics
    /// If there is no room for them, the batch has no such rows or another width, or those before
    /// did not fill their last panel.
    pub fn add_examples(&mut self, isa: Isa, batch: &Batch, rows: Range<usize>) {
        let first = self.count();
        assert_eq!(self.rows, PANEL * first, "whole panels");
        assert_eq!(self.depth, batch.width, "features");
        assert!(rows.end <= batch.rows, "rows {rows:?} of {}", batch.rows);
        self.grow(self.rows + rows.len());
        isa.run(Fill { panels: self, source: Source::Examples(batch, &rows), first });
    }

    /// Adds panels of four of `data`'s rows, in the order of `rows`, as they lie: bytes that stand
    /// for themselves times `scale`. With rows of a multiple of sixteen bytes nothing is copied before
    /// it is listed.
    ///
    /// # Panics
    /// If the rows are of another length than the features, or that is no multiple of sixteen; if a
    /// row is not there, there is no room for them, or those before did not fill their last panel.
    pub fn add_rows(&mut self, isa: Isa, data: &[u8], scale: f32, rows: &[u32]) {
        let (first, width) = (self.count(), self.depth);
        assert_eq!(self.rows, PANEL * first, "whole panels");
        assert!(width > 0 && width.is_multiple_of(16), "rows of {width} bytes");
        let there = data.len() / width;
        assert!(rows.iter().all(|row| (*row as usize) < there), "rows below {there}");
        self.grow(self.rows + rows.len());
        isa.run(Fill { panels: self, source: Source::Rows { data, scale, rows }, first });
    }

    /// Panels of four neighbouring features: the weight gradient's left operand
    /// `[features, examples]`.
    pub fn fill_features(&mut self, isa: Isa, batch: &Batch) {
        self.begin(batch.width, batch.rows, CHUNK_OF_EXAMPLES);
        isa.run(Fill { panels: self, source: Source::Features(batch), first: 0 });
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
        // All three, since another shape of as many entries may need more words.
        let room = rows.div_ceil(PANEL) * depth + SLACK <= self.list.len()
            && GROUP * depth.next_multiple_of(16) <= self.words.len()
            && GROUP * depth + SLACK <= self.kept.len();
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

    /// Entries of a chunk of a panel: the first column of the chunk, the columns counted from it,
    /// and their values, four an entry.
    pub(crate) fn entries(&self, panel: usize, chunk: usize) -> (usize, &[u32], &[f32]) {
        let at = panel * self.chunks + chunk;
        let entries = self.starts[at]..self.starts[at + 1];
        let values = &self.values[PANEL * entries.start..PANEL * entries.end];
        (chunk * self.chunk, &self.list[entries], values)
    }

    /// Whether a panel has no entry.
    pub(crate) fn is_zero(&self, panel: usize) -> bool {
        self.starts[panel * self.chunks] == self.starts[(panel + 1) * self.chunks]
    }
}

/// What panels are made of.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// These rows of a batch.
    Examples(&'a Batch, &'a Range<usize>),
    /// Its columns.
    Features(&'a Batch),
    /// Rows where they lie.
    Rows { data: &'a [u8], scale: f32, rows: &'a [u32] },
}

struct Fill<'a> {
    panels: &'a mut Panels,
    source: Source<'a>,
    /// The panel of the source's first rows.
    first: usize,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Fill { panels, source, first } = self;
        let scale = match source {
            Source::Examples(batch, rows) if !batch.bytes => {
                return fill_floats(panels, batch, rows, first, false);
            }
            Source::Features(batch) if !batch.bytes => {
                return fill_floats(panels, batch, &(0..batch.rows), first, true);
            }
            Source::Examples(batch, _) | Source::Features(batch) => batch.scale,
            Source::Rows { scale, .. } => scale,
        };
        let count = panels.count() - first;
        let (words, kept) = (panels.words.as_mut_ptr(), panels.kept.as_mut_ptr());
        for group in (0..count).step_by(GROUP) {
            let here = GROUP.min(count - group);
            let before = panels.starts.len() - 1;
            let mut total = 0;
            // SAFETY: the batch has its rows rounded up to sixteen, of `stride` words each, a
            // multiple of sixteen; rows where they lie are within `data`, of a multiple of sixteen
            // bytes, as `add_rows` has checked; `words` has a group's rows, `kept` and, beyond what is kept so
            // far, `list` and `values` have room for all their entries: `grow` has checked.
            unsafe {
                let row_words = panels.depth.next_multiple_of(16);
                match source {
                    Source::Features(batch) => {
                        let from = batch.words.as_ptr().add(group);
                        s.transpose(from, batch.stride, batch.rows, here, words, row_words);
                    }
                    Source::Examples(batch, rows) => {
                        for panel in 0..here {
                            let row = |r| {
                                let row = rows.start + (group + panel) * PANEL + r;
                                batch.row(if row < rows.end { row } else { usize::MAX })
                            };
                            let row = |r| row(r).as_ptr().cast::<u8>();
                            let rows = [row(0), row(1), row(2), row(3)];
                            s.interleave(rows, panels.depth, words.add(panel * row_words));
                        }
                    }
                    Source::Rows { data, rows, .. } => {
                        for panel in 0..here {
                            // Past the last row that row again, whose values add no entry.
                            let row = |r: usize| {
                                let row = ((group + panel) * PANEL + r).min(rows.len() - 1);
                                data.as_ptr().add(rows[row] as usize * panels.depth)
                            };
                            let rows = [row(0), row(1), row(2), row(3)];
                            s.interleave(rows, panels.depth, words.add(panel * row_words));
                        }
                    }
                }
                let start = panels.starts[before];
                for panel in 0..here {
                    for chunk in 0..panels.chunks {
                        let at = chunk * panels.chunk;
                        let len = panels.chunk.min(panels.depth - at);
                        let from = words.add(panel * row_words + at);
                        let list = panels.list.as_mut_ptr().add(start + total);
                        total += s.compress(from, len, list, kept.add(total));
                        panels.starts.push(start + total);
                    }
                }
                // In a second pass, whose vectors are full.
                let values = panels.values.as_mut_ptr().add(PANEL * start);
                s.expand(kept, total, scale, values);
            }
        }
    }
}

/// Floats take the plain way: tables are narrow.
fn fill_floats(
    panels: &mut Panels,
    batch: &Batch,
    from: &Range<usize>,
    before: usize,
    transposed: bool,
) {
    let floats = batch.floats();
    let rows = panels.rows - PANEL * before;
    for panel in 0..rows.div_ceil(PANEL) {
        let mut at = panels.starts[(before + panel) * panels.chunks];
        for chunk in 0..panels.chunks {
            let first = chunk * panels.chunk;
            for k in first..(first + panels.chunk).min(panels.depth) {
                let four = std::array::from_fn(|r| {
                    let row = panel * PANEL + r;
                    match (row < rows, transposed) {
                        (false, _) => 0.0,
                        (true, false) => floats[(from.start + row) * batch.stride + k],
                        (true, true) => floats[k * batch.stride + row],
                    }
                });
                if four != [0.0; PANEL] {
                    panels.list[at] = (k - first) as u32;
                    panels.values[PANEL * at..PANEL * (at + 1)].copy_from_slice(&four);
                    at += 1;
                }
            }
            panels.starts.push(at);
        }
    }
}
