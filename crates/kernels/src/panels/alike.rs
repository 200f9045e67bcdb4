//! Rows that have their zeros in the same places, brought together.

use super::PANEL;
use crate::Isa;
use crate::simd::{Kernel, Simd};

/// Rows among which the next of a panel is looked for.
const WINDOW: usize = 32;

/// Puts rows of bytes in an order in which neighbours have their zeros in the same places: panels of
/// four such rows keep less.
///
/// A row is known by 128 marks, each of which says whether eight bytes have a value (of rows longer
/// than 1,024 bytes a mark stands for several eights). The rows go by their number of marks, most
/// first; to the first that is left come, one after the other, the three among the next
/// thirty-two that add the fewest marks to the panel and would waste the fewest of their own
/// elsewhere. Of MNIST's pixels 31 % are kept in batches of 128, of rows as they come 38 %.
#[derive(Clone, Debug, Default)]
pub struct Alike {
    marks: Vec<[u64; 2]>,
    by_count: Vec<u32>,
    order: Vec<u32>,
}

impl Alike {
    /// Room for `rows` rows.
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            marks: Vec::with_capacity(rows),
            by_count: Vec::with_capacity(rows),
            order: Vec::with_capacity(rows),
        }
    }

    /// The order of rows of bytes, as numbers among them.
    pub fn order_of<'a>(&mut self, isa: Isa, rows: impl Iterator<Item = &'a [u8]>) -> &[u32] {
        isa.run(Order { alike: self, rows });
        &self.order
    }
}

struct Order<'a, I> {
    alike: &'a mut Alike,
    rows: I,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Kernel for Order<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Alike { marks, by_count, order } = self.alike;
        marks.clear();
        for row in self.rows {
            marks.push(marks_of(s, row));
        }
        sort_by_count(marks, by_count);
        group(marks, by_count, order);
    }
}

/// Bit i of byte j: whether eight bytes have a value, `8 (8 j + i)` from the start or a multiple of
/// 1,024 further. Bytes behind the last eight have no mark.
#[inline(always)]
fn marks_of<S: Simd>(s: S, row: &[u8]) -> [u64; 2] {
    // In two words from the start: bytes put together in memory wait for each other there.
    let mut marks = [0; 2];
    let mut mark = |block: usize, eights: u8| {
        marks[block / 8 % 2] |= u64::from(eights) << (8 * (block % 8));
    };
    for (block, bytes) in row.chunks(64).enumerate() {
        // SAFETY: as many whole eights as there are.
        mark(block, unsafe { s.eights(bytes.as_ptr(), bytes.len() / 8) });
    }
    marks
}

#[inline(always)]
fn count(marks: [u64; 2]) -> usize {
    (marks[0].count_ones() + marks[1].count_ones()) as usize
}

/// Row numbers by their number of marks, most first; equals in their order.
#[inline(always)]
fn sort_by_count(marks: &[[u64; 2]], sorted: &mut Vec<u32>) {
    const COUNTS: usize = 129;
    // One further than its count: after the sums, where the next row of a count goes.
    let mut starts = [0_u32; COUNTS + 1];
    for marks in marks {
        starts[COUNTS - count(*marks)] += 1;
    }
    for i in 1..COUNTS {
        starts[i] += starts[i - 1];
    }
    sorted.clear();
    sorted.resize(marks.len(), 0);
    for (row, marks) in (0..).zip(marks) {
        let place = &mut starts[COUNTS - 1 - count(*marks)];
        sorted[*place as usize] = row;
        *place += 1;
    }
}

/// Panels of rows that are alike.
#[inline(always)]
fn group(marks: &[[u64; 2]], sorted: &[u32], order: &mut Vec<u32>) {
    // The rows to choose from: their marks, twice the cost of nothing, and their places in `sorted`.
    let (mut low, mut high) = ([0; WINDOW], [0; WINDOW]);
    let (mut own, mut places) = ([NONE; WINDOW], [NONE; WINDOW]);
    let mut next = 0;
    for slot in 0..WINDOW.min(sorted.len()) {
        [low[slot], high[slot]] = marks[sorted[slot] as usize];
        (own[slot], places[slot]) = (own_of([low[slot], high[slot]]), slot as u64);
        next += 1;
    }
    order.clear();
    let mut panel = [0; 2];
    for at in 0..sorted.len() {
        let mut least = u64::MAX;
        if at % PANEL == 0 {
            panel = [0; 2];
            for (slot, place) in (0..).zip(&places) {
                least = least.min(place << 8 | slot);
            }
        } else {
            for slot in 0..WINDOW {
                let all =
                    (panel[0] | low[slot]).count_ones() + (panel[1] | high[slot]).count_ones();
                least = least.min((2 * u64::from(all) + own[slot]) << 8 | slot as u64);
            }
        }
        let slot = (least & 0xff) as usize;
        panel = [panel[0] | low[slot], panel[1] | high[slot]];
        order.push(sorted[places[slot] as usize]);
        (own[slot], places[slot]) = (NONE, NONE);
        if next < sorted.len() {
            [low[slot], high[slot]] = marks[sorted[next] as usize];
            (own[slot], places[slot]) = (own_of([low[slot], high[slot]]), next as u64);
            next += 1;
        }
    }
}

