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

/// The same operation on each of `U` vectors.
macro_rules! each {
    ($s:expr, $u:ident => $value:expr) => {{
        let mut all = [$s.splat(0.0); U];
        for $u in 0..U {
            all[$u] = $value;
        }
        all
    }};
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
    nesterov: bool,
}

impl<S: Simd> Rule<S> for Momentum<S> {
    #[inline(always)]
    unsafe fn step<const U: usize>(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let (g, w) = (load_all::<S, U>(s, at.g, mask), load_all::<S, U>(s, at.w, mask));
            let m = load_all::<S, U>(s, at.first, mask);
            let step = each!(s, u => s.mul(self.rate, g[u]));
            let m = each!(s, u => s.sub(s.mul(self.keep, m[u]), step[u]));
            let m = flush(s, m);
            let change = if self.nesterov {
                each!(s, u => s.sub(s.mul(self.keep, m[u]), step[u]))
            } else {
                m
            };
            store_all(s, at.first, m, mask);
            store_all(s, at.w, each!(s, u => s.add(w[u], change[u])), mask);
        }
    }
}

pub(crate) struct RmsProp<S: Simd> {
    rate: S::F,
    keep: S::F,
    take: S::F,
    epsilon: S::F,
}

impl<S: Simd> Rule<S> for RmsProp<S> {
    #[inline(always)]
    unsafe fn step<const U: usize>(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let (g, w) = (load_all::<S, U>(s, at.g, mask), load_all::<S, U>(s, at.w, mask));
            let v = load_all::<S, U>(s, at.second, mask);
            let square = each!(s, u => s.mul(g[u], g[u]));
            let square = each!(s, u => s.mul(self.take, square[u]));
            let v = each!(s, u => s.fma(self.keep, v[u], square[u]));
            let v = flush_positive(s, v);
            let inverse = inverse_sqrt(s, each!(s, u => s.add(v[u], self.epsilon)));
            let step = each!(s, u => s.mul(self.rate, g[u]));
            store_all(s, at.second, v, mask);
            store_all(s, at.w, each!(s, u => s.fnma(step[u], inverse[u], w[u])), mask);
        }
    }
}

pub(crate) struct Adam<S: Simd> {
    alpha: S::F,
    take_1: S::F,
    take_2: S::F,
    epsilon: S::F,
}

impl<S: Simd> Rule<S> for Adam<S> {
    #[inline(always)]
    unsafe fn step<const U: usize>(&self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let (g, w) = (load_all::<S, U>(s, at.g, mask), load_all::<S, U>(s, at.w, mask));
            let m = load_all::<S, U>(s, at.first, mask);
            let v = load_all::<S, U>(s, at.second, mask);
            let m = each!(s, u => s.fma(s.sub(g[u], m[u]), self.take_1, m[u]));
            let m = flush(s, m);
            let v = each!(s, u => s.fma(s.sub(s.mul(g[u], g[u]), v[u]), self.take_2, v[u]));
            let v = flush_positive(s, v);
            // sqrt(v) = v / sqrt(v): the multiplications run beside the division that follows,
            // where a square root would wait for the same unit.
            let inverse = inverse_sqrt(s, v);
            let root = each!(s, u => s.fma(v[u], inverse[u], self.epsilon));
            let quotient = each!(s, u => s.div(s.mul(self.alpha, m[u]), root[u]));
            store_all(s, at.first, m, mask);
            store_all(s, at.second, v, mask);
            store_all(s, at.w, each!(s, u => s.sub(w[u], quotient[u])), mask);
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

/// State below this is taken for 0: state that decays without gradients would end in subnormal
/// numbers, which cost a hundred times as much to compute with. It is long past changing a bit of
/// anything it is added to.
const SMALLEST_STATE: f32 = 1e-30;

/// 0 where the magnitude is below [`SMALLEST_STATE`]; NaN stays.
#[inline(always)]
fn flush<S: Simd, const U: usize>(s: S, x: [S::F; U]) -> [S::F; U] {
    let magnitude = each!(s, u => s.max(x[u], s.sub(s.splat(0.0), x[u])));
    each!(s, u => s.if_gt(s.splat(SMALLEST_STATE), magnitude[u], s.splat(0.0), x[u]))
}

/// [`flush`] of what is never negative.
#[inline(always)]
fn flush_positive<S: Simd, const U: usize>(s: S, x: [S::F; U]) -> [S::F; U] {
    each!(s, u => s.if_gt(s.splat(SMALLEST_STATE), x[u], s.splat(0.0), x[u]))
}

/// `1 / sqrt(x)` to about 2 ulp for normal positive `x`; finite for zero, so that `0 * result`
/// is 0.
///
/// The start is within 3.5 % (the integer trick explained by C. Lomont, "Fast inverse square
/// root", 2003); one Newton step brings 1.8e-3, one of third order
/// `y (1 + e/2 + 3 e^2/8)`, `e = 1 - x y^2`, 1.4e-8.
#[inline(always)]
fn inverse_sqrt<S: Simd, const U: usize>(s: S, x: [S::F; U]) -> [S::F; U] {
    let start = s.splat_i(0x5f37_59df);
    let y = each!(s, u => s.float_of_bits(s.sub_i(start, s.shr1_i(s.to_bits(x[u])))));
    let half = each!(s, u => s.mul(x[u], s.splat(0.5)));
    let t = each!(s, u => s.mul(half[u], y[u]));
    let t = each!(s, u => s.fnma(t[u], y[u], s.splat(1.5)));
    let y = each!(s, u => s.mul(y[u], t[u]));
    let e = each!(s, u => s.mul(x[u], y[u]));
    let e = each!(s, u => s.fnma(e[u], y[u], s.splat(1.0)));
    let q = each!(s, u => s.fma(e[u], s.splat(0.375), s.splat(0.5)));
    let q = each!(s, u => s.mul(e[u], q[u]));
    each!(s, u => s.fma(y[u], q[u], y[u]))
}

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
