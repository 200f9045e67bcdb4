//! Model files that are damaged, or do not fit the data.

use crate::util::{Dir, FILES, idx};

#[test]
fn damaged_files_are_named() {
    let dir = Dir::with_data();
    dir.train_model();
    let good = dir.read("model.safetensors");
    let mut flipped = good.clone();
    let last = flipped.len() - 4;
    flipped[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let cases: [(&[u8], &str); 5] = [
        (b"", "not a model file"),
        (b"hello there, this is no model", "not a model file"),
        (&good[..good.len() / 2], "cut short"),
        (&[&good[..], b"more"].concat(), "too long"),
        (&flipped, "NaN"),
    ];
    for (bytes, expected) in cases {
        dir.write("bad", bytes);
        for command in [
            &["evaluate", "bad", "small"][..],
            &["predict", "bad", "small", "--index", "0", "--plot", "out.svg"],
            &["summary", "bad"],
        ] {
            let error = dir.trainer(command).fails(1);
            assert!(error.starts_with("bad: ") && error.contains(expected), "{command:?}: {error}");
        }
    }
    assert!(!dir.path("out.svg").exists());
    let error = dir.trainer(&["evaluate", "none", "small"]).fails(1);
    assert!(error.starts_with("none: "), "{error}");
    let error = dir.trainer(&["evaluate", "small", "small"]).fails(1);
    assert!(error.contains("is a folder"), "{error}");
}

#[test]
fn a_model_for_other_examples() {
    let dir = Dir::with_data();
    dir.train_model();
    for (i, file) in FILES.into_iter().enumerate() {
        let bytes = if i % 2 == 0 { idx(&[4, 2, 3], &[9; 24]) } else { idx(&[4], &[0, 1, 2, 0]) };
        dir.write(&format!("other/{file}"), &bytes);
    }
    for command in [
        &["evaluate", "model.safetensors", "other"][..],
        &["predict", "model.safetensors", "other", "--index", "0"],
    ] {
        let error = dir.trainer(command).fails(1);
        for part in ["model.safetensors", "(5, 5)", "other", "(2, 3)"] {
            assert!(error.contains(part), "`{part}` in: {error}");
        }
    }
}

#[test]
fn a_model_for_other_classes() {
    let dir = Dir::with_data();
    dir.train_model();
    // The same examples under other names: worth a note where the data set was named.
    dir.data_set("renamed");
    dir.write("renamed/classes.txt", b"sun\nmoon\nstars\n");
    let (_, notes) =
        dir.trainer(&["evaluate", "model.safetensors", "renamed"]).succeeds_with_notes();
    assert!(notes.contains("0, 1, 2") && notes.contains("sun, moon, stars"), "{notes}");
    // Where it was not, it is the wrong one.
    dir.data_set("data/mnist");
    let error = dir.trainer(&["evaluate", "model.safetensors"]).fails(2);
    assert!(error.contains("name the data set"), "{error}");
}
