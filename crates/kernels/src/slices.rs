//! Loops of vectors over slices: the pointers of the elementwise kernels are all here.
//!
//! What is done to each vector is an [`Op`], not a closure: a closure does not inherit the target
//! features of the kernel around it, cannot be marked `#[inline(always)]`, and once it is too large
//! to be inlined anyway (an exponential is) every intrinsic in it is a call. The softmax of 1,000
//! classes took 30 times as long.

use crate::simd::{PARTIAL_SUMS, Simd};

/// An operation on `N` vectors.
pub(crate) trait Op<const N: usize>: Copy {
    /// The implementations are `#[inline(always)]`.
    fn apply<S: Simd>(self, s: S, x: [S::F; N]) -> S::F;
}

/// `a + b`
#[derive(Clone, Copy)]
pub(crate) struct Add;

impl Op<2> for Add {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [a, b]: [S::F; 2]) -> S::F {
        s.add(a, b)
    }
}

/// `values[i] = op(values[i])`
#[inline(always)]
pub(crate) fn map<S: Simd>(s: S, values: &mut [f32], op: impl Op<1>) {
    let (p, len) = (values.as_mut_ptr(), values.len());
    let mut i = 0;
    // SAFETY: whole vectors while they fit, then the lanes that are left.
    unsafe {
        while i + S::LANES <= len {
            s.store(p.add(i), op.apply(s, [s.load(p.add(i))]));
            i += S::LANES;
        }
        if i < len {
            let mask = s.first(len - i);
            s.store_masked(p.add(i), op.apply(s, [s.load_masked(p.add(i), mask)]), mask);
        }
    }
}

/// `values[i] = op(values[i], others[i])`
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub(crate) fn zip<S: Simd>(s: S, values: &mut [f32], others: &[f32], op: impl Op<2>) {
    assert_eq!(values.len(), others.len());
    let (p, q, len) = (values.as_mut_ptr(), others.as_ptr(), values.len());
    let mut i = 0;
    // SAFETY: whole vectors while they fit into the common length, then the lanes that are left.
    unsafe {
        while i + S::LANES <= len {
            s.store(p.add(i), op.apply(s, [s.load(p.add(i)), s.load(q.add(i))]));
            i += S::LANES;
        }
        if i < len {
            let mask = s.first(len - i);
            let x = [s.load_masked(p.add(i), mask), s.load_masked(q.add(i), mask)];
            s.store_masked(p.add(i), op.apply(s, x), mask);
        }
    }
}

/// A row of floats, known or made up, to be read beside another one.
pub(crate) trait Row: Copy {
    /// Vector at offset `i`; lanes outside the mask are 0.
    /// # Safety
    /// `i` plus the lanes of the mask (all of them for `None`) are within the row.
    unsafe fn at<S: Simd>(self, s: S, i: usize, mask: Option<S::M>) -> S::F;
    /// Whether `len` elements are there.
    fn covers(self, len: usize) -> bool;
}

impl Row for &[f32] {
    #[inline(always)]
    unsafe fn at<S: Simd>(self, s: S, i: usize, mask: Option<S::M>) -> S::F {
        // A mask without lanes may stand past the end.
        let p = self.as_ptr().wrapping_add(i);
        // SAFETY: the caller's.
        unsafe {
            match mask {
                None => s.load(p),
                Some(m) => s.load_masked(p, m),
            }
        }
    }

    #[inline(always)]
    fn covers(self, len: usize) -> bool {
        self.len() >= len
    }
}

/// A row that no result depends on.
#[derive(Clone, Copy)]
pub(crate) struct Nothing;

impl Row for Nothing {
    #[inline(always)]
    unsafe fn at<S: Simd>(self, s: S, _: usize, _: Option<S::M>) -> S::F {
        s.splat(0.0)
    }

    #[inline(always)]
    fn covers(self, _: usize) -> bool {
        true
    }
}

/// A row of zeros with a one at this place.
#[derive(Clone, Copy)]
pub(crate) struct OneHot(pub(crate) usize);

impl Row for OneHot {
    #[inline(always)]
    unsafe fn at<S: Simd>(self, s: S, i: usize, _: Option<S::M>) -> S::F {
        // A window that shows the one at the right place, or (also to the left of it, where the
        // difference wraps) none of it.
        const WINDOW: [f32; 32] = {
            let mut window = [0.0; 32];
            window[16] = 1.0;
            window
        };
        const { assert!(S::LANES <= 16) };
        let start = 16 - self.0.wrapping_sub(i).min(16);
        // SAFETY: at most sixteen floats from a start of at most sixteen.
        unsafe { s.load(WINDOW.as_ptr().add(start)) }
    }

