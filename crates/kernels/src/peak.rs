//! What the processor can do at most, measured: multiply-adds from registers alone, and the
//! bandwidth of whichever memory a buffer fits into.
//!
//! Arithmetic only. The caller takes the time, chooses the sizes, and runs one of these a thread.

use crate::Isa;
use crate::simd::{Kernel, Simd};

/// Runs `rounds` rounds of independent multiply-adds that touch no memory, and returns the number
/// of floating-point operations, two a multiply-add.
///
/// The portable kernels multiply and add, and so does this with their instruction set.
pub fn multiply_adds(isa: Isa, rounds: usize) -> f64 {
    isa.run(MultiplyAdds { rounds })
}

/// Reads all of `data`: four bytes a float. Returns the sum, which depends on every float.
pub fn read(isa: Isa, data: &[f32]) -> f32 {
    isa.run(Read { data })
}

/// `a = b + factor * c`, the triad of STREAM (J. McCalpin, "Memory Bandwidth and Machine Balance in
/// Current High Performance Computers", 1995): twelve bytes an element, by its way of counting,
/// which leaves out that a cache reads the lines of `a` before it writes them.
///
/// # Panics
/// If the lengths differ.
pub fn triad(isa: Isa, a: &mut [f32], b: &[f32], c: &[f32], factor: f32) {
    let lengths = [a.len(), b.len(), c.len()];
    assert!(
        lengths == [a.len(); 3],
        "three slices of one length: {}, {}, {}",
        lengths[0],
        lengths[1],
        lengths[2]
    );
    isa.run(Triad { a, b, c, factor });
}

struct MultiplyAdds {
    rounds: usize,
}

impl Kernel for MultiplyAdds {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        // Two units of four cycles' latency need eight chains; more leave slack. Sixteen and the
        // two factors fit 32 registers, twelve fit 16, and six pairs of registers fit the portable
        // kernels' sixteen half-vectors.
        match S::REGISTERS {
            32 => chains::<S, 16>(s, self.rounds),
            16 => chains::<S, 12>(s, self.rounds),
            _ => chains::<S, 6>(s, self.rounds),
        }
    }
}

#[inline(always)]
fn chains<S: Simd, const CHAINS: usize>(s: S, rounds: usize) -> f64 {
    // x = x / 2 + 1 goes to 2: no infinities, no subnormal numbers.
    let (half, one) = (s.splat(std::hint::black_box(0.5)), s.splat(std::hint::black_box(1.0)));
    let mut sums = [one; CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = s.fma(*sum, half, one);
        }
    }
    for sum in sums {
        std::hint::black_box(s.sum([sum, one]));
    }
    2.0 * (rounds * CHAINS * S::LANES) as f64
}

/// Vectors an iteration of the loops below: enough that counting does not matter.
const UNROLLED: usize = 8;

struct Read<'a> {
    data: &'a [f32],
}

impl Kernel for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let (p, len) = (self.data.as_ptr(), self.data.len());
        let mut sums = [s.splat(0.0); UNROLLED];
        let mut i = 0;
        // SAFETY: whole blocks while they fit.
        unsafe {
            while i + UNROLLED * S::LANES <= len {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = s.add(*sum, s.load(p.add(i + v * S::LANES)));
                }
                i += UNROLLED * S::LANES;
            }
        }
        let whole = sums.into_iter().reduce(|a, b| s.add(a, b)).unwrap_or(s.splat(0.0));
        // `sum` takes two vectors of eight lanes, or looks at the first of sixteen alone.
        s.sum([whole, s.splat(0.0)]) + self.data[i..].iter().sum::<f32>()
    }
}

struct Triad<'a> {
    a: &'a mut [f32],
    b: &'a [f32],
    c: &'a [f32],
    factor: f32,
}

impl Kernel for Triad<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.a.len();
        let (a, b, c) = (self.a.as_mut_ptr(), self.b.as_ptr(), self.c.as_ptr());
        let factor = s.splat(self.factor);
        let mut i = 0;
        // SAFETY: the three have one length, checked in `triad`; whole blocks while they fit.
        unsafe {
            while i + UNROLLED * S::LANES <= len {
                for v in 0..UNROLLED {
                    let at = i + v * S::LANES;
                    s.store(a.add(at), s.fma(factor, s.load(c.add(at)), s.load(b.add(at))));
                }
                i += UNROLLED * S::LANES;
            }
        }
        for i in i..len {
            self.a[i] = self.b[i] + self.factor * self.c[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flops_are_those_of_whole_vectors() {
        for isa in Isa::available() {
            let one = multiply_adds(isa, 1);
            assert!(one >= 2.0 * (6 * isa.lanes()) as f64, "{isa}: {one}");
            assert_eq!(multiply_adds(isa, 1000), 1000.0 * one, "{isa}");
        }
    }

    #[test]
    fn reading_reads_every_float_once() {
        for isa in Isa::available() {
            for len in [0, 1, 7, 16, 127, 128, 129, 300] {
                let data: Vec<f32> = (0..len).map(|i| i as f32).collect();
                let expected = (0..len).sum::<usize>() as f32;
                assert_eq!(read(isa, &data), expected, "{isa}, {len} floats");
            }
        }
    }

    #[test]
    fn the_triad_writes_every_float() {
        for isa in Isa::available() {
            for len in [0, 1, 7, 16, 127, 128, 129, 300] {
                let b: Vec<f32> = (0..len).map(|i| i as f32).collect();
                let c: Vec<f32> = (0..len).map(|i| (i % 5) as f32).collect();
                let mut a = vec![f32::NAN; len];
                triad(isa, &mut a, &b, &c, 3.0);
                for (i, a) in a.iter().enumerate() {
                    assert_eq!(*a, (i + 3 * (i % 5)) as f32, "{isa}, {i} of {len}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "three slices of one length: 2, 2, 3")]
    fn lengths_that_differ_are_refused() {
        triad(Isa::best(), &mut [0.0; 2], &[0.0; 2], &[0.0; 3], 1.0);
    }
}
