//! Losses at the edges: equals, NaN, far logits, and what is refused.

mod common;

use common::rows::Case;
use common::sparse;
use kernels::loss::{
    mean_squared_error, mean_squared_error_loss, softmax, softmax_cross_entropy,
    softmax_cross_entropy_loss,
};
use kernels::{Isa, Targets, reference};

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

/// Bad row 7 of 20; its neighbours and all padding stay as they should be.
#[test]
fn nan_shows_in_its_row_alone_and_is_never_correct() {
    for isa in Isa::available() {
        // Rows that stay in registers, rows that do not, ragged ends of both.
        for (classes, stride) in [(10, 16), (11, 13), (26, 32), (45, 47)] {
            for bad in [f32::NAN, f32::INFINITY] {
                for place in (0..classes).step_by(sparse(44)) {
                    let mut case = Case::new(4, 20, classes, stride, 3.0);
                    let label = (place + 1) % classes;
                    // The largest of the others is the label: correct, but for the NaN.
                    case.values[7 * stride + label] = 9.0;
                    case.values[7 * stride + place] = bad;
                    case.small_labels[7] = label as u8;
                    let what = format!("{isa} {bad} at {place} of {classes}");
                    check_bad_row(isa, &case, bad, &what);
                }
            }
        }
    }
}

fn check_bad_row(isa: Isa, case: &Case, bad: f32, what: &str) {
    let Case { classes, stride, .. } = *case;
    let targets = Targets::U8(&case.small_labels);
    let twin = reference::softmax_cross_entropy(&case.values, stride, classes, targets, 1.0, 20);
    let (mut logits, mut losses) = (case.values.clone(), [0.0; 20]);
    let correct =
        softmax_cross_entropy(isa, &mut logits, stride, classes, targets, 1.0, &mut losses, None);
    assert_eq!(correct, twin.correct, "{what}");
    for (i, row) in logits.chunks_exact(stride).enumerate() {
        let (used, padding) = row.split_at(classes);
        assert_eq!(losses[i].is_nan(), i == 7, "{what}: loss {i}");
        assert!(used.iter().all(|g| g.is_nan() == (i == 7)), "{what}: row {i}");
        assert!(padding.iter().all(|g| g.to_bits() == 0), "{what}: row {i}");
    }
    let twin = reference::mean_squared_error(&case.values, stride, classes, targets, 1.0, 20);
    let correct = mean_squared_error_loss(isa, &case.values, stride, classes, targets, &mut losses);
    assert_eq!(correct, twin.correct, "{what}");
    assert_eq!(losses[7].is_nan(), bad.is_nan(), "{what}");
}

#[test]
#[cfg_attr(miri, ignore = "Miri varies the last bits of logarithms on purpose")]
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
