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

    /// The columns of sixteen rows of words, `to[j * to_stride + i] = from[i][j]` for `j < cols`, and in
    /// `bits[j * bits_stride]` a bit for each of the first `rows` of them that is not zero.
    /// # Safety
    /// `to` is valid for `cols` times sixteen words, `bits` for `cols` words, at their strides.
    unsafe fn columns(
        self,
        from: &[[u32; 16]; 16],
        rows: usize,
        cols: usize,
        to: *mut u32,
        to_stride: usize,
        bits: *mut u16,
        bits_stride: usize,
    ) {
        for j in 0..cols {
            let mut some = 0;
            for (i, row) in from.iter().enumerate() {
                // SAFETY: the caller's.
                unsafe { *to.add(j * to_stride + i) = row[j] };
                some |= u16::from(row[j] != 0 && i < rows) << i;
            }
            // SAFETY: the caller's.
            unsafe { *bits.add(j * bits_stride) = some };
        }
    }

    /// Lists which of the first `len` bits are set, counted from `first`; returns their number.
    /// # Safety
    /// `bits` is valid for `len` bits rounded up to 64, `list` for `len` bytes and 64 more; `first` and
    /// `len` are 256 together at most.
    unsafe fn list_bits(self, bits: *const u16, len: usize, first: u8, list: *mut u8) -> usize {
        let mut count = 0;
        for start in (0..len).step_by(16) {
            // SAFETY: the caller's; no more numbers than bits.
            unsafe {
                let mut some = *bits.add(start / 16);
                if len - start < 16 {
                    some &= (1 << (len - start)) - 1;
                }
                while some != 0 {
                    *list.add(count) = first + (start + some.trailing_zeros() as usize) as u8;
                    count += 1;
                    some &= some - 1;
                }
            }
        }
        count
    }

    /// Lists the indices of the bytes that are not zero, in order, and the bytes themselves, one a
    /// word; returns their number.
    /// # Safety
    /// `bytes` is valid for `len` rounded up to sixteen, and zero from `len` on; `list` and `kept` for
    /// `len` words and 16 more.
    unsafe fn list_bytes(
        self,
        bytes: *const u8,
        len: usize,
        list: *mut u32,
        kept: *mut u32,
    ) -> usize {
        let mut count = 0;
        for k in 0..len {
            // SAFETY: the caller's; no more than the bytes so far.
            unsafe {
                let byte = u32::from(*bytes.add(k));
                (*list.add(count), *kept.add(count)) = (k as u32, byte);
                count += usize::from(byte != 0);
            }
        }
        count
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

    /// The same of `LANES` rows and columns.
    /// # Safety
    /// `from` and `to` are valid for so many.
    #[inline(always)]
    unsafe fn transpose_whole(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: the caller's.
        unsafe { self.transpose_block(from, from_stride, Self::LANES, Self::LANES, to, to_stride) };
    }
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

/// Loads a vector, or the mask's lanes if there is one.
///
/// # Safety
/// `p` is valid for it, or for the mask's lanes.
#[inline(always)]
pub(crate) unsafe fn load_some<S: Simd>(s: S, p: *const f32, mask: Option<S::M>) -> S::F {
    // SAFETY: the caller's.
    unsafe {
        match mask {
            None => s.load(p),
            Some(mask) => s.load_masked(p, mask),
        }
    }
}

/// Stores a vector, or the mask's lanes if there is one.
///
/// # Safety
/// `p` is valid for it, or for the mask's lanes.
#[inline(always)]
pub(crate) unsafe fn store_some<S: Simd>(s: S, p: *mut f32, x: S::F, mask: Option<S::M>) {
    // SAFETY: the caller's.
    unsafe {
        match mask {
            None => s.store(p, x),
            Some(mask) => s.store_masked(p, x, mask),
        }
    }
}

/// Loads a vector, or where it is `MASKED` its first lanes.
///
/// # Safety
/// `p` is valid for it, or for the mask's lanes.
#[inline(always)]
pub(crate) unsafe fn load_part<S: Simd, const MASKED: bool>(
    s: S,
    p: *const f32,
    mask: S::M,
) -> S::F {
    // SAFETY: the caller's.
    unsafe { if MASKED { s.load_masked(p, mask) } else { s.load(p) } }
}

/// Stores a vector, or where it is `MASKED` its first lanes.
///
/// # Safety
/// `p` is valid for it, or for the mask's lanes.
#[inline(always)]
pub(crate) unsafe fn store_part<S: Simd, const MASKED: bool>(
    s: S,
    p: *mut f32,
    x: S::F,
    mask: S::M,
) {
    // SAFETY: the caller's.
    unsafe { if MASKED { s.store_masked(p, x, mask) } else { s.store(p, x) } }
}
