//! The formats that data sets come in and can be written in; docs/formats.md has the table.

pub mod csv;
mod images;
pub mod npy;
pub mod npz;
pub mod png;
mod tables;
pub(crate) mod target;
mod test_part;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::folder::{self, Holding};
use crate::write::folder_of;
use crate::{Dataset, Error, Part, class_names, lookup};

/// What a data set does not say itself, and what is to be made of its images.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadOptions {
    /// The column of a CSV file that holds the labels: its name, or its number from 0.
    pub label_column: Option<String>,
    /// Where the test part is, in the format of the training part; it is taken in place of one that
    /// the source holds. Of a source of two parts it is the second.
    pub test: Option<PathBuf>,
    /// The fraction of a source of one part, stratified, that becomes the test part if `test` is not
    /// given. 0.2 by default.
    pub holdout: f64,
    /// The seed that this fraction, and the order of image files, are drawn from.
    pub seed: u64,
    /// A text file with the name of a class on each line.
    pub class_names: Option<PathBuf>,
    /// Make colour images grey.
    pub grey: bool,
    /// Make images this size: rows, columns.
    pub resize: Option<(usize, usize)>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            label_column: None,
            test: None,
            holdout: 0.2,
            seed: 0,
            class_names: None,
            grey: false,
            resize: None,
        }
    }
}

/// A format of data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A folder of four IDX files.
    Idx,
    /// The same, gzipped.
    IdxGz,
    /// One file of NumPy arrays, as Keras lays mnist.npz out.
    Npz,
    /// A folder of NumPy arrays: x_train.npy, y_train.npy, x_test.npy, y_test.npy.
    Npy,
    /// A folder of train.csv and test.csv, or one CSV file.
    Csv,
    /// A folder of PNG files for each class, in train/ and test/.
    Images,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Idx, Self::IdxGz, Self::Npz, Self::Npy, Self::Csv, Self::Images];

    /// The name it goes by on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idx => "idx",
            Self::IdxGz => "idx.gz",
            Self::Npz => "npz",
            Self::Npy => "npy",
            Self::Csv => "csv",
            Self::Images => "images",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown format {name:?}; expected one of {names}")
        })
    }
}

/// Where the parts of a data set lie.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    Idx {
        compressed: bool,
    },
    Npz,
    /// Training images and labels, and those of the test part.
    Npy([PathBuf; 2], Option<[PathBuf; 2]>),
    Csv,
    Images(PathBuf, Option<PathBuf>),
}

impl Layout {
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Idx { compressed: false } => Format::Idx,
            Self::Idx { compressed: true } => Format::IdxGz,
            Self::Npz => Format::Npz,
            Self::Npy(..) => Format::Npy,
            Self::Csv => Format::Csv,
            Self::Images(..) => Format::Images,
        }
    }
}

/// Finds out what lies at `path`; the data set would be called `name`. Reads names, no contents.
pub(crate) fn detect(path: &Path, name: &str) -> Option<Layout> {
    if path.is_dir() {
        return detect_folder(path, name);
    }
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "npz" => Some(Layout::Npz),
        "csv" | "tsv" => Some(Layout::Csv),
        "npy" => detect_npy(path.parent()?),
        _ => None,
    }
}

fn detect_folder(path: &Path, name: &str) -> Option<Layout> {
    if let Holding::All(files) = folder::scan(path, name) {
        let compressed = files.iter().any(|path| path.extension().is_some_and(|e| e == "gz"));
        return Some(Layout::Idx { compressed });
    }
    if let Some(layout) = detect_npy(path) {
        return Some(layout);
    }
    if tables::has_training(path) {
        return Some(Layout::Csv);
    }
    if let Some((train, test)) = images::parts(path) {
        return Some(Layout::Images(train, Some(test)));
    }
    if !images::classes(path).ok()?.is_empty() {
        return Some(Layout::Images(path.into(), None));
    }
    tables::sole(path).map(|_| Layout::Csv)
}

fn detect_npy(folder: &Path) -> Option<Layout> {
    let both = |names: [&str; 2]| {
        let paths = names.map(|name| folder.join(format!("{name}.npy")));
        paths.iter().all(|path| path.is_file()).then_some(paths)
    };
    if let Some(train) = both(["x_train", "y_train"]) {
        return Some(Layout::Npy(train, both(["x_test", "y_test"])));
    }
    let single = both(["x", "y"]).or_else(|| both(["images", "labels"]))?;
    Some(Layout::Npy(single, None))
}

