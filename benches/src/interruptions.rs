//! What a run loses because somebody takes the processor away for a moment: timer ticks, other programs,
//! the host of a virtual machine.

use std::time::Instant;

use kernels::{Isa, peak};

use crate::compare::Spread;

/// A piece counts as interrupted if it takes so many times the median.
const INTERRUPTED: f64 = 1.5;

/// The share of the time that interruptions take from multiply-adds, over a second of them in pieces of
/// some 15 us.
///
/// A sample of a fraction of a millisecond, which is how the peak is measured, mostly falls between two of
/// them, and its median over many rounds leaves them out. A product of more than a few milliseconds has its
/// share of them in every round.
pub fn measure() -> f64 {
    let (isa, begun) = (Isa::best(), Instant::now());
    let mut seconds = Vec::with_capacity(1 << 17);
    while begun.elapsed().as_secs_f64() < 1.0 {
        let piece = Instant::now();
        peak::multiply_adds(isa, 6_000);
        seconds.push(piece.elapsed().as_secs_f64());
    }
    lost(&seconds)
}

/// The share of these times that is beyond the median, of those far beyond it alone.
fn lost(seconds: &[f64]) -> f64 {
    let median = Spread::of(seconds.iter().copied()).median;
    let interrupted = seconds.iter().filter(|&&piece| piece >= INTERRUPTED * median);
    interrupted.map(|piece| piece - median).sum::<f64>() / seconds.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_beyond_the_median_is_lost() {
        assert_eq!(lost(&[1.0, 1.25, 0.75, 1.0, 1.0, 5.0]), 4.0 / 10.0);
        assert_eq!(lost(&[2.0; 8]), 0.0);
    }
}
