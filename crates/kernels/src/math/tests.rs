use super::*;
use crate::Isa;
use crate::simd::Kernel;
use crate::slices::{self, Op};

#[derive(Clone, Copy, Debug)]
enum Function {
    Exp,
    Sigmoid,
    Tanh,
    Elu,
}

struct Apply<'a>(Function, &'a mut [f32]);

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        slices::map(s, self.1, self.0);
    }
}

impl Op<1> for Function {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::F; 1]) -> S::F {
        match self {
            Self::Exp => exp(s, x),
            Self::Sigmoid => sigmoid(s, x),
            Self::Tanh => tanh(s, x),
            Self::Elu => elu(s, x),
        }
    }
}

impl Function {
    fn of(self, isa: Isa, x: f32) -> f32 {
        let mut value = [x];
        isa.run(Apply(self, &mut value));
        value[0]
    }

    fn exact(self, x: f64) -> f64 {
        match self {
            Self::Exp => x.exp(),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
            Self::Elu => {
                if x > 0.0 {
                    x
                } else {
                    x.exp_m1()
                }
            }
        }
    }
}

/// `got - exact` in units of the last place of a float of that size (normal or subnormal).
fn ulps(got: f32, exact: f64) -> f64 {
    let size = exact.abs().max(f64::from(f32::MIN_POSITIVE));
    // The power of two in it: its exponent field alone.
    let power = f64::from_bits(size.to_bits() & (0x7ff << 52));
    (f64::from(got) - exact).abs() / (power * f64::from(f32::EPSILON))
}

/// Calls `check` with every `step`th of all floats, NaN and infinities included, and its results.
fn over_all_floats(isa: Isa, function: Function, step: usize, mut check: impl FnMut(f32, f32)) {
    let mut inputs = Vec::with_capacity(1 << 16);
    let mut bits = (0..=u32::MAX).step_by(step).peekable();
    while bits.peek().is_some() {
        inputs.clear();
        inputs.extend(bits.by_ref().take(1 << 16).map(f32::from_bits));
        let mut outputs = inputs.clone();
        isa.run(Apply(function, &mut outputs));
        inputs.iter().zip(&outputs).for_each(|(x, y)| check(*x, *y));
    }
}

/// All floats would take many minutes (every 61st has been tried: the bounds below are the errors found,
/// rounded up); the step is a prime, so that all bits vary.
const STEP: usize = if cfg!(miri) { 50_000_017 } else { 8_009 };

fn worst(isa: Isa, function: Function, skip: impl Fn(f32) -> bool) -> f64 {
    let mut worst = (0.0, 0.0);
    over_all_floats(isa, function, STEP, |x, y| {
        if x.is_nan() {
            assert!(y.is_nan(), "{isa} {function:?}: NaN {:#x} gave {y}", x.to_bits());
        } else if !skip(x) {
            let error = ulps(y, function.exact(x.into()));
            if error > worst.0 {
                worst = (error, x);
            }
        }
    });
    println!("{isa} {function:?}: {:.3} units in the last place at {:e}", worst.0, worst.1);
    worst.0
}

#[test]
fn exp_is_within_two_units_over_the_whole_range() {
    for isa in Isa::available() {
        // Zero and infinity are looked at below.
        let bound = if isa.name() == "portable" { 1.2 } else { 0.9 };
        let worst = worst(isa, Function::Exp, |x| !(-86.98..88.7228).contains(&x));
        assert!(worst <= bound, "{isa}: {worst}");
    }
}

