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

/// `N` floats and zeros. Of a number that is known, they go to registers one by one; a loop over any
/// number is a call that copies, and then waits for what it has just written.
///
/// # Safety
/// `p` is valid for `N` floats.
#[inline(always)]
unsafe fn first<const N: usize>(p: *const f32) -> f32x8 {
    let mut lanes = [0.0; 8];
    // SAFETY: the caller's; an array of floats needs no more than a float's alignment.
    lanes[..N].copy_from_slice(&unsafe { p.cast::<[f32; N]>().read() });
    f32x8::new(lanes)
}

/// Writes the first `N` lanes.
///
/// # Safety
/// `p` is valid for `N` floats.
#[inline(always)]
unsafe fn put_first<const N: usize>(p: *mut f32, x: [f32; 8]) {
    let mut lanes = [0.0; N];
    lanes.copy_from_slice(&x[..N]);
    // SAFETY: the caller's; an array of floats needs no more than a float's alignment.
    unsafe { p.cast::<[f32; N]>().write(lanes) };
}

/// A kernel as a function of its own: all tiles in one would take minutes to compile.
#[inline(never)]
fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Portable)
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
        run(kernel)
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
        // SAFETY: the caller's.
        unsafe {
            match m {
                0 => f32x8::splat(0.0),
                1 => first::<1>(p),
                2 => first::<2>(p),
                3 => first::<3>(p),
                4 => first::<4>(p),
                5 => first::<5>(p),
                6 => first::<6>(p),
                7 => first::<7>(p),
                _ => first::<8>(p),
            }
        }
    }

    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, x: f32x8, m: usize) {
        let x = x.to_array();
        // SAFETY: the caller's.
        unsafe {
            match m {
                0 => {}
                1 => put_first::<1>(p, x),
                2 => put_first::<2>(p, x),
                3 => put_first::<3>(p, x),
                4 => put_first::<4>(p, x),
                5 => put_first::<5>(p, x),
                6 => put_first::<6>(p, x),
                7 => put_first::<7>(p, x),
                _ => put_first::<8>(p, x),
            }
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
