//! The rules: what is done to some vectors of parameters, with their gradients in registers.

use super::Update;
use crate::inverse_sqrt::{InverseSqrt, ROOT_SCALE};
use crate::simd::{Simd, each};

/// Pointers to one parameter and what belongs to it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub w: *mut f32,
    pub first: *mut f32,
    pub second: *mut f32,
}

impl Place {
    /// The place `floats` further on. State that a rule lacks has no place; it is not looked at.
    #[inline(always)]
    pub(crate) fn after(self, floats: usize) -> Self {
        Self {
            w: self.w.wrapping_add(floats),
            first: self.first.wrapping_add(floats),
            second: self.second.wrapping_add(floats),
        }
    }
}

/// A rule with its settings. A trait, not closures: a closure that the compiler leaves out of line is
/// compiled without the instruction set.
pub(crate) trait Rule: Copy {
    /// Updates the `U` vectors from `at` on by their gradients; with a mask, `U` is 1.
    ///
    /// `U` vectors go through each operation before the next: the operations of one vector wait for
    /// each other, some seventy cycles in all (one at a time took a tenth longer).
    ///
    /// # Safety
    /// What the rule uses is valid for the vectors, or for the mask's lanes.
    unsafe fn step<S: Simd, const U: usize>(
        self,
        s: S,
        at: Place,
        g: [S::F; U],
        mask: Option<S::M>,
    );

    /// What [`step`](Self::step) does where all gradients are zero, to the bit.
    ///
    /// # Safety
    /// As `step`.
    #[inline(always)]
    unsafe fn rest<S: Simd, const U: usize>(self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe { self.step(s, at, [s.splat(0.0); U], mask) };
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Sgd {
    rate: f32,
}

impl Rule for Sgd {
    #[inline(always)]
    unsafe fn step<S: Simd, const U: usize>(
        self,
        s: S,
        at: Place,
        g: [S::F; U],
        mask: Option<S::M>,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let w = load_all::<S, U>(s, at.w, mask);
            store_all(s, at.w, each!(s, u => s.fnma(s.splat(self.rate), g[u], w[u])), mask);
        }
    }

    /// Nothing.
    #[inline(always)]
    unsafe fn rest<S: Simd, const U: usize>(self, _: S, _: Place, _: Option<S::M>) {}
}

#[derive(Clone, Copy)]
pub(crate) struct Momentum {
    rate: f32,
    keep: f32,
    tiny: f32,
    nesterov: bool,
}

impl Rule for Momentum {
    #[inline(always)]
    unsafe fn step<S: Simd, const U: usize>(
        self,
        s: S,
        at: Place,
        g: [S::F; U],
        mask: Option<S::M>,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let w = load_all::<S, U>(s, at.w, mask);
            let m = load_all::<S, U>(s, at.first, mask);
            let step = each!(s, u => s.fnma(s.splat(self.rate), g[u], s.splat(self.tiny)));
            let m = each!(s, u => s.fma(s.splat(self.keep), m[u], step[u]));
            let change = if self.nesterov {
                each!(s, u => s.fma(s.splat(self.keep), m[u], step[u]))
            } else {
                m
            };
            store_all(s, at.first, m, mask);
            store_all(s, at.w, each!(s, u => s.add(w[u], change[u])), mask);
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct RmsProp {
    rate: f32,
    keep: f32,
    epsilon: f32,
}

impl Rule for RmsProp {
    #[inline(always)]
    unsafe fn step<S: Simd, const U: usize>(
        self,
        s: S,
        at: Place,
        g: [S::F; U],
        mask: Option<S::M>,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let w = load_all::<S, U>(s, at.w, mask);
            let sum = load_all::<S, U>(s, at.second, mask);
            let square = each!(s, u => s.fma(g[u], g[u], s.splat(self.epsilon)));
            let sum = each!(s, u => s.fma(s.splat(self.keep), sum[u], square[u]));
            store_all(s, at.second, sum, mask);
            let root = InverseSqrt::<S, U>::of(s, sum);
            let step = each!(s, u => s.mul(g[u], root.near[u]));
            let step = each!(s, u => s.mul(step[u], root.correction[u]));
            store_all(s, at.w, each!(s, u => s.fnma(s.splat(self.rate), step[u], w[u])), mask);
        }
    }

    /// The sum of squares decays; the weights stay.
    #[inline(always)]
    unsafe fn rest<S: Simd, const U: usize>(self, s: S, at: Place, mask: Option<S::M>) {
        // SAFETY: the caller's.
        unsafe {
            let (keep, epsilon) = (s.splat(self.keep), s.splat(self.epsilon));
            let sum = load_all::<S, U>(s, at.second, mask);
            store_all(s, at.second, each!(s, u => s.fma(keep, sum[u], epsilon)), mask);
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Adam {
    rate: f32,
    keep_1: f32,
    keep_2: f32,
    epsilon: f32,
    tiny: f32,
}

impl Rule for Adam {
    #[inline(always)]
    unsafe fn step<S: Simd, const U: usize>(
        self,
        s: S,
        at: Place,
        g: [S::F; U],
        mask: Option<S::M>,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let w = load_all::<S, U>(s, at.w, mask);
            let (m, sum) =
                (load_all::<S, U>(s, at.first, mask), load_all::<S, U>(s, at.second, mask));
            let term = each!(s, u => s.add(g[u], s.splat(self.tiny)));
            let m = each!(s, u => s.fma(s.splat(self.keep_1), m[u], term[u]));
            store_all(s, at.first, m, mask);
            let square = each!(s, u => s.fma(g[u], g[u], s.splat(self.tiny)));
            let sum = each!(s, u => s.fma(s.splat(self.keep_2), sum[u], square[u]));
            store_all(s, at.second, sum, mask);
            // sqrt(s) = s / sqrt(s): the multiplications run beside the division that follows,
            // where a square root would wait for the same unit.
            let root = InverseSqrt::<S, U>::of(s, sum);
            let root =
                each!(s, u => s.fma(root.times[u], root.correction[u], s.splat(self.epsilon)));
            let quotient = each!(s, u => s.div(m[u], root[u]));
            store_all(s, at.w, each!(s, u => s.fnma(s.splat(self.rate), quotient[u], w[u])), mask);
        }
    }
}

/// Work to be done with a rule whose kind is known where it is compiled.
pub(crate) trait WithRule {
    fn run(self, rule: impl Rule);
}

/// Runs `work` with the rule of an update.
#[inline(always)]
pub(crate) fn with_rule(update: &Update, work: impl WithRule) {
    match *update {
        Update::Sgd { learning_rate } => work.run(Sgd { rate: learning_rate }),
        Update::Momentum { learning_rate, momentum, nesterov } => {
            work.run(Momentum { rate: learning_rate, keep: momentum, tiny: TINY, nesterov });
        }
        Update::RmsProp { rate, rho, epsilon } => {
            let rate = (f64::from(rate) / ROOT_SCALE) as f32;
            work.run(RmsProp { rate, keep: rho, epsilon: epsilon.max(TINY) });
        }
        Update::Adam { rate, beta_1, beta_2, epsilon } => {
            let rate = (f64::from(rate) * ROOT_SCALE) as f32;
            let epsilon = (f64::from(epsilon) * ROOT_SCALE) as f32;
            work.run(Adam { rate, keep_1: beta_1, keep_2: beta_2, epsilon, tiny: TINY });
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
pub(super) unsafe fn load_all<S: Simd, const U: usize>(
    s: S,
    p: *const f32,
    mask: Option<S::M>,
) -> [S::F; U] {
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
