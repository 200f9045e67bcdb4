//! AVX-512: vectors of sixteen floats, masks in their own registers.

use std::arch::x86_64::*;

use super::avx2::in_halves;
use super::{Kernel, Simd, entry};

/// Proof that the processor has AVX-512 F, BW, DQ, VL, VBMI2 and VPOPCNTDQ: made by [`run`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

entry!(
    Avx512(()),
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,avx512vpopcntdq,avx2,fma,bmi1,bmi2,popcnt"
);

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
        fma(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
        fnma(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fnmadd_ps(a, b, c) }
        max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
        min(a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }
        if_gt(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), no, yes)
        }
        if_eq(a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b), no, yes)
        }
        select(m: __mmask16, yes: __m512, no: __m512) -> __m512 { _mm512_mask_blend_ps(m, no, yes) }
        eq_bits(a: __m512, b: __m512) -> u32 {
            u32::from(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b))
        }
        to_bits(a: __m512) -> __m512i { _mm512_castps_si512(a) }
        float_of_bits(a: __m512i) -> __m512 { _mm512_castsi512_ps(a) }
        splat_i(x: i32) -> __m512i { _mm512_set1_epi32(x) }
        sub_i(a: __m512i, b: __m512i) -> __m512i { _mm512_sub_epi32(a, b) }
        shr1_i(a: __m512i) -> __m512i { _mm512_srli_epi32::<1>(a) }
        shl23_i(a: __m512i) -> __m512i { _mm512_slli_epi32::<23>(a) }
        prefetch(p: *const f32) -> () { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }

    #[inline(always)]
    fn first(self, n: usize) -> __mmask16 {
        if n >= 16 { u16::MAX } else { (1 << n) - 1 }
    }

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token proves the instructions.
        unsafe { run(kernel) }
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
    fn sum(self, [v, _]: [__m512; 2]) -> f32 {
        // SAFETY: the token proves the instructions.
        unsafe {
            let upper = _mm512_extractf32x8_ps::<1>(v);
            in_halves!(_mm256_add_ps(_mm512_castps512_ps256(v), upper), _mm_add_ps)
        }
    }

    #[inline(always)]
    fn largest(self, [v, _]: [__m512; 2]) -> f32 {
        // SAFETY: the token proves the instructions.
        unsafe {
            let upper = _mm512_extractf32x8_ps::<1>(v);
            in_halves!(_mm256_max_ps(_mm512_castps512_ps256(v), upper), _mm_max_ps)
        }
    }

    #[inline(always)]
    unsafe fn patches(self, upper: *const u8, lower: *const u8, len: usize, words: *mut u32) {
        let mut k = 0;
        while k < len {
            // SAFETY: the caller's; masked-off lanes are neither read nor written.
            unsafe {
                let lanes = self.first(len - k);
                let pairs = |row: *const u8| {
                    let pairs = _mm256_maskz_loadu_epi16(lanes, row.add(2 * k).cast());
                    _mm512_cvtepu16_epi32(pairs)
                };
                let all = _mm512_or_si512(pairs(upper), _mm512_slli_epi32::<16>(pairs(lower)));
                _mm512_mask_storeu_epi32(words.add(k).cast(), lanes, all);
            }
            k += 16;
        }
    }

    #[inline(always)]
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
        // SAFETY: the caller's; sixteen words are a vector.
        unsafe {
            let rows = self.first(rows);
            let mut words = [_mm512_setzero_si512(); 16];
            for (words, row) in words.iter_mut().zip(from) {
                *words = _mm512_loadu_si512(row.as_ptr().cast());
            }
            for (j, column) in transposed(words).into_iter().enumerate() {
                if j < cols {
                    _mm512_storeu_si512(to.add(j * to_stride).cast(), column);
                    *bits.add(j * bits_stride) = _mm512_mask_test_epi32_mask(rows, column, column);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn list_bits(self, bits: *const u16, len: usize, first: u8, list: *mut u8) -> usize {
        const NUMBERS: [u8; 64] = {
            let mut numbers = [0; 64];
            let mut i = 0;
            while i < 64 {
                numbers[i] = i as u8;
                i += 1;
            }
            numbers
        };
        let mut count = 0;
        // SAFETY: the caller's: 64 bits at a time, and 64 numbers written behind those so far.
        unsafe {
            let mut numbers = _mm512_loadu_si512(NUMBERS.as_ptr().cast());
            numbers = _mm512_add_epi8(numbers, _mm512_set1_epi8(first as i8));
            for start in (0..len).step_by(64) {
                let mut some = bits.add(start / 16).cast::<u64>().read_unaligned();
                if len - start < 64 {
                    some &= (1 << (len - start)) - 1;
                }
                // To a register, then stored whole: a compress to memory is microcoded on
                // Zen 4 and 5.
                let listed = _mm512_maskz_compress_epi8(some, numbers);
                _mm512_storeu_si512(list.add(count).cast(), listed);
                count += some.count_ones() as usize;
                numbers = _mm512_add_epi8(numbers, _mm512_set1_epi8(64));
            }
        }
        count
    }

    #[inline(always)]
    unsafe fn list_bytes(
        self,
        bytes: *const u8,
        len: usize,
        list: *mut u32,
        kept: *mut u32,
    ) -> usize {
        let mut count = 0;
        // SAFETY: the caller's: sixteen bytes at a time, and sixteen entries written behind those so
        // far.
        unsafe {
            let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
            let mut index = lanes;
            for k in (0..len).step_by(16) {
                let here = _mm512_cvtepu8_epi32(_mm_loadu_si128(bytes.add(k).cast()));
                let keep = _mm512_test_epi32_mask(here, here);
                let indices = _mm512_maskz_compress_epi32(keep, index);
                _mm512_storeu_si512(list.add(count).cast(), indices);
                let bytes = _mm512_maskz_compress_epi32(keep, here);
                _mm512_storeu_si512(kept.add(count).cast(), bytes);
                count += keep.count_ones() as usize;
                index = _mm512_add_epi32(index, _mm512_set1_epi32(16));
            }
        }
        count
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
            let mut r = [_mm512_setzero_si512(); 16];
            for (i, row) in r.iter_mut().enumerate() {
                let from = from.add(i.min(rows - 1) * from_stride);
                *row = _mm512_maskz_loadu_epi32(read, from.cast());
            }
            for (j, column) in transposed(r).into_iter().enumerate() {
                if j < cols {
                    _mm512_mask_storeu_epi32(to.add(j * to_stride).cast(), write, column);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn transpose_whole(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // Nothing is masked.
        // SAFETY: the caller's.
        unsafe {
            let mut r = [_mm512_setzero_si512(); 16];
            for (i, row) in r.iter_mut().enumerate() {
                *row = _mm512_loadu_si512(from.add(i * from_stride).cast());
            }
            for (j, column) in transposed(r).into_iter().enumerate() {
                _mm512_storeu_si512(to.add(j * to_stride).cast(), column);
            }
        }
    }
}

/// The columns of sixteen rows: pairs of words, then pairs of pairs, then quarters.
///
/// # Safety
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn transposed(mut r: [__m512i; 16]) -> [__m512i; 16] {
    // SAFETY: the caller's.
    unsafe {
        let zero = _mm512_setzero_si512();
        let mut t = [zero; 16];
        for i in 0..8 {
            t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
            t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
        }
        for i in 0..4 {
            r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
            r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
            r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
            r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
        }
        // r[4 i + c] holds, in its 128-bit quarter q, column 4 q + c of rows 4 i to 4 i + 3.
        let mut columns = [zero; 16];
        for c in 0..4 {
            let low = _mm512_shuffle_i32x4::<0x88>(r[c], r[4 + c]);
            let high = _mm512_shuffle_i32x4::<0xdd>(r[c], r[4 + c]);
            let low_2 = _mm512_shuffle_i32x4::<0x88>(r[8 + c], r[12 + c]);
            let high_2 = _mm512_shuffle_i32x4::<0xdd>(r[8 + c], r[12 + c]);
            columns[c] = _mm512_shuffle_i32x4::<0x88>(low, low_2);
            columns[4 + c] = _mm512_shuffle_i32x4::<0x88>(high, high_2);
            columns[8 + c] = _mm512_shuffle_i32x4::<0xdd>(low, low_2);
            columns[12 + c] = _mm512_shuffle_i32x4::<0xdd>(high, high_2);
        }
        columns
    }
}
