//! Data files that are not what they should be: exit code 1 and one sentence that names the file.

use crate::util::{CLASSES, Dir, FILES, SIDE, TEST, TRAIN, examples, idx};

const TRAIN_IMAGES: &str = FILES[0];
const TRAIN_LABELS: &str = FILES[1];
const TEST_IMAGES: &str = FILES[2];
const TEST_LABELS: &str = FILES[3];

/// Puts `bytes` in the place of one file of a good data set, trains, and gives the error.
fn with_file(name: &str, bytes: &[u8]) -> String {
    let dir = Dir::with_data();
    dir.write(&format!("small/{name}"), bytes);
    let before = dir.contents();
    let error = dir.trainer(&["train", "small", "--save", "model.safetensors"]).fails(1);
    assert_eq!(dir.contents(), before, "{error}");
    error
}

#[track_caller]
fn assert_holds(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "`{part}` in: {error}");
    }
}

fn train_images() -> Vec<u8> {
    idx(&[TRAIN, SIDE, SIDE], &examples(0, TRAIN).0)
}

#[test]
fn a_missing_file() {
    let dir = Dir::with_data();
    std::fs::remove_file(dir.path("small").join(TEST_LABELS)).unwrap();
    let error = dir.trainer(&["train", "small"]).fails(1);
    assert_holds(&error, &["small", TEST_LABELS, "missing"]);
}

#[test]
fn a_missing_folder() {
    let dir = Dir::new();
    assert_holds(&dir.trainer(&["train", "./none"]).fails(1), &["./none", "no such"]);
    let error = dir.trainer(&["train", "--data-dir", "none"]).fails(1);
    assert_holds(&error, &["none", "--data-dir"]);
}

#[test]
fn a_known_data_set_that_is_not_here() {
    let dir = Dir::new();
    let error = dir.trainer(&["train", "mnist"]).fails(1);
    assert_holds(&error, &["mnist", "trainer data get mnist", TRAIN_IMAGES]);
}

#[test]
fn an_empty_file() {
    assert_holds(&with_file(TRAIN_IMAGES, b""), &[TRAIN_IMAGES, "empty"]);
}

#[test]
fn truncated_and_over_long_files() {
    let whole = train_images();
    let expected = whole.len().to_string();
    let short = with_file(TRAIN_IMAGES, &whole[..whole.len() - 1]);
    assert_holds(&short, &[TRAIN_IMAGES, "truncated", &expected]);
    let long = with_file(TRAIN_IMAGES, &[&whole[..], &[0]].concat());
    assert_holds(&long, &[TRAIN_IMAGES, "too long", &expected]);
    assert_holds(&with_file(TEST_IMAGES, &whole[..9]), &[TEST_IMAGES]);
}

#[test]
fn a_wrong_magic_number() {
    let mut bytes = train_images();
    bytes[0] = b'P';
    assert_holds(&with_file(TRAIN_IMAGES, &bytes), &[TRAIN_IMAGES, "50 00 08 03", "IDX"]);
}

#[test]
fn dimensions_that_overflow() {
    let dims = [u32::MAX as usize; 3];
    assert_holds(&with_file(TRAIN_IMAGES, &idx(&dims, &[0; 64])), &[TRAIN_IMAGES, "overflow"]);
}

#[test]
fn images_and_labels_of_different_counts() {
    let labels = idx(&[TRAIN - 1], &examples(0, TRAIN - 1).1);
    let error = with_file(TRAIN_LABELS, &labels);
    assert_holds(&error, &[TRAIN_IMAGES, TRAIN_LABELS, "300", "299"]);
}

#[test]
fn labels_beyond_the_classes() {
    let mut labels = examples(1, TEST).1;
    labels[17] = CLASSES as u8;
    let error = with_file(TEST_LABELS, &idx(&[TEST], &labels));
    assert_holds(&error, &[TEST_LABELS, "label 3", "example 17", "0 to 2"]);
}

#[test]
fn training_and_test_images_of_different_shapes() {
    let (pixels, _) = examples(1, TEST);
    let error = with_file(TEST_IMAGES, &idx(&[TEST, SIDE * SIDE, 1], &pixels));
    assert_holds(&error, &[TEST_IMAGES, "[25, 1]", "[5, 5]"]);
}

#[test]
fn corrupt_gzip() {
    let dir = Dir::with_data();
    std::fs::remove_file(dir.path("small").join(TRAIN_IMAGES)).unwrap();
    let name = format!("{TRAIN_IMAGES}.gz");
    dir.write(&format!("small/{name}"), b"\x1f\x8b\x08\0 and no more than that");
    let before = dir.contents();
    assert_holds(&dir.trainer(&["train", "small"]).fails(1), &[&name, "corrupt gzip"]);
    assert_eq!(dir.contents(), before);
}

#[test]
fn a_folder_in_place_of_a_file() {
    let dir = Dir::with_data();
    std::fs::remove_file(dir.path("small").join(TRAIN_LABELS)).unwrap();
    std::fs::create_dir(dir.path("small").join(TRAIN_LABELS)).unwrap();
    assert_holds(&dir.trainer(&["train", "small"]).fails(1), &[TRAIN_LABELS]);
}

/// What a command line can say wrong about somebody's own data, and the way out it is told.
#[test]
fn ones_own_data_read_with_the_wrong_flags() {
    let dir = Dir::with_data();
    dir.write("table.csv", b"a,b,c\n1.5,2,0\n2.5,3,1\n1,2,0\n2,3,1\n1,1,0\n2,2,1\n");
    dir.write("names.txt", b"zero\none\n");
    for (command, says) in [
        (&["table.csv"][..], "no column that is clearly the label, expected its name or number"),
        (&["table.csv", "--label-column", "d"], "none that is \"d\", expected one of a, b, c"),
        (&["table.csv", "--label-column", "c", "--grey"], "expected images"),
        (&["small", "--class-names", "names.txt"], "not one of the 2 classes"),
        (&["small", "--class-names", "no.txt"], "no.txt: no such file"),
        (&["nosuch.csv"], "nosuch.csv: no such file or folder"),
        (&["small", "--test-data", "no.npz"], "no.npz: no such file or folder; expected test data"),
        (&["small", "--test-data", "table.csv"], "table.csv: test data: found csv, expected idx"),
        (&["glyphs", "--test-data", "small"], "glyphs: --test-data: found small, expected none"),
    ] {
        let error = dir.trainer(&["train"]).args(command).fails(1);
        assert!(error.contains(says), "{command:?}: {error}");
    }
    // Split anew, it does not matter that there was no test part; trained on, it does.
    let split = ["data", "split", "table.csv", "--label-column", "c", "--test", "0.5"];
    let (_, notes) = dir.trainer(&split).args(&["--out", "new"]).succeeds_with_notes();
    assert_eq!(notes, "");
    let inspect = ["data", "inspect", "table.csv", "--label-column", "c", "--holdout", "0.5"];
    let (_, notes) = dir.trainer(&inspect).succeeds_with_notes();
    assert!(notes.contains("3 of its 6 examples are held out"), "{notes}");
}

/// The built-in data set cannot be fetched.
#[test]
fn drawn_digits_that_are_not_those_published() {
    let dir = Dir::new();
    dir.trainer(&["data", "generate", "--out", "glyphs", "--train", "5", "--test", "2"]).succeeds();
    let (_, error) = dir.trainer(&["data", "verify", "./glyphs"]).fails_midway(1);
    assert_holds(&error, &["not the published", "remove the folder ./glyphs, and glyphs is drawn"]);
    assert!(!error.contains("data get"), "{error}");
}
