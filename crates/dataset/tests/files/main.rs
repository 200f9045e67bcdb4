//! The crate on real files in temporary folders: found, opened, refused.

mod bad_input;
mod changed;
mod class_names;
#[path = "../common/mod.rs"]
mod common;
mod find;
mod formats;
mod full_disk;
mod glyphs;
mod hostile;
mod tables;
mod target;
mod test_part;

use std::fs;
use std::path::{Path, PathBuf};

use common::skip;
use dataset::{Dataset, Error, Search, idx};

/// A temporary folder with a data set in it, which tests damage.
struct Folder(tempfile::TempDir);

impl Folder {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The four files, raw: 6 training and 4 test images of 2x3 pixels, 3 classes, under `name/`.
    fn with(name: &str) -> Self {
        let folder = Self::empty();
        folder.add(name, ["train-", "t10k-"], '-');
        folder
    }

    fn add(&self, name: &str, prefixes: [&str; 2], separator: char) {
        let folder = self.path(name);
        fs::create_dir_all(&folder).unwrap();
        for (prefix, count) in prefixes.into_iter().zip([6, 4]) {
            let pixels: Vec<u8> = (0..count * 6).map(|i| i as u8).collect();
            let labels: Vec<u8> = (0..count).map(|i| (i % 3) as u8).collect();
            let file =
                |what, rank| folder.join(format!("{prefix}{what}{separator}idx{rank}-ubyte"));
            idx::write(&file("images", 3), &[count, 2, 3], &pixels).unwrap();
            idx::write(&file("labels", 1), &[count], &labels).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names of everything in `name/`.
    fn names(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn search(&self) -> Search {
        Search { data_dir: Some(self.0.path().to_owned()), ..Search::default() }
    }

    fn find(&self, name: &str) -> Result<Dataset, Error> {
        Dataset::find(name, &self.search())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Replaces `path` by its gzipped form, `path.gz`.
fn compress(path: &Path) -> PathBuf {
    let compressed = path.with_file_name(format!("{}.gz", path.file_name().unwrap().display()));
    fs::write(&compressed, gzip(&fs::read(path).unwrap())).unwrap();
    fs::remove_file(path).unwrap();
    compressed
}

fn read_only(path: &Path, yes: bool) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "a temporary folder")]
    permissions.set_readonly(yes);
    fs::set_permissions(path, permissions).unwrap();
}
