//! Losses, gradients and probabilities against the naive twins, on every instruction set.

mod common;

use common::rows::{Case, cases};
use common::{EPS, Guarded, assert_near, bits, same_on_avx2_and_avx512};
use kernels::loss::{
    mean_squared_error, mean_squared_error_loss, softmax, softmax_cross_entropy,
    softmax_cross_entropy_loss,
};
use kernels::{Isa, Targets, reference};

/// Relative error of a sum over `n` terms in sixteen partial sums that restart every 4,096 terms.
fn sum_error(n: usize) -> f64 {
    EPS * (6 + (n / 16).min(256) + n / 4096) as f64
}

#[test]
fn cross_entropy_matches_the_twin() {
    for case in cases() {
        let Case { rows, classes, stride, ref values, .. } = case;
        let scale = 1.0 / 48.0;
        for targets in case.targets() {
            let f64_scale = f64::from(scale);
            let twin =
                reference::softmax_cross_entropy(values, stride, classes, targets, f64_scale, rows);
            let twin_p = reference::softmax(values, stride, classes, rows);
            for isa in Isa::available() {
                let what = format!("{isa} [{rows}, {classes}] stride {stride} {targets:.0?}");
                let what = &what[..what.len().min(120)];
                let mut logits = Guarded::new(values, 1);
                let mut losses = Guarded::nan(rows, 2);
                let mut probabilities = Guarded::nan(rows * stride, 3);
                let correct = softmax_cross_entropy(
                    isa,
                    logits.get(),
                    stride,
                    classes,
                    targets,
                    scale,
                    losses.get(),
                    Some(probabilities.get()),
                );
                assert_eq!(correct, twin.correct, "{what}");
                let gradient = case.unpadded(&logits.done(what), what);
                let probabilities = case.unpadded(&probabilities.done(what), what);
                let losses = losses.done(what);
                // Each exponential is off by two roundings of its own and by the one of x - max
                // (times |x - max|, but where that is large the exponential is small).
                let p_error = sum_error(classes) + 4.0 * EPS;
                for (p, expected) in probabilities.iter().zip(&twin_p) {
                    assert_near(*p, *expected, p_error, what);
                }
                for (g, expected) in gradient.iter().zip(&twin.gradient) {
                    assert_near(*g, *expected, 2.0 * (p_error + 4.0 * EPS) * f64_scale, what);
                }
                for ((loss, expected), row) in
                    losses.iter().zip(&twin.losses).zip(values.chunks_exact(stride))
                {
                    let row = &row[..classes];
                    let spread = row.iter().fold(0.0_f32, |a, x| a.max(x.abs())) * 2.0;
                    let terms = f64::from(spread) + (classes as f64).ln();
                    let bound = sum_error(classes) * (terms + 1.0);
                    assert_near(*loss, *expected, bound, what);
                }

                // The loss alone: the same bits, and nothing written.
                let mut only = Guarded::nan(rows, 5);
                let correct =
                    softmax_cross_entropy_loss(isa, values, stride, classes, targets, only.get());
                assert_eq!(correct, twin.correct, "{what}");
                assert_eq!(bits(&only.done(what)), bits(&losses), "{what}");
            }
        }
    }
}

#[test]
fn softmax_gives_the_same_probabilities() {
    for case in cases() {
        let Case { rows, classes, stride, ref values, .. } = case;
        for isa in Isa::available() {
            let what = format!("{isa} [{rows}, {classes}] stride {stride}");
            let mut alone = Guarded::new(values, 2);
            softmax(isa, alone.get(), stride, classes, rows);
            let mut beside = vec![f32::NAN; rows * stride];
            let targets = Targets::U16(&case.labels);
            let mut logits = values.clone();
            let mut losses = vec![0.0; rows];
            softmax_cross_entropy(
                isa,
                &mut logits,
                stride,
                classes,
                targets,
                1.0,
                &mut losses,
                Some(&mut beside),
            );
            assert_eq!(bits(&alone.done(&what)), bits(&beside), "{what}");
            // And asking for them changes nothing else.
            let mut without = values.clone();
            softmax_cross_entropy(
                isa,
                &mut without,
                stride,
                classes,
                targets,
                1.0,
                &mut losses,
                None,
            );
            assert_eq!(bits(&without), bits(&logits), "{what}");
        }
    }
}

