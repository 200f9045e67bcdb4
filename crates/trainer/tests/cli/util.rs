//! A folder a test works in, and the program run in it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Rows, columns and classes of the small data set.
pub const SIDE: usize = 5;
pub const CLASSES: usize = 3;
pub const TRAIN: usize = 300;
pub const TEST: usize = 60;

/// The four files of a data set.
pub const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Says that a test does nothing here; past the capture of the output of tests that pass.
pub fn skip(why: &str) {
    #[expect(clippy::explicit_write, reason = "the test runner swallows what eprintln! prints")]
    writeln!(io::stderr(), "skipped: {why}").unwrap();
}

/// A temporary folder.
pub struct Dir(TempDir);

impl Dir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with the small data set in `small/`.
    pub fn with_data() -> Self {
        let dir = Self::new();
        dir.data_set("small");
        dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Writes a small data set that is easy to learn: class `c` has a bright row `c`.
    pub fn data_set(&self, folder: &str) {
        for (part, count, images_file, labels_file) in
            [(0, TRAIN, FILES[0], FILES[1]), (1, TEST, FILES[2], FILES[3])]
        {
            let (images, labels) = examples(part, count);
            let dims = [count, SIDE, SIDE];
            self.write(&format!("{folder}/{images_file}"), &idx(&dims, &images));
            self.write(&format!("{folder}/{labels_file}"), &idx(&[count], &labels));
        }
    }

    /// The program, to be run in this folder; data sets and caches of the user are out of reach.
    pub fn trainer(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("FLATIRON_DATA")
            .stdin(Stdio::null())
            .args(arguments);
        Run { command, line: arguments.join(" ") }
    }

    /// Trains for two epochs on `small` and saves `model.safetensors`.
    pub fn train_model(&self) {
        self.trainer(&["train", "small", "--hidden", "16", "--batch-size", "10", "--epochs", "4"])
            .args(&["--save", "model.safetensors"])
            .succeeds();
    }

    /// Everything in the folder but the cache, by relative path, in order.
    pub fn contents(&self) -> Vec<String> {
        fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(root, &path, found);
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(self.0.path(), self.0.path(), &mut found);
        found.retain(|path| !path.starts_with("cache"));
        found.sort();
        found
    }
}

/// A run of the program.
pub struct Run {
    command: Command,
    line: String,
}

impl Run {
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self.line = format!("{} {}", self.line, arguments.join(" "));
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The command itself, for what this helper does not do.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    fn output(&mut self) -> (Output, String, String) {
        let output = self.command.output().unwrap();
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(!stderr.contains("panicked"), "trainer {}: {stderr}", self.line);
        (output, stdout, stderr)
    }

    /// Expects success; standard output.
    pub fn succeeds(self) -> String {
        self.succeeds_with_notes().0
    }

    /// Expects success; standard output and standard error.
    pub fn succeeds_with_notes(mut self) -> (String, String) {
        let (output, stdout, stderr) = self.output();
        assert!(output.status.success(), "trainer {}: {}\n{stderr}", self.line, output.status);
        (stdout, stderr)
    }

    /// Expects exit code `code` and nothing on standard output; the error line without its
    /// `error: `.
    pub fn fails(self, code: i32) -> String {
        let (stdout, error) = self.fails_midway(code);
        assert_eq!(stdout, "", "{error}");
        error
    }

    /// Expects exit code `code`; standard output, and the error line without its `error: `.
    pub fn fails_midway(mut self, code: i32) -> (String, String) {
        let (output, stdout, stderr) = self.output();
        assert_eq!(output.status.code(), Some(code), "trainer {}: {stderr}", self.line);
        let mut errors = stderr.lines().filter_map(|line| line.strip_prefix("error: "));
        let error = errors.next().unwrap_or_else(|| panic!("trainer {}: {stderr}", self.line));
        assert_eq!(errors.next(), None, "trainer {}: two errors", self.line);
        (stdout, error.to_owned())
    }
}

/// Pixels and labels of `count` examples; those of different parts differ.
pub fn examples(part: u64, count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut state = part;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8 % 64
    };
    let labels: Vec<u8> = (0..count).map(|i| (i * 7 % CLASSES) as u8).collect();
    let mut images = Vec::new();
    for &label in &labels {
        for y in 0..SIDE {
            let light = if y == usize::from(label) + 1 { 180 } else { 0 };
            images.extend((0..SIDE).map(|_| light + noise()));
        }
    }
    (images, labels)
}

/// An IDX file of bytes.
pub fn idx(dims: &[usize], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for &size in dims {
        bytes.extend((size as u32).to_be_bytes());
    }
    bytes.extend(payload);
    bytes
}