/// Opens whatever data set lies at `path`.
///
/// # Errors
/// If nothing of a known format does, or it is damaged.
pub(crate) fn open(path: &Path, name: &str, options: &ReadOptions) -> Result<Dataset, Error> {
    // One array stands for the folder that it and the others are in.
    let is_array = path.is_file() && path.extension().is_some_and(|e| e == "npy");
    let path = if is_array { folder_of(path) } else { path };
    if !path.exists() {
        let expected = format!("a data set: {EXPECTED}");
        return Err(Error::Missing { path: path.to_owned(), expected });
    }
    let Some(layout) = detect(path, name) else {
        if let Holding::Incomplete(missing) = folder::scan(path, name) {
            return Err(Error::Incomplete { folder: path.to_owned(), missing });
        }
        if let Some(error) = tables::none_is_training(path) {
            return Err(error);
        }
        let found = if path.is_dir() { "a folder of something else" } else { "another file" };
        return Err(Error::invalid(path, "data set", found, EXPECTED));
    };
    if !(0.0..1.0).contains(&options.holdout) || options.holdout == 0.0 {
        let found = options.holdout.to_string();
        return Err(Error::invalid(path, "test fraction", found, "more than 0 and less than 1"));
    }
    let format = layout.format();
    let asked = |names: &[String]| {
        let path = options.test.as_deref();
        path.map(|path| test_part::read(path, format, names, options)).transpose()
    };
    let set = match layout {
        Layout::Idx { .. } => folder::open(path, name, asked(&[])?, options)?,
        Layout::Npz => {
            let (train, test) = npz::read(path)?;
            put_together(path, name, train, asked(&[])?.or(test), None, options)?
        }
        Layout::Npy(train, test) => {
            let test = match asked(&[])? {
                None => test.as_ref().map(test_part::read_pair).transpose()?,
                asked => asked,
            };
            put_together(path, name, test_part::read_pair(&train)?, test, None, options)?
        }
        Layout::Csv => tables::open(path, name, options)?,
        Layout::Images(train, test) => {
            let names = match &options.class_names {
                Some(file) => named_in(file)?,
                None => images::class_names(path, &train)?,
            };
            let test = match asked(&names)? {
                None => test.map(|test| images::read(&test, &names, options)).transpose()?,
                asked => asked,
            };
            let train = images::read(&train, &names, options)?;
            put_together(path, name, train, test, Some(names), options)?
        }
    };
    set.reshaped(options)
}

/// What can be opened, for messages.
pub(crate) const EXPECTED: &str = "a folder of four IDX files, .npz, .npy, .csv, or a folder of PNG files for \
                        each class";

/// Makes a data set of its parts, or of one part by holding some of it out. Names of classes are
/// `classes`, those asked for, those in a text file beside the data, or those known.
pub(crate) fn put_together(
    path: &Path,
    name: &str,
    train: Part,
    test: Option<Part>,
    classes: Option<Vec<String>>,
    options: &ReadOptions,
) -> Result<Dataset, Error> {
    let classes = match (&options.class_names, classes) {
        (_, Some(classes)) => Some(classes),
        (Some(file), None) => Some(named_in(file)?),
        (None, None) => match class_names::read(&classes_path(path))? {
            Some(classes) => Some(classes),
            None => lookup(name).map(|known| known.classes.iter().map(|&c| c.into()).collect()),
        },
    };
    match test {
        Some(test) => Dataset::new(name, path, classes, train, test),
        None => Dataset::held_out(name, path, classes, train, options.holdout, options.seed),
    }
}

/// The names of the classes in a text file that was asked for.
fn named_in(path: &Path) -> Result<Vec<String>, Error> {
    class_names::read(path)?.ok_or_else(|| {
        let expected = "a text file with the name of a class on each line".into();
        Error::Missing { path: path.to_owned(), expected }
    })
}

/// Where the names of the classes of the data at `path` are: `classes.txt` in a folder,
/// `NAME.classes.txt` beside a file.
pub(crate) fn classes_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("classes.txt") } else { path.with_extension("classes.txt") }
}

/// Writes `set` to `target` in `format`: a file for `npz`, a folder for each of the others.
///
/// The folder must be new or empty, and appears only once everything is in it. Names of classes that
/// are not just numbers are written to `classes.txt` in it (`NAME.classes.txt` beside an npz file).
///
/// # Errors
/// If `target` cannot be written or is a folder with something in it, or the data do not fit the
/// format (rows of numbers as images, say). What was there before stays as it was.
pub fn write(set: &Dataset, format: Format, target: &Path) -> Result<(), Error> {
    let written = match format {
        Format::Npz => npz::write(target, set)
            .and_then(|()| target::write_classes(&classes_path(target), &set.classes)),
        _ => target::new_folder(target, |folder| {
            target::write_classes(&folder.join("classes.txt"), &set.classes)?;
            for (part, test) in [(&set.train, false), (&set.test, true)] {
                write_part(part, test, format, folder, &set.classes)?;
            }
            set.check_unchanged()
        }),
    };
    // A file that was cut short meanwhile is the reason of whatever else went wrong.
    written.map_err(|error| set.check_unchanged().err().unwrap_or(error))
}

/// Writes a part in a format of more than one file.
fn write_part(
    part: &Part,
    test: bool,
    format: Format,
    folder: &Path,
    classes: &[String],
) -> Result<(), Error> {
    let name = if test { "test" } else { "train" };
    match format {
        Format::Idx => target::write_idx(folder, part, test, false),
        Format::IdxGz => target::write_idx(folder, part, test, true),
        Format::Csv => {
            target::write_file(&folder.join(format!("{name}.csv")), |out| csv::write(out, part))
        }
        Format::Images => images::write(&folder.join(name), part, classes),
        Format::Npy | Format::Npz => {
            let path = |what| folder.join(format!("{what}_{name}.npy"));
            target::write_file(&path("x"), |out| npy::write_features(out, part))?;
            target::write_file(&path("y"), |out| npy::write_labels(out, part))
        }
    }
}
