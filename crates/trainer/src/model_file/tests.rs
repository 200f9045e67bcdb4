use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::{Activation, Dense, Flatten, Loss, Optimizer, Sequential};

fn small_model() -> Model {
    let mut parameters = Parameters::zeros(&[6, 4, 3]);
    for (i, value) in parameters.values_mut().iter_mut().enumerate() {
        *value = i as f32 - 0.25;
    }
    let mut model = Sequential::new([2, 3])
        .layer(Flatten)
        .layer(Dense::new(4, Activation::Elu))
        .layer(Dense::new(3, Activation::Softmax))
        .compile_with_parameters(
            Optimizer::Sgd { learning_rate: 0.5, momentum: 0.25, nesterov: true },
            Loss::SparseCategoricalCrossentropy,
            parameters,
        )
        .unwrap();
    model.set_class_names(["hat", "coat", "boot \"left\""].map(str::to_owned).to_vec());
    model
}

/// A folder with a file of these bytes.
fn file_of(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn refusal(bytes: &[u8]) -> String {
    let (_folder, path) = file_of(bytes);
    let error = Model::load(&path).unwrap_err().to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    error
}

/// The model's file with its header changed by `edit`, its length prefix made to fit.
fn with_header(edit: impl FnOnce(String) -> String) -> Vec<u8> {
    let bytes = small_model().to_safetensors().unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = edit(String::from_utf8(bytes[8..end].to_vec()).unwrap());
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes[end..]].concat()
}