    #[inline(always)]
    fn covers(self, _: usize) -> bool {
        true
    }
}

/// Vectors that hold the partial values of a reduction: two of eight lanes or one of sixteen.
type Partial<S> = [<S as Simd>::F; 2];

/// Reduces `row` over sixteen partial values that begin as `start`: `op(partial, x)`. What lies
/// past the end of the last vectors reads as `filler`.
#[inline(always)]
pub(crate) fn reduce<S: Simd>(
    s: S,
    row: &[f32],
    start: f32,
    filler: f32,
    op: impl Op<2>,
) -> Partial<S> {
    let mut partial = [s.splat(start); 2];
    let groups = PARTIAL_SUMS / S::LANES;
    let mut i = 0;
    while i + PARTIAL_SUMS <= row.len() {
        for partial in &mut partial[..groups] {
            // SAFETY: sixteen more are there.
            *partial = op.apply(s, [*partial, unsafe { row.at(s, i, None) }]);
            i += S::LANES;
        }
    }
    if i < row.len() {
        for partial in &mut partial[..groups] {
            let mask = s.first(row.len().saturating_sub(i));
            // SAFETY: the mask ends with the row.
            let x = unsafe { row.at(s, i, Some(mask)) };
            *partial = op.apply(s, [*partial, s.select(mask, x, s.splat(filler))]);
            i += S::LANES;
        }
    }
    partial
}

/// The largest of `row`, NaN aside; minus infinity where there is none.
#[inline(always)]
pub(crate) fn largest<S: Simd>(s: S, row: &[f32]) -> f32 {
    // Four chains: one would wait for each `max` to finish.
    const CHAINS: usize = 4;
    let lowest = s.splat(f32::NEG_INFINITY);
    let mut chains = [lowest; CHAINS];
    let (p, len) = (row.as_ptr(), row.len());
    let mut i = 0;
    // SAFETY: whole vectors while they fit, then the lanes that are left.
    unsafe {
        while i + CHAINS * S::LANES <= len {
            for (v, chain) in chains.iter_mut().enumerate() {
                // Where the first operand is NaN, the second is returned.
                *chain = s.max(s.load(p.add(i + v * S::LANES)), *chain);
            }
            i += CHAINS * S::LANES;
        }
        while i + S::LANES <= len {
            chains[0] = s.max(s.load(p.add(i)), chains[0]);
            i += S::LANES;
        }
        if i < len {
            let mask = s.first(len - i);
            chains[0] = s.max(s.select(mask, s.load_masked(p.add(i), mask), lowest), chains[0]);
        }
    }
    let both = [s.max(chains[0], chains[1]), s.max(chains[2], chains[3])];
    s.largest([s.max(both[0], both[1]), lowest])
}

/// [`reduce`] over two rows side by side, with `op(partial, x, y)`; `y` past the end is 0.
///
/// # Panics
/// If `other` is shorter than `row`.
#[inline(always)]
pub(crate) fn reduce_pair<S: Simd>(
    s: S,
    row: &[f32],
    filler: f32,
    other: impl Row,
    op: impl Op<3>,
) -> Partial<S> {
    assert!(other.covers(row.len()));
    let mut partial = [s.splat(0.0); 2];
    let groups = PARTIAL_SUMS / S::LANES;
    let mut i = 0;
    while i + PARTIAL_SUMS <= row.len() {
        for partial in &mut partial[..groups] {
            // SAFETY: sixteen more are there.
            *partial = unsafe { op.apply(s, [*partial, row.at(s, i, None), other.at(s, i, None)]) };
            i += S::LANES;
        }
    }
    if i < row.len() {
        for partial in &mut partial[..groups] {
            let mask = s.first(row.len().saturating_sub(i));
            // SAFETY: the mask ends with the row.
            let (x, y) = unsafe { (row.at(s, i, Some(mask)), other.at(s, i, Some(mask))) };
            *partial = op.apply(s, [*partial, s.select(mask, x, s.splat(filler)), y]);
            i += S::LANES;
        }
    }
    partial
}

