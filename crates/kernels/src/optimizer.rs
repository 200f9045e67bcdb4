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

use crate::Isa;
use crate::inverse_sqrt::{InverseSqrt, ROOT_SCALE};
use crate::simd::{Kernel, Simd, each};

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

impl Place {
    /// The place `floats` further on. State that a rule lacks has no place; it is not looked at.
    #[inline(always)]
    fn after(self, floats: usize) -> Self {
        Self {
            w: self.w.wrapping_add(floats),
            g: self.g.wrapping_add(floats),
            first: self.first.wrapping_add(floats),
            second: self.second.wrapping_add(floats),
        }
    }
}

/// A rule with its settings in vectors. A trait, not closures: a closure that the compiler leaves
/// out of line is compiled without the instruction set.
///
/// A step takes `U` vectors through each operation before the next: the operations of one vector
/// wait for each other, some seventy cycles in all (one at a time took a tenth longer).
pub(crate) trait Rule<S: Simd> {
    /// Updates the `U` vectors from `at` on; with a mask, `U` is 1.
    ///
    /// # Safety
    /// What the rule uses is valid for the vectors, or for the mask's lanes.
    unsafe fn step<const U: usize>(&self, s: S, at: Place, mask: Option<S::M>);
}

pub(crate) struct Sgd<S: Simd> {
    rate: S::F,
}

impl<S: Simd> Rule<S> for Sgd<S> {
    #[inline(always)]
    unsafe fn step<const U: usize>(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let (g, w) = (load_all::<S, U>(s, at.g, mask), load_all::<S, U>(s, at.w, mask));
            store_all(s, at.w, each!(s, u => s.fnma(self.rate, g[u], w[u])), mask);
        }
    }
}

pub(crate) struct Momentum<S: Simd> {
    rate: S::F,
    keep: S::F,
    tiny: S::F,
    nesterov: bool,
}

impl<S: Simd> Rule<S> for Momentum<S> {
    #[inline(always)]
    unsafe fn step<const U: usize>(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let (g, w) = (load_all::<S, U>(s, at.g, mask), load_all::<S, U>(s, at.w, mask));
            let m = load_all::<S, U>(s, at.first, mask);
            let step = each!(s, u => s.fnma(self.rate, g[u], self.tiny));
            let m = each!(s, u => s.fma(self.keep, m[u], step[u]));
            let change =
                if self.nesterov { each!(s, u => s.fma(self.keep, m[u], step[u])) } else { m };
            store_all(s, at.first, m, mask);
            store_all(s, at.w, each!(s, u => s.add(w[u], change[u])), mask);
        }
    }
}

pub(crate) struct RmsProp<S: Simd> {
    rate: S::F,
    keep: S::F,
    epsilon: S::F,
}

impl<S: Simd> Rule<S> for RmsProp<S> {
    #[inline(always)]
    unsafe fn step<const U: usize>(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let (g, w) = (load_all::<S, U>(s, at.g, mask), load_all::<S, U>(s, at.w, mask));
            let sum = load_all::<S, U>(s, at.second, mask);
            let square = each!(s, u => s.fma(g[u], g[u], self.epsilon));
            let sum = each!(s, u => s.fma(self.keep, sum[u], square[u]));
            store_all(s, at.second, sum, mask);
            let root = InverseSqrt::<S, U>::of(s, sum);
            let step = each!(s, u => s.mul(g[u], root.near[u]));
            let step = each!(s, u => s.mul(step[u], root.correction[u]));
            store_all(s, at.w, each!(s, u => s.fnma(self.rate, step[u], w[u])), mask);
        }
    }
}

pub(crate) struct Adam<S: Simd> {
    rate: S::F,
    keep_1: S::F,
    keep_2: S::F,
    epsilon: S::F,
    tiny: S::F,
}

