//! Files that other tools have downloaded before.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use dataset::fetch::{self, Caches, Check, Event, FetchError, Origin, Settings, Source};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use crate::setup::{NAME, gzip, header, images, names, sha256, source};

/// The set of one file under the name of a known set, and no mirror at all.
fn known(name: &str) -> Source {
    Source { name: name.into(), ..source(&[]) }
}

struct Home {
    root: TempDir,
    said: Vec<String>,
}

impl Home {
    fn with(path: &str, bytes: &[u8]) -> Self {
        let home = Self { root: tempfile::tempdir().unwrap(), said: Vec::new() };
        home.put(path, bytes);
        home
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Gets `source` from the caches alone.
    fn get(&mut self, source: &Source) -> Result<fetch::Fetched, FetchError> {
        let at = |name: &str| self.root.path().join(name);
        let caches = Caches {
            keras: Some(at(".keras")),
            torchvision: vec![at("nowhere"), at("torch")],
            burn: Some(at(".cache/burn-dataset")),
        };
        let settings = Settings { root: at("data"), caches, network: None };
        let said = &mut self.said;
        let set = fetch::get(source, &settings, &mut |event: &Event| {
            said.push(format!("{event:?}"));
        })?;
        assert_eq!(fs::read(&set.files[0].path).unwrap(), images());
        assert_eq!(names(&set.folder), [NAME]);
        Ok(set.files[0].clone())
    }

    #[track_caller]
    fn assert_taken(&mut self, source: &Source, tool: &str, path: &str) {
        let before = fs::read(self.root.path().join(path)).unwrap();
        let taken = self.get(source).unwrap();
        let path = self.root.path().join(path);
        assert_eq!(taken.origin, Origin::Cache { tool: tool.into(), path: path.clone() });
        assert_eq!(fs::read(&path).unwrap(), before, "a cache is only read");
    }
}

/// An npz file with this array as Keras's `x_train`.
fn npz(dims: &str, elements: &[u8]) -> Vec<u8> {
    npz_with(b"\x93NUMPY", dims, elements)
}

fn npz_with(magic: &[u8], dims: &str, elements: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    for (name, elements) in [("y_train", &b"other"[..]), ("x_train", elements)] {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        let mut text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {dims}, }}");
        text += &" ".repeat(63 - (text.len() + 10) % 64);
        text += "\n";
        writer.write_all(&[magic, &[1, 0]].concat()).unwrap();
        writer.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer.write_all(elements).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn keras_fashion_files() {
    let path = format!(".keras/datasets/fashion-mnist/{NAME}.gz");
    let mut home = Home::with(&path, &gzip(&images()));
    home.assert_taken(&known("fashion-mnist"), "Keras", &path);
    // MNIST's files have the same names, but do not lie there.
    let mut home = Home::with(&path, &gzip(&images()));
    assert!(home.get(&known("mnist")).is_err());
}

#[test]
fn keras_mnist_npz() {
    let elements = &images()[header().size()..];
    let path = ".keras/datasets/mnist.npz";
    Home::with(path, &npz("(200, 32, 32)", elements)).assert_taken(&known("mnist"), "Keras", path);
}

#[test]
fn an_npz_that_is_damaged_or_holds_something_else_is_passed_over() {
    let elements = &images()[header().size()..];
    let good = npz("(200, 32, 32)", elements);
    let mut other = elements.to_vec();
    other[77] ^= 1;
    let long = [elements, &[0]].concat();
    for (bytes, why) in [
        (npz("(200, 32, 32)", &other), "is published"),
        (npz("(200, 32, 32)", &elements[1..]), "inflates to 204815"),
        (npz("(200, 32, 32)", &long), "inflates to more"),
        (npz_with(b"\x93NUMPi", "(200, 32, 32)", elements), "an array that is not npy"),
        (good[..good.len() / 2].to_vec(), "is no archive"),
        (b"PK\x03\x04 not a zip".to_vec(), "is no archive"),
        (Vec::new(), "is no archive"),
    ] {
        let mut home = Home::with(".keras/datasets/mnist.npz", &bytes);
        let error = home.get(&known("mnist")).unwrap_err();
        assert!(matches!(error, FetchError::NotHere { .. }), "{error}");
        assert!(home.said.iter().any(|said| said.contains(why)), "{why}: {:?}", home.said);
        assert_eq!(names(&home.root.path().join("data/mnist")), [""; 0]);
    }
}

#[test]
fn torchvision_raw_files() {
    let raw = format!("torch/MNIST/raw/{NAME}");
    Home::with(&raw, &images()).assert_taken(&known("mnist"), "torchvision", &raw);
    let gz = format!("torch/FashionMNIST/raw/{NAME}.gz");
    Home::with(&gz, &gzip(&images())).assert_taken(&known("fashion-mnist"), "torchvision", &gz);

    let mut letters = known("emnist-letters");
    letters.files[0].remote = "gzip/emnist-letters-train-images-idx3-ubyte.gz".into();
    let path = "torch/EMNIST/raw/emnist-letters-train-images-idx3-ubyte";
    Home::with(path, &images()).assert_taken(&letters, "torchvision", path);
}

#[test]
fn of_two_files_the_one_that_can_be_verified_is_taken() {
    let mut kmnist = known("kmnist");
    kmnist.files[0].sha256 = None;
    kmnist.files[0].download_sha256 = Some(sha256(&gzip(&images())));
    let (raw, gz) = (format!("torch/KMNIST/raw/{NAME}"), format!("torch/KMNIST/raw/{NAME}.gz"));

    let mut home = Home::with(&raw, &images());
    home.put(&gz, &gzip(&images()));
    home.assert_taken(&kmnist, "torchvision", &gz);

    // Where only the inflated one is left, header and length are all there is to check.
    let mut home = Home::with(&raw, &images());
    home.assert_taken(&kmnist, "torchvision", &raw);
    assert!(home.said.last().unwrap().contains("NoHashKnown"), "{:?}", home.said);

    // A compressed one that is not the published one is passed over.
    let mut home = Home::with(&raw, &images());
    home.put(&gz, &gzip(&[images(), vec![]].concat()[..5000]));
    home.assert_taken(&kmnist, "torchvision", &raw);
}

#[test]
fn burn_files_of_both_parts() {
    let path = format!(".cache/burn-dataset/mnist/train/{NAME}");
    Home::with(&path, &images()).assert_taken(&known("mnist"), "burn", &path);
    let mut test = known("mnist");
    test.files[0].name = "t10k-images-idx3-ubyte".into();
    let path = ".cache/burn-dataset/mnist/test/t10k-images-idx3-ubyte";
    let home = Home::with(path, &images());
    let caches = Caches { burn: Some(home.root.path().join(".cache/burn-dataset")), ..no_cache() };
    let root = home.root.path().join("data");
    fetch::get(&test, &Settings { root, caches, network: None }, &mut |_| {}).unwrap();
}

#[test]
fn a_damaged_cache_is_passed_over_for_the_next_one() {
    let torch = format!("torch/MNIST/raw/{NAME}");
    let burn = format!(".cache/burn-dataset/mnist/train/{NAME}");
    let mut home = Home::with(&torch, &images()[..4000]);
    home.put(&burn, &images());
    home.assert_taken(&known("mnist"), "burn", &burn);
    let passed = "inflates to 4000 of its 204816 bytes";
    assert!(home.said.iter().any(|said| said.contains(passed)), "{:?}", home.said);
}

#[test]
fn without_network_and_cache_the_message_says_what_to_do() {
    let mut home = Home::with("unrelated", b"");
    let error = home.get(&known("mnist")).unwrap_err();
    let folder = home.root.path().join("data/mnist");
    let expected = format!(
        "{NAME} of mnist is in no known cache, and no download was asked for: ask for one, or put \
         {NAME}.gz (or {NAME}, inflated) into {} by hand",
        folder.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_cache_that_holds_a_folder_of_that_name_is_no_cache() {
    let mut home = Home::with(&format!("torch/MNIST/raw/{NAME}/inner"), b"");
    assert!(matches!(home.get(&known("mnist")), Err(FetchError::NotHere { .. })));
}

#[test]
fn files_in_place_are_found_under_their_usual_names() {
    let folder = tempfile::tempdir().unwrap();
    let set = source(&[]);
    let found = |name: &str, bytes: &[u8]| -> Option<(PathBuf, Check)> {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let found = fetch::in_place(&set, folder.path(), &mut |_| {}).unwrap().remove(0);
        fs::remove_file(path).unwrap();
        found
    };
    for name in [NAME, "train-images.idx3-ubyte"] {
        for (name, bytes) in [(name.to_owned(), images()), (format!("{name}.gz"), gzip(&images()))]
        {
            assert_eq!(
                found(&name, &bytes),
                Some((folder.path().join(&name), Check::Payload)),
                "{name}"
            );
            assert_eq!(found(&name, &bytes[..bytes.len() - 1]), None, "{name}");
        }
    }
    assert_eq!(names(folder.path()), [""; 0]);
    let nowhere = Path::new("/nonexistent");
    assert_eq!(fetch::in_place(&set, nowhere, &mut |_| {}).unwrap(), [None]);
}

fn no_cache() -> Caches {
    Caches::default()
}
