//! Making the lists: which columns of a panel are not zero, and what they hold.

use super::{Batch, Form, GROUP, PANEL, Panels};
use crate::simd::{Kernel, Simd};

/// What panels are made of.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The rows of a batch.
    Examples(&'a Batch),
    /// Its columns.
    Features(&'a Batch),
    /// Rows of bytes where they lie.
    Rows { data: &'a [u8], rows: &'a [u32] },
}

pub(super) struct Fill<'a> {
    pub(super) panels: &'a mut Panels,
    pub(super) source: Source<'a>,
    /// The panel of the source's first rows.
    pub(super) first: usize,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Fill { panels, source, first } = self;
        match source {
            Source::Examples(batch) if batch.form == Form::Floats => {
                fill_floats(panels, batch, first, false);
            }
            Source::Features(batch) if batch.form == Form::Floats => {
                fill_floats(panels, batch, first, true);
            }
            Source::Features(batch) => fill_features(s, panels, batch),
            Source::Examples(batch) => {
                fill_rows(s, panels, first, |row| batch.row(row).as_ptr().cast());
            }
            // Past the last row that row again, whose values add no entry.
            Source::Rows { data, rows } => {
                let width = panels.depth;
                fill_rows(s, panels, first, |row| {
                    let row = rows[row.min(rows.len() - 1)] as usize;
                    data.as_ptr().wrapping_add(row * width)
                });
            }
        }
    }
}

/// Adds panels of rows of bytes, each of which is valid for the features rounded up to sixteen.
#[inline(always)]
fn fill_rows<S: Simd>(s: S, panels: &mut Panels, first: usize, row: impl Fn(usize) -> *const u8) {
    let mut total = panels.starts[first];
    for panel in 0..panels.count() - first {
        let rows = std::array::from_fn(|r| row(panel * PANEL + r));
        // SAFETY: a batch has rows of `stride` words, a multiple of sixteen; rows where they lie are
        // within the data, of a multiple of sixteen bytes, as `add_rows` has checked. `list` and
        // `values` have room for all entries of all panels: `grow` has checked.
        unsafe {
            let list = panels.list.as_mut_ptr().add(total);
            let values = panels.values.as_mut_ptr().add(total);
            total += s.list_rows(rows, panels.depth, list, values);
        }
        panels.starts.push(total);
    }
}

/// Panels of features of bytes: a group of them is transposed, then listed while it is near.
#[inline(always)]
fn fill_features<S: Simd>(s: S, panels: &mut Panels, batch: &Batch) {
    let (group, row_words) = (panels.group.as_mut_ptr(), panels.depth.next_multiple_of(16));
    let mut total = 0;
    for first in (0..panels.count()).step_by(GROUP) {
        let here = GROUP.min(panels.count() - first);
        // SAFETY: the batch has its rows rounded up to sixteen, of `stride` words each, a multiple of
        // sixteen; `group` has a group's rows, `list` and `values` have room for all entries: `grow`
        // has checked.
        unsafe {
            let from = batch.words.as_ptr().add(first);
            s.transpose(from, batch.stride, batch.rows, here, group, row_words);
            for panel in 0..here {
                for chunk in 0..panels.chunks {
                    let words = group.add(panel * row_words);
                    let list = panels.list.as_mut_ptr().add(total);
                    let values = panels.values.as_mut_ptr().add(total);
                    total += s.list_words(words, panels.columns(chunk), list, values);
                    panels.starts.push(total);
                }
            }
        }
    }
}

/// Floats take the plain way: tables are narrow.
fn fill_floats(panels: &mut Panels, batch: &Batch, before: usize, transposed: bool) {
    let floats = batch.floats();
    let rows = panels.rows - PANEL * before;
    for panel in 0..rows.div_ceil(PANEL) {
        let mut at = panels.starts[(before + panel) * panels.chunks];
        for chunk in 0..panels.chunks {
            for k in panels.columns(chunk) {
                let four = std::array::from_fn(|r| {
                    let row = panel * PANEL + r;
                    match (row < rows, transposed) {
                        (false, _) => 0.0,
                        (true, false) => floats[row * batch.stride + k],
                        (true, true) => floats[k * batch.stride + row],
                    }
                });
                if four != [0.0; PANEL] {
                    panels.list[at] = k as u32;
                    let values = &mut panels.values[PANEL * at..PANEL * (at + 1)];
                    values.copy_from_slice(&four.map(f32::to_bits));
                    at += 1;
                }
            }
            panels.starts.push(at);
        }
    }
}
