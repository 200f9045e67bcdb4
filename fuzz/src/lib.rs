//! What must hold of any bytes at all, one function a format: reading them does not panic, and
//! what is read, written again and read again, is the same. Each returns whether they were read.
//!
//! The fuzzer calls these with bytes it makes up; an ordinary test of the workspace calls them with
//! the corpus and with mutations of it, so that they run in CI as well.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use dataset::formats::csv::{self, Table};
use dataset::formats::npy::{Array, Header as NpyHeader};
use dataset::formats::npz;
use dataset::formats::png::Picture;
use dataset::idx::{self, Element, Header, Idx};
use dataset::{FeaturesView, Part, ReadOptions};
use tempfile::TempDir;
use trainer::image_file::open_png_as;
use trainer::{Error, Model};

/// Reads bytes, panics where the oracle is not content, and says whether they were accepted.
pub type Target = fn(&[u8]) -> bool;

/// The name of every target and its function.
pub const TARGETS: [(&str, Target); 7] = [
    ("idx", idx),
    ("gzip", gzip),
    ("npy", npy),
    ("npz", npz),
    ("csv", csv),
    ("png", png),
    ("model", model),
];

/// What messages call the bytes.
const NAME: &str = "input";

/// IDX: images alone, and images with labels (what follows the images) as a part of a data set.
pub fn idx(data: &[u8]) -> bool {
    let Ok(header) = Header::parse(data) else {
        // Gzip is a target of its own.
        return false;
    };
    let (images, labels) = data.split_at(header.file_size().min(data.len()));
    let Ok(images) = Idx::parse(Path::new(NAME), images.to_vec()) else { return false };
    assert_eq!([&header.to_bytes()[..], images.payload(), labels].concat(), data);
    assert_eq!(images.to_f64().len(), header.elements());
    same_elements::<u8>(&images);
    same_elements::<i8>(&images);
    same_elements::<i16>(&images);
    same_elements::<i32>(&images);
    same_elements::<f32>(&images);
    same_elements::<f64>(&images);
    if let Ok(labels) = Idx::parse(Path::new("labels"), labels.to_vec())
        && let Ok(part) = Part::from_idx(images, labels)
    {
        check_part(&part);
    }
    true
}

/// Decoded and encoded again, the elements are what they were, NaN and all.
fn same_elements<T: Element>(read: &Idx) {
    let Some(values) = read.view::<T>() else { return };
    let mut written = Vec::new();
    idx::write_to(&mut written, read.dims(), &values).unwrap();
    assert!(written.ends_with(read.payload()));
}

/// Gzip around IDX: what inflates is what the bare file would be.
pub fn gzip(data: &[u8]) -> bool {
    if !data.starts_with(&[0x1f, 0x8b]) {
        return false;
    }
    let Ok(read) = Idx::parse(Path::new(NAME), data.to_vec()) else { return false };
    let header = Header { element: read.element(), dims: read.dims().to_vec() };
    let bare = [&header.to_bytes()[..], read.payload()].concat();
    let again = Idx::parse(Path::new(NAME), bare).unwrap();
    assert_eq!((again.dims(), again.payload()), (read.dims(), read.payload()));
    true
}

/// NPY: one array.
pub fn npy(data: &[u8]) -> bool {
    let Ok(array) = Array::parse(Path::new(NAME), data.to_vec()) else { return false };
    let header = array.header();
    assert_eq!(array.payload().len(), header.payload_bytes());
    assert_eq!(array.to_f64().len(), header.shape.iter().product::<usize>());
    let written = header.to_bytes();
    assert_eq!(NpyHeader::parse(&written), Ok((header.clone(), written.len())));
    let again = Array::parse(Path::new(NAME), [&written, array.payload()].concat()).unwrap();
    assert_eq!(again.payload(), array.payload());
    true
}

