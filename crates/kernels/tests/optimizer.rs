//! Optimizer steps against Keras's formulas in `f64`, on every instruction set.

mod common;

use common::steps::{RULES, TINY, assert_step, uses};
use common::{EPS, Guarded, Random, assert_near, bits, same_on_avx2_and_avx512, sparse};
use kernels::{Isa, Update, reference};

/// Weights and both states.
#[derive(Clone)]
struct State([Vec<f32>; 3]);

impl State {
    fn random(random: &mut Random, len: usize) -> Self {
        let squares = random.floats(len, 1.0).iter().map(|x| x * x).collect();
        Self([random.floats(len, 1.0), random.floats(len, 0.5), squares])
    }

    fn slices(&self) -> [&[f32]; 3] {
        [0, 1, 2].map(|i| &self.0[i][..])
    }

    fn bits(&self) -> [Vec<u32>; 3] {
        self.slices().map(bits)
    }

    /// One step, in memory with canaries; state that the rule does not use is empty.
    fn apply(&mut self, isa: Isa, rule: &Update, gradient: &[f32]) {
        let len = gradient.len();
        let mut guarded = [0, 1, 2].map(|i| Guarded::new(&self.0[i], (len + 3 * i) % 7));
        let [w, first, second] = &mut guarded;
        let (uses_first, uses_second) = uses(rule);
        let first = if uses_first { first.get() } else { &mut [] };
        let second = if uses_second { second.get() } else { &mut [] };
        rule.apply(isa, w.get(), gradient, first, second);
        self.0 = guarded.map(|values| values.done(&format!("{isa} {rule:?} of {len}")));
    }
}

#[test]
fn every_rule_matches_the_twin_at_every_length() {
    let mut random = Random(41);
    for rule in &RULES {
        for len in (0..=70).step_by(sparse(13)) {
            let start = State::random(&mut random, len);
            for isa in Isa::available() {
                let mut state = start.clone();
                for step in 0..4 {
                    // Of any size, and none at all.
                    let mut gradient = random.floats(len, [1.0, 1e-4, 30.0, 0.0][step]);
                    gradient.iter_mut().step_by(5).for_each(|g| *g = 0.0);
                    let old = state.clone();
                    state.apply(isa, rule, &gradient);
                    let wide: Vec<f64> = gradient.iter().map(|g| f64::from(*g)).collect();
                    let what = format!("{isa} {rule:?} of {len}, step {step}");
                    assert_step(old.slices(), state.slices(), &wide, rule, &what);
                }
            }
        }
    }
}

/// A parameter in `f64`, and how far the kernel's may be from it by now.
///
/// The bounds are carried along with the values, as each operation of the kernel rounds once, and
/// each setting when it becomes an `f32`. To first order; 1.05 covers the rest.
#[derive(Clone, Copy, Default)]
struct Running {
    w: f64,
    m: f64,
    v: f64,
    w_off: f64,
    m_off: f64,
    v_off: f64,
    /// The size of the start and of all changes.
    travelled: f64,
}

/// Keras's optimizers with their defaults.
#[derive(Clone, Copy, Debug)]
enum Keras {
    Sgd,
    Momentum { nesterov: bool },
    RmsProp,
    Adam,
}

impl Keras {
    const ALL: [Self; 5] = [
        Self::Sgd,
        Self::Momentum { nesterov: false },
        Self::Momentum { nesterov: true },
        Self::RmsProp,
        Self::Adam,
    ];

    fn update(self, t: u32) -> Update {
        match self {
            Self::Sgd => Update::Sgd { learning_rate: 0.01 },
            Self::Momentum { nesterov } => {
                Update::Momentum { learning_rate: 0.01, momentum: 0.9, nesterov }
            }
            Self::RmsProp => Update::rmsprop(1e-3, 0.9, 1e-7),
            Self::Adam => Update::adam(1e-3, 0.9, 0.999, 1e-7, t.into()),
        }
    }

