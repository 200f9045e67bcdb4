//! Losses, gradients and probabilities against the naive twins, on every instruction set.

mod common;

use common::{EPS, Guarded, Random, assert_near, bits, same_on_avx2_and_avx512};
use kernels::loss::{
    mean_squared_error, mean_squared_error_loss, softmax, softmax_cross_entropy,
    softmax_cross_entropy_loss,
};
use kernels::{Isa, Targets, reference};

/// Rows with targets of all kinds. Padding is NaN: nothing may read it.
struct Case {
    rows: usize,
    classes: usize,
    stride: usize,
    values: Vec<f32>,
    labels: Vec<u16>,
    small_labels: Vec<u8>,
    one_hot: Vec<f32>,
    soft: Vec<f32>,
    soft_stride: usize,
}

impl Case {
    fn new(seed: u64, rows: usize, classes: usize, stride: usize, size: f32) -> Self {
        let mut random = Random(seed);
        let mut values = vec![f32::NAN; rows * stride];
        let soft_stride = classes + 3;
        let mut soft = vec![f32::NAN; rows * soft_stride];
        let mut one_hot = vec![0.0; rows * classes];
        let mut labels = Vec::new();
        for i in 0..rows {
            values[i * stride..][..classes].copy_from_slice(&random.floats(classes, size));
            // Rows that do not add up to 1 as well.
            let weights: Vec<f32> = (0..classes).map(|_| random.float().abs()).collect();
            let sum: f32 = weights.iter().sum::<f32>() * if i % 3 == 0 { 0.5 } else { 1.0 };
            for (t, w) in soft[i * soft_stride..].iter_mut().zip(&weights) {
                *t = w / sum;
            }
            let label = random.below(classes);
            one_hot[i * classes + label] = 1.0;
            labels.push(label as u16);
        }
        let small_labels = labels.iter().map(|&label| label as u8).collect();
        Self { rows, classes, stride, values, labels, small_labels, one_hot, soft, soft_stride }
    }

    fn targets(&self) -> Vec<Targets<'_>> {
        let mut all = vec![
            Targets::U16(&self.labels),
            Targets::Dense { values: &self.one_hot, stride: self.classes },
            Targets::Dense { values: &self.soft, stride: self.soft_stride },
        ];
        if self.classes <= 256 {
            all.push(Targets::U8(&self.small_labels));
        }
        all
    }

    /// `[rows, classes]` of a result, its padding being 0.
    fn unpadded(&self, result: &[f32], what: &str) -> Vec<f32> {
        let mut all = Vec::new();
        for row in result.chunks_exact(self.stride) {
            let (used, padding) = row.split_at(self.classes);
            assert!(padding.iter().all(|x| x.to_bits() == 0), "{what}: padding {padding:?}");
            all.extend_from_slice(used);
        }
        all
    }
}

const SHAPES: [(usize, usize, usize); 11] = [
    (0, 10, 16),
    (1, 1, 1),
    (3, 1, 4),
    (5, 2, 2),
    (17, 10, 10),
    (64, 10, 16),
    (33, 10, 13),
    (16, 16, 16),
    (18, 26, 32),
    (4, 1000, 1008),
    (2, 65_536, 65_536),
];

/// The named shapes, and every number of classes up to 70.
fn cases() -> Vec<Case> {
    let ragged = (1..=70).map(|classes| (1 + classes % 4, classes, classes + classes % 3));
    let mut all = Vec::new();
    for (seed, (rows, classes, stride)) in SHAPES.into_iter().chain(ragged).enumerate() {
        for size in [1.0, 30.0, 1000.0] {
            all.push(Case::new(seed as u64, rows, classes, stride, size));
        }
    }
    all
}

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

#[test]
fn among_equals_the_first_is_the_prediction() {
    // In the first vector, across vectors, and negative before the zeros past the end.
    for (classes, equals) in [(10, [2, 5]), (40, [3, 37]), (40, [36, 39]), (3, [1, 2])] {
        let mut logits = vec![-4.0; classes];
        equals.iter().for_each(|&j| logits[j] = -1.0);
        for isa in Isa::available() {
            for (label, expected) in [(equals[0], 1), (equals[1], 0), (0, 0)] {
                let targets = &[label as u8];
                let targets = Targets::U8(targets);
                let mut loss = [0.0];
                let correct =
                    softmax_cross_entropy_loss(isa, &logits, classes, classes, targets, &mut loss);
                assert_eq!(correct, expected, "{isa}: {label} of {equals:?}");
                // A dense target whose first largest is the label.
                let mut dense = vec![0.0; classes];
                dense[label] = 0.5;
                dense[classes - 1] = 0.5;
                let targets = Targets::Dense { values: &dense, stride: classes };
                let correct =
                    mean_squared_error_loss(isa, &logits, classes, classes, targets, &mut loss);
                assert_eq!(correct, expected, "{isa}: {label} of {equals:?}, dense");
            }
        }
    }
}

