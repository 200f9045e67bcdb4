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
    /// `LANES` bytes, each converted.
    /// # Safety
    /// `p` is valid for `LANES` bytes.
    unsafe fn load_u8(self, p: *const u8) -> Self::F;
    /// Brings the cache line of `p` near. Any address will do.
    fn prefetch(self, p: *const f32);

    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn sqrt(self, a: Self::F) -> Self::F;
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
    /// The nearest integer, halves to even.
    fn round(self, a: Self::F) -> Self::F;

    fn to_bits(self, a: Self::F) -> Self::I;
    fn from_bits(self, a: Self::I) -> Self::F;
    fn splat_i(self, x: i32) -> Self::I;
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn sub_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn shr1_i(self, a: Self::I) -> Self::I;
    fn shl23_i(self, a: Self::I) -> Self::I;
    /// Truncates; the values are small.
    fn to_i(self, a: Self::F) -> Self::I;

    /// Folds a vector or two to eight lanes, then in halves: the second half of every reduction.
    fn fold(self, v: [Self::F; 2], op: impl Fn(f32, f32) -> f32) -> f32;

    /// Writes the indices `k < len` at which any of `rows[..][k]` is not zero to `out`, in order;
    /// returns their number. May write up to 64 entries past the returned number.
    /// # Safety
    /// Each row is valid for `len` bytes, `out` for `len + 64` entries.
    unsafe fn union_of_nonzeros<const R: usize>(
        self,
        rows: [*const u8; R],
        len: usize,
        out: *mut u32,
    ) -> usize {
        let mut count = 0;
        for k in 0..len {
            // SAFETY: `k < len`, and `count <= k`.
            unsafe {
                let any = rows.iter().fold(0, |any, row| any | *row.add(k));
                *out.add(count) = k as u32;
                count += usize::from(any != 0);
            }
        }
        count
    }
}

/// Calls `body(simd, offset, mask)` for whole vectors over `0..len` and once for what is left:
/// the mask is `None` for a whole vector.
#[inline(always)]
pub(crate) fn for_each_vector<S: Simd>(
    simd: S,
    len: usize,
    mut body: impl FnMut(usize, Option<S::M>),
) {
    let mut i = 0;
    while i + S::LANES <= len {
        body(i, None);
        i += S::LANES;
    }
    if i < len {
        body(i, Some(simd.first(len - i)));
    }
}
