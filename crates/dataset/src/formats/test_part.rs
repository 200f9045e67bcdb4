//! The test part that was asked for, which is taken in place of the one that lies with the training
//! part.

use std::path::Path;

use super::npy::{self, Array};
use super::{Format, Layout, ReadOptions, detect, images, npz};
use crate::{Error, Part, folder, search};

/// Reads what lies at `path`, which must be in `format`: its test part, or all of it where it has one
/// part. Folders of images are those of the classes `names`.
///
/// # Errors
/// If it is not there, in another format or damaged.
pub(crate) fn read(
    path: &Path,
    format: Format,
    names: &[String],
    options: &ReadOptions,
) -> Result<Part, Error> {
    if !search::exists(path)? {
        let expected = format!("test data as {format}, like the training data (--test-data)");
        return Err(Error::Missing { path: path.to_owned(), expected });
    }
    let name = folder::name_of(path);
    let found = match (detect(path, &name), format) {
        (Some(Layout::Idx { .. }), Format::Idx | Format::IdxGz) => {
            return folder::open_test(path, &name);
        }
        (Some(Layout::Npz), Format::Npz) => {
            let (all, test) = npz::read(path)?;
            return Ok(test.unwrap_or(all));
        }
        (Some(Layout::Npy(all, test)), Format::Npy) => return read_pair(&test.unwrap_or(all)),
        (Some(Layout::Images(all, test)), Format::Images) => {
            return images::read(&test.unwrap_or(all), names, options);
        }
        (Some(layout), _) => layout.format().name(),
        (None, _) if path.is_dir() => "a folder of something else",
        (None, _) => "another file",
    };
    let expected = format!("{format}, as the training data: `trainer data convert` makes it so");
    Err(Error::invalid(path, "test data", found, expected))
}

/// Reads an array of features and one of labels.
pub(super) fn read_pair([features, labels]: &[std::path::PathBuf; 2]) -> Result<Part, Error> {
    npy::pair(Array::open(features)?, Array::open(labels)?)
}
