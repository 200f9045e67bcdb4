//! A tile's way through all k, and what it does for other tiles meanwhile.

use super::ahead::Copies;
use super::step::{Rows, load_at, step};
use super::tile::Tile;
use crate::simd::Simd;

/// Rows of B that a copying tile asks for ahead of its loads: no prefetcher of the processor
/// follows their stride.
const AHEAD: usize = 8;
/// Turns from the last line of C that a tile asks for to the next tile: what a line takes from the
/// third-level cache, some 400 cycles.
const LEAD: usize = 10;
/// Floats of a line of the cache.
pub(super) const LINE: usize = 16;

/// A tile on its way through all k, for an A whose rows or columns lie contiguous (both strides in
/// an address would spill sums).
pub(super) struct Walk<
    'a,
    S: Simd,
    const MR: usize,
    const NV: usize,
    const MASKED: bool,
    const EACH: usize,
> {
    s: S,
    acc: &'a mut [[S::F; NV]; MR],
    a: Rows<MR, EACH>,
    a_k: usize,
    /// Pointers wrap: after the last k they may point past the end by a whole stride.
    b: *const f32,
    b_row: usize,
    mask: S::M,
}

impl<'a, S: Simd, const MR: usize, const NV: usize, const MASKED: bool, const EACH: usize>
    Walk<'a, S, MR, NV, MASKED, EACH>
{
    /// Summands of a turn of the loop. After each the pointers move on, and for one vector every row of A
    /// may have one.
    const STEPS: usize = if NV == 1 { 8 } else { 4 };

    /// `a_k` is the tile's: the compiler knows it if it is 1.
    #[inline(always)]
    pub(super) fn along(
        s: S,
        acc: &'a mut [[S::F; NV]; MR],
        t: &Tile,
        a_k: usize,
        mask: S::M,
    ) -> Self {
        Self { s, acc, a: Rows::new(t.a, t.a_row), a_k, b: t.b, b_row: t.b_row, mask }
    }

    /// # Safety
    /// As [`Tile`] says, for as many k.
    #[inline(always)]
    pub(super) unsafe fn all(mut self, mut left: usize) {
        // SAFETY: the caller's.
        unsafe {
            // Not at the right edge, which is narrow and would be compiled as often again.
            while (NV == 1 || !MASKED) && left >= Self::STEPS {
                self.turn();
                left -= Self::STEPS;
            }
            for _ in 0..left {
                step::<S, MR, NV, MASKED>(self.s, self.acc, &self.a, 0, self.b, self.mask);
                self.a.advance(self.a_k);
                self.b = self.b.wrapping_add(self.b_row);
            }
        }
    }

    /// [`STEPS`](Self::STEPS) summands.
    ///
    /// # Safety
    /// There are so many.
    #[inline(always)]
    unsafe fn turn(&mut self) {
        for k in 0..Self::STEPS {
            // SAFETY: the caller's.
            unsafe {
                let b = self.b.add(k * self.b_row);
                step::<S, MR, NV, MASKED>(self.s, self.acc, &self.a, k * self.a_k, b, self.mask);
            }
        }
        self.a.advance(Self::STEPS * self.a_k);
        self.b = self.b.wrapping_add(Self::STEPS * self.b_row);
    }

    /// All k, and what is to be done for later tiles: one line of the cache in a turn, for the
    /// processor has room for few that are under way, and the tile's own pass through it. Asks for
    /// lines as far as there are turns: those from afar to the second-level cache, at even distances, and at
    /// the end those of C, which are needed at once.
    ///
    /// # Safety
    /// As [`Tile`] says, for `k` summands; what is to be copied may be.
    #[inline(always)]
    pub(super) unsafe fn all_ahead(mut self, k: usize, mut copies: Copies, far: Lines, c: Lines) {
        let (s, mut turns) = (self.s, k / Self::STEPS);
        // Rows of a wider strip would be copied before: no tile that works ahead has one beside it today.
        let rows = if copies.vectors <= NV { copies.rows.min(turns / NV) } else { 0 };
        turns -= rows * copies.vectors;
        let c_columns = c.columns.min(turns / MR);
        let before_c = (turns - c_columns * MR).saturating_sub(LEAD);
        let far_columns = far.columns.min(before_c / MR);
        let pause = before_c.checked_div(far_columns).map_or(0, |each| each - MR);
        // SAFETY: the caller's.
        unsafe {
            copies.now(s, copies.rows - rows, copies.vectors * S::LANES);
            for _ in 0..rows {
                for v in 0..copies.vectors {
                    copies.vector(s, v);
                    self.turn();
                }
                copies.end_row();
            }
            for column in 0..far_columns {
                let mut p = far.from.wrapping_add(column * LINE);
                for _ in 0..MR {
                    s.prefetch_far(p.cast());
                    p = p.wrapping_add(far.row);
                    self.turn();
                }
                for _ in 0..pause {
                    self.turn();
                }
            }
            for _ in far_columns * (MR + pause)..before_c {
                self.turn();
            }
            for column in 0..c_columns {
                let mut p = c.from.wrapping_add(column * LINE);
                for _ in 0..MR {
                    s.prefetch(p);
                    p = p.wrapping_add(c.row);
                    self.turn();
                }
            }
            turns -= before_c + c_columns * MR;
            self.all(turns * Self::STEPS + k % Self::STEPS);
        }
    }
}

/// Lines that a tile asks for: some columns of them in each of its rows.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    pub from: *const f32,
    /// Floats from row to row.
    pub row: usize,
    pub columns: usize,
}

/// All k, with the rows of B copied to `panel`.
///
/// # Safety
/// As [`Tile`] says; `panel` is valid for `k` rows of whole vectors.
#[inline(always)]
pub(super) unsafe fn copying<S: Simd, const MR: usize, const NV: usize, const MASKED: bool>(
    s: S,
    acc: &mut [[S::F; NV]; MR],
    t: &Tile,
    mask: S::M,
    mut panel: *mut f32,
) {
    let (mut a, mut b) = (Rows::<MR, 3>::new(t.a, t.a_row), t.b);
    // SAFETY: the caller's.
    unsafe {
        for _ in 0..t.k {
            for v in 0..NV {
                s.prefetch(b.wrapping_add(AHEAD * t.b_row + v * S::LANES));
                let row = load_at::<S, NV, MASKED>(s, b.add(v * S::LANES), v, mask);
                s.store(panel.add(v * S::LANES), row);
            }
            // From the panel, to keep the vectors in registers: B may be the panel, for all that
            // the compiler knows, and is loaded again. Many vectors need that.
            if NV > MR {
                step::<S, MR, NV, MASKED>(s, acc, &a, 0, b, mask);
            } else {
                step::<S, MR, NV, false>(s, acc, &a, 0, panel, mask);
            }
            a.advance(t.a_k);
            b = b.wrapping_add(t.b_row);
            panel = panel.add(NV * S::LANES);
        }
    }
}
