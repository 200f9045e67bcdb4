//! The bandwidth that a kernel's data could have, measured beside it.

use kernels::{Aligned, Isa, peak};
use trainer::roofline::random;

/// A triad over as much memory as a kernel works on.
#[derive(Debug)]
pub struct Triad {
    a: Aligned,
    b: Aligned,
    c: Aligned,
}

impl Triad {
    /// Over `bytes` bytes in all.
    pub fn over(bytes: usize) -> Self {
        let third = bytes.div_ceil(12);
        Self { a: Aligned::zeros(third), b: random(third, 1), c: random(third, 2) }
    }

    /// One pass.
    pub fn run(&mut self) {
        peak::triad(Isa::best(), &mut self.a, &self.b, &self.c, 0.5);
    }

    /// Bytes that a pass reads and writes.
    pub fn bytes(&self) -> u64 {
        12 * self.a.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_that_a_pass_touches() {
        let mut triad = Triad::over(1200);
        assert_eq!(triad.bytes(), 1200);
        triad.run();
        assert_eq!(triad.a[7], triad.b[7] + 0.5 * triad.c[7]);
    }
}
