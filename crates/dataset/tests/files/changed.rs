//! Files that change while they are in use, or while they are copied from.

use super::*;
use dataset::{FeaturesView, LabelsView, Part, idx::Idx};

const IMAGES: &str = "set/train-images-idx3-ubyte";
const LABELS: &str = "set/train-labels-idx1-ubyte";

#[track_caller]
fn assert_changed<T: std::fmt::Debug>(result: Result<T, Error>, name: &str) {
    let error = result.expect_err("what was copied from a file that changed was taken");
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert!(error.to_string().contains(&format!("{name}: changed while in use")), "{error}");
}

/// Makes a file longer, which harms nobody who has it mapped: cut short, it would be read as zeros, and
/// the check that tells is the same.
fn change(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() + 1).unwrap();
}

#[test]
fn images_changed_while_in_use_are_noticed() {
    let folder = Folder::with("set");
    let set = folder.find("set").unwrap();
    set.check_unchanged().unwrap();
    change(&folder.path("set/t10k-images-idx3-ubyte"));
    assert_changed(set.check_unchanged(), "t10k-images-idx3-ubyte");
}

/// Training asserts that labels are classes, which is checked once.
#[test]
fn labels_are_those_of_the_file_when_it_was_opened() {
    let folder = Folder::with("set");
    let set = folder.find("set").unwrap();
    let path = folder.path(LABELS);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8..].fill(200);
    fs::write(&path, bytes).unwrap();
    let LabelsView::U8(labels) = set.train.examples().labels() else { panic!("bytes") };
    assert_eq!(labels, [0, 1, 2, 0, 1, 2]);
    set.check_unchanged().unwrap();
}

#[test]
fn labels_that_change_while_they_are_copied_are_an_error() {
    let folder = Folder::with("set");
    let open = || [IMAGES, LABELS].map(|name| Idx::open(&folder.path(name)).unwrap());
    let [images, labels] = open();
    Part::from_idx(images, labels).unwrap();
    let [images, labels] = open();
    change(&folder.path(LABELS));
    assert_changed(Part::from_idx(images, labels), LABELS);
    // Whole numbers of another type.
    idx::write(&folder.path(LABELS), &[6], &[1i32; 6]).unwrap();
    let [images, labels] = open();
    change(&folder.path(LABELS));
    assert_changed(Part::from_idx(images, labels), LABELS);
}

#[test]
fn numbers_that_change_while_they_are_decoded_are_an_error() {
    let folder = Folder::with("set");
    idx::write(&folder.path(IMAGES), &[6, 2], &[0.5f64; 12]).unwrap();
    let [images, labels] = [IMAGES, LABELS].map(|name| Idx::open(&folder.path(name)).unwrap());
    change(&folder.path(IMAGES));
    assert_changed(Part::from_idx(images, labels), IMAGES);
}

#[test]
fn pixels_that_change_while_they_are_resized_are_an_error() {
    let folder = Folder::with("set");
    let set = folder.find("set").unwrap();
    change(&folder.path(IMAGES));
    assert_changed(set.train.reshaped(false, Some((1, 1))), IMAGES);
    // The other file is as it was.
    let same = set.test.reshaped(true, Some((2, 3))).unwrap();
    assert!(matches!(same.examples().features(), FeaturesView::U8(pixels) if pixels[1] == 1));
}

#[test]
fn pixels_that_change_while_a_set_is_split_anew_are_an_error() {
    for name in [IMAGES, "set/t10k-images-idx3-ubyte"] {
        let folder = Folder::with("set");
        let set = folder.find("set").unwrap();
        set.resplit(0.5, 1).unwrap();
        change(&folder.path(name));
        assert_changed(set.resplit(0.5, 1), name);
    }
}
