//! What other tools have downloaded before.

use std::env;
use std::path::{Path, PathBuf};

use super::archive;
use super::payload::{Check, From, Problem, place};
use super::sources::{Source, SourceFile};
use crate::catalogue::FILE_NAMES;
use crate::lookup;

/// Folders of other tools, where files may lie; none of them is ever written to.
#[derive(Clone, Debug, Default)]
pub struct Caches {
    /// Keras's own folder, `~/.keras`; its `datasets` is looked into.
    pub keras: Option<PathBuf>,
    /// The `root` folders given to torchvision; their `MNIST/raw` and the like are looked into.
    pub torchvision: Vec<PathBuf>,
    /// Burn's cache, `~/.cache/burn-dataset`.
    pub burn: Option<PathBuf>,
}

impl Caches {
    /// Where these tools keep their files unless told otherwise (torchvision has no such place):
    /// `$KERAS_HOME` or `~/.keras`, and `~/.cache/burn-dataset`.
    pub fn of_this_user() -> Self {
        let home = env::home_dir();
        let keras = env::var_os("KERAS_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            keras: keras.or_else(|| home.as_ref().map(|home| home.join(".keras"))),
            torchvision: Vec::new(),
            burn: home.map(|home| home.join(".cache").join("burn-dataset")),
        }
    }
}

/// Where a file may lie.
pub(super) struct Candidate {
    /// Whose cache it is.
    pub tool: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The array in it, if it is an npz file.
    array: Option<&'static str>,
}

/// Every place where `file` of `source` may lie, best first. Nothing is read.
pub(super) fn candidates(caches: &Caches, source: &Source, file: &SourceFile) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut add = |tool, path| found.push(Candidate { tool, path, array: None });
    let role = FILE_NAMES.iter().position(|name| *name == file.name);
    // In an archive, the file's path; what lies in a cache is its last part.
    let remote = Path::new(&file.remote).file_name().unwrap_or_default();
    if let Some(keras) = &caches.keras
        && source.name == "fashion-mnist"
    {
        add("Keras", keras.join("datasets").join("fashion-mnist").join(remote));
    }
    for root in &caches.torchvision {
        let folder = match lookup(&source.name).and_then(|known| known.torchvision) {
            Some(folder) => folder,
            None if source.name.starts_with("emnist-") => "EMNIST",
            None => continue,
        };
        let compressed = root.join(folder).join("raw").join(remote);
        let inflated = compressed.with_extension("");
        // Where only the hash of the compressed file is known, that one says more.
        if file.sha256.is_none() && file.download_sha256.is_some() {
            add("torchvision", compressed);
            add("torchvision", inflated);
        } else {
            add("torchvision", inflated);
            add("torchvision", compressed);
        }
    }
    if let Some(burn) = &caches.burn {
        let part = if role.is_some_and(|role| role < 2) { "train" } else { "test" };
        add("burn", burn.join(&source.name).join(part).join(&file.name));
    }
    if let (Some(keras), Some(role), "mnist") = (&caches.keras, role, source.name.as_str()) {
        // Last: it must be inflated and laid out anew.
        let arrays = ["x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"];
        let path = keras.join("datasets").join("mnist.npz");
        found.push(Candidate { tool: "Keras", path, array: Some(arrays[role]) });
    }
    found
}

/// Puts what lies at a candidate's place at `target`, if it is `file`.
pub(super) fn take(
    candidate: &Candidate,
    file: &SourceFile,
    target: &Path,
) -> Result<Check, Problem> {
    match candidate.array {
        Some(array) => archive::take_array(&candidate.path, array, file, target),
        None => place(&candidate.path, From::Cache, file, target),
    }
}
