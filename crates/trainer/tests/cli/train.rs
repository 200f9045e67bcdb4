//! Training from the command line: what it prints, what it leaves behind, what it repeats.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::util::{Dir, TEST, TRAIN};

const SMALL: &[&str] = &["train", "small", "--hidden", "16", "--batch-size", "10"];

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn a_table_for_people() {
    let dir = Dir::with_data();
    let text = dir.trainer(SMALL).args(&["--epochs", "3"]).succeeds();
    let expected = [
        "data      small, (5, 5) uint8, 3 classes\n",
        "examples  300 training, 60 test\n",
        "25 -> 16 relu -> 3 softmax, 467 parameters",
        "rmsprop 0.001, sparse_categorical_crossentropy, batch 10, seed 0",
        "epoch      loss  accuracy  seconds",
        "    3/3    ",
        "\ntest      loss ",
        "(60 examples)",
        "weights   sha256 ",
    ];
    for part in expected {
        assert!(text.contains(part), "`{part}` in:\n{text}");
    }
    assert!(!text.contains("val_"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains('\r'), "{text:?}");
    let text = dir.trainer(SMALL).args(&["--epochs", "1", "--validation-split", "0.1"]).succeeds();
    for part in ["270 training, 30 validation, 60 test", "val_loss  val_accuracy"] {
        assert!(text.contains(part), "`{part}` in:\n{text}");
    }
}

#[test]
fn json_for_programs() {
    let dir = Dir::with_data();
    let text = dir.trainer(SMALL).args(&["--epochs", "3", "--json"]).succeeds();
    let lines = json_lines(&text);
    assert_eq!(lines.len(), 4);
    for (i, line) in lines[..3].iter().enumerate() {
        let keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "accuracy",
            "epoch",
            "gflops",
            "loss",
            "samples_per_second",
            "seconds",
            "threads",
            "val_accuracy",
            "val_loss",
        ];
        assert_eq!(keys, expected);
        assert_eq!(number(line, "epoch"), i as f64 + 1.0);
        assert!(line["val_loss"].is_null() && line["val_accuracy"].is_null());
        let rate = number(line, "samples_per_second") * number(line, "seconds");
        assert!((rate - TRAIN as f64).abs() < 1e-6 * TRAIN as f64, "{line}");
    }
    let result = lines[3].as_object().unwrap();
    let keys: Vec<_> = result.keys().map(String::as_str).collect();
    let expected =
        ["isa", "seconds", "shuffle", "test_accuracy", "test_loss", "threads", "weights_hash"];
    assert_eq!(keys, expected);
    let hash = result["weights_hash"].as_str().unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    let split = ["--epochs", "1", "--json", "--validation-split", "0.25"];
    let lines = json_lines(&dir.trainer(SMALL).args(&split).succeeds());
    assert!(number(&lines[0], "val_loss") > 0.0 && lines[0]["val_accuracy"].is_number());
}

#[test]
fn it_learns() {
    let dir = Dir::with_data();
    for optimizer in ["sgd", "rmsprop", "adam"] {
        for loss in ["sparse_categorical_crossentropy", "mean_squared_error"] {
            let flags = ["--epochs", "20", "--json", "--quiet", "--learning-rate"];
            let rate = if optimizer == "sgd" { "0.5" } else { "0.01" };
            let text = dir
                .trainer(SMALL)
                .args(&flags)
                .args(&[rate, "--optimizer", optimizer, "--loss", loss])
                .succeeds();
            let result = json_lines(&text);
            assert_eq!(result.len(), 1, "{text}");
            let accuracy = number(&result[0], "test_accuracy");
            assert!(accuracy > 0.95, "{optimizer}, {loss}: {accuracy}");
        }
    }
}