    fn step(self, p: &mut Running, g: f64, t: u32) {
        let old = *p;
        let (w, m, v) = (&mut [p.w], &mut [p.m], &mut [p.v]);
        match self {
            Self::Sgd => reference::sgd(w, m, &[g], 0.01, 0.0, false),
            Self::Momentum { nesterov } => reference::sgd(w, m, &[g], 0.01, 0.9, nesterov),
            Self::RmsProp => reference::rmsprop(w, v, &[g], 1e-3, 0.9, 1e-7),
            // With the decays that `f32` has: 0.999 is off by 1.3e-8, and so 1 - 0.999 by 1.3e-5.
            Self::Adam => {
                let betas = [0.9_f32, 0.999].map(f64::from);
                reference::adam(w, m, v, &[g], t, 1e-3, betas, 1e-7);
            }
        }
        (p.w, p.m, p.v) = (w[0], m[0], v[0]);
        let change = (p.w - old.w).abs();
        p.travelled += change;
        p.w_off += 1.05 * EPS * p.w.abs();
        match self {
            Self::Sgd => {
                p.m = 0.0; // the twin's; the kernel keeps none
                p.w_off += 1.05 * EPS * 2.0 * change;
            }
            Self::Momentum { nesterov } => {
                let step = (0.01 * g).abs();
                let terms = 2.0 * (0.9 * old.m).abs() + 2.0 * step + p.m.abs();
                p.m_off = 0.9 * old.m_off + 1.05 * EPS * terms;
                let again = 2.0 * (0.9 * p.m).abs() + 2.0 * step + change;
                p.w_off += p.m_off + if nesterov { 1.05 * EPS * again } else { 0.0 };
            }
            Self::RmsProp => {
                // Of `v + epsilon`: the decay's rounding, and one of each operation.
                p.v_off = 0.9 * old.v_off
                    + 1.05 * EPS * (2.0 * 0.9 * (old.v + 1e-7) + 2.0 * 0.1 * g * g + p.v + 2e-7);
                p.w_off += change * 1.05 * (0.5 * p.v_off / (p.v + 1e-7) + 20.0 * EPS);
            }
            Self::Adam => {
                let (dm, dv) = (0.1 * (g - old.m).abs(), 1e-3 * (g * g - old.v).abs());
                p.m_off = 0.9 * old.m_off + 1.05 * EPS * (3.0 * dm + 2.0 * p.m.abs() + old.m.abs());
                p.v_off = 0.999 * old.v_off + 1.05 * EPS * (1e-3 * g * g + 3.0 * dv + 2.0 * p.v);
                let slope = change / p.m.abs().max(f64::MIN_POSITIVE);
                let relative = 0.5 * p.v_off / p.v.max(f64::MIN_POSITIVE) + 20.0 * EPS;
                p.w_off += 1.05 * (slope * p.m_off + change * relative);
            }
        }
    }
}

#[test]
fn many_steps_with_the_defaults_of_keras_stay_near_the_twin() {
    const LEN: usize = 83;
    for keras in Keras::ALL {
        for isa in Isa::available() {
            let mut random = Random(42);
            let second = keras.update(1).initial_second();
            // That start is rounded too.
            let v_off = 0.2 * EPS * f64::from(second);
            let mut state = State([random.floats(LEN, 0.1), vec![0.0; LEN], vec![second; LEN]]);
            let mut twin: Vec<Running> = state.0[0]
                .iter()
                .map(|w| f64::from(*w))
                .map(|w| Running { w, v_off, travelled: w.abs(), ..Running::default() })
                .collect();
            for t in 1..=200 / sparse(40) as u32 {
                // Each parameter has gradients of its own size, from 1e-5 to 100.
                let mut gradient = random.floats(LEN, 1.0);
                for (i, g) in gradient.iter_mut().enumerate() {
                    *g *= 10.0_f32.powi((i % 8) as i32 - 5);
                }
                state.apply(isa, &keras.update(t), &gradient);
                for (i, p) in twin.iter_mut().enumerate() {
                    keras.step(p, f64::from(gradient[i]), t);
                    let what = |name: &str| format!("{isa} {keras:?}, step {t}: {name} of {i}");
                    assert_near(state.0[0][i], p.w, p.w_off, &what("weight"));
                    // The kernels' states in units of Keras's.
                    let (first, second, epsilon) = match keras {
                        Keras::RmsProp => (1.0, 0.1, 1e-7),
                        Keras::Adam => (1.0 - f64::from(0.9_f32), 1.0 - f64::from(0.999_f32), 0.0),
                        _ => (1.0, 1.0, 0.0),
                    };
                    let near = |x: f32, unit: f64, expected: f64, off: f64, name: &str| {
                        assert_near(x, expected / unit, off / unit + 20.0 * TINY, &what(name));
                    };
                    near(state.0[1][i], first, p.m, p.m_off, "first state");
                    near(state.0[2][i], second, p.v + epsilon, p.v_off, "second state");
                    // A bound that has grown past sense would prove nothing.
                    assert!(p.w_off < 1e-4 * p.travelled, "{}", what("bound"));
                }
            }
        }
    }
}