/// `row[i] = op(row[i])`, and the sixteen partial sums of the results; `op(filler)` is to be 0.
#[inline(always)]
pub(crate) fn map_and_sum<S: Simd>(
    s: S,
    row: &mut [f32],
    filler: f32,
    op: impl Op<1>,
) -> Partial<S> {
    let mut partial = [s.splat(0.0); 2];
    let groups = PARTIAL_SUMS / S::LANES;
    let (p, len) = (row.as_mut_ptr(), row.len());
    let mut i = 0;
    while i + PARTIAL_SUMS <= len {
        for partial in &mut partial[..groups] {
            // SAFETY: sixteen more are there.
            unsafe {
                let y = op.apply(s, [s.load(p.add(i))]);
                s.store(p.add(i), y);
                *partial = s.add(*partial, y);
            }
            i += S::LANES;
        }
    }
    if i < len {
        for partial in &mut partial[..groups] {
            let mask = s.first(len.saturating_sub(i));
            let p = p.wrapping_add(i);
            // SAFETY: the mask ends with the row.
            unsafe {
                let y = op.apply(s, [s.select(mask, s.load_masked(p, mask), s.splat(filler))]);
                s.store_masked(p, y, mask);
                *partial = s.add(*partial, y);
            }
            i += S::LANES;
        }
    }
    partial
}

/// `out[j] = op(row[j], other[j])` for `j < used`, and 0 for the rest of `out`: the padding.
///
/// `row` is `None` where `out` itself is to be read.
///
/// # Panics
/// If a row is shorter than `used`.
#[inline(always)]
pub(crate) fn map_padded<S: Simd>(
    s: S,
    row: Option<&[f32]>,
    out: &mut [f32],
    used: usize,
    other: impl Row,
    op: impl Op<2>,
) {
    assert!(row.is_none_or(|row| row.len() >= used) && out.len() >= used && other.covers(used));
    let q = out.as_mut_ptr();
    let p = row.map_or(q.cast_const(), <[f32]>::as_ptr);
    let len = out.len();
    let mut i = 0;
    // SAFETY: reads stay within `used` and writes within `len`, by the bounds and masks here; what
    // has no lanes left is not touched.
    unsafe {
        while i + S::LANES <= used {
            s.store(q.add(i), op.apply(s, [s.load(p.add(i)), other.at(s, i, None)]));
            i += S::LANES;
        }
        if i < used {
            let mask = s.first(used - i);
            let x = [s.load_masked(p.add(i), mask), other.at(s, i, Some(mask))];
            let y = s.select(mask, op.apply(s, x), s.splat(0.0));
            if i + S::LANES <= len {
                s.store(q.add(i), y);
            } else {
                s.store_masked(q.add(i), y, s.first(len - i));
            }
            i += S::LANES;
        }
        while i < len {
            s.store_masked(q.add(i), s.splat(0.0), s.first(len - i));
            i += S::LANES;
        }
    }
}

/// The first place where `row` has this value.
#[inline(always)]
pub(crate) fn position<S: Simd>(s: S, row: &[f32], value: f32) -> Option<usize> {
    let (p, value) = (row.as_ptr(), s.splat(value));
    let mut i = 0;
    while i < row.len() {
        let left = row.len() - i;
        // SAFETY: a whole vector where there is one, else what the mask leaves.
        let x = unsafe {
            if left >= S::LANES { s.load(p.add(i)) } else { s.load_masked(p.add(i), s.first(left)) }
        };
        let bits = s.eq_bits(x, value);
        if bits != 0 {
            // A match in the zeros past the end stands behind no match within, so it means none.
            let place = i + bits.trailing_zeros() as usize;
            return (place < row.len()).then_some(place);
        }
        i += S::LANES;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::simd::Kernel;

    struct Position<'a>(&'a [f32], f32);

    impl Kernel for Position<'_> {
        type Output = Option<usize>;

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Option<usize> {
            position(s, self.0, self.1)
        }
    }

    /// What lies past the end reads as 0, which is not a place.
    #[test]
    fn position_is_the_first_and_within() {
        for isa in Isa::available() {
            for len in 0..=40 {
                let mut row: Vec<f32> = (1..=len).map(|x| x as f32).collect();
                assert_eq!(isa.run(Position(&row, 0.0)), None, "{isa}: {len}");
                for place in (0..len).rev() {
                    row[place] = 0.0;
                    assert_eq!(isa.run(Position(&row, 0.0)), Some(place), "{isa}: {len}");
                }
            }
        }
    }
}
