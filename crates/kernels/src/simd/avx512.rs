//! AVX-512: vectors of sixteen floats, masks in their own registers.

use std::arch::x86_64::*;

use super::{Simd, entry};

/// Proof that the processor has AVX-512 F, BW, DQ, VL and VBMI2: made by [`run`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

entry!(Avx512(()), "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,avx2,fma,bmi1,bmi2,popcnt");

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

impl Simd for Avx512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    type F = __m512;
    type I = __m512i;
    type M = __mmask16;

    operations! {
        splat(x: f32) -> __m512 { _mm512_set1_ps(x) }
        add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
        sub(a: __m512, b: __m512) -> __m512 { _mm512_sub_ps(a, b) }
        mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
        div(a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
        sqrt(a: __m512) -> __m512 { _mm512_sqrt_ps(a) }
        fma(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
        fnma(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fnmadd_ps(a, b, c) }
        max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
        min(a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }
        if_gt(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), no, yes)
        }
        round(a: __m512) -> __m512 { _mm512_roundscale_ps::<0>(a) }
        to_bits(a: __m512) -> __m512i { _mm512_castps_si512(a) }
        from_bits(a: __m512i) -> __m512 { _mm512_castsi512_ps(a) }
        splat_i(x: i32) -> __m512i { _mm512_set1_epi32(x) }
        add_i(a: __m512i, b: __m512i) -> __m512i { _mm512_add_epi32(a, b) }
        sub_i(a: __m512i, b: __m512i) -> __m512i { _mm512_sub_epi32(a, b) }
        shr1_i(a: __m512i) -> __m512i { _mm512_srli_epi32::<1>(a) }
        shl23_i(a: __m512i) -> __m512i { _mm512_slli_epi32::<23>(a) }
        to_i(a: __m512) -> __m512i { _mm512_cvttps_epi32(a) }
        prefetch(p: *const f32) -> () { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }

    #[inline(always)]
    fn first(self, n: usize) -> __mmask16 {
        if n >= 16 { u16::MAX } else { (1 << n) - 1 }
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the caller's, and the token.
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m512) {
        // SAFETY: the caller's, and the token.
        unsafe { _mm512_storeu_ps(p, x) }
    }

    #[inline(always)]
    unsafe fn load_masked(self, p: *const f32, m: __mmask16) -> __m512 {
        // SAFETY: masked-off lanes are not read.
        unsafe { _mm512_maskz_loadu_ps(m, p) }
    }

    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, x: __m512, m: __mmask16) {
        // SAFETY: masked-off lanes are not written.
        unsafe { _mm512_mask_storeu_ps(p, m, x) }
    }

    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> __m512 {
        // SAFETY: the caller's, and the token.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()))) }
    }

    #[inline(always)]
    fn fold(self, v: [__m512; 2], op: impl Fn(f32, f32) -> f32) -> f32 {
        // One vector holds all sixteen partial values: the second is never used.
        let mut lanes = [0.0f32; 16];
        // SAFETY: the array has sixteen floats.
        unsafe { self.store(lanes.as_mut_ptr(), v[0]) };
        super::portable::fold_sixteen(lanes, op)
    }

    #[inline(always)]
    unsafe fn union_of_nonzeros<const R: usize>(
        self,
        rows: [*const u8; R],
        len: usize,
        out: *mut u32,
    ) -> usize {
        let mut count = 0;
        // SAFETY: masked loads read `len` bytes of each row; each compressed store writes sixteen
        // entries at `count <= k`, and `out` has 64 to spare.
        unsafe {
            let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
            let mut k = 0;
            while k < len {
                let left = len - k;
                let valid = if left >= 64 { u64::MAX } else { (1u64 << left) - 1 };
                let mut any = _mm512_maskz_loadu_epi8(valid, rows[0].add(k).cast());
                for row in &rows[1..] {
                    any = _mm512_or_si512(any, _mm512_maskz_loadu_epi8(valid, row.add(k).cast()));
                }
                let mut bits = _mm512_test_epi8_mask(any, any);
                let mut base = k as i32;
                while bits != 0 {
                    let here = bits as u16;
                    let indices = _mm512_add_epi32(lanes, _mm512_set1_epi32(base));
                    // To a register, then stored whole: a compress to memory is microcoded on
                    // some processors (142 cycles on Zen 4).
                    let packed = _mm512_maskz_compress_epi32(here, indices);
                    _mm512_storeu_si512(out.add(count).cast(), packed);
                    count += here.count_ones() as usize;
                    bits >>= 16;
                    base += 16;
                }
                k += 64;
            }
        }
        count
    }
}