#[test]
fn exp_ends_in_zero_and_infinity() {
    for isa in Isa::available() {
        over_all_floats(isa, Function::Exp, STEP, |x, y| {
            if x >= 88.722_84 {
                assert_eq!(y, f32::INFINITY, "{isa}: {x}");
            } else if x < -87.0 {
                assert_eq!(y.to_bits(), 0, "{isa}: {x}");
            } else if x > -86.98 {
                assert!(y.is_finite() && y >= f32::MIN_POSITIVE, "{isa}: {x} gave {y}");
            }
        });
        let exp = |x| Function::Exp.of(isa, x);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(f32::NEG_INFINITY).to_bits(), 0);
        assert_eq!(exp(f32::MAX), f32::INFINITY);
        assert_eq!(exp(f32::MIN).to_bits(), 0);
        // The last float with a finite exponential, and the first without.
        let last = f32::from_bits(0x42b1_7217);
        assert!(ulps(exp(last), f64::from(last).exp()) < 2.0, "{isa}: {}", exp(last));
        assert_eq!(exp(last.next_up()), f32::INFINITY);
    }
}

#[test]
fn sigmoid_tanh_and_elu_are_accurate_over_the_whole_range() {
    for isa in Isa::available() {
        // Below -87, the sigmoid is near the subnormal numbers or among them.
        let sigmoid = worst(isa, Function::Sigmoid, |x| x < -87.0);
        assert!(sigmoid <= 2.4, "{isa}: sigmoid {sigmoid}");
        let tanh = worst(isa, Function::Tanh, |_| false);
        assert!(tanh <= 2.5, "{isa}: tanh {tanh}");
        let elu = worst(isa, Function::Elu, |_| false);
        assert!(elu <= 1.1, "{isa}: elu {elu}");
    }
}

#[test]
fn limits_are_reached_and_not_passed() {
    for isa in Isa::available() {
        over_all_floats(isa, Function::Tanh, STEP, |x, y| {
            assert!(x.is_nan() || y.abs() <= 1.0, "{isa}: tanh({x}) = {y}");
        });
        over_all_floats(isa, Function::Sigmoid, STEP, |x, y| {
            assert!(x.is_nan() || (0.0..=1.0).contains(&y), "{isa}: sigmoid({x}) = {y}");
        });
        over_all_floats(isa, Function::Elu, STEP, |x, y| {
            assert!(x.is_nan() || y >= -1.0, "{isa}: elu({x}) = {y}");
        });
        let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
        let ends = |f: Function| (f.of(isa, low), f.of(isa, high));
        assert_eq!(ends(Function::Sigmoid), (0.0, 1.0));
        assert_eq!(ends(Function::Tanh), (-1.0, 1.0));
        assert_eq!(ends(Function::Elu), (-1.0, f32::INFINITY));
    }
}

/// Fused and unfused differ; AVX2 and AVX-512 may not, over all floats.
#[test]
fn avx2_and_avx512_agree_in_every_bit() {
    let (Some(avx2), Some(avx512)) = (Isa::by_name("avx2"), Isa::by_name("avx512")) else {
        println!("skipped: one of the two is not available");
        return;
    };
    for function in [Function::Exp, Function::Sigmoid, Function::Tanh, Function::Elu] {
        over_all_floats(avx512, function, STEP * 16, |x, y| {
            let other = function.of(avx2, x);
            // The payload of a NaN may differ.
            assert!(
                y.to_bits() == other.to_bits() || (y.is_nan() && other.is_nan()),
                "{function:?}({x}): {y} and {other}"
            );
        });
    }
}

#[test]
fn ln_is_within_a_unit() {
    let mut worst = (0.0, 0.0);
    let normal = f32::MIN_POSITIVE.to_bits()..=f32::MAX.to_bits();
    // Sums of exponentials lie just above 1: there, every float.
    let near_one = 1.0_f32.to_bits()..1.0_f32.to_bits() + if cfg!(miri) { 99 } else { 200_000 };
    for bits in normal.step_by(STEP).chain(near_one) {
        let x = f32::from_bits(bits);
        let error = ulps(ln(x), f64::from(x).ln());
        if error > worst.0 {
            worst = (error, x);
        }
    }
    println!("ln: {:.3} units in the last place at {:e}", worst.0, worst.1);
    assert!(worst.0 <= 1.0, "{worst:?}");
    assert_eq!(ln(1.0).to_bits(), 0);
    assert!(ln(f32::NAN).is_nan());
    assert!(ln(f32::INFINITY).is_nan());
}
