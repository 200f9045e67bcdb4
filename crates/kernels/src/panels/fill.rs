//! Reading a batch: the values of each panel side by side, and the lists of who has any.

use super::{Data, GROUP, PANEL, Panels};
use crate::simd::{Kernel, Simd};

pub(super) struct Fill<'a> {
    pub(super) panels: &'a mut Panels,
    pub(super) data: Data<'a>,
    pub(super) rows: &'a [u32],
}

/// Sixteen words of sixteen examples on their way to sixteen panels.
#[repr(align(64))]
struct Square([[u32; GROUP]; GROUP]);

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { panels, data, rows } = self;
        match data {
            Data::Bytes(bytes) => {
                for (group, rows) in rows.chunks(GROUP).enumerate() {
                    read_bytes(s, panels, group, bytes, rows);
                }
            }
            Data::Floats(floats) => read_floats(panels, floats, rows),
        }
        list(s, panels);
    }
}

/// Reads a group of examples: words of four features, sixteen at a time, are turned into columns.
#[inline(always)]
fn read_bytes<S: Simd>(s: S, panels: &mut Panels, group: usize, bytes: &[u8], rows: &[u32]) {
    let features = panels.features();
    let mut square = Square([[0; GROUP]; GROUP]);
    if let Some(width) = panels.order.patches() {
        let mut panel = 0;
        for top in (0..features).step_by(2 * width) {
            for across in (0..width).step_by(2 * GROUP) {
                let here = GROUP.min((width - across) / 2);
                for (words, row) in square.0.iter_mut().zip(rows) {
                    // SAFETY: the example is there, as `fill` has checked, and these are two rows of
                    // the image in it; there are sixteen words.
                    unsafe {
                        let upper = bytes.as_ptr().add(*row as usize * features + top + across);
                        s.patches(upper, upper.add(width), here, words.as_mut_ptr());
                    }
                }
                turn(s, panels, group, panel, here, rows.len(), &square);
                panel += here;
            }
        }
        return;
    }
    for panel in (0..panels.count()).step_by(GROUP) {
        let here = GROUP.min(panels.count() - panel);
        let len = (PANEL * GROUP).min(features - PANEL * panel);
        for (words, row) in square.0.iter_mut().zip(rows) {
            let from = &bytes[*row as usize * features + PANEL * panel..][..len];
            let words: &mut [u8] = bytemuck::cast_slice_mut(words);
            words[len..].fill(0);
            words[..len].copy_from_slice(from);
        }
        turn(s, panels, group, panel, here, rows.len(), &square);
    }
}

/// Writes the square's first columns to as many panels from `panel` on, with the bits of `rows`
/// examples.
#[inline(always)]
fn turn<S: Simd>(
    s: S,
    panels: &mut Panels,
    group: usize,
    panel: usize,
    columns: usize,
    rows: usize,
    square: &Square,
) {
    let run = panels.run(group * GROUP / panels.chunk);
    let (groups, group) = (run.len() / GROUP, group - run.start / GROUP);
    let first = panels.place(&run, panel) / GROUP + group;
    let last = first + (columns - 1) * groups;
    let values = &mut panels.values[GROUP * first..GROUP * (last + 1)];
    let bits = &mut panels.bits[first..=last];
    let (values, bits) = (values.as_mut_ptr(), bits.as_mut_ptr());
    // SAFETY: sixteen words and a word of bits for each column, at strides of a panel's in this run, of
    // which the slices end with the last column's.
    unsafe { s.columns(&square.0, rows, columns, values, GROUP * groups, bits, groups) };
}

/// Floats take the plain way: tables are narrow.
fn read_floats(panels: &mut Panels, floats: &[f32], rows: &[u32]) {
    let (features, count) = (panels.features(), panels.count());
    panels.bits[..count * panels.examples.div_ceil(GROUP)].fill(0);
    for (example, row) in rows.iter().enumerate() {
        let run = panels.run(example / panels.chunk);
        let row = &floats[*row as usize * features..][..features];
        for (panel, four) in row.chunks(PANEL).enumerate() {
            let at = panels.place(&run, panel) + example - run.start;
            let values = &mut panels.values[PANEL * at..PANEL * (at + 1)];
            values.fill(0);
            for (value, x) in values.iter_mut().zip(four) {
                *value = x.to_bits();
            }
            let any = four.iter().any(|x| *x != 0.0);
            panels.bits[at / GROUP] |= u16::from(any) << (at % GROUP);
        }
    }
}

/// The lists, from the bits.
#[inline(always)]
fn list<S: Simd>(s: S, panels: &mut Panels) {
    let mut total = 0;
    panels.starts.clear();
    panels.starts.push(0);
    for panel in 0..panels.count() {
        for chunk in 0..panels.chunks {
            let (examples, run) = (panels.chunk(chunk), panels.run(chunk));
            let first = examples.start.saturating_sub(run.start);
            let bits = (panels.place(&run, panel) + first) / GROUP;
            let bits = panels.bits[bits..].as_ptr();
            let list = panels.list[total..].as_mut_ptr();
            // SAFETY: the bits of all groups, and four words more; `fill` has made sure of room for
            // all numbers and the slack.
            total += unsafe { s.list_bits(bits, examples.len(), first as u8, list) };
            panels.starts.push(total);
        }
    }
}
