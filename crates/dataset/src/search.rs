//! Where data sets are looked for.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::catalogue::suggestion;
use crate::folder::{Holding, scan};
use crate::{Error, Known, formats, known, lookup};

/// The folders in which data sets are looked for, in the order of the fields.
///
/// In each, the data set NAME is `NAME/` or, as torchvision leaves it, `MNIST/raw/` and the like.
/// The folder itself is taken for the data set where no other could be meant: it is called NAME, or
/// it is `data_dir` and not called after another data set.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Given on the command line; must exist.
    pub data_dir: Option<PathBuf>,
    /// From the environment: `FLATIRON_DATA`.
    pub env_dir: Option<PathBuf>,
    /// `./data`.
    pub local_dir: Option<PathBuf>,
    /// `$XDG_CACHE_HOME/flatiron`, by default `~/.cache/flatiron`: where downloads and the built-in
    /// data set are kept.
    pub cache_dir: Option<PathBuf>,
}

impl Search {
    /// The folders that the environment and `data_dir` name.
    pub fn from_env(data_dir: Option<PathBuf>) -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // A relative $XDG_CACHE_HOME is to be ignored, says the XDG base directory specification.
        let cache = set("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| env::home_dir().map(|home| home.join(".cache")));
        Self {
            data_dir,
            env_dir: set("FLATIRON_DATA"),
            local_dir: Some("data".into()),
            cache_dir: cache.map(|folder| folder.join("flatiron")),
        }
    }

    /// The folders looked in, in order.
    pub fn folders(&self) -> Vec<PathBuf> {
        let all = [&self.data_dir, &self.env_dir, &self.local_dir, &self.cache_dir];
        all.into_iter().flatten().cloned().collect()
    }

    /// Where the data set `name` is, if it is here: a folder, or a file of one of the formats of
    /// [`crate::formats::Format`]. No contents are read.
    ///
    /// # Errors
    /// If the folder given on the command line does not exist, or a place before the one where the
    /// data set is cannot be read: it may be there as well.
    pub fn locate(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        for place in self.places(name)? {
            if exists(&place)? && formats::detect(&place, name).is_some() {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Every place that `name` could be, in order.
    fn places(&self, name: &str) -> Result<Vec<PathBuf>, Error> {
        if let Some(folder) = &self.data_dir
            && !(exists(folder)? && folder.is_dir())
        {
            let expected = "a folder with data sets (--data-dir)".into();
            return Err(Error::Missing { path: folder.clone(), expected });
        }
        let mut places = Vec::new();
        for folder in self.folders() {
            places.push(folder.join(name));
            for extension in ["npz", "csv"] {
                let file = folder.join(format!("{name}.{extension}"));
                if exists(&file)? && file.is_file() {
                    places.push(file);
                }
            }
            if let Some(torchvision) = lookup(name).and_then(|known| known.torchvision) {
                places.push(folder.join(torchvision).join("raw"));
            }
            let explicit = self.data_dir.as_ref() == Some(&folder);
            let own_name = folder.file_name().and_then(|own| own.to_str()).unwrap_or_default();
            let is_it = match lookup(own_name) {
                Some(other) => other.name == name,
                None => own_name == name || explicit,
            };
            if is_it {
                places.push(folder);
            }
        }
        Ok(places)
    }

    /// Where the known data set `known`, which is not built in, is.
    pub(crate) fn find_known(&self, known: &Known) -> Result<PathBuf, Error> {
        if let Some(place) = self.locate(known.name)? {
            return Ok(place);
        }
        // Some of the files are more worth telling about than none.
        let looked = self.places(known.name)?;
        for folder in &looked {
            if let Holding::Incomplete(missing) = scan(folder, known.name) {
                return Err(Error::Incomplete { folder: folder.clone(), missing });
            }
        }
        let remedy = format!(
            "get it with `trainer data get {0}` (or add --download), or put its four files (train-images-idx3-ubyte, \
             ..., raw or .gz) into {1}",
            known.name,
            Path::new("data").join(known.name).display()
        );
        Err(Error::NotFound { name: known.name.into(), looked, remedy })
    }
}

/// Whether there is anything at `path`.
///
/// # Errors
/// [`Error::Read`] if that cannot be found out, or it is a folder that cannot be read.
pub(crate) fn exists(path: &Path) -> Result<bool, Error> {
    let found = fs::metadata(path).and_then(|found| match found.is_dir() {
        true => fs::read_dir(path).map(drop),
        false => Ok(()),
    });
    match found {
        Ok(()) => Ok(true),
        Err(e) => match e.kind() {
            // Nothing can go by a name that the system does not take.
            ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput => Ok(false),
            _ => Err(Error::read(path, e)),
        },
    }
}

/// What to say of a name that stands for nothing.
pub(crate) fn unknown(name: &str) -> Error {
    if name.contains(['/', '\\', '.']) {
        let expected = format!("a data set: {}", formats::EXPECTED);
        return Error::Missing { path: name.into(), expected };
    }
    let names: Vec<_> = known().iter().map(|known| known.name).collect();
    Error::UnknownName { name: name.into(), suggestion: suggestion(name), known: names.join(", ") }
}
