//! Files larger than the memory for them, drawn by `data generate`, and files that change meanwhile.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::util::{Dir, FILES};

#[test]
fn digits_are_drawn_in_any_number() {
    let dir = Dir::new();
    let generate = ["data", "generate", "--out", "many", "--train", "70", "--test", "30"];
    let said = dir.trainer(&generate).succeeds();
    assert_eq!(said, "synthetic digits in many: 70 training, 30 test examples\n");
    let said = dir.trainer(&["data", "inspect", "many"]).succeeds();
    assert!(said.contains("(70, 28, 28)") && said.contains("(30, 28, 28)"), "{said}");
    // What is there is not touched.
    let before = dir.contents();
    let error = dir.trainer(&generate).fails(1);
    assert!(error.contains("a new or an empty folder"), "{error}");
    let error = dir.trainer(&["data", "generate", "--out", "none/many"]).fails(1);
    assert!(error.contains("there is no folder none"), "{error}");
    dir.trainer(&["data", "generate", "--out", "none", "--train", "0"]).fails(2);
    dir.trainer(&["data", "generate", "--out", "none", "--test", "4294967296"]).fails(2);
    assert_eq!(dir.contents(), before);
}

#[test]
fn more_than_the_memory_is_trained_on_in_blocks_and_said_so() {
    let dir = Dir::with_data();
    let train = ["train", "small", "--hidden", "8", "--epochs", "2", "--batch-size", "10"];
    let run = |more: &[&str]| dir.trainer(&train).args(more).succeeds();
    let said = run(&["--memory", "1KiB", "--threads", "1"]);
    let line = said.lines().find(|line| line.starts_with("shuffle")).unwrap();
    // 300 images of 25 bytes; two windows of 20 in 1,024 bytes.
    assert_eq!(
        line,
        "shuffle   blocks of 1, 20 of them together: 7.32 KiB of data, 1.00 KiB of memory for them \
         (--memory)"
    );
    let hash =
        |said: &str| said.split_once("sha256 ").unwrap().1.lines().next().unwrap().to_owned();
    let streamed = hash(&said);
    assert_eq!(hash(&run(&["--memory", "1KiB", "--threads", "3"])), streamed);
    let said = run(&[]);
    assert!(!said.contains("shuffle"), "{said}");
    assert_ne!(hash(&said), streamed);
    assert_eq!(hash(&run(&["--memory", "8KiB"])), hash(&said));

    let json = run(&["--memory", "1KiB", "--json"]);
    let expected = r#""shuffle":{"kind":"blocks","block":1,"window":20,"memory":1024}}"#;
    assert!(json.trim_end().ends_with(expected), "{json}");
    let json = run(&["--json"]);
    assert!(json.trim_end().ends_with(r#""shuffle":{"kind":"full"}}"#), "{json}");
    for bad in ["0", "-1", "many", "1.5G"] {
        let error = dir.trainer(&train).args(&["--memory", bad]).fails(2);
        assert!(error.contains("such as 500MiB"), "{error}");
    }
}

/// Without a handler of the signal that the missing pages raise, the first is no exit code but a
/// signal.
#[cfg(unix)]
#[test]
fn a_file_that_is_cut_short_during_a_run_is_an_error() {
    let dir = Dir::with_data();
    let many = ["--epochs", "100000000", "--hidden", "4", "--save", "model.safetensors"];
    for more in [&[][..], &["--memory", "1KiB"]] {
        dir.data_set("small");
        let mut run = dir.trainer(&["train", "small", "--threads", "2", "--json"]).args(&many);
        run = run.args(more);
        let command = run.command().stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with(r#"{"epoch":1,"#));
        let images = File::options().write(true).open(dir.path("small").join(FILES[0])).unwrap();
        images.set_len(100).unwrap();
        // Or the pipe would fill up before the program notices.
        for line in lines {
            line.unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        // A debug build begins with a note that it is one.
        let error =
            error.lines().filter(|line| !line.starts_with("note: ")).collect::<Vec<_>>().join("\n");
        assert!(error.starts_with("error: small/train-images-idx3-ubyte: changed"), "{error}");
        assert!(error.contains("100 bytes long, was 7516"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!dir.path("model.safetensors").exists());
    }
}

/// The folder that the program runs in stays: another in its place would leave its shell in one that
/// is deleted.
#[test]
fn an_empty_folder_to_write_to_may_be_the_one_it_runs_in() {
    let (dir, empty) = (Dir::with_data(), Dir::new());
    let data = dir.path("small");
    let convert = ["data", "convert", data.to_str().unwrap(), "--to", "idx", "--out", "."];
    #[cfg(unix)]
    let which = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(empty.path("")).unwrap());
    #[cfg(unix)]
    let before = which();
    empty.trainer(&convert).succeeds();
    // It is the same folder, not another of its name.
    #[cfg(unix)]
    assert_eq!(which(), before);
    let mut files = FILES;
    files.sort_unstable();
    assert_eq!(empty.contents(), files);
    let error = empty.trainer(&convert).fails(1);
    assert!(error.starts_with(".: target: found a folder with something in it"), "{error}");
}
