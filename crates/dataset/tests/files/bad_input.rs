//! Every damaged file gets one sentence that names it, what was found and what was expected.

use super::*;

const IMAGES: &str = "set/train-images-idx3-ubyte";
const LABELS: &str = "set/train-labels-idx1-ubyte";

/// The message about the data set in `set/`, which must name the file `name` and say all of `says`.
fn refused(folder: &Folder, name: &str, says: &[&str]) -> Error {
    let error = folder.find("set").expect_err("a damaged data set was opened");
    let message = error.to_string();
    let path = folder.path(name).display().to_string();
    assert!(message.contains(&path), "{message:?} does not name {path}");
    for words in says {
        assert!(message.contains(words), "{message:?} does not say {words:?}");
    }
    assert!(!message.contains('\n'), "{message:?} is more than one line");
    assert!(!error.is_usage());
    error
}

fn damaged(name: &str, damage: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Folder {
    let folder = Folder::with("set");
    let path = folder.path(name);
    fs::write(&path, damage(fs::read(&path).unwrap())).unwrap();
    folder
}

#[test]
fn a_missing_file_is_named() {
    let folder = Folder::with("set");
    fs::remove_file(folder.path(LABELS)).unwrap();
    let path = folder.path("set");
    let error = Dataset::open(&path).unwrap_err();
    assert!(error.to_string().contains("incomplete: train-labels-idx1-ubyte missing"), "{error}");
    assert!(matches!(error, Error::Incomplete { .. }));
    let error = idx::Idx::open(&folder.path("set/none")).unwrap_err();
    assert!(error.to_string().ends_with("set/none: no such file or folder; expected an IDX file"));
}

#[test]
fn an_empty_file() {
    let folder = damaged(IMAGES, |_| Vec::new());
    refused(&folder, IMAGES, &["is empty (0 bytes)", "expected an IDX header"]);
}

#[test]
fn a_truncated_file_says_both_lengths() {
    let folder = damaged(IMAGES, |mut bytes| {
        bytes.pop();
        bytes
    });
    refused(&folder, IMAGES, &["found 51 bytes, expected 52", "uint8 [6, 2, 3]", "truncated"]);
}

#[test]
fn a_file_cut_within_its_header() {
    let folder = damaged(IMAGES, |bytes| bytes[..9].to_vec());
    refused(&folder, IMAGES, &["found 9 bytes, expected 16", "header", "truncated"]);
}

#[test]
fn an_overlong_file_says_both_lengths() {
    let folder = damaged(LABELS, |mut bytes| {
        bytes.push(0);
        bytes
    });
    refused(&folder, LABELS, &["found 15 bytes, expected 14", "uint8 [6]", "too long"]);
}

#[test]
fn a_wrong_magic_number_is_shown() {
    let folder = damaged(IMAGES, |_| b"<!DOCTYPE html>".to_vec());
    refused(&folder, IMAGES, &["not an IDX file", "3C 21 44 4F", "expected 00 00"]);
}

#[test]
fn dimensions_that_overflow() {
    let folder = damaged(IMAGES, |_| {
        let mut bytes = vec![0, 0, 0x0e, 3];
        bytes.extend([0xff; 12]);
        bytes
    });
    let says = ["[4294967295, 4294967295, 4294967295]", "float64", "overflow"];
    refused(&folder, IMAGES, &says);
}

#[test]
fn a_header_that_promises_more_than_there_is_allocates_nothing() {
    // 2^62 bytes are promised; were they asked for, the test would be killed.
    let folder = damaged(IMAGES, |_| vec![0, 0, 8, 2, 0x80, 0, 0, 0, 0x80, 0, 0, 0]);
    refused(&folder, IMAGES, &["found 12 bytes, expected 4611686018427387916", "truncated"]);
    let compressed = compress(&folder.path(IMAGES));
    let says = ["corrupt gzip", "4611686018427387916 bytes", "more than"];
    refused(&folder, &format!("{IMAGES}.gz"), &says);
    assert!(compressed.exists());
    assert!(!folder.path(IMAGES).exists());
}

#[test]
fn images_and_labels_of_different_counts() {
    let folder = Folder::with("set");
    idx::write(&folder.path(LABELS), &[5], &[0u8, 1, 2, 0, 1]).unwrap();
    refused(&folder, IMAGES, &["6 examples", "5 labels", "train-labels-idx1-ubyte"]);
}

#[test]
fn a_label_beyond_the_classes_is_pointed_at() {
    let folder = Folder::with("set");
    fs::write(folder.path("set/classes.txt"), "a\nb\nc\n").unwrap();
    idx::write(&folder.path(LABELS), &[6], &[0u8, 1, 2, 0, 3, 9]).unwrap();
    let says = ["label 3 of example 4", "3 classes (expected 0 to 2)"];
    refused(&folder, LABELS, &says);
}

#[test]
fn a_test_label_that_training_never_saw() {
    let folder = Folder::with("set");
    let labels = "set/t10k-labels-idx1-ubyte";
    idx::write(&folder.path(labels), &[4], &[0u8, 1, 2, 3]).unwrap();
    refused(&folder, labels, &["label 3 of example 3", "3 classes"]);
}

#[test]
fn labels_that_are_no_class_numbers() {
    for (label, shown) in [(-1.0f32, "-1"), (0.5, "0.5"), (65_536.0, "65536"), (f32::NAN, "NaN")] {
        let folder = Folder::with("set");
        idx::write(&folder.path(LABELS), &[6], &[0.0, 1.0, label, 0.0, 1.0, 2.0]).unwrap();
        let found = format!("found {shown}");
        refused(&folder, LABELS, &["label of example 2", &found, "whole number from 0 to 65535"]);
    }
}

#[test]
fn a_feature_that_is_no_number() {
    let folder = Folder::with("set");
    let mut values = vec![0.5f32; 36];
    values[7] = f32::INFINITY;
    idx::write(&folder.path(IMAGES), &[6, 2, 3], &values).unwrap();
    refused(&folder, IMAGES, &["feature 7", "found inf", "finite"]);
}

#[test]
fn labels_in_place_of_images_and_the_other_way_round() {
    let folder = Folder::with("set");
    fs::copy(folder.path(LABELS), folder.path(IMAGES)).unwrap();
    refused(&folder, IMAGES, &["dimensions", "found [6]", "[examples, rows, columns]"]);
    let folder = Folder::with("set");
    fs::copy(folder.path(IMAGES), folder.path(LABELS)).unwrap();
    refused(&folder, LABELS, &["dimensions", "found [6, 2, 3]", "expected [examples]"]);
}

#[test]
fn no_examples_and_no_pixels() {
    let folder = Folder::with("set");
    idx::write::<u8>(&folder.path(IMAGES), &[0, 2, 3], &[]).unwrap();
    idx::write::<u8>(&folder.path(LABELS), &[0], &[]).unwrap();
    refused(&folder, IMAGES, &["found 0 examples shaped [2, 3]", "at least one example"]);
    let folder = Folder::with("set");
    idx::write::<u8>(&folder.path(IMAGES), &[6, 0, 3], &[]).unwrap();
    refused(&folder, IMAGES, &["found 6 examples shaped [0, 3]"]);
}

#[test]
fn training_and_test_images_of_different_shapes() {
    let folder = Folder::with("set");
    let images = "set/t10k-images-idx3-ubyte";
    idx::write(&folder.path(images), &[4, 3, 2], &[0u8; 24]).unwrap();
    refused(&folder, images, &["found examples shaped [3, 2]", "expected [2, 3]"]);
}

#[test]
fn a_folder_in_place_of_a_file() {
    let folder = Folder::with("set");
    fs::remove_file(folder.path(IMAGES)).unwrap();
    fs::create_dir(folder.path(IMAGES)).unwrap();
    refused(&folder, IMAGES, &["found a folder, expected a file"]);
}

#[test]
fn a_file_in_place_of_the_folder() {
    let folder = Folder::with("set");
    let error = Dataset::open(&folder.path(IMAGES)).unwrap_err().to_string();
    assert!(error.contains("found another file, expected a folder"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pipe_does_not_make_it_wait() {
    let folder = Folder::with("set");
    fs::remove_file(folder.path(IMAGES)).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path(IMAGES)).status().unwrap();
    assert!(made.success());
    refused(&folder, IMAGES, &["found a pipe or a device, expected a file"]);
}

#[test]
fn gzip_damaged_in_any_way_is_refused_and_leaves_nothing_behind() {
    let whole = gzip(&fs::read(Folder::with("set").path(IMAGES)).unwrap());
    let middle = whole.len() / 2;
    let cases: [(&str, Vec<u8>); 6] = [
        ("too early", whole[..middle].to_vec()),
        ("too early", whole[..whole.len() - 1].to_vec()),
        ("corrupt gzip", [&whole[..], b"garbage behind it"].concat()),
        ("corrupt gzip", changed(&whole, whole.len() - 6)),
        ("corrupt gzip", changed(&whole, middle)),
        ("corrupt gzip", whole[..2].to_vec()),
    ];
    for (says, bytes) in cases {
        let folder = Folder::with("set");
        fs::remove_file(folder.path(IMAGES)).unwrap();
        fs::write(folder.path(&format!("{IMAGES}.gz")), bytes).unwrap();
        let before = folder.names("set");
        refused(&folder, &format!("{IMAGES}.gz"), &[says]);
        assert_eq!(folder.names("set"), before);
    }
}

#[test]
fn gzip_of_too_few_and_too_many_bytes() {
    for (length, says) in [(51, "truncated"), (53, "too long")] {
        let folder = damaged(IMAGES, |mut bytes| {
            bytes.resize(length, 0);
            bytes
        });
        let compressed = compress(&folder.path(IMAGES));
        let found = format!("found {length} bytes, expected 52");
        refused(&folder, &format!("{IMAGES}.gz"), &[&found, "inflated", says]);
        assert!(compressed.exists() && !folder.path(IMAGES).exists());
    }
}

#[test]
fn gzip_of_something_else() {
    let folder = damaged(IMAGES, |_| b"not IDX at all".to_vec());
    compress(&folder.path(IMAGES));
    refused(&folder, &format!("{IMAGES}.gz"), &["not an IDX file", "6E 6F 74 20"]);
    let folder = damaged(IMAGES, |_| Vec::new());
    compress(&folder.path(IMAGES));
    refused(&folder, &format!("{IMAGES}.gz"), &["not an IDX file", "no bytes"]);
}

#[test]
fn an_empty_line_among_class_names() {
    let folder = Folder::with("set");
    fs::write(folder.path("set/classes.txt"), "a\n\nc\n").unwrap();
    refused(&folder, "set/classes.txt", &["line 2", "an empty line", "the name of a class"]);
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x55;
    bytes
}
