//! A narrow result, by way of its transpose: `C' = B' A'`.
//!
//! Ten columns fill ten of a vector's sixteen lanes. Where the columns of A are contiguous, as in
//! the gradient of an output layer's weights, the rows of A' fill all of them: the tiles run over
//! A', and what they leave is transposed into C while it is near. The sums are the same chains.

use super::plan::Plan;
use super::product::Product;
use super::{Epilogue, Start, pack};
use crate::simd::{Kernel, Simd, for_each_vector, load_some, store_some};
use crate::view::{MatMut, MatRef};

/// A product whose shapes have been checked against its plan, and whose A has contiguous columns.
pub(super) struct Swapped<'a, 'b> {
    pub plan: &'a Plan,
    pub a: MatRef<'b>,
    pub b: MatRef<'b>,
    pub c: MatMut<'b>,
    pub start: Start,
    pub epilogue: Epilogue<'b>,
    pub scratch: &'a mut [f32],
}

impl Kernel for Swapped<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { plan, a, b, mut c, start, epilogue, scratch } = self;
        let Plan { m, n, n_block, .. } = *plan;
        let (block, scratch) = scratch.split_at_mut(plan.scratch_c());
        let c_row = c.row_stride();
        let mut i = 0;
        while i < m {
            let rows = n_block.min(m - i);
            let c = c.ptr().wrapping_add(i * c_row);
            if start == Start::FromC {
                for r in 0..rows {
                    for j in 0..n {
                        // SAFETY: an element of C, of which `rows` follow.
                        block[j * rows + r] = unsafe { *c.add(r * c_row + j) };
                    }
                }
            }
            Product {
                plan: &Plan { m: n, n: rows, swap: false, ..plan.clone() },
                a: b.t(),
                b: a.row_range(i..i + rows).t(),
                c: MatMut::new(block, n, rows),
                start,
                epilogue: Epilogue::Store,
                scratch,
            }
            .run(s);
            // SAFETY: `block` is `[n, rows]`, and so many rows of C follow.
            unsafe { pack::transpose(s, block.as_ptr(), rows, n, rows, c, c_row) };
            if !matches!(epilogue, Epilogue::Store) {
                for r in 0..rows {
                    // SAFETY: rows of C.
                    unsafe { finish(s, epilogue, i + r, c.add(r * c_row), n) };
                }
            }
            i += rows;
        }
    }
}

/// The epilogue, over row `i` of C, which has just been written.
///
/// # Safety
/// `row` is valid for `n` floats.
#[inline(always)]
unsafe fn finish<S: Simd>(s: S, epilogue: Epilogue<'_>, i: usize, row: *mut f32, n: usize) {
    for_each_vector(s, n, |j, mask| {
        // SAFETY: a vector, or the mask's lanes, within rows of `n` floats.
        unsafe {
            let to = row.add(j);
            let x = load_some(s, to, mask);
            let y = match epilogue {
                Epilogue::Store => x,
                Epilogue::Bias(b) => s.add(x, load_some(s, b.as_ptr().add(j), mask)),
                Epilogue::BiasActivation(b, f) => {
                    f.forward_vector(s, s.add(x, load_some(s, b.as_ptr().add(j), mask)))
                }
                Epilogue::ActivationGradient(h, f) => {
                    let h = load_some(s, h.ptr().add(i * h.row_stride() + j), mask);
                    f.backward_vector(s, h, x)
                }
            };
            store_some(s, to, y, mask);
        }
    });
}
