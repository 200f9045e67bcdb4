//! Rows of a later batch, sent for while something else is computed.

use bytemuck::cast_slice;

use crate::simd::Simd;

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
    /// Row numbers.
    rows: &'a [u32],
    /// The next line: its row among `rows`, its byte within the row.
    at: (usize, usize),
    /// Lines fetched at a time.
    lines: usize,
}

impl<'a> Ahead<'a> {
    /// Fetches `rows` of `data`, whose rows are `width` long, within `times` calls of `fetch`.
    pub fn new<T: bytemuck::NoUninit>(
        data: &'a [T],
        width: usize,
        rows: &'a [u32],
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
                    let start = *number as usize * self.width;
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
            let start = self.rows[row] as usize * self.width + byte;
            s.prefetch_far(self.data.as_ptr().wrapping_add(start));
            left -= 1;
            (row, byte) = if row + 1 < end { (row + 1, byte) } else { (group, byte + 64) };
        }
        self.at = (row, byte);
    }
}
