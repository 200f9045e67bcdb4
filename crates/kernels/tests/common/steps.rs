//! Optimizer steps and what they should come to.

use kernels::Update;

use super::{EPS, assert_near};

/// One of each kind, and both momenta. The decays are exact.
pub const RULES: [Update; 5] = [
    Update::Sgd { learning_rate: 0.25 },
    Update::Momentum { learning_rate: 0.125, momentum: 0.75, nesterov: false },
    Update::Momentum { learning_rate: 0.125, momentum: 0.75, nesterov: true },
    Update::RmsProp { rate: 0.0625, rho: 0.75, epsilon: 1e-7 },
    Update::Adam { rate: 0.0625, beta_1: 0.75, beta_2: 0.875, epsilon: 1e-7 },
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

/// What the kernels add to keep state from becoming subnormal.
pub const TINY: f64 = 1e-30;

/// One step of weights and both states from `old` to `new` is what the rule's formulas, those of
/// `kernels::Update`, say in `f64`.
///
/// A state is off by a few roundings of terms that are no larger than `|state|` and what is added
/// to it; a weight by one rounding of itself and at most twenty-four of its change: those of the
/// states, twelve of the root, one each of what is left.
#[track_caller]
pub fn assert_step(
    old: [&[f32]; 3],
    new: [&[f32]; 3],
    gradient: &[f64],
    rule: &Update,
    what: &str,
) {
    for (at, &g) in gradient.iter().enumerate() {
        let [w, m, v] = old.map(|x| x.get(at).map_or(0.0, |x| f64::from(*x)));
        // Expected weight and states, and the size of the terms that the change is made of.
        let ([w1, m1, v1], change) = match *rule {
            Update::Sgd { learning_rate } => {
                let step = f64::from(learning_rate) * g;
                ([w - step, m, v], step.abs())
            }
            Update::Momentum { learning_rate, momentum, nesterov } => {
                let (rate, momentum) = (f64::from(learning_rate), f64::from(momentum));
                let m1 = momentum * m - rate * g + TINY;
                let change = if nesterov { momentum * m1 - rate * g + TINY } else { m1 };
                ([w + change, m1, v], m.abs() + 2.0 * m1.abs() + g.abs())
            }
            Update::RmsProp { rate, rho, epsilon } => {
                let v1 = f64::from(rho) * v + g * g + f64::from(epsilon);
                let step = f64::from(rate) * g / v1.sqrt();
                ([w - step, m, v1], step.abs())
            }
            Update::Adam { rate, beta_1, beta_2, epsilon } => {
                let m1 = f64::from(beta_1) * m + g + TINY;
                let v1 = f64::from(beta_2) * v + g * g + TINY;
                let slope = f64::from(rate) / (v1.sqrt() + f64::from(epsilon));
                // The mean's own error is relative to its terms, which may cancel.
                ([w - slope * m1, m1, v1], slope * (m.abs() + g.abs() + TINY))
            }
        };
        for (state, expected, before) in [(1, m1, m), (2, v1, v)] {
            let bound = 4.0 * EPS * (expected.abs() + before.abs());
            let what = format!("{what}: state {state} of {at}");
            assert_near(new[state].get(at).copied().unwrap_or(0.0), expected, bound, &what);
        }
        let bound = 1.01 * EPS * (w1.abs() + 24.0 * change);
        assert_near(new[0][at], w1, bound, &format!("{what}: weight {at}"));
    }
}
