//! One step of a tile: the addresses of the rows of A, and the multiply-adds.

use crate::simd::Simd;

/// The scalars of A that a tile multiplies with, from where it is now.
pub(crate) trait Left {
    /// The element of a row, `k` floats further on.
    ///
    /// # Safety
    /// There is such an element.
    unsafe fn at(&self, row: usize, k: usize) -> f32;
}

/// Words of four bytes, one of each row, that stand for floats, which are looked up in a table.
///
/// The lookups cost a tile of 24 multiply-adds a summand 3 % and one of 16 5 %; to have the floats in
/// memory, four times as much to write and to read, costs a training step more (docs/training.md).
#[derive(Clone, Copy)]
pub(crate) struct Words {
    word: *const u32,
    table: *const f32,
}

impl Words {
    /// `table` is valid for 256 floats.
    #[inline(always)]
    pub(crate) fn new(word: *const u32, table: *const f32) -> Self {
        Self { word, table }
    }
}

impl Left for Words {
    #[inline(always)]
    unsafe fn at(&self, row: usize, _: usize) -> f32 {
        // SAFETY: the caller's; the table has a float for each byte.
        unsafe {
            // One load and shifts took a few per cent less than four loads.
            let word = *self.word;
            *self.table.add((word >> (8 * row) & 0xff) as usize)
        }
    }
}

/// Pointers to rows of A that the integer registers have room for, beside one to B and a counter.
const MOST: usize = 12;

/// Where a tile reads A: every `EACH`th row has a pointer of its own, and the rows behind it are
/// at multiples of the stride.
///
/// Integer additions are done by the ports that multiply-adds need. From one pointer the compiler
/// makes a chain of them, one a row and k; three rows from each pointer need none, since an
/// address may contain a register once or twice. With one row from each an address has no index, and a
/// multiply-add may load its scalar itself: worth the additions where a turn has many k.
pub(crate) struct Rows<const MR: usize, const EACH: usize> {
    pointers: [*const f32; MOST],
    stride: usize,
}

impl<const MR: usize, const EACH: usize> Rows<MR, EACH> {
    const POINTERS: usize = MR.div_ceil(EACH);

    #[inline(always)]
    pub(crate) fn new(a: *const f32, stride: usize) -> Self {
        const { assert!(Self::POINTERS <= MOST) };
        let mut pointers = [a; MOST];
        for (i, p) in pointers.iter_mut().enumerate().take(Self::POINTERS) {
            *p = a.wrapping_add(i * EACH * stride);
        }
        Self { pointers, stride }
    }

    #[inline(always)]
    pub(crate) fn advance(&mut self, floats: usize) {
        for p in self.pointers.iter_mut().take(Self::POINTERS) {
            *p = opaque(p.wrapping_add(floats));
        }
    }
}

impl<const MR: usize, const EACH: usize> Left for Rows<MR, EACH> {
    #[inline(always)]
    unsafe fn at(&self, row: usize, k: usize) -> f32 {
        // SAFETY: the caller's.
        unsafe { *self.pointers[row / EACH].add(row % EACH * self.stride + k) }
    }
}

/// The pointer, of which the compiler no longer knows how it was computed: it would compute all
/// pointers of [`Rows`] from the first again.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "what it points to is not touched")]
#[inline(always)]
fn opaque(mut p: *const f32) -> *const f32 {
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) p, options(pure, nomem, nostack, preserves_flags));
    }
    p
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline(always)]
fn opaque(p: *const f32) -> *const f32 {
    p
}

/// One k, `k` floats behind where `a` points: MR x NV multiply-adds.
///
/// # Safety
/// As [`Tile`](super::tile::Tile) says, for this k.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "each step goes down a column of the sums")]
pub(crate) unsafe fn step<S: Simd, const MR: usize, const NV: usize, const MASKED: bool>(
    s: S,
    acc: &mut [[S::F; NV]; MR],
    a: &impl Left,
    k: usize,
    b: *const f32,
    mask: S::M,
) {
    // SAFETY: the caller's.
    unsafe {
        // The shorter side of the tile waits in registers, the longer one passes by: of a tile of
        // three rows and eight vectors, the sums and a row of B would need 33 registers.
        if NV > MR {
            let mut column = [s.splat(0.0); MR];
            for (r, column) in column.iter_mut().enumerate() {
                *column = s.splat(a.at(r, k));
            }
            for v in 0..NV {
                let row = load_at::<S, NV, MASKED>(s, b.add(v * S::LANES), v, mask);
                for r in 0..MR {
                    acc[r][v] = s.fma(column[r], row, acc[r][v]);
                }
            }
        } else {
            let mut row = [s.splat(0.0); NV];
            for (v, row) in row.iter_mut().enumerate() {
                *row = load_at::<S, NV, MASKED>(s, b.add(v * S::LANES), v, mask);
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = s.splat(a.at(r, k));
                for v in 0..NV {
                    acc[v] = s.fma(x, row[v], acc[v]);
                }
            }
        }
    }
}

/// # Safety
/// `p` is valid for the vector, or for the mask's lanes of the last one.
#[inline(always)]
pub(super) unsafe fn load_at<S: Simd, const NV: usize, const MASKED: bool>(
    s: S,
    p: *const f32,
    v: usize,
    mask: S::M,
) -> S::F {
    // SAFETY: the caller's.
    unsafe { if MASKED && v + 1 == NV { s.load_masked(p, mask) } else { s.load(p) } }
}

/// Loads a row of vectors.
///
/// # Safety
/// `p` is valid for `NV` vectors, of the last one for the mask's lanes.
#[inline(always)]
pub(crate) unsafe fn load_row<S: Simd, const NV: usize, const MASKED: bool>(
    s: S,
    p: *const f32,
    mask: S::M,
) -> [S::F; NV] {
    let mut row = [s.splat(0.0); NV];
    for (v, x) in row.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *x = unsafe { load_at::<S, NV, MASKED>(s, p.add(v * S::LANES), v, mask) };
    }
    row
}

/// Stores a row of whole vectors.
///
/// # Safety
/// `p` is valid for `NV` vectors.
#[inline(always)]
pub(crate) unsafe fn store_row<S: Simd, const NV: usize>(s: S, p: *mut f32, row: &[S::F; NV]) {
    for (v, sum) in row.iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { s.store(p.add(v * S::LANES), *sum) };
    }
}