/// More than any cost or place.
const NONE: u64 = 1 << 40;

/// What a row's own marks take off its cost, from 128 on down.
#[inline(always)]
fn own_of(marks: [u64; 2]) -> u64 {
    128 - count(marks) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arena;
    use crate::panels::{Batch, Form, Panels, Values};

    fn noise(len: usize, mut seed: u32) -> Vec<u8> {
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 24
        };
        (0..len).map(|_| if next() < 200 { 0 } else { next() as u8 }).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "rows of hundreds of bytes")]
    fn every_row_has_one_place_and_all_instruction_sets_agree() {
        for (rows, width) in [(0, 8), (1, 16), (5, 7), (3, 784), (31, 75), (33, 1032), (200, 784)] {
            let data = noise(rows * width, 7);
            let mut first = None;
            for isa in Isa::available() {
                let order = Alike::default().order_of(isa, data.chunks_exact(width)).to_vec();
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert!(
                    sorted.iter().copied().eq(0..rows as u32),
                    "{isa} {rows}x{width}: {order:?}"
                );
                let first = first.get_or_insert_with(|| order.clone());
                assert_eq!(order, *first, "{isa} {rows}x{width}");
            }
        }
    }

    /// Rows listed where they lie, in an order, are the batch that holds them in that order.
    #[test]
    #[cfg_attr(miri, ignore = "rows of hundreds of bytes")]
    fn rows_where_they_lie_make_the_same_panels() {
        for (rows, width) in [(1, 16), (6, 48), (70, 784)] {
            let data = noise(rows * width, 9);
            for isa in Isa::available() {
                let (mut arena, form) = (Arena::default(), Form::Bytes(0.5));
                let mut alike = Alike::default();
                let order = alike.order_of(isa, data.chunks_exact(width));
                let mut batch = Batch::with_capacity(&mut arena, form, rows, width);
                for row in order {
                    batch.push_bytes(&data[*row as usize * width..][..width]);
                }
                let mut copied = Panels::with_capacity(&mut arena, form, rows, width);
                copied.fill_examples(isa, &batch);
                let mut listed = Panels::with_capacity(&mut arena, form, rows, width);
                listed.begin_examples(width);
                listed.add_rows(isa, &data, order);
                assert_eq!(copied.starts, listed.starts, "{isa} {rows}x{width}");
                for panel in 0..rows.div_ceil(PANEL) {
                    let here = PANEL.min(rows - panel * PANEL);
                    let (copied, listed) =
                        (copied.entries(panel, 0..1), listed.entries(panel, 0..1));
                    let lists = [copied, listed].map(|entries| &entries.list[..entries.len]);
                    assert_eq!(lists[0], lists[1], "{isa} {rows}x{width}: panel {panel}");
                    let (Values::Bytes(copied, _), Values::Bytes(listed, _)) =
                        (copied.values, listed.values)
                    else {
                        unreachable!("panels of bytes")
                    };
                    // Rows that the last panel lacks are zeros in a batch, and here the last again.
                    let there = u32::MAX >> (8 * (PANEL - here));
                    for (copied, listed) in copied.iter().zip(listed) {
                        assert_eq!(*copied, listed & there, "{isa} {rows}x{width}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_a_kind_share_panels() {
        // Sixteen rows of four kinds, in turns, each with its values elsewhere: within one word of
        // marks, and in both.
        for width in [64, 1024] {
            let mut data = vec![0; 16 * width];
            for (i, row) in data.chunks_exact_mut(width).enumerate() {
                row[width / 4 * (i % 4) + i % 3] = 5;
            }
            for isa in Isa::available() {
                let mut alike = Alike::with_capacity(16);
                let order = alike.order_of(isa, data.chunks_exact(width));
                for panel in order.chunks_exact(PANEL) {
                    let alike = panel.iter().all(|row| row % 4 == panel[0] % 4);
                    assert!(alike, "{isa} {width}: {panel:?}");
                }
            }
        }
    }
}