/// NPZ: a zip archive of the arrays of a data set.
pub fn npz(data: &[u8]) -> bool {
    let Ok((train, test)) = npz::read_from(Path::new(NAME), Cursor::new(data)) else {
        return false;
    };
    check_part(&train);
    let Some(test) = test else { return true };
    check_part(&test);
    let mut written = Cursor::new(Vec::new());
    npz::write_to(&mut written, &train, &test).unwrap();
    let (train_again, test_again) = npz::read_from(Path::new(NAME), written).unwrap();
    assert_same(&train_again, &train);
    assert_same(&test_again.unwrap(), &test);
    true
}

/// CSV: a table of pixels or of numbers.
pub fn csv(data: &[u8]) -> bool {
    let options = ReadOptions::default();
    let read = |bytes: &[u8]| Table::read(Path::new(NAME), bytes, &options, None);
    let Ok(table) = read(data) else { return false };
    if let Some(classes) = &table.classes {
        assert!(classes.is_sorted_by(|a, b| a < b));
    }
    let part = table.into_part(Path::new(NAME));
    check_part(&part);
    let mut written = Vec::new();
    csv::write(&mut written, &part).unwrap();
    assert_same(&read(&written).unwrap().into_part(Path::new(NAME)), &part);
    true
}

/// PNG: one picture, as a data set of pictures and as `predict --image` read it.
pub fn png(data: &[u8]) -> bool {
    let Ok(picture) = Picture::read(Path::new(NAME), Cursor::new(data)) else { return false };
    let mut written = Vec::new();
    picture.write(&mut written).unwrap();
    let again = Picture::read(Path::new(NAME), Cursor::new(written)).unwrap();
    assert!(again == picture);
    // Resizing takes time, and large pictures have nothing that small ones have not.
    if picture.height * picture.width > 1 << 12 {
        return true;
    }
    let folder = Folder::new();
    let path = folder.file(NAME, data);
    for shape in [&[5, 3][..], &[2, 4, 3]] {
        let example = open_png_as(&path, shape).unwrap();
        assert_eq!(example.pixels.len(), shape.iter().product::<usize>());
        assert_eq!(example.original, (picture.width, picture.height));
    }
    true
}

/// Safetensors with a description of the model in its metadata.
pub fn model(data: &[u8]) -> bool {
    let folder = Folder::new();
    let Ok(model) = Model::load(&folder.file(NAME, data)) else { return false };
    let path = folder.path("again");
    model.save(&path).unwrap_or_else(|error: Error| panic!("{error}"));
    let again = Model::load(&path).unwrap();
    same_bits(again.parameters().values(), model.parameters().values());
    assert_eq!(again.parameters().layers(), model.parameters().layers());
    assert_eq!(again.layers(), model.layers());
    assert_eq!(again.input_shape(), model.input_shape());
    assert_eq!(again.class_names(), model.class_names());
    assert_eq!(format!("{}", again.summary()), format!("{}", model.summary()));
    true
}

/// What training takes for granted of examples.
fn check_part(part: &Part) {
    let examples = part.examples();
    assert!(!examples.is_empty() && examples.width() > 0);
    let labels = examples.labels();
    let classes = part.classes_at_least();
    assert!((0..examples.len()).all(|i| labels.get(i) < classes));
    if let FeaturesView::F32(numbers) = examples.features() {
        assert!(numbers.iter().all(|number| number.is_finite()));
    }
}

fn assert_same(a: &Part, b: &Part) {
    assert_eq!(a.shape(), b.shape());
    let (a, b) = (a.examples(), b.examples());
    assert_eq!(a.len(), b.len());
    assert!((0..a.len()).all(|i| a.labels().get(i) == b.labels().get(i)));
    match (a.features(), b.features()) {
        (FeaturesView::U8(a), FeaturesView::U8(b)) => assert_eq!(a, b),
        (FeaturesView::F32(a), FeaturesView::F32(b)) => same_bits(a, b),
        _ => panic!("bytes became numbers, or numbers bytes"),
    }
}

fn same_bits(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()));
}

/// A temporary folder for those readers that want a file; in memory where the system has such a
/// place.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self(TempDir::with_prefix_in("flatiron-fuzz-", parent).unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}
