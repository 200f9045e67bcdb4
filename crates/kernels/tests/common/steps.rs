//! Optimizer steps and what they should come to.

use kernels::{Update, reference};

use super::{EPS, assert_near};

/// One of each kind, and both momenta. The settings are exact, and so is `1 - rho`.
pub const RULES: [Update; 5] = [
    Update::Sgd { learning_rate: 0.25 },
    Update::Momentum { learning_rate: 0.125, momentum: 0.75, nesterov: false },
    Update::Momentum { learning_rate: 0.125, momentum: 0.75, nesterov: true },
    Update::RmsProp { learning_rate: 0.0625, rho: 0.75, one_minus_rho: 0.25, epsilon: 1e-7 },
    Update::Adam { alpha: 0.0625, one_minus_beta_1: 0.25, one_minus_beta_2: 0.125, epsilon: 1e-7 },
];

/// Whether a rule uses the first state, and the second.
pub fn uses(rule: &Update) -> (bool, bool) {
    match rule {
        Update::Sgd { .. } => (false, false),
        Update::Momentum { .. } => (true, false),
        Update::RmsProp { .. } => (false, true),
        Update::Adam { .. } => (true, true),
    }
}

/// One step of weights and both states from `old` to `new` is what the formulas say in `f64`.
///
/// A state is off by a few roundings of terms that are no larger than `|state|` and what is added
/// to it; a weight by one rounding of itself and at most sixteen of its change: those of the
/// states, four of the root, one each of what is left.
#[track_caller]
pub fn assert_step(
    old: [&[f32]; 3],
    new: [&[f32]; 3],
    gradient: &[f64],
    rule: &Update,
    what: &str,
) {
    let [w0, m0, v0] = old.map(|x| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
    let (mut w, mut m, mut v) = (w0.clone(), m0.clone(), v0.clone());
    match *rule {
        Update::Sgd { learning_rate } => {
            reference::sgd(&mut w, &mut m, gradient, learning_rate.into(), 0.0, false);
            m = m0.clone(); // not used, and left alone
        }
        Update::Momentum { learning_rate, momentum, nesterov } => {
            let (rate, momentum) = (learning_rate.into(), momentum.into());
            reference::sgd(&mut w, &mut m, gradient, rate, momentum, nesterov);
        }
        Update::RmsProp { learning_rate, rho, epsilon, .. } => {
            let (rate, rho) = (learning_rate.into(), rho.into());
            reference::rmsprop(&mut w, &mut v, gradient, rate, rho, epsilon.into());
        }
        Update::Adam { alpha, one_minus_beta_1, one_minus_beta_2, epsilon } => {
            // The rule's `alpha` has the correction in it: undo the twin's, at its first step.
            let betas = [one_minus_beta_1, one_minus_beta_2].map(|x| 1.0 - f64::from(x));
            let rate = f64::from(alpha) * (1.0 - betas[0]) / (1.0 - betas[1]).sqrt();
            reference::adam(&mut w, &mut m, &mut v, gradient, 1, rate, betas, epsilon.into());
        }
    }
    let states = [(new[1], &m, &m0), (new[2], &v, &v0)];
    for (got, expected, before) in states {
        for (at, x) in got.iter().enumerate() {
            let bound = 4.0 * EPS * (expected[at].abs() + before[at].abs());
            assert_near(*x, expected[at], bound, &format!("{what}: state {at}"));
        }
    }
    for (at, x) in new[0].iter().enumerate() {
        // The mean's own error is relative to its terms, which may cancel.
        let terms = m0[at].abs() + gradient[at].abs();
        let change = match *rule {
            Update::Adam { alpha, epsilon, .. } => {
                f64::from(alpha) * terms / (v[at].sqrt() + f64::from(epsilon))
            }
            Update::Momentum { .. } => m0[at].abs() + 2.0 * m[at].abs() + gradient[at].abs(),
            _ => (w[at] - w0[at]).abs(),
        };
        let bound = 1.01 * EPS * (w[at].abs() + 16.0 * change);
        assert_near(*x, w[at], bound, &format!("{what}: weight {at}"));
    }
}