#[test]
fn every_shape_of_network_trains() {
    let dir = Dir::with_data();
    for hidden in ["none", "1", "33,7", "8,8,8,8"] {
        for activation in ["linear", "relu", "sigmoid", "tanh", "elu"] {
            dir.trainer(&["train", "small", "--epochs", "1", "--quiet", "--batch-size", "77"])
                .args(&["--hidden", hidden, "--activation", activation])
                .succeeds();
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let dir = Dir::with_data();
    let hash = |flags: &[&str]| {
        let text = dir.trainer(SMALL).args(&["--epochs", "2", "--json"]).args(flags).succeeds();
        json_lines(&text).pop().unwrap()["weights_hash"].clone()
    };
    let one = hash(&["--threads", "1"]);
    for threads in ["2", "3", "4"] {
        assert_eq!(hash(&["--threads", threads]), one, "{threads} threads");
    }
    assert_ne!(hash(&["--seed", "1"]), one);
}

#[test]
fn a_saved_model_tests_the_same() {
    let dir = Dir::with_data();
    let train = ["--epochs", "2", "--json", "--save", "model.safetensors"];
    let trained = json_lines(&dir.trainer(SMALL).args(&train).succeeds()).pop().unwrap();
    let text = dir.trainer(&["evaluate", "model.safetensors", "small", "--json"]).succeeds();
    let tested = json_lines(&text).pop().unwrap();
    for key in ["test_loss", "test_accuracy"] {
        assert_eq!(number(&trained, key), number(&tested, key));
    }
    assert_eq!(number(&tested, "examples"), TEST as f64);
    let text = dir.trainer(&["evaluate", "model.safetensors", "small"]).succeeds();
    assert!(text.starts_with("small: test loss "), "{text}");
    let text = dir.trainer(&["summary", "model.safetensors"]).succeeds();
    assert!(text.contains("Total params: 467"), "{text}");
}

#[test]
fn a_place_to_save_is_found_before_training() {
    let dir = Dir::with_data();
    dir.write("file", b"");
    for (place, part) in
        [("none/model", "no folder"), (".", "folder"), ("file/model", "file is not a folder")]
    {
        let error = dir.trainer(SMALL).args(&["--save", place]).fails(1);
        assert!(error.contains(place) && error.contains(part), "{error}");
    }
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_keeps_the_old_model() {
    let dir = Dir::with_data();
    dir.write("model.safetensors", b"old");
    let flags = ["--optimizer", "sgd", "--learning-rate", "1e30", "--epochs", "3"];
    let (_, error) =
        dir.trainer(SMALL).args(&flags).args(&["--save", "model.safetensors"]).fails_midway(1);
    for part in ["loss became", "epoch 1", "step ", "learning rate"] {
        assert!(error.contains(part), "`{part}` in: {error}");
    }
    assert_eq!(dir.read("model.safetensors"), b"old");
    assert_eq!(dir.contents().len(), 5);
}

#[test]
fn quiet_prints_one_line() {
    let dir = Dir::with_data();
    let text = dir.trainer(SMALL).args(&["--epochs", "1", "--quiet"]).succeeds();
    assert!(text.starts_with("test loss ") && text.lines().count() == 1, "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = Dir::with_data();
    for arguments in [SMALL, &["data", "inspect", "small"]] {
        let mut run = dir.trainer(arguments);
        let command = run.command().stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("panicked"), "{stderr}");
    }
}

/// What a run is to leave behind is there, though nobody reads what it prints.
#[test]
fn what_is_asked_for_outlives_the_reader() {
    let dir = Dir::with_data();
    dir.train_model();
    let plot = ["predict", "model.safetensors", "small", "--index", "0", "--plot", "plot.svg"];
    let train = [SMALL, &["--epochs", "3", "--save", "saved.safetensors"]].concat();
    for (arguments, file) in [(&train[..], "saved.safetensors"), (&plot, "plot.svg")] {
        let mut run = dir.trainer(arguments);
        let mut child = run.command().stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert!(child.wait().unwrap().success(), "{arguments:?}");
        assert!(dir.path(file).exists(), "{arguments:?}");
    }
    let whole = dir.trainer(SMALL).args(&["--epochs", "3", "--json"]).succeeds();
    let lines = json_lines(&whole);
    let summary = dir.trainer(&["evaluate", "saved.safetensors", "small", "--json"]).succeeds();
    // It was trained to the end.
    assert_eq!(json_lines(&summary)[0]["test_loss"], lines[3]["test_loss"], "{summary}{whole}");
}

#[test]
fn a_seed_that_fails_is_named() {
    let dir = Dir::with_data();
    let arguments = ["--repeat-seeds", "3", "--seed", "7", "--threads", "1"];
    let run = dir.trainer(SMALL).args(&arguments).args(&["--learning-rate", "1e30"]);
    let error = run.fails(1);
    assert!(error.starts_with("seed 7: the loss became"), "{error}");
}

/// Whether `/dev/full` is the device that every write to fails, as on a full disk.
#[cfg(target_os = "linux")]
fn has_full_device() -> bool {
    use std::os::unix::fs::FileTypeExt;
    let is_device = fs::metadata("/dev/full").is_ok_and(|full| full.file_type().is_char_device());
    if !is_device {
        crate::util::skip("a full disk: /dev/full is not the device here");
    }
    is_device
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_a_model_or_a_plot_is_an_error() {
    if !has_full_device() {
        return;
    }
    let dir = Dir::with_data();
    dir.train_model();
    // A link: a writer that renames replaces that, and not the device.
    std::os::unix::fs::symlink("/dev/full", dir.path("full")).unwrap();
    let train = ["train", "small", "--epochs", "1", "--hidden", "4", "--save", "full"];
    let predict = ["predict", "model.safetensors", "small", "--index", "0", "--plot", "full"];
    for command in [&train[..], &predict] {
        let (_, error) = dir.trainer(command).fails_midway(1);
        assert!(error.starts_with("full: cannot be written: No space left"), "{error}");
        assert!(fs::symlink_metadata(dir.path("full")).unwrap().is_symlink());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_the_output_is_an_error() {
    if !has_full_device() {
        return;
    }
    let dir = Dir::with_data();
    let train = [SMALL, &["--epochs", "3", "--save", "saved.safetensors"]].concat();
    for arguments in [&["data", "inspect", "small"][..], &train] {
        let mut run = dir.trainer(arguments);
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = run.command().stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("error: ") && stderr.contains("No space left"), "{stderr}");
    }
    assert!(dir.path("saved.safetensors").exists());
}

#[test]
fn inspect_prints_what_the_notebooks_print() {
    let dir = Dir::with_data();
    let expected = "\
small in small

train_images  (300, 5, 5)  uint8
train_labels  (300,)       uint8
test_images   (60, 5, 5)   uint8
test_labels   (60,)        uint8

train_labels  [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, ...]
test_labels   [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, ...]

label  class      train       test
    0  0            100         20
    1  1            100         20
    2  2            100         20

                                 train          test
smallest feature                0.0000        0.0000
largest feature                 0.9529        0.9529
mean                            0.2642        0.2622
standard deviation              0.2914        0.2904
not zero                        98.7 %        99.3 %
always zero                          0             0
duplicates                           0             0
also in train                                      0
";
    assert_eq!(dir.trainer(&["data", "inspect", "small"]).succeeds(), expected);
}

#[test]
fn data_sets_are_found_by_name_and_mnist_is_the_default() {
    let dir = Dir::new();
    dir.data_set("data/mnist");
    let text = dir.trainer(&["data", "inspect"]).succeeds();
    assert!(text.contains("mnist in data/mnist"), "{text}");
    dir.data_set("elsewhere/fashion-mnist");
    let text = dir.trainer(&["data", "inspect", "fashion-mnist", "--data-dir", "elsewhere"]);
    assert!(text.succeeds().contains("Ankle boot"));
    let run = dir.trainer(&["data", "inspect", "Fashion_MNIST"]).env("FLATIRON_DATA", "elsewhere");
    assert!(run.succeeds().contains("T-shirt/top"));
}

/// Everything by default, in a folder without data. Not in a debug build, where drawing 70,000
/// glyphs and training on them takes minutes.
#[cfg(not(debug_assertions))]
#[test]
fn without_data_it_trains_on_synthetic_glyphs() {
    let dir = Dir::new();
    let (text, notes) = dir.trainer(&[]).succeeds_with_notes();
    assert!(notes.contains("synthetic") && notes.contains("trainer data get mnist"), "{notes}");
    assert!(text.starts_with("data      glyphs (synthetic), (28, 28) uint8"), "{text}");
    let accuracy = text.split_once("\ntest ").unwrap().1.split_once("accuracy ").unwrap().1;
    let accuracy: f64 = accuracy.split_once(' ').unwrap().0.parse().unwrap();
    assert!((0.95..=1.0).contains(&accuracy), "{text}");
}