impl<S: Simd> Rule<S> for Adam<S> {
    #[inline(always)]
    unsafe fn step<const U: usize>(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let (g, w) = (load_all::<S, U>(s, at.g, mask), load_all::<S, U>(s, at.w, mask));
            let (m, sum) =
                (load_all::<S, U>(s, at.first, mask), load_all::<S, U>(s, at.second, mask));
            let term = each!(s, u => s.add(g[u], self.tiny));
            let m = each!(s, u => s.fma(self.keep_1, m[u], term[u]));
            store_all(s, at.first, m, mask);
            let square = each!(s, u => s.fma(g[u], g[u], self.tiny));
            let sum = each!(s, u => s.fma(self.keep_2, sum[u], square[u]));
            store_all(s, at.second, sum, mask);
            // sqrt(s) = s / sqrt(s): the multiplications run beside the division that follows,
            // where a square root would wait for the same unit.
            let root = InverseSqrt::<S, U>::of(s, sum);
            let root = each!(s, u => s.fma(root.times[u], root.correction[u], self.epsilon));
            let quotient = each!(s, u => s.div(m[u], root[u]));
            store_all(s, at.w, each!(s, u => s.fnma(self.rate, quotient[u], w[u])), mask);
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
            work.run(s, &Momentum { rate, keep, tiny: s.splat(TINY), nesterov });
        }
        Update::RmsProp { rate, rho, epsilon } => {
            let rate = s.splat((f64::from(rate) / ROOT_SCALE) as f32);
            work.run(s, &RmsProp { rate, keep: s.splat(rho), epsilon: s.splat(epsilon.max(TINY)) });
        }
        Update::Adam { rate, beta_1, beta_2, epsilon } => {
            let rate = s.splat((f64::from(rate) * ROOT_SCALE) as f32);
            let epsilon = s.splat((f64::from(epsilon) * ROOT_SCALE) as f32);
            let (keep_1, keep_2) = (s.splat(beta_1), s.splat(beta_2));
            work.run(s, &Adam { rate, keep_1, keep_2, epsilon, tiny: s.splat(TINY) });
        }
    }
}

/// Updates `len` parameters.
///
/// # Safety
/// `w`, `g`, and of `first` and `second` those that the rule uses are valid for `len` floats.
#[inline(always)]
pub(crate) unsafe fn update_row<S: Simd>(s: S, len: usize, mut at: Place, rule: &impl Rule<S>) {
    let mut left = len;
    // SAFETY: the caller's: each step takes what is left or less.
    unsafe {
        if S::REGISTERS == 32 {
            while left >= 4 * S::LANES {
                rule.step::<4>(s, at, None);
                at = at.after(4 * S::LANES);
                left -= 4 * S::LANES;
            }
        }
        while left >= 2 * S::LANES {
            rule.step::<2>(s, at, None);
            at = at.after(2 * S::LANES);
            left -= 2 * S::LANES;
        }
        if left >= S::LANES {
            rule.step::<1>(s, at, None);
            at = at.after(S::LANES);
            left -= S::LANES;
        }
        if left > 0 {
            rule.step::<1>(s, at, Some(s.first(left)));
        }
    }
}

/// Added to what state takes in at each step: state that decays without gradients would end in
/// subnormal numbers, which cost a hundred times as much to compute with. It is far too small to
/// change a bit of anything else, and often free: a multiplication becomes a multiply-add.
const TINY: f32 = 1e-30;

/// # Safety
/// `p` is valid for `U` vectors, or for the mask's lanes.
#[inline(always)]
unsafe fn load_all<S: Simd, const U: usize>(s: S, p: *const f32, mask: Option<S::M>) -> [S::F; U] {
    // SAFETY: the caller's.
    unsafe {
        match mask {
            None => each!(s, u => s.load(p.add(u * S::LANES))),
            Some(mask) => each!(s, _u => s.load_masked(p, mask)),
        }
    }
}

/// # Safety
/// `p` is valid for `U` vectors, or for the mask's lanes.
#[inline(always)]
unsafe fn store_all<S: Simd, const U: usize>(s: S, p: *mut f32, x: [S::F; U], mask: Option<S::M>) {
    for (u, &x) in x.iter().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            match mask {
                None => s.store(p.add(u * S::LANES), x),
                Some(mask) => s.store_masked(p, x, mask),
            }
        }
    }
}
