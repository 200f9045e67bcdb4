//! The twins are what everything else is compared with: they are checked by hand and by
//! differences.

// Nothing of it is unsafe, and Miri varies the last bits of powers and logarithms on purpose.
#![cfg(not(miri))]

use kernels::reference::{self, Strided};
use kernels::{Activation, Targets};

#[test]
fn products_through_views() {
    let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [2, 3]
    let b = [1.0, 0.0, 2.0, 1.0, 0.0, 1.0]; // [3, 2]
    let a_rows = Strided::row_major(&a, 3);
    let b_rows = Strided::row_major(&b, 2);
    let expected = [5.0, 5.0, 14.0, 11.0];
    assert_eq!(reference::gemm(2, 2, 3, a_rows, b_rows), expected);
    // B^T A^T is the transpose.
    let transposed = reference::gemm(2, 2, 3, b_rows.t(), a_rows.t());
    assert_eq!(transposed, [5.0, 14.0, 5.0, 11.0]);
    // The lower right corner of a larger matrix.
    let large = [9.0, 9.0, 9.0, 9.0, 1.0, 2.0, 9.0, 3.0, 4.0];
    let corner = Strided { data: &large, offset: 4, row_stride: 3, col_stride: 1 };
    assert_eq!(reference::gemm(2, 2, 2, corner, corner), [7.0, 10.0, 15.0, 22.0]);
    let signed = [-1.0, 2.0];
    let row = Strided::row_major(&signed, 2);
    assert_eq!(reference::gemm_of_magnitudes(1, 1, 2, row, row.t()), [5.0]);
}

#[test]
fn bias_and_activation() {
    let mut c = [1.0, -5.0, -1.0, 2.0];
    reference::bias_activation(&mut c, &[0.5, 1.0], Activation::Relu);
    assert_eq!(c, [1.5, 0.0, 0.0, 3.0]);
}

#[test]
fn softmax_by_hand() {
    let ln3 = 3.0_f32.ln();
    let p = reference::softmax(&[0.0, ln3, 7.0, 1e4, 1e4, 7.0], 3, 2, 2);
    for (p, expected) in p.iter().zip([0.25, 0.75, 0.5, 0.5]) {
        assert!((p - expected).abs() < 1e-7, "{p} for {expected}");
    }
    let twin = reference::softmax_cross_entropy(&[0.0, ln3], 2, 2, Targets::U8(&[0]), 2.0, 1);
    assert!((twin.losses[0] - 4.0_f64.ln()).abs() < 1e-7);
    assert!((twin.gradient[0] + 1.5).abs() < 1e-7 && (twin.gradient[1] - 1.5).abs() < 1e-7);
    assert_eq!(twin.correct, 0);
}

/// The gradients of both losses, by differences of the losses.
#[test]
fn losses_and_gradients_agree() {
    let rows = [0.5, -1.25, 2.0, 0.0, 3.0, -0.5, 0.25, 1.5];
    let soft = [0.125, 0.5, 0.25, 0.0, 0.0, 2.0, 0.25, 0.25];
    type Twin = fn(&[f32], usize, usize, Targets<'_>, f64, usize) -> reference::RowLosses;
    let twins: [Twin; 2] = [reference::softmax_cross_entropy, reference::mean_squared_error];
    let all =
        [Targets::U8(&[2, 0]), Targets::U16(&[3, 1]), Targets::Dense { values: &soft, stride: 4 }];
    for (which, twin) in twins.iter().enumerate() {
        for targets in all {
            let gradient = twin(&rows, 4, 4, targets, 0.25, 2).gradient;
            for i in 0..rows.len() {
                // A power of two, so that the inputs stay exact in single precision.
                let h = 1.0 / 1024.0;
                let at = |x: f32| {
                    let mut moved = rows;
                    moved[i] = x;
                    twin(&moved, 4, 4, targets, 1.0, 2).losses.iter().sum::<f64>() * 0.25
                };
                let slope = (at(rows[i] + h) - at(rows[i] - h)) / (2.0 * f64::from(h));
                let error = (slope - gradient[i]).abs();
                assert!(error < 1e-6, "loss {which}, {targets:?}, {i}: {slope}, {}", gradient[i]);
            }
        }
    }
}

#[test]
fn sgd_by_hand() {
    let (mut w, mut m) = ([1.0], [0.0]);
    reference::sgd(&mut w, &mut m, &[2.0], 0.25, 0.0, false);
    assert_eq!((w, m), ([0.5], [-0.5]));
    let (mut w, mut m) = ([1.0], [0.0]);
    for _ in 0..2 {
        reference::sgd(&mut w, &mut m, &[2.0], 0.25, 0.5, false);
    }
    // m: -0.5, -0.75
    assert_eq!((w, m), ([-0.25], [-0.75]));
    let (mut w, mut m) = ([1.0], [0.0]);
    for _ in 0..2 {
        reference::sgd(&mut w, &mut m, &[2.0], 0.25, 0.5, true);
    }
    // steps: 0.5 * -0.5 - 0.5, 0.5 * -0.75 - 0.5
    assert_eq!((w, m), ([1.0 - 0.75 - 0.875], [-0.75]));
}

#[test]
fn rmsprop_by_hand() {
    let (mut w, mut v) = ([1.0], [4.0]);
    reference::rmsprop(&mut w, &mut v, &[2.0], 0.5, 0.75, 5.0);
    // v = 0.75 * 4 + 0.25 * 4; the root of 9
    assert_eq!((w, v), ([1.0 - 1.0 / 3.0], [4.0]));
}

#[test]
fn adam_by_hand() {
    let (mut w, mut m, mut v) = ([1.0], [0.0], [0.0]);
    reference::adam(&mut w, &mut m, &mut v, &[4.0], 1, 0.5, [0.75, 0.75], 0.0);
    // Without epsilon the first step is the learning rate against the gradient's sign.
    assert_eq!((w, m, v), ([0.5], [1.0], [4.0]));
    reference::adam(&mut w, &mut m, &mut v, &[0.0], 2, 0.5, [0.75, 0.75], 1.0);
    let correction = 0.4375_f64; // 1 - 0.75^2
    let step = 0.5 * correction.sqrt() / correction * 0.75 / (3.0_f64.sqrt() + 1.0);
    assert!((w[0] - (0.5 - step)).abs() < 1e-15);
    assert_eq!((m, v), ([0.75], [3.0]));
}
