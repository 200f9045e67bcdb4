//! The real data sets are what was published, where they are.

use dataset::{Dataset, FeaturesView};
use tests::real;

/// The mean of all training pixels, of 0 to 1, as every tutorial's normalization has it.
fn mean(set: &Dataset) -> f64 {
    let FeaturesView::U8(pixels) = set.train.examples().features() else { panic!() };
    let sum: u64 = pixels.iter().map(|&p| u64::from(p)).sum();
    sum as f64 / 255.0 / pixels.len() as f64
}

#[test]
fn mnist_is_what_was_published() {
    let Some(set) = real("mnist", "what mnist is") else { return };
    assert_eq!((set.train.len(), set.test.len()), (60_000, 10_000));
    let labels = set.train.examples().labels();
    assert_eq!((0..5).map(|i| labels.get(i)).collect::<Vec<_>>(), [5, 0, 4, 1, 9]);
    let counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    assert_eq!(set.train.label_counts(10), counts);
    assert!((mean(&set) - 0.1307).abs() < 5e-5);
}

#[test]
fn hashes_and_statistics_of_mnist_are_those_published() {
    let Some(set) = real("mnist", "what mnist is") else { return };
    assert!(set.verify().iter().all(|array| array.verdict == dataset::Verdict::Published));
    // Counted with NumPy.
    let found = set.inspect();
    assert!((found.train.mean - 0.1306604762738429).abs() < 1e-12);
    assert!((found.train.deviation - 0.30810780385646264).abs() < 1e-9);
    assert!((found.train.density - 0.19120229591836735).abs() < 1e-15);
    assert_eq!((found.train.always_zero, found.train.duplicates, found.test_in_train), (67, 0, 0));
}

#[test]
fn fashion_mnist_is_what_was_published() {
    let Some(set) = real("fashion-mnist", "what fashion-mnist is") else { return };
    assert_eq!((set.train.len(), set.test.len()), (60_000, 10_000));
    let labels = set.train.examples().labels();
    assert_eq!((0..5).map(|i| labels.get(i)).collect::<Vec<_>>(), [9, 0, 0, 3, 0]);
    assert_eq!(set.train.label_counts(10), [6000; 10]);
    assert!((mean(&set) - 0.2860).abs() < 5e-5);
}
