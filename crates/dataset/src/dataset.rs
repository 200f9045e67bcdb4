//! A data set: training and test examples and the names of their classes.

use std::path::{Path, PathBuf};

use crate::formats::{self, ReadOptions};
use crate::{Error, Part, Search, folder, glyphs, lookup, search};

/// A data set, opened and checked.
#[derive(Debug)]
pub struct Dataset {
    /// Its known name, or that of the folder it was found in.
    pub name: String,
    /// Whether the examples were made by a program, not collected.
    pub synthetic: bool,
    /// The names of the classes, in the order of their numbers.
    pub classes: Vec<String>,
    /// The examples to train on.
    pub train: Part,
    /// The examples to test on.
    pub test: Part,
    /// The folder or file it came from.
    pub source: PathBuf,
    /// What the user should know about how it was opened, a line each.
    pub notices: Vec<String>,
}

impl Dataset {
    /// Finds a data set by its name (see [`crate::known`]) or its path, and opens it.
    ///
    /// A known name is looked for in the folders of `search`; `glyphs` is made on first use and
    /// kept in the cache. Any other name is a path, or else the name of a folder or file in one of
    /// the folders of `search`.
    ///
    /// # Errors
    /// If nothing goes by that name, it is not here, a place where it may be cannot be read, or a
    /// file of it is damaged.
    pub fn find(name_or_path: &str, search: &Search) -> Result<Self, Error> {
        Self::find_with(name_or_path, search, &ReadOptions::default())
    }

    /// As [`Dataset::find`], with what the files do not say themselves.
    ///
    /// # Errors
    /// As [`Dataset::find`].
    pub fn find_with(
        name_or_path: &str,
        search: &Search,
        options: &ReadOptions,
    ) -> Result<Self, Error> {
        match lookup(name_or_path) {
            Some(known) if known.is_synthetic() => {
                glyphs::check_options(options)?;
                glyphs::load(search)?.reshaped(options)
            }
            Some(known) => formats::open(&search.find_known(known)?, known.name, options),
            None if search::exists(Path::new(name_or_path))? => {
                Self::open_with(Path::new(name_or_path), options)
            }
            None => match search.locate(name_or_path)? {
                Some(found) => formats::open(&found, name_or_path, options),
                None => Err(search::unknown(name_or_path)),
            },
        }
    }

    /// Opens the data set at `path`, in any of the formats of [`formats::Format`]. In a folder,
    /// `classes.txt` with a class name on each line names the classes where a table's labels do not;
    /// it goes before the names of a known data set.
    ///
    /// # Errors
    /// If it is not there or not whole, or a file of it is damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, &ReadOptions::default())
    }

    /// As [`Dataset::open`], with what the files do not say themselves.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_with(path: &Path, options: &ReadOptions) -> Result<Self, Error> {
        // What cannot be read is another thing than what is not there, or is no data set.
        search::exists(path)?;
        formats::open(path, &folder::name_of(path), options)
    }

    /// Makes images grey and resizes them, as far as `options` ask for it.
    pub(crate) fn reshaped(mut self, options: &ReadOptions) -> Result<Self, Error> {
        self.train = self.train.reshaped(options.grey, options.resize)?;
        self.test = self.test.reshaped(options.grey, options.resize)?;
        Ok(self)
    }

    /// Puts a data set together from its parts. Without `classes` the classes are numbered, as many
    /// as the training labels ask for.
    ///
    /// # Errors
    /// If the parts have examples of different shapes, or a label that is not a class.
    pub fn new(
        name: &str,
        source: &Path,
        classes: Option<Vec<String>>,
        train: Part,
        test: Part,
    ) -> Result<Self, Error> {
        if train.shape() != test.shape() {
            let found = format!("examples shaped {:?}", test.shape());
            let expected = format!("{:?}, as in {}", train.shape(), train.images_path().display());
            return Err(Error::invalid(test.images_path(), "dimensions", found, expected));
        }
        let classes = classes
            .unwrap_or_else(|| (0..train.classes_at_least()).map(|c| c.to_string()).collect());
        train.check_labels(classes.len())?;
        test.check_labels(classes.len())?;
        Ok(Self {
            name: name.into(),
            synthetic: false,
            classes,
            train,
            test,
            source: source.to_owned(),
            notices: Vec::new(),
        })
    }

    /// Its name, and that it is synthetic where it is.
    pub fn title(&self) -> String {
        if self.synthetic { format!("{} (synthetic)", self.name) } else { self.name.clone() }
    }

    /// See [`Part::check_unchanged`].
    ///
    /// # Errors
    /// [`Error::Changed`] if a file of either part was modified since it was opened.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        self.train.check_unchanged()?;
        self.test.check_unchanged()
    }
}