#[test]
fn settings_become_what_the_decimals_say() {
    let Update::RmsProp { rate, rho, epsilon } = Update::rmsprop(1e-3, 0.9, 1e-7) else { panic!() };
    let expected = 1e-3 / 0.1_f64.sqrt();
    assert_near(rate, expected, EPS * expected, "rate");
    assert_eq!((rho, epsilon), (0.9, 1e-7));
    // The step of Keras's first step is that of its sign: all scaling cancels.
    let last = 1e-3 * (1.0 - f64::from(0.9_f32)) / (1.0 - f64::from(0.999_f32)).sqrt();
    for (t, expected) in [(1, 1e-3), (1_000_000, last), (u64::MAX, last)] {
        let Update::Adam { rate, beta_1, beta_2, epsilon } =
            Update::adam(1e-3, 0.9, 0.999, 1e-7, t)
        else {
            panic!("not Adam");
        };
        assert_near(rate, expected, 2.0 * EPS * expected, &format!("rate at step {t}"));
        assert_eq!((beta_1, beta_2), (0.9, 0.999));
        assert_near(epsilon, 1e-7 / 1e-3_f64.sqrt(), 1e-5 * 3.2e-6, "epsilon");
    }
    assert_eq!(RULES.map(|rule| rule.states()), [0, 1, 1, 1, 2]);
}

#[test]
fn no_weight_changes_without_gradients_and_state() {
    for rule in RULES.iter().chain([&Keras::Adam.update(1), &Keras::RmsProp.update(1)]) {
        for isa in Isa::available() {
            let mut weights = Random(43).floats(37, 1.0);
            weights[20] = 1e-15;
            let second = rule.initial_second();
            let mut state = State([weights.clone(), vec![0.0; 37], vec![second; 37]]);
            for _ in 0..3 {
                state.apply(isa, rule, &[0.0; 37]);
            }
            assert_eq!(bits(&state.0[0]), bits(&weights), "{isa} {rule:?}");
            for (first, second_now) in state.0[1].iter().zip(&state.0[2]) {
                assert!(first.abs() < 4e-30, "{isa} {rule:?}: {first}");
                assert_near(*second_now, second.into(), 4.0 * EPS * f64::from(second) + 4e-30, "");
            }
        }
    }
}

/// State that decays becomes neither subnormal nor large enough for a weight to notice.
#[test]
#[cfg_attr(miri, ignore = "4,000 steps; a few of the same are in the tests above")]
fn decaying_state_stays_normal_and_changes_no_weight() {
    for keras in Keras::ALL {
        for isa in Isa::available() {
            let mut weights = Random(44).floats(37, 1.0);
            weights.iter_mut().for_each(|w| *w += w.signum() * 0.01);
            let second = keras.update(1).initial_second();
            let mut state = State([weights.clone(), vec![1e-27; 37], vec![second.max(1e-27); 37]]);
            for t in 1..=4000 {
                state.apply(isa, &keras.update(t), &[0.0; 37]);
                for x in state.0[1].iter().chain(&state.0[2]) {
                    assert!(*x >= 1e-30, "{isa} {keras:?}, step {t}: {x}");
                }
            }
            assert_eq!(bits(&state.0[0]), bits(&weights), "{isa} {keras:?}");
        }
    }
}

/// `1 / sqrt(x)`, by a step of RMSprop whose other factors cancel: the gradient is so small a power
/// of two that its square is lost in the sum.
fn inverse_sqrt(isa: Isa, x: &mut [f32]) -> Vec<f32> {
    let smallest = x.iter().copied().fold(f32::INFINITY, f32::min);
    let gradient = 2.0_f32.powi(smallest.log2() as i32 / 2 - 20);
    let rule = Update::RmsProp { rate: 1.0 / gradient, rho: 1.0, epsilon: 0.0 };
    let mut w = vec![0.0; x.len()];
    rule.apply(isa, &mut w, &vec![-gradient; x.len()], &mut [], x);
    w
}

/// The error in units of half the distance of floats just above 1.
fn off(got: f32, x: f32) -> f64 {
    (f64::from(got) * f64::from(x).sqrt() - 1.0).abs() / EPS
}

