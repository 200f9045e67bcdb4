//! One optimizer step: parameters, gradient and state read and written once.
//!
//! The formulas and defaults are Keras 3's (keras.io/api/optimizers). Every operation is a plain
//! IEEE one, so that a step's bits are the same on AVX2 and AVX-512: the reciprocal square root
//! starts from integer arithmetic on the exponent, never from a processor's estimate.

use crate::Isa;
use crate::simd::{Kernel, Simd};

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
    /// `v = rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon)`
    RmsProp {
        /// Step size.
        learning_rate: f32,
        /// Decay of the mean square.
        rho: f32,
        /// `1 - rho`
        one_minus_rho: f32,
        /// Inside the root.
        epsilon: f32,
    },
    /// `m += (g - m)(1 - beta_1); v += (g^2 - v)(1 - beta_2); w -= alpha m / (sqrt(v) + epsilon)`
    Adam {
        /// `lr sqrt(1 - beta_2^t) / (1 - beta_1^t)` at step t, from 1.
        alpha: f32,
        /// `1 - beta_1`
        one_minus_beta_1: f32,
        /// `1 - beta_2`
        one_minus_beta_2: f32,
        /// Outside the root.
        epsilon: f32,
    },
}

impl Update {
    /// RMSprop. Settings are `f64` so that `1 - rho` is what the decimal says: `1 - 0.9` taken in
    /// `f32` is off by 2.4e-7, and `1 - 0.999` by 1.3e-5.
    pub fn rmsprop(learning_rate: f64, rho: f64, epsilon: f64) -> Self {
        Self::RmsProp {
            learning_rate: learning_rate as f32,
            rho: rho as f32,
            one_minus_rho: (1.0 - rho) as f32,
            epsilon: epsilon as f32,
        }
    }

    /// Adam at step `t`, from 1.
    pub fn adam(learning_rate: f64, beta_1: f64, beta_2: f64, epsilon: f64, t: u64) -> Self {
        let t = t.min(i32::MAX as u64) as i32;
        let correction = (1.0 - beta_2.powi(t)).sqrt() / (1.0 - beta_1.powi(t));
        Self::Adam {
            alpha: (learning_rate * correction) as f32,
            one_minus_beta_1: (1.0 - beta_1) as f32,
            one_minus_beta_2: (1.0 - beta_2) as f32,
            epsilon: epsilon as f32,
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

    /// Updates `weights` in place from `gradient`. `first` is the momentum, or Adam's mean;
    /// `second` is the mean square of RMSprop or Adam. Unused state may be empty.
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

    fn uses(&self) -> (bool, bool) {
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
        with_rule(s, &update, self);
    }
}

impl<S: Simd> WithRule<S> for Apply<'_> {
    #[inline(always)]
    fn run(self, s: S, rule: &impl Rule<S>) {
        let at = Place {
            w: self.weights.as_mut_ptr(),
            g: self.gradient.as_ptr(),
            first: self.first.as_mut_ptr(),
            second: self.second.as_mut_ptr(),
        };
        // SAFETY: `Update::apply` has checked the lengths.
        unsafe { update_row(s, self.weights.len(), at, rule) };
    }
}

/// Pointers to one parameter and what belongs to it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub w: *mut f32,
    pub g: *const f32,
    pub first: *mut f32,
    pub second: *mut f32,
}

/// A rule with its settings in vectors. A trait, not closures: a closure that the compiler leaves
/// out of line is compiled without the instruction set.
pub(crate) trait Rule<S: Simd> {
    /// Updates the vector at `place`.
    ///
    /// # Safety
    /// What the rule uses is valid for a vector, or for the mask's lanes.
    unsafe fn step(&self, s: S, place: Place, mask: Option<S::M>);
}

struct Sgd<S: Simd> {
    rate: S::F,
}

impl<S: Simd> Rule<S> for Sgd<S> {
    #[inline(always)]
    unsafe fn step(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let new = s.fnma(self.rate, load(s, at.g, mask), load(s, at.w, mask));
            store(s, at.w, new, mask);
        }
    }
}

struct Momentum<S: Simd> {
    rate: S::F,
    keep: S::F,
    nesterov: bool,
}

impl<S: Simd> Rule<S> for Momentum<S> {
    #[inline(always)]
    unsafe fn step(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let step = s.mul(self.rate, load(s, at.g, mask));
            let m = s.sub(s.mul(self.keep, load(s, at.first, mask)), step);
            let m = flush(s, m);
            store(s, at.first, m, mask);
            let change = if self.nesterov { s.sub(s.mul(self.keep, m), step) } else { m };
            store(s, at.w, s.add(load(s, at.w, mask), change), mask);
        }
    }
}

struct RmsProp<S: Simd> {
    rate: S::F,
    keep: S::F,
    take: S::F,
    epsilon: S::F,
}

impl<S: Simd> Rule<S> for RmsProp<S> {
    #[inline(always)]
    unsafe fn step(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let g = load(s, at.g, mask);
            let square = s.mul(self.take, s.mul(g, g));
            let v = s.fma(self.keep, load(s, at.second, mask), square);
            // As `flush`, of what is never negative; NaN stays.
            let v = s.if_gt(s.splat(1e-30), v, s.splat(0.0), v);
            store(s, at.second, v, mask);
            let inverse = inverse_sqrt(s, s.add(v, self.epsilon));
            let new = s.fnma(s.mul(self.rate, g), inverse, load(s, at.w, mask));
            store(s, at.w, new, mask);
        }
    }
}

struct Adam<S: Simd> {
    alpha: S::F,
    take_1: S::F,
    take_2: S::F,
    epsilon: S::F,
}

