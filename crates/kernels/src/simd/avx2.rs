//! AVX2 and FMA: vectors of eight floats, masks as vectors.

use std::arch::x86_64::*;

use super::{Kernel, Simd, entry};

/// Proof that the processor has AVX2 and FMA: made by [`run`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

entry!(Avx2(()), "avx2,fma");

/// One line an operation: the intrinsic is sound because the token exists.
macro_rules! operations {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $out:ty { $body:expr })*) => {
        $(#[inline(always)]
        fn $name(self, $($arg: $ty),*) -> $out {
            // SAFETY: the token proves the instructions.
            unsafe { $body }
        })*
    };
}

/// Folds eight lanes in halves with an operation on four.
macro_rules! in_halves {
    ($eight:expr, $op:ident) => {{
        let eight = $eight;
        let four = $op(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = $op(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32($op(two, _mm_movehdup_ps(two)))
    }};
}
pub(super) use in_halves;

impl Simd for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type F = __m256;
    type I = __m256i;
    type M = __m256i;

    operations! {
        splat(x: f32) -> __m256 { _mm256_set1_ps(x) }
        add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
        sub(a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
        mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
        div(a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
        fma(a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
        fnma(a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fnmadd_ps(a, b, c) }
        max(a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
        min(a: __m256, b: __m256) -> __m256 { _mm256_min_ps(a, b) }
        if_gt(a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
            _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b))
        }
        if_eq(a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
            _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b))
        }
        select(m: __m256i, yes: __m256, no: __m256) -> __m256 {
            _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(m))
        }
        eq_bits(a: __m256, b: __m256) -> u32 {
            _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)) as u32
        }
        to_bits(a: __m256) -> __m256i { _mm256_castps_si256(a) }
        float_of_bits(a: __m256i) -> __m256 { _mm256_castsi256_ps(a) }
        splat_i(x: i32) -> __m256i { _mm256_set1_epi32(x) }
        sub_i(a: __m256i, b: __m256i) -> __m256i { _mm256_sub_epi32(a, b) }
        shr1_i(a: __m256i) -> __m256i { _mm256_srli_epi32::<1>(a) }
        shl23_i(a: __m256i) -> __m256i { _mm256_slli_epi32::<23>(a) }
        prefetch(p: *const f32) -> () { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        first(n: usize) -> __m256i {
            _mm256_cmpgt_epi32(
                _mm256_set1_epi32(n.min(8) as i32),
                _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0),
            )
        }
    }

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token proves the instructions.
        unsafe { run(kernel) }
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the caller's, and the token.
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m256) {
        // SAFETY: the caller's, and the token.
        unsafe { _mm256_storeu_ps(p, x) }
    }

    #[inline(always)]
    unsafe fn load_masked(self, p: *const f32, m: __m256i) -> __m256 {
        // SAFETY: masked-off lanes are not read.
        unsafe { _mm256_maskload_ps(p, m) }
    }

    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, x: __m256, m: __m256i) {
        // SAFETY: masked-off lanes are not written.
        unsafe { _mm256_maskstore_ps(p, m, x) }
    }

    #[inline(always)]
    fn sum(self, v: [__m256; 2]) -> f32 {
        // SAFETY: the token proves the instructions.
        unsafe { in_halves!(_mm256_add_ps(v[0], v[1]), _mm_add_ps) }
    }

    #[inline(always)]
    fn largest(self, v: [__m256; 2]) -> f32 {
        // SAFETY: the token proves the instructions.
        unsafe { in_halves!(_mm256_max_ps(v[0], v[1]), _mm_max_ps) }
    }

    #[inline(always)]
    unsafe fn transpose_block(
        self,
        from: *const f32,
        from_stride: usize,
        rows: usize,
        cols: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: the caller's; rows past the last are the last again, lanes past it are masked.
        unsafe {
            let (read, write) = (self.first(cols), self.first(rows));
            let mut r = [_mm256_setzero_ps(); 8];
            for (i, row) in r.iter_mut().enumerate() {
                *row = _mm256_maskload_ps(from.add(i.min(rows - 1) * from_stride), read);
            }
            let mut columns = [_mm256_setzero_ps(); 8];
            for half in 0..2 {
                // Rows 4 half to 4 half + 3, as quarters of four columns.
                let [a, b, c, d] = [r[4 * half], r[4 * half + 1], r[4 * half + 2], r[4 * half + 3]];
                let (ab, ab_2) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd, cd_2) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                columns[4 * half] = _mm256_shuffle_ps::<0x44>(ab, cd);
                columns[4 * half + 1] = _mm256_shuffle_ps::<0xee>(ab, cd);
                columns[4 * half + 2] = _mm256_shuffle_ps::<0x44>(ab_2, cd_2);
                columns[4 * half + 3] = _mm256_shuffle_ps::<0xee>(ab_2, cd_2);
            }
            for j in 0..8 {
                let (low, high) = (columns[j % 4], columns[4 + j % 4]);
                let column = match j / 4 {
                    0 => _mm256_permute2f128_ps::<0x20>(low, high),
                    _ => _mm256_permute2f128_ps::<0x31>(low, high),
                };
                if j < cols {
                    _mm256_maskstore_ps(to.add(j * to_stride), write, column);
                }
            }
        }
    }
}