#[test]
fn squared_error_matches_the_twin() {
    for case in cases() {
        let Case { rows, classes, stride, ref values, .. } = case;
        let scale = 1.0 / 48.0;
        for targets in case.targets() {
            let f64_scale = f64::from(scale);
            let twin =
                reference::mean_squared_error(values, stride, classes, targets, f64_scale, rows);
            for isa in Isa::available() {
                let what = format!("{isa} [{rows}, {classes}] stride {stride} {targets:.0?}");
                let what = &what[..what.len().min(120)];
                let mut outputs = Guarded::new(values, 1);
                let mut losses = Guarded::nan(rows, 2);
                let correct = mean_squared_error(
                    isa,
                    outputs.get(),
                    stride,
                    classes,
                    targets,
                    scale,
                    losses.get(),
                );
                assert_eq!(correct, twin.correct, "{what}");
                let gradient = case.unpadded(&outputs.done(what), what);
                let losses = losses.done(what);
                let inputs = values.chunks_exact(stride).flat_map(|row| &row[..classes]);
                for ((g, expected), y) in gradient.iter().zip(&twin.gradient).zip(inputs) {
                    let terms = 2.0 * (f64::from(y.abs()) + 2.0) / classes as f64 * f64_scale;
                    assert_near(*g, *expected, 4.0 * EPS * terms, what);
                }
                for (loss, expected) in losses.iter().zip(&twin.losses) {
                    // All terms are positive. One long chain here: see `sum_error`.
                    let bound = EPS * (10 + classes / 16) as f64 * expected;
                    assert_near(*loss, *expected, bound, what);
                }
                let mut only = Guarded::nan(rows, 5);
                let correct =
                    mean_squared_error_loss(isa, values, stride, classes, targets, only.get());
                assert_eq!(correct, twin.correct, "{what}");
                assert_eq!(bits(&only.done(what)), bits(&losses), "{what}");
            }
        }
    }
}

/// Whole numbers and powers of two: no rounding, so no tolerance.
#[test]
fn squared_error_of_whole_numbers_is_exact() {
    let values: Vec<f32> = (0..8 * 16).map(|i| (i * 7 % 23 - 11) as f32).collect();
    let labels = [3, 15, 0, 7, 8, 9, 1, 2];
    let targets = Targets::U8(&labels);
    let twin = reference::mean_squared_error(&values, 16, 16, targets, 0.125, 8);
    for isa in Isa::available() {
        let (mut outputs, mut losses) = (values.clone(), [f32::NAN; 8]);
        mean_squared_error(isa, &mut outputs, 16, 16, targets, 0.125, &mut losses);
        assert!(outputs.iter().zip(&twin.gradient).all(|(g, e)| f64::from(*g) == *e), "{isa}");
        assert!(losses.iter().zip(&twin.losses).all(|(l, e)| f64::from(*l) == *e), "{isa}");
    }
}

type Results = (Vec<u32>, Vec<u32>, usize);

/// Gradient, losses and correct rows of both losses.
fn run(isa: Isa, case: &Case, rows: std::ops::Range<usize>, targets: Targets<'_>) -> [Results; 2] {
    let Case { stride, classes, .. } = *case;
    let part = &case.values[rows.start * stride..rows.end * stride];
    let scale = 1.0 / 48.0;
    let (mut first, mut second) = (part.to_vec(), part.to_vec());
    let mut losses = [vec![f32::NAN; rows.len()], vec![f32::NAN; rows.len()]];
    let correct = [
        softmax_cross_entropy(
            isa,
            &mut first,
            stride,
            classes,
            targets,
            scale,
            &mut losses[0],
            None,
        ),
        mean_squared_error(isa, &mut second, stride, classes, targets, scale, &mut losses[1]),
    ];
    [(bits(&first), bits(&losses[0]), correct[0]), (bits(&second), bits(&losses[1]), correct[1])]
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs the portable kernels alone")]
fn avx2_and_avx512_agree_in_every_bit() {
    for case in cases() {
        for targets in case.targets() {
            same_on_avx2_and_avx512(|isa| run(isa, &case, 0..case.rows, targets));
        }
    }
}

#[test]
fn one_hot_rows_and_class_numbers_agree_in_every_bit() {
    for case in cases() {
        let one_hot = Targets::Dense { values: &case.one_hot, stride: case.classes };
        for isa in Isa::available() {
            assert_eq!(
                run(isa, &case, 0..case.rows, Targets::U16(&case.labels)),
                run(isa, &case, 0..case.rows, one_hot),
                "{isa} [{}, {}]",
                case.rows,
                case.classes
            );
        }
    }
}

#[test]
fn rows_do_not_depend_on_how_they_are_dealt_out() {
    let case = Case::new(9, 40, 10, 16, 5.0);
    for isa in Isa::available() {
        let labels = |rows: std::ops::Range<usize>| Targets::U16(&case.labels[rows]);
        let whole = run(isa, &case, 0..40, labels(0..40));
        for at in [0, 1, 15, 16, 23, 40] {
            let top = run(isa, &case, 0..at, labels(0..at));
            let bottom = run(isa, &case, at..40, labels(at..40));
            for (whole, (top, bottom)) in whole.iter().zip(top.iter().zip(&bottom)) {
                assert_eq!(whole.0, [&top.0[..], &bottom.0].concat(), "{isa} split at {at}");
                assert_eq!(whole.1, [&top.1[..], &bottom.1].concat(), "{isa} split at {at}");
                assert_eq!(whole.2, top.2 + bottom.2, "{isa} split at {at}");
            }
        }
    }
}