#[test]
fn what_is_saved_comes_back() {
    let model = small_model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    let back = Model::load(&path).unwrap();
    assert_eq!(back.input_shape(), model.input_shape());
    assert_eq!(back.layers(), model.layers());
    assert_eq!(back.parameters(), model.parameters());
    assert_eq!(back.class_names(), model.class_names());
    assert_eq!(back.optimizer(), model.optimizer());
    assert_eq!(back.loss(), model.loss());
    // The same model gives the same file, and nothing else is left in the folder.
    assert_eq!(fs::read(&path).unwrap(), back.to_safetensors().unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_rate_keeps_its_last_bit() {
    // Ten to the power of -2.6: a parser that rounds twice has a neighbour of it.
    let optimizer = Optimizer::sgd().with_learning_rate(0.002_511_886_431_509_579_4);
    let stack = Sequential::new([6]).layer(Dense::new(3, Activation::Softmax));
    let model = stack.compile(optimizer, Loss::SparseCategoricalCrossentropy).unwrap();
    let bytes = model.to_safetensors().unwrap();
    let back = parse(&mut &*bytes, bytes.len() as u64).unwrap();
    assert_eq!(back.optimizer(), model.optimizer());
}

#[test]
fn what_could_not_be_loaded_is_not_saved() {
    let mut model = small_model();
    model.set_class_names(["0\that", "coat", "boot"].map(str::to_owned).to_vec());
    let folder = tempfile::tempdir().unwrap();
    let error = model.save(&folder.path().join("model")).unwrap_err().to_string();
    assert!(error.contains(r#"a class name with control characters, "0\that""#), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn other_readers_find_keras_shapes() {
    let bytes = small_model().to_safetensors().unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    assert_eq!(names, ["dense.bias", "dense.kernel", "dense_1.bias", "dense_1.kernel"]);
    assert_eq!(tensors.tensor("dense.kernel").unwrap().shape(), [6, 4]);
    let first = &tensors.tensor("dense.kernel").unwrap().data()[..4];
    assert_eq!(first, (-0.25f32).to_le_bytes());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = small_model().to_safetensors().unwrap();
    for end in 0..bytes.len() {
        assert!(parse(&mut &bytes[..end], end as u64).is_err(), "cut to {end} bytes");
    }
    let error = refusal(&bytes[..bytes.len() - 1]);
    assert!(error.contains("cut short"), "{error}");
    let error = refusal(&[&bytes[..], &[0]].concat());
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn a_changed_byte_never_panics() {
    let bytes = small_model().to_safetensors().unwrap();
    for i in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[i] ^= flip;
            let _ = parse(&mut &bytes[..], bytes.len() as u64);
        }
    }
}

#[test]
fn wrong_contents_are_named() {
    let replaced = |from: &'static str, to: &'static str| {
        with_header(move |header| {
            assert!(header.contains(from), "{from} in {header}");
            header.replace(from, to)
        })
    };
    let cases = [
        (replaced("flatiron", "other"), "without a model description"),
        (replaced(r#"\"version\":1"#, r#"\"version\":2"#), "version 2"),
        (replaced(r#"\"version\":1"#, r#"\"version\":{}"#), "damaged model description"),
        (replaced(r#"_by\":255.0"#, r#"_by\":1.0"#), "divides pixels by 1"),
        (replaced(r#"\"input_shape\":[2,3]"#, r#"\"input_shape\":[3,3]"#), "cut short"),
        (replaced(r#"\"input_shape\":[2,3]"#, r#"\"input_shape\":[0,3]"#), "input shape [0, 3]"),
        (
            replaced(r#"\"input_shape\":[2,3]"#, r#"\"input_shape\":[4294967296,4294967296]"#),
            "impossible input shape",
        ),
        (replaced(r#"\"units\":4"#, r#"\"units\":0"#), "layer 2 of no units"),
        (
            replaced(r#"\"units\":4"#, r#"\"units\":9223372036854775807"#),
            "too large for any memory",
        ),
        (replaced(r#"\"units\":4"#, r#"\"units\":-4"#), "damaged model description"),
        (replaced("elu", "elo"), "activation `elo`"),
        (replaced("sparse_cat", "sparse_dog"), "loss `sparse_dog"),
        (replaced(r#"\"hat\","#, ""), "2 class names for 3 outputs"),
        (replaced(r#"\"hat\""#, r#"\"\\u001b[2J\""#), "control characters"),
        (replaced("dense_1.kernel", "dense_2.kernel"), "no tensor `dense_1.kernel`"),
        (replaced(r#"[6,4]"#, r#"[4,6]"#), "tensor `dense.kernel` is F32 [4, 6]"),
        (replaced(r#""dtype":"F32","shape":[3]"#, r#""dtype":"I32","shape":[3]"#), "is I32 [3]"),
        (replaced("data_offsets", "data_offset"), "damaged"),
    ];
    for (bytes, expected) in cases {
        let error = refusal(&bytes);
        assert!(error.contains(expected), "`{expected}` in: {error}");
    }
}

#[test]
fn weights_that_are_not_numbers_are_refused_both_ways() {
    let mut bytes = small_model().to_safetensors().unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(refusal(&bytes).contains("holds NaN"));

    let mut parameters = small_model().parameters().clone();
    parameters.values_mut()[5] = f32::INFINITY;
    let model = Sequential::new([6])
        .layer(Dense::new(4, Activation::Relu))
        .layer(Dense::new(3, Activation::Softmax))
        .compile_with_parameters(Optimizer::adam(), Loss::SparseCategoricalCrossentropy, parameters)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    assert!(model.save(&path).unwrap_err().to_string().contains("inf"));
    assert!(!path.exists());
}

#[test]
fn files_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Model::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is a folder"), "{error}");
    let error = Model::load(&folder.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
    assert!(refusal(b"").contains("not a model file"));
    assert!(refusal(b"P5 2 2 255 abcd and more").contains("not a model file"));
    assert!(refusal(&u64::MAX.to_le_bytes()).contains("not a model file"));
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let (folder, path) = file_of(b"old");
    let model = small_model();
    let missing = folder.path().join("none").join("model.safetensors");
    let error = model.save(&missing).unwrap_err().to_string();
    assert!(error.contains("none"), "{error}");
    assert!(model.save(folder.path()).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
}
