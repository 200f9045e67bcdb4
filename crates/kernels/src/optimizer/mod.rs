//! One optimizer step: parameters, gradient and state read and written once.
//!
//! The formulas and defaults are Keras 3's (keras.io/api/optimizers), with the state scaled so that
//! each needs the fewest operations: the factors `1 - beta` move from the state, where they would
//! be paid for each parameter, into the step size. [`Update::rmsprop`] and [`Update::adam`] take
//! Keras's settings and do that.
//!
//! Every operation is a plain IEEE one, so that a step's bits are the same on AVX2 and AVX-512: the
//! reciprocal square root starts from integer arithmetic on the exponent, never from a processor's
//! estimate.

mod rules;

pub(crate) use rules::{Place, Rule, WithRule, with_rule};

use crate::Isa;
use crate::simd::{Kernel, Simd};
use rules::load_all;

/// An optimizer with its settings for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// `w -= lr g`
    Sgd {
        /// Step size.
        learning_rate: f32,
    },
    /// `m = momentum m - lr g; w += m`, or with Nesterov `w += momentum m - lr g`.
    Momentum {
        /// Step size.
        learning_rate: f32,
        /// Fraction of the last update kept.
        momentum: f32,
        /// Look ahead.
        nesterov: bool,
    },
    /// `s = rho s + g^2 + epsilon; w -= rate g / sqrt(s)`
    ///
    /// Keras's RMSprop, `v = rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon)`, has
    /// `s = (v + epsilon) / (1 - rho)` and `rate = lr / sqrt(1 - rho)`.
    RmsProp {
        /// Step size.
        rate: f32,
        /// Decay of the sum of squares.
        rho: f32,
        /// Added with each square.
        epsilon: f32,
    },
    /// `m = beta_1 m + g; s = beta_2 s + g^2; w -= rate m / (sqrt(s) + epsilon)`
    ///
    /// Keras's Adam at step t,
    /// `m += (g - m)(1 - beta_1); v += (g^2 - v)(1 - beta_2); w -= alpha m / (sqrt(v) + epsilon)`
    /// with `alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)`, divides its `m` by `1 - beta_1`, `v` by
    /// `1 - beta_2`, `epsilon` by `sqrt(1 - beta_2)`, and multiplies `alpha` by
    /// `(1 - beta_1) / sqrt(1 - beta_2)`.
    Adam {
        /// Step size.
        rate: f32,
        /// Decay of the sum of gradients.
        beta_1: f32,
        /// Decay of the sum of squares.
        beta_2: f32,
        /// Outside the root.
        epsilon: f32,
    },
}

impl Update {
    /// Keras's RMSprop. Settings are `f64`: `1 - 0.9` taken in `f32` is off by 2.4e-7.
    pub fn rmsprop(learning_rate: f64, rho: f64, epsilon: f64) -> Self {
        Self::RmsProp {
            rate: (learning_rate / (1.0 - rho).sqrt()) as f32,
            rho: rho as f32,
            epsilon: epsilon as f32,
        }
    }

    /// Keras's Adam at step `t`, from 1.
    pub fn adam(learning_rate: f64, beta_1: f64, beta_2: f64, epsilon: f64, t: u64) -> Self {
        let t = t.min(i32::MAX as u64) as i32;
        // The decays are what `f32` makes of them, and all that follows from them is exact: a sum
        // that decays by another number than its correction thinks would be off by 1.3e-5 where
        // beta_2 is 0.999.
        let (beta_1, beta_2) = (beta_1 as f32, beta_2 as f32);
        let (take_1, take_2) = (1.0 - f64::from(beta_1), 1.0 - f64::from(beta_2));
        let correction =
            (1.0 - f64::from(beta_2).powi(t)).sqrt() / (1.0 - f64::from(beta_1).powi(t));
        Self::Adam {
            rate: (learning_rate * correction * take_1 / take_2.sqrt()) as f32,
            beta_1,
            beta_2,
            epsilon: (epsilon / take_2.sqrt()) as f32,
        }
    }

    /// What the second state, the sum of squares, is before the first step.
    pub fn initial_second(&self) -> f32 {
        match *self {
            Self::RmsProp { rho, epsilon, .. } => epsilon / (1.0 - rho),
            _ => 0.0,
        }
    }

    /// Floats of state a parameter: 0, 1 or 2.
    pub fn states(&self) -> usize {
        match self {
            Self::Sgd { .. } => 0,
            Self::Momentum { .. } | Self::RmsProp { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }

    /// Updates `weights` in place from `gradient`. `first` is the momentum, or Adam's sum of gradients;
    /// `second` the sum of squares of RMSprop or Adam. Unused state may be empty.
    ///
    /// # Panics
    /// If a slice that is used has another length than `weights`.
    pub fn apply(
        &self,
        isa: Isa,
        weights: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let len = weights.len();
        assert_eq!(gradient.len(), len, "one gradient a weight");
        let (needs_first, needs_second) = self.uses();
        assert!(!needs_first || first.len() == len, "{} momenta of {len} weights", first.len());
        assert!(!needs_second || second.len() == len, "{} squares of {len} weights", second.len());
        isa.run(Apply { update: *self, weights, gradient, first, second });
    }

    /// Whether there is a first state, and a second.
    pub(crate) fn uses(&self) -> (bool, bool) {
        match self {
            Self::Sgd { .. } => (false, false),
            Self::Momentum { .. } => (true, false),
            Self::RmsProp { .. } => (false, true),
            Self::Adam { .. } => (true, true),
        }
    }
}

struct Apply<'a> {
    update: Update,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let update = self.update;
        with_rule(&update, ApplyWith { s, apply: self });
    }
}

struct ApplyWith<'a, S> {
    s: S,
    apply: Apply<'a>,
}

impl<S: Simd> WithRule for ApplyWith<'_, S> {
    #[inline(always)]
    fn run(self, rule: impl Rule) {
        let Apply { weights, gradient, first, second, .. } = self.apply;
        let at = Place {
            w: weights.as_mut_ptr(),
            first: first.as_mut_ptr(),
            second: second.as_mut_ptr(),
        };
        // SAFETY: `Update::apply` has checked the lengths.
        unsafe { update_row(self.s, weights.len(), at, gradient.as_ptr(), rule) };
    }
}

/// Updates `len` parameters.
///
/// # Safety
/// `g`, `at.w`, and of the states those that the rule uses are valid for `len` floats.
#[inline(always)]
unsafe fn update_row<S: Simd>(s: S, len: usize, at: Place, g: *const f32, rule: impl Rule) {
    let mut done = 0;
    // SAFETY: the caller's: each step takes what is left or less.
    unsafe {
        if S::REGISTERS == 32 {
            while len - done >= 4 * S::LANES {
                let g = load_all::<S, 4>(s, g.add(done), None);
                rule.step::<S, 4>(s, at.after(done), g, None);
                done += 4 * S::LANES;
            }
        }
        while len - done >= 2 * S::LANES {
            let g = load_all::<S, 2>(s, g.add(done), None);
            rule.step::<S, 2>(s, at.after(done), g, None);
            done += 2 * S::LANES;
        }
        while done < len {
            let mask = (len - done < S::LANES).then(|| s.first(len - done));
            let g = load_all::<S, 1>(s, g.add(done), mask);
            rule.step::<S, 1>(s, at.after(done), g, mask);
            done += S::LANES;
        }
    }
}
