//! What must hold of any bytes at all, one function a format: reading them does not panic, and
//! what is read, written again and read again, is the same; and reading takes no more memory than
//! a file of that length can need. Each function returns whether the bytes were read.
//!
//! The fuzzer calls these with bytes it makes up; an ordinary test of the workspace calls them with
//! the corpus and with mutations of it, so that they run in CI as well.

pub mod fetch;
mod memory;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use dataset::formats::csv::{self, Table};
use dataset::formats::npy::{Array, Header as NpyHeader};
use dataset::formats::npz;
use dataset::formats::png::Picture;
use dataset::formats::{self, Format};
use dataset::idx::{self, Element, Header, Idx};
use dataset::{Dataset, FeaturesView, Part, ReadOptions};
use tempfile::TempDir;
use trainer::image_file::open_png_as;
use trainer::{Error, Model};

use self::memory::within;

/// Reads bytes, panics where the oracle is not content, and says whether they were accepted.
pub type Target = fn(&[u8]) -> bool;

/// The name of every target and its function.
pub const TARGETS: [(&str, Target); 11] = [
    ("idx", idx),
    ("gzip", gzip),
    ("npy", npy),
    ("npz", npz),
    ("csv", csv),
    ("png", png),
    ("model", model),
    ("classes", classes),
    ("response", fetch::response),
    ("leftovers", fetch::leftovers),
    ("cache", fetch::cache),
];

/// What messages call the bytes.
const NAME: &str = "input";

/// Deflate makes at most this many bytes of one.
const DEFLATE: usize = 1032;

/// Room for buffers and messages that do not depend on the file.
const SMALL: usize = 64 << 10;

/// IDX: images alone, and images with labels (what follows the images) as a part of a data set.
pub fn idx(data: &[u8]) -> bool {
    let Ok(header) = Header::parse(data) else {
        // Gzip is a target of its own.
        return false;
    };
    let (images, labels) = data.split_at(header.file_size().min(data.len()));
    let (images, bytes) = (images.to_vec(), images.len());
    let read = within(bytes + SMALL, || Idx::parse(Path::new(NAME), images));
    let Ok(images) = read else { return false };
    assert_eq!([&header.to_bytes()[..], images.payload(), labels].concat(), data);
    assert_eq!(images.to_f64().len(), header.elements());
    same_elements::<u8>(&images);
    same_elements::<i8>(&images);
    same_elements::<i16>(&images);
    same_elements::<i32>(&images);
    same_elements::<f32>(&images);
    same_elements::<f64>(&images);
    let Ok(labels) = Idx::parse(Path::new("labels"), labels.to_vec()) else { return true };
    // A byte may become an f64 on its way to an f32.
    if let Ok(part) = within(12 * data.len() + SMALL, || Part::from_idx(images, labels)) {
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
    let compressed = data.to_vec();
    let limit = DEFLATE * data.len() + 8 * SMALL;
    let read = within(limit, || Idx::parse(Path::new(NAME), compressed));
    let Ok(read) = read else { return false };
    let header = Header { element: read.element(), dims: read.dims().to_vec() };
    let bare = [&header.to_bytes()[..], read.payload()].concat();
    let again = Idx::parse(Path::new(NAME), bare).unwrap();
    assert_eq!((again.dims(), again.payload()), (read.dims(), read.payload()));
    true
}

/// NPY: one array.
pub fn npy(data: &[u8]) -> bool {
    let (bytes, limit) = (data.to_vec(), 16 * data.len() + SMALL);
    let read = within(limit, || Array::parse(Path::new(NAME), bytes));
    let Ok(array) = read else { return false };
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
    // A member may be read four times over, and its bytes become f64 on their way to f32.
    let limit = 4 * 13 * DEFLATE * data.len() + 16 * SMALL;
    let read = within(limit, || npz::read_from(Path::new(NAME), Cursor::new(data)));
    let Ok((train, test)) = read else { return false };
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
    // A label of a few bytes is a string of its own, twice while classes are sorted.
    let read = |bytes: &[u8]| {
        let limit = 64 * bytes.len() + 2 * SMALL;
        within(limit, || Table::read(Path::new(NAME), bytes, &options, None))
    };
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
    // A bit may become four bytes (a palette with opacity), and two of them a number of 16 bits.
    let limit = 2 * 32 * DEFLATE * data.len() + 8 * SMALL;
    let read = within(limit, || Picture::read(Path::new(NAME), Cursor::new(data)));
    let Ok(picture) = read else { return false };
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
    let path = folder.file(NAME, data);
    let read = within(16 * data.len() + SMALL, || Model::load(&path));
    let Ok(model) = read else { return false };
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

/// The names of classes, a text file beside a data set.
pub fn classes(data: &[u8]) -> bool {
    let folder = Folder::new();
    folder.file("train.csv", b"label,a,b\n0,1.5,2\n1,3,4\n");
    folder.file("test.csv", b"label,a,b\n1,1.5,2\n");
    let names = folder.file("classes.txt", data);
    let open = || Dataset::open(names.parent().unwrap());
    // A name of one letter and a line's end is a string of its own.
    let Ok(set) = within(64 * data.len() + 16 * SMALL, open) else { return false };
    let lines: Vec<&str> = std::str::from_utf8(data).unwrap().lines().map(str::trim).collect();
    assert_eq!(set.classes, lines);
    assert!(set.classes.len() >= 2 && set.classes.iter().all(|name| !name.is_empty()));
    let target = folder.path("again");
    formats::write(&set, Format::Csv, &target).unwrap();
    assert_eq!(Dataset::open(&target).unwrap().classes, set.classes);
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
