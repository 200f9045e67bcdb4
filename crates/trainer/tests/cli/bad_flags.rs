//! Flags that cannot be: exit code 2, before anything is read or written.

use crate::util::Dir;

/// Flags, and what the error must hold.
#[rustfmt::skip]
const CASES: &[(&[&str], &[&str])] = &[
    (&["--batch-size", "0"], &["'0'", "--batch-size", "1 or more"]),
    (&["--batch-size", "-5"], &["'-5'", "--batch-size", "1 or more"]),
    (&["--batch-size", "many"], &["'many'", "--batch-size", "1 or more"]),
    (&["--epochs", "0"], &["'0'", "--epochs", "1 or more"]),
    (&["--hidden", "0"], &["'0'", "--hidden", "1 or more"]),
    (&["--hidden", "-16"], &["'-16'", "--hidden", "1 or more"]),
    (&["--hidden", "16,0"], &["'16,0'", "--hidden", "1 or more"]),
    (&["--hidden", "4000000000"], &["--hidden", "4000000000", "parameters", "fewer"]),
    (&["--hidden", "9223372036854775807,9223372036854775807"], &["--hidden", "parameters", "fewer"]),
    (&["--learning-rate", "0"], &["'0'", "--learning-rate", "above 0"]),
    (&["--learning-rate", "-0.1"], &["'-0.1'", "--learning-rate", "above 0"]),
    (&["--learning-rate", "NaN"], &["'NaN'", "--learning-rate", "above 0"]),
    (&["--learning-rate", "inf"], &["'inf'", "--learning-rate", "above 0"]),
    (&["--learning-rate", "-inf"], &["'-inf'", "--learning-rate", "above 0"]),
    (&["--validation-split", "1"], &["'1'", "--validation-split", "including, 1"]),
    (&["--validation-split", "-0.1"], &["'-0.1'", "--validation-split", "from 0"]),
    (&["--validation-split", "nan"], &["'nan'", "--validation-split", "from 0"]),
    (&["--validation-split", "0.9999"], &["--validation-split 0.9999", "none of 300"]),
    (&["--threads", "0"], &["'0'", "--threads", "from 1"]),
    (&["--threads", "-1"], &["'-1'", "--threads", "from 1"]),
    (&["--seed", "-1"], &["'-1'", "--seed", "from 0"]),
    (&["--momentum", "2"], &["'2'", "--momentum", "including, 1"]),
    (&["--momentum", "0.9"], &["--momentum", "rmsprop", "--optimizer sgd"]),
    (&["--momentum", "0.99999999"], &["'0.99999999'", "--momentum", "including, 1"]),
    (&["--nesterov"], &["required"]),
    (&["--repeat-seeds", "2"], &["--repeat-seeds", "--save"]),
    (&["--activation", "rleu"], &["'rleu'", "--activation", "did you mean `relu`?", "tanh"]),
    (&["--optimizer", "adamm"], &["'adamm'", "--optimizer", "did you mean `adam`?", "sgd"]),
    (&["--loss", "mean_sqared_error"], &["--loss", "did you mean `mean_squared_error`?"]),
    (&["--epoch", "3"], &["--epoch"]),
];

#[test]
fn each_names_flag_value_and_range() {
    let dir = Dir::with_data();
    let before = dir.contents();
    for (flags, expected) in CASES {
        let error = dir.trainer(&["train", "small", "--save", "m"]).args(flags).fails(2);
        for part in *expected {
            assert!(error.contains(part), "{flags:?}: `{part}` in: {error}");
        }
    }
    assert_eq!(dir.contents(), before);
}

#[test]
fn unknown_data_sets_are_a_usage_error_with_a_guess() {
    let dir = Dir::new();
    for command in [&["train", "fashoin-mnist"][..], &["data", "inspect", "--data", "fashion_mnst"]]
    {
        let error = dir.trainer(command).fails(2);
        assert!(error.contains("did you mean \"fashion-mnist\"?"), "{error}");
    }
    assert!(dir.contents().is_empty());
}

#[test]
fn an_unknown_instruction_set_is_a_usage_error() {
    let dir = Dir::with_data();
    let error = dir.trainer(&["train", "small"]).env("KERNELS_ISA", "avx1024").fails(2);
    assert!(error.contains("avx1024") && error.contains("portable"), "{error}");
}

#[test]
fn predict_wants_exactly_one_source() {
    let dir = Dir::new();
    dir.trainer(&["predict", "m"]).fails(2);
    dir.trainer(&["predict", "m", "--index", "1", "--image", "x.png"]).fails(2);
    dir.trainer(&["predict", "m", "--index", "1", "--invert"]).fails(2);
    let error = dir.trainer(&["predict", "m", "--index", "-1"]).fails(2);
    assert!(error.contains("'-1'") && error.contains("counted from 0"), "{error}");
}

#[test]
fn help_and_version_are_no_errors() {
    let dir = Dir::new();
    assert!(dir.trainer(&["--help"]).succeeds().contains("evaluate"));
    assert!(dir.trainer(&["train", "--help"]).succeeds().contains("--validation-split"));
    assert!(dir.trainer(&["--version"]).succeeds().starts_with("trainer "));
}