/// The error depends on the significand and on whether the exponent is even: two octaves have all
/// of it.
#[test]
fn inverse_square_roots_are_within_their_bound() {
    for isa in Isa::available() {
        let mut worst = (0.0, 0.0);
        let all: Vec<u32> =
            (1.0_f32.to_bits()..4.0_f32.to_bits()).step_by(3 * sparse(50_021)).collect();
        for chunk in all.chunks(1 << 14) {
            let x: Vec<f32> = chunk.iter().map(|bits| f32::from_bits(*bits)).collect();
            for (y, x) in inverse_sqrt(isa, &mut x.clone()).iter().zip(&x) {
                if off(*y, *x) > worst.0 {
                    worst = (off(*y, *x), *x);
                }
            }
        }
        assert!(worst.0 <= 13.0, "{isa}: off by {} at {}", worst.0, worst.1);
    }
}

#[test]
fn inverse_square_roots_hold_over_all_exponents_of_a_state() {
    for isa in Isa::available() {
        // From 1e-22 on, where what is added against fading no longer counts.
        for exponent in (54..=250_u32).step_by(sparse(60)) {
            let significands = [0, 1, 0x12_3456, 0x40_0000, 0x5a_5a5a, 0x7f_ffff];
            for x in significands.map(|bits| f32::from_bits(exponent << 23 | bits)) {
                let mut state = [x; 19];
                for y in inverse_sqrt(isa, &mut state) {
                    assert!(off(y, x) <= 13.0, "{isa}: {y} for {x:e}");
                }
                assert_eq!(state, [x; 19], "{isa}");
            }
        }
        // Without epsilon, state and gradient nothing becomes 0 * infinity.
        let rule = Update::RmsProp { rate: 1.0, rho: 0.5, epsilon: 0.0 };
        let mut w = [1.0; 19];
        rule.apply(isa, &mut w, &[0.0; 19], &mut [], &mut [0.0; 19]);
        assert_eq!(w, [1.0; 19], "{isa}");
    }
}

#[test]
fn nan_shows_in_its_parameter_alone() {
    for rule in &RULES {
        for isa in Isa::available() {
            for bad in [0, 17, 36] {
                let mut state = State::random(&mut Random(45), 37);
                let mut gradient = vec![0.5; 37];
                gradient[bad] = f32::NAN;
                state.apply(isa, rule, &gradient);
                // The next step does not heal it.
                state.apply(isa, rule, &[0.5; 37]);
                let nan: Vec<usize> = (0..37).filter(|i| state.0[0][*i].is_nan()).collect();
                assert_eq!(nan, [bad], "{isa} {rule:?}");
            }
        }
    }
}

#[test]
fn parts_have_the_bits_of_the_whole() {
    let mut random = Random(46);
    for rule in &RULES {
        for isa in Isa::available() {
            let (gradient, old) = (random.floats(101, 1.0), State::random(&mut random, 101));
            let mut whole = old.clone();
            whole.apply(isa, rule, &gradient);
            for cut in [1, 8, 50, 96] {
                let part = |range: std::ops::Range<usize>| {
                    let mut part = State(old.slices().map(|x| x[range.clone()].to_vec()));
                    part.apply(isa, rule, &gradient[range]);
                    part.bits()
                };
                let (left, right) = (part(0..cut), part(cut..101));
                let joined = [0, 1, 2].map(|i| [&left[i][..], &right[i][..]].concat());
                assert_eq!(joined, whole.bits(), "{isa} {rule:?} cut at {cut}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs the portable kernels alone")]
fn avx2_and_avx512_agree_in_every_bit() {
    let mut random = Random(47);
    for keras in Keras::ALL {
        let start = State::random(&mut random, 1003);
        let gradients = [(); 20].map(|()| random.floats(1003, 1.0));
        same_on_avx2_and_avx512(|isa| {
            let mut state = start.clone();
            for (gradient, t) in gradients.iter().zip(1..) {
                state.apply(isa, &keras.update(t), gradient);
            }
            state.bits()
        });
    }
}

#[test]
#[should_panic(expected = "one gradient a weight")]
fn a_missing_gradient_is_refused() {
    RULES[0].apply(Isa::best(), &mut [0.0; 3], &[0.0; 2], &mut [], &mut []);
}

#[test]
#[should_panic(expected = "2 momenta of 3 weights")]
fn a_missing_momentum_is_refused() {
    RULES[1].apply(Isa::best(), &mut [0.0; 3], &[0.0; 3], &mut [0.0; 2], &mut []);
}

#[test]
#[should_panic(expected = "0 squares of 3 weights")]
fn a_missing_square_is_refused() {
    RULES[4].apply(Isa::best(), &mut [0.0; 3], &[0.0; 3], &mut [0.0; 3], &mut []);
}
