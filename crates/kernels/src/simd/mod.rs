//! What a vector can do.
//!
//! [`Simd`] is implemented on tokens ([`Portable`], `Avx2`, `Avx512`). Each algorithm of the crate
//! is written once, generic over the token, as a [`Kernel`]; [`Isa::run`](crate::Isa::run) enters
//! it through the one function of each instruction set that carries `#[target_feature]`. Every
//! function on the way down is `#[inline(always)]`, so that the whole kernel is compiled with
//! those features.
//!
//! The AVX2 and AVX-512 implementations round alike in every operation, reductions included: a
//! sum over a slice always adds into sixteen partial sums (two vectors of eight, or one of
//! sixteen) and folds them in halves. The portable one multiplies and adds, since a fused
//! multiply-add without hardware is a library call.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod portable;

pub(crate) use portable::Portable;

use std::ops::Range;

/// An algorithm to be compiled for each instruction set.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Enters a kernel with an instruction set's features switched on.
#[cfg(target_arch = "x86_64")]
macro_rules! entry {
    ($token:expr, $features:literal) => {
        /// # Safety
        /// The processor has the features.
        #[target_feature(enable = $features)]
        #[inline(never)]
        pub(crate) unsafe fn run<K: $crate::simd::Kernel>(kernel: K) -> K::Output {
            kernel.run($token)
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use entry;

/// Sums always run over this many partial sums, whatever the vector width.
pub(crate) const PARTIAL_SUMS: usize = 16;

/// Vectors of `f32`, and of `i32` of the same width.
///
/// Memory operations are `unsafe` for the pointers alone: the token proves the instructions.
pub(crate) trait Simd: Copy {
    /// Floats in a vector.
    const LANES: usize;
    /// Vector registers: bounds the tiles that make sense.
    const REGISTERS: usize;
    type F: Copy;
    type I: Copy;
    /// Selects lanes.
    type M: Copy;

    /// Runs `kernel` as a function of its own, compiled for the same instruction set.
    fn call<K: Kernel>(self, kernel: K) -> K::Output;

    fn splat(self, x: f32) -> Self::F;
    /// A mask of the first `n` lanes; all of them for `n >= LANES`.
    fn first(self, n: usize) -> Self::M;

    /// # Safety
    /// `p` is valid for `LANES` floats.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// # Safety
    /// `p` is valid for `LANES` floats.
    unsafe fn store(self, p: *mut f32, x: Self::F);
    /// Zero where the mask is off.
    /// # Safety
    /// `p` is valid for the lanes of `m`.
    unsafe fn load_masked(self, p: *const f32, m: Self::M) -> Self::F;
    /// # Safety
    /// `p` is valid for the lanes of `m`.
    unsafe fn store_masked(self, p: *mut f32, x: Self::F, m: Self::M);
    /// Brings the cache line of `p` near. Any address will do.
    fn prefetch(self, p: *const f32);
    /// Starts to bring the line of `p`, which need not be valid, to the second-level cache.
    #[inline(always)]
    fn prefetch_far(self, p: *const u8) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: any address may be prefetched; the instruction is in every x86-64.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(p.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = p;
    }

    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a * b`
    fn fnma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger; `b` if either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller; `b` if either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `yes` where `a > b`, else `no` (NaN: `no`).
    fn if_gt(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F;
    /// `yes` where `a == b`, else `no` (NaN: `no`).
    fn if_eq(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F;
    /// `yes` in the lanes of `m`, else `no`.
    fn select(self, m: Self::M, yes: Self::F, no: Self::F) -> Self::F;
    /// Bit `i` says whether `a` and `b` are equal in lane `i` (NaN: never).
    fn eq_bits(self, a: Self::F, b: Self::F) -> u32;

    fn to_bits(self, a: Self::F) -> Self::I;
    fn float_of_bits(self, a: Self::I) -> Self::F;
    fn splat_i(self, x: i32) -> Self::I;
    fn sub_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn shr1_i(self, a: Self::I) -> Self::I;
    fn shl23_i(self, a: Self::I) -> Self::I;

    /// The sum of sixteen lanes, two vectors of eight or the first of sixteen, added in halves: lane
    /// `i` and `i + 8`, then `i` and `i + 4`, and so on.
    fn sum(self, v: [Self::F; 2]) -> f32;
    /// The largest of sixteen lanes; where one is NaN, any of them.
    fn largest(self, v: [Self::F; 2]) -> f32;

    /// Words of two bytes of each row: `words[k] = upper[2 k] | upper[2 k + 1] << 8 | lower[2 k] << 16
    /// | lower[2 k + 1] << 24`.
    /// # Safety
    /// Both rows are valid for `2 len` bytes, `words` for `len` words.
    unsafe fn patches(self, upper: *const u8, lower: *const u8, len: usize, words: *mut u32) {
        for k in 0..len {
            // SAFETY: the caller's.
            unsafe {
                let pair =
                    |row: *const u8| u16::from_le(row.add(2 * k).cast::<u16>().read_unaligned());
                *words.add(k) = u32::from(pair(upper)) | u32::from(pair(lower)) << 16;
            }
        }
    }

    /// Bit i: whether eight bytes from `8 i` on have a value.
    /// # Safety
    /// `p` is valid for `8 len` bytes; `len` is at most 8.
    unsafe fn eights(self, p: *const u8, len: usize) -> u8 {
        let mut bits = 0;
        for i in 0..len {
            // SAFETY: the caller's.
            bits |= u8::from(unsafe { p.add(8 * i).cast::<u64>().read_unaligned() } != 0) << i;
        }
        bits
    }

    /// Lists the indices of the words in `range` that are not zero, in order, and the words
    /// themselves; returns their number.
    /// # Safety
    /// `words` is valid for the range, rounded up to whole sixteens from its start; `list` and `kept`
    /// for its length and 16 more.
    unsafe fn list_words(
        self,
        words: *const u32,
        range: Range<usize>,
        list: *mut u32,
        kept: *mut u32,
    ) -> usize {
        // SAFETY: the caller's.
        unsafe { list_each(|k| *words.add(k), range, list, kept) }
    }

    /// As `list_words`, for the words of four bytes, one of each row:
    /// `rows[0][k] | rows[1][k] << 8 | ...`.
    /// # Safety
    /// Each row is valid for `len` bytes rounded up to sixteen; `list` and `kept` for `len + 16`.
    unsafe fn list_rows(
        self,
        rows: [*const u8; 4],
        len: usize,
        list: *mut u32,
        kept: *mut u32,
    ) -> usize {
        // SAFETY: the caller's.
        unsafe {
            list_each(|k| u32::from_le_bytes(rows.map(|row| *row.add(k))), 0..len, list, kept)
        }
    }

    /// Transposes words: `to[j * to_stride + i] = from[i * from_stride + j]`.
    /// # Safety
    /// Both are valid for `rows` by `cols`, each rounded up to sixteen.
    unsafe fn transpose(
        self,
        from: *const u32,
        from_stride: usize,
        rows: usize,
        cols: usize,
        to: *mut u32,
        to_stride: usize,
    ) {
        for j in 0..cols {
            for i in 0..rows {
                // SAFETY: the caller's.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) };
            }
        }
    }

    /// Transposes up to `LANES` rows and columns: `to[j * to_stride + i] = from[i * from_stride + j]`.
    /// Nothing else is read or written.
    /// # Safety
    /// `from` is valid for `rows` by `cols`, at least one each, `to` for the transpose.
    unsafe fn transpose_block(
        self,
        from: *const f32,
        from_stride: usize,
        rows: usize,
        cols: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for j in 0..cols {
            for i in 0..rows {
                // SAFETY: the caller's.
                unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) };
            }
        }
    }
}

/// Lists which of the words in `range` are not zero, and those words.
///
/// # Safety
/// `list` and `kept` are valid for as many words.
#[inline(always)]
unsafe fn list_each(
    word: impl Fn(usize) -> u32,
    range: Range<usize>,
    list: *mut u32,
    kept: *mut u32,
) -> usize {
    let mut count = 0;
    for k in range {
        let word = word(k);
        // SAFETY: the caller's; no more than the words so far.
        unsafe {
            *list.add(count) = k as u32;
            *kept.add(count) = word;
        }
        count += usize::from(word != 0);
    }
    count
}

/// The same operation on each of `U` vectors: `each!(s, u => s.mul(a[u], b[u]))`.
macro_rules! each {
    ($s:expr, $u:ident => $value:expr) => {{
        let mut all = [$s.splat(0.0); U];
        for $u in 0..U {
            all[$u] = $value;
        }
        all
    }};
}
pub(crate) use each;

/// Calls `body(offset, mask)` for each vector of `0..len`; the mask is `None` for a whole one.
///
/// One call of `body`, not one for whole vectors and one for the rest: a closure called twice may
/// be left out of line, and out of line it is compiled without the instruction set.
#[inline(always)]
pub(crate) fn for_each_vector<S: Simd>(
    simd: S,
    len: usize,
    mut body: impl FnMut(usize, Option<S::M>),
) {
    let mut i = 0;
    while i < len {
        let left = len - i;
        body(i, if left >= S::LANES { None } else { Some(simd.first(left)) });
        i += S::LANES;
    }
}