#[test]
fn nan_shows_in_its_row_alone_and_is_never_correct() {
    for isa in Isa::available() {
        for bad in [f32::NAN, f32::INFINITY] {
            for place in 0..10 {
                let mut case = Case::new(4, 20, 10, 16, 3.0);
                case.values[7 * 16 + place] = bad;
                // The largest of the others is the label: correct, but for the NaN.
                case.values[7 * 16 + (place + 1) % 10] = 9.0;
                case.small_labels[7] = ((place + 1) % 10) as u8;
                let twin = reference::softmax_cross_entropy(
                    &case.values,
                    16,
                    10,
                    Targets::U8(&case.small_labels),
                    1.0,
                    20,
                );
                let mut losses = [0.0; 20];
                let targets = Targets::U8(&case.small_labels);
                let correct = softmax_cross_entropy(
                    isa,
                    &mut case.values,
                    16,
                    10,
                    targets,
                    1.0,
                    &mut losses,
                    None,
                );
                assert_eq!(correct, twin.correct, "{isa}");
                for (i, row) in case.values.chunks_exact(16).enumerate() {
                    assert_eq!(losses[i].is_nan(), i == 7, "{isa}: loss {i}");
                    assert!(row[..10].iter().all(|g| g.is_nan() == (i == 7)), "{isa}: row {i}");
                    assert!(row[10..].iter().all(|g| g.to_bits() == 0), "{isa}: row {i}");
                }
            }
        }
    }
}

#[test]
fn far_logits_neither_overflow_nor_vanish() {
    for isa in Isa::available() {
        let mut logits = [1e30, -1e30, 0.0, -3e4, f32::NEG_INFINITY, -3e4];
        let mut losses = [f32::NAN; 2];
        let targets = Targets::U8(&[1, 0]);
        softmax_cross_entropy(isa, &mut logits, 3, 3, targets, 1.0, &mut losses, None);
        assert_eq!(losses, [2e30, 2.0_f32.ln()], "{isa}");
        assert_eq!(logits, [1.0, -1.0, 0.0, -0.5, 0.0, 0.5], "{isa}");
    }
}

/// The panic comes before anything is written.
#[test]
fn a_label_beyond_the_classes_is_refused() {
    let (mut logits, mut losses) = ([0.5; 30], [7.0; 3]);
    let message = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let targets = Targets::U16(&[0, 9, 10]);
        softmax_cross_entropy(Isa::best(), &mut logits, 10, 10, targets, 1.0, &mut losses, None)
    }))
    .unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert_eq!(message, "row 2 has label 10; there are 10 classes");
    assert_eq!((logits, losses), ([0.5; 30], [7.0; 3]));
}

#[test]
#[should_panic(expected = "one label for each row")]
fn missing_labels_are_refused() {
    mean_squared_error(Isa::best(), &mut [0.0; 8], 4, 4, Targets::U8(&[0]), 1.0, &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "2 rows of 4 floats; found 7")]
fn short_logits_are_refused() {
    softmax(Isa::best(), &mut [0.0; 7], 4, 3, 2);
}

#[test]
#[should_panic(expected = "5 classes in rows of 4")]
fn overlapping_rows_are_refused() {
    softmax(Isa::best(), &mut [0.0; 70], 4, 5, 2);
}

#[test]
#[should_panic(expected = "2 rows of 4 floats; found 6")]
fn short_probabilities_are_refused() {
    let targets = Targets::U8(&[0, 0]);
    softmax_cross_entropy(
        Isa::best(),
        &mut [0.0; 8],
        4,
        3,
        targets,
        1.0,
        &mut [0.0; 2],
        Some(&mut [0.0; 6]),
    );
}

#[test]
#[should_panic(expected = "2 rows of 3 floats; found 5")]
fn short_targets_are_refused() {
    let targets = Targets::Dense { values: &[0.0; 5], stride: 3 };
    mean_squared_error_loss(Isa::best(), &[0.0; 8], 4, 3, targets, &mut [0.0; 2]);
}
