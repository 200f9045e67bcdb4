//! Vectors of the crate `wide`: for processors without AVX2, and for Miri.

use bytemuck::must_cast;
use wide::{f32x8, i32x8, u32x8};

use super::{Kernel, Simd};

/// Needs nothing that the compilation target does not guarantee.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Folds sixteen partial values in halves: the order of every reduction in this crate.
#[inline(always)]
fn fold_sixteen(mut lanes: [f32; 16], op: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = 8;
    while half > 0 {
        for i in 0..half {
            lanes[i] = op(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

impl Simd for Portable {
    const LANES: usize = 8;
    // SSE2's sixteen registers of four lanes hold eight vectors of eight.
    const REGISTERS: usize = 8;
    type F = f32x8;
    type I = i32x8;
    type M = usize;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> f32x8 {
        f32x8::splat(x)
    }

    #[inline(always)]
    fn first(self, n: usize) -> usize {
        n.min(8)
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> f32x8 {
        // SAFETY: the caller's; an array of floats needs no more than a float's alignment.
        f32x8::new(unsafe { p.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: f32x8) {
        // SAFETY: the caller's; an array of floats needs no more than a float's alignment.
        unsafe { p.cast::<[f32; 8]>().write(x.to_array()) }
    }

    #[inline(always)]
    unsafe fn load_masked(self, p: *const f32, m: usize) -> f32x8 {
        let mut lanes = [0.0; 8];
        for (i, lane) in lanes[..m].iter_mut().enumerate() {
            // SAFETY: the caller's.
            *lane = unsafe { *p.add(i) };
        }
        f32x8::new(lanes)
    }

    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, x: f32x8, m: usize) {
        for (i, lane) in x.to_array()[..m].iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { *p.add(i) = *lane };
        }
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}

    #[inline(always)]
    fn add(self, a: f32x8, b: f32x8) -> f32x8 {
        a + b
    }

    #[inline(always)]
    fn sub(self, a: f32x8, b: f32x8) -> f32x8 {
        a - b
    }

    #[inline(always)]
    fn mul(self, a: f32x8, b: f32x8) -> f32x8 {
        a * b
    }

    #[inline(always)]
    fn div(self, a: f32x8, b: f32x8) -> f32x8 {
        a / b
    }

    #[inline(always)]
    fn fma(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        a * b + c
    }

    #[inline(always)]
    fn fnma(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        c - a * b
    }

    #[inline(always)]
    fn max(self, a: f32x8, b: f32x8) -> f32x8 {
        self.if_gt(a, b, a, b)
    }

    #[inline(always)]
    fn min(self, a: f32x8, b: f32x8) -> f32x8 {
        self.if_gt(b, a, a, b)
    }

    #[inline(always)]
    fn if_gt(self, a: f32x8, b: f32x8, yes: f32x8, no: f32x8) -> f32x8 {
        a.simd_gt(b).bitselect(yes, no)
    }

    #[inline(always)]
    fn if_eq(self, a: f32x8, b: f32x8, yes: f32x8, no: f32x8) -> f32x8 {
        a.simd_eq(b).bitselect(yes, no)
    }

    #[inline(always)]
    fn select(self, m: usize, yes: f32x8, no: f32x8) -> f32x8 {
        let (yes, no) = (yes.to_array(), no.to_array());
        f32x8::new(std::array::from_fn(|i| if i < m { yes[i] } else { no[i] }))
    }

    #[inline(always)]
    fn eq_bits(self, a: f32x8, b: f32x8) -> u32 {
        a.simd_eq(b).to_bitmask()
    }

    #[inline(always)]
    fn to_bits(self, a: f32x8) -> i32x8 {
        must_cast(a)
    }

    #[inline(always)]
    fn float_of_bits(self, a: i32x8) -> f32x8 {
        must_cast(a)
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> i32x8 {
        i32x8::splat(x)
    }

    #[inline(always)]
    fn sub_i(self, a: i32x8, b: i32x8) -> i32x8 {
        a - b
    }

    #[inline(always)]
    fn shr1_i(self, a: i32x8) -> i32x8 {
        must_cast(must_cast::<_, u32x8>(a) >> 1_u32)
    }

    #[inline(always)]
    fn shl23_i(self, a: i32x8) -> i32x8 {
        a << 23_i32
    }

    #[inline(always)]
    fn sum(self, v: [f32x8; 2]) -> f32 {
        fold_sixteen(must_cast([v[0].to_array(), v[1].to_array()]), |a, b| a + b)
    }

    #[inline(always)]
    fn largest(self, v: [f32x8; 2]) -> f32 {
        fold_sixteen(must_cast([v[0].to_array(), v[1].to_array()]), f32::max)
    }
}