impl<S: Simd> Rule<S> for Adam<S> {
    #[inline(always)]
    unsafe fn step(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let g = load(s, at.g, mask);
            let m = load(s, at.first, mask);
            let m = flush(s, s.fma(s.sub(g, m), self.take_1, m));
            store(s, at.first, m, mask);
            let v = load(s, at.second, mask);
            let v = s.fma(s.sub(s.mul(g, g), v), self.take_2, v);
            let v = s.if_gt(s.splat(1e-30), v, s.splat(0.0), v);
            store(s, at.second, v, mask);
            // sqrt(v) = v / sqrt(v): the multiplications run beside the division that follows,
            // where a square root would wait for the same unit.
            let root = s.mul(v, inverse_sqrt(s, v));
            let quotient = s.div(s.mul(self.alpha, m), s.add(root, self.epsilon));
            store(s, at.w, s.sub(load(s, at.w, mask), quotient), mask);
        }
    }
}

/// Work to be done with a rule whose kind is known where it is compiled.
pub(crate) trait WithRule<S: Simd> {
    fn run(self, s: S, rule: &impl Rule<S>);
}

/// Brings an update's settings into vectors, once, and runs `work` with them.
#[inline(always)]
pub(crate) fn with_rule<S: Simd>(s: S, update: &Update, work: impl WithRule<S>) {
    match *update {
        Update::Sgd { learning_rate } => work.run(s, &Sgd { rate: s.splat(learning_rate) }),
        Update::Momentum { learning_rate, momentum, nesterov } => {
            let (rate, keep) = (s.splat(learning_rate), s.splat(momentum));
            work.run(s, &Momentum { rate, keep, nesterov });
        }
        Update::RmsProp { learning_rate, rho, one_minus_rho, epsilon } => {
            let (rate, keep) = (s.splat(learning_rate), s.splat(rho));
            let (take, epsilon) = (s.splat(one_minus_rho), s.splat(epsilon));
            work.run(s, &RmsProp { rate, keep, take, epsilon });
        }
        Update::Adam { alpha, one_minus_beta_1, one_minus_beta_2, epsilon } => {
            let (alpha, epsilon) = (s.splat(alpha), s.splat(epsilon));
            let (take_1, take_2) = (s.splat(one_minus_beta_1), s.splat(one_minus_beta_2));
            work.run(s, &Adam { alpha, take_1, take_2, epsilon });
        }
    }
}

/// Updates `len` parameters.
///
/// # Safety
/// `w`, `g`, and of `first` and `second` those that the rule uses are valid for `len` floats.
#[inline(always)]
pub(crate) unsafe fn update_row<S: Simd>(s: S, len: usize, mut at: Place, rule: &impl Rule<S>) {
    let whole = len / S::LANES;
    // SAFETY: the caller's: `whole` vectors and a rest make `len`.
    unsafe {
        for _ in 0..whole {
            rule.step(s, at, None);
            at = Place {
                w: at.w.wrapping_add(S::LANES),
                g: at.g.wrapping_add(S::LANES),
                first: at.first.wrapping_add(S::LANES),
                second: at.second.wrapping_add(S::LANES),
            };
        }
        let rest = len - whole * S::LANES;
        if rest > 0 {
            rule.step(s, at, Some(s.first(rest)));
        }
    }
}

/// `x`, or 0 where its magnitude is below 1e-30: state that decays without gradients would end in
/// subnormal numbers, which cost a hundred times as much to compute with. At 1e-30 it is long
/// past changing a bit of anything it is added to.
#[inline(always)]
fn flush<S: Simd>(s: S, x: S::F) -> S::F {
    let magnitude = s.max(x, s.sub(s.splat(0.0), x));
    s.if_gt(s.splat(1e-30), magnitude, s.splat(0.0), x)
}

/// `1 / sqrt(x)` to about 2 ulp for normal positive `x`; finite for zero, so that `0 * result`
/// is 0.
///
/// The start is within 3.5 % (the integer trick explained by C. Lomont, "Fast inverse square
/// root", 2003); one Newton step brings 1.8e-3, one of third order
/// `y (1 + e/2 + 3 e^2/8)`, `e = 1 - x y^2`, 1.4e-8.
#[inline(always)]
pub(crate) fn inverse_sqrt<S: Simd>(s: S, x: S::F) -> S::F {
    let bits = s.sub_i(s.splat_i(0x5f37_59df), s.shr1_i(s.to_bits(x)));
    let y = s.float_of_bits(bits);
    let half = s.mul(x, s.splat(0.5));
    let y = s.mul(y, s.fnma(s.mul(half, y), y, s.splat(1.5)));
    let e = s.fnma(s.mul(x, y), y, s.splat(1.0));
    let correction = s.mul(e, s.fma(e, s.splat(0.375), s.splat(0.5)));
    s.fma(y, correction, y)
}

/// # Safety
/// `p` is valid for a vector, or for the mask's lanes.
#[inline(always)]
unsafe fn load<S: Simd>(s: S, p: *const f32, mask: Option<S::M>) -> S::F {
    // SAFETY: the caller's.
    unsafe {
        match mask {
            None => s.load(p),
            Some(mask) => s.load_masked(p, mask),
        }
    }
}

/// # Safety
/// `p` is valid for a vector, or for the mask's lanes.
#[inline(always)]
unsafe fn store<S: Simd>(s: S, p: *mut f32, x: S::F, mask: Option<S::M>) {
    // SAFETY: the caller's.
    unsafe {
        match mask {
            None => s.store(p, x),
            Some(mask) => s.store_masked(p, x, mask),
        }
    }
}
