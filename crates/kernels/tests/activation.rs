//! Activations and their gradients against the naive twins, on every instruction set.

mod common;

use common::{EPS, Guarded, Random, assert_near, bits, same_on_avx2_and_avx512, sparse};
use kernels::{Activation, Isa, reference};

#[test]
fn forward_matches_the_twin_at_every_length() {
    let mut random = Random(1);
    for activation in Activation::ALL {
        for len in (0..=70).step_by(sparse(13)) {
            let inputs = random.floats(len, 8.0);
            for isa in Isa::available() {
                let mut values = Guarded::new(&inputs, len % 5);
                activation.forward(isa, values.get());
                let what = format!("{isa} {activation:?} of {len}");
                for (y, &x) in values.done(&what).iter().zip(&inputs) {
                    let expected = reference::activation(activation, x.into());
                    assert_near(*y, expected, 5.0 * EPS * (1.0 + expected.abs()), &what);
                }
            }
        }
    }
}

#[test]
fn backward_matches_the_twin_at_every_length() {
    let mut random = Random(2);
    for activation in Activation::ALL {
        for len in (0..=70).step_by(sparse(13)) {
            let mut outputs = random.floats(len, 8.0);
            for y in &mut outputs {
                *y = reference::activation(activation, f64::from(*y)) as f32;
            }
            let incoming = random.floats(len, 3.0);
            for isa in Isa::available() {
                let mut gradient = Guarded::new(&incoming, len % 7);
                activation.backward(isa, &outputs, gradient.get());
                let what = format!("{isa} {activation:?} of {len}");
                for ((g, &y), &g0) in gradient.done(&what).iter().zip(&outputs).zip(&incoming) {
                    let (y, g0) = (f64::from(y), f64::from(g0));
                    let expected = g0 * reference::activation_gradient(activation, y);
                    assert_near(*g, expected, 3.0 * EPS * g0.abs() * (1.0 + y * y), &what);
                }
            }
        }
    }
}

/// The derivative from the output is that of the function, by differences of the twin.
#[test]
fn the_twins_agree_with_each_other() {
    let h = 1e-6;
    for activation in Activation::ALL {
        for i in -40..=40 {
            // Never at 0, where relu has a corner.
            let x = 0.1 * f64::from(i) + 0.05;
            let f = |x| reference::activation(activation, x);
            let slope = (f(x + h) - f(x - h)) / (2.0 * h);
            let gradient = reference::activation_gradient(activation, f(x));
            assert!((slope - gradient).abs() < 1e-8, "{activation:?} at {x}: {slope}, {gradient}");
        }
    }
}

#[test]
fn special_values_go_where_they_should() {
    let nan = f32::NAN;
    let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
    for isa in Isa::available() {
        for activation in Activation::ALL {
            let expected = match activation {
                Activation::Linear => [nan, low, high, 0.0],
                Activation::Relu => [nan, 0.0, high, 0.0],
                Activation::Sigmoid => [nan, 0.0, 1.0, 0.5],
                Activation::Tanh => [nan, -1.0, 1.0, 0.0],
                Activation::Elu => [nan, -1.0, high, 0.0],
            };
            // In whole vectors and in the rest of one.
            for start in [0, 16, 33] {
                let mut values = [0.25; 37];
                values[start..start + 4].copy_from_slice(&[nan, low, high, 0.0]);
                activation.forward(isa, &mut values);
                for (y, expected) in values[start..].iter().zip(expected) {
                    let same = *y == expected || (y.is_nan() && expected.is_nan());
                    assert!(same, "{isa} {activation:?}: {y} for {expected}");
                }
                assert!(values[..start].iter().all(|x| !x.is_nan()));
            }
        }
    }
}

/// `0 * NaN` is NaN, but a relu that is off lets nothing through.
#[test]
fn an_idle_relu_stops_the_gradient() {
    for isa in Isa::available() {
        let mut gradient = [1.0, f32::NAN, -2.0];
        Activation::Relu.backward(isa, &[0.0, 0.0, 5.0], &mut gradient);
        assert_eq!(gradient, [0.0, 0.0, -2.0], "{isa}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs the portable kernels alone")]
fn avx2_and_avx512_agree_in_every_bit() {
    let inputs = Random(3).floats(1003, 20.0);
    for activation in Activation::ALL {
        same_on_avx2_and_avx512(|isa| {
            let mut values = inputs.clone();
            activation.forward(isa, &mut values);
            let mut gradient = inputs.clone();
            activation.backward(isa, &values, &mut gradient);
            (bits(&values), bits(&gradient))
        });
    }
}

#[test]
#[should_panic(expected = "one gradient for each output")]
fn lengths_that_differ_are_refused() {
    Activation::Relu.backward(Isa::best(), &[1.0; 3], &mut [1.0; 4]);
}
