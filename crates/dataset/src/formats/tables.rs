//! A data set of tables: a CSV file of training examples, and maybe one of test examples.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::csv::Table;
use super::{ReadOptions, put_together};
use crate::{Dataset, Error};

/// Opens the data set at `path`, whose tables are `train` and `test`.
pub(super) fn open(
    path: &Path,
    name: &str,
    train: &Path,
    test: Option<PathBuf>,
    options: &ReadOptions,
) -> Result<Dataset, Error> {
    let table = read(train, None, options)?;
    let test = match options.test.clone().or(test) {
        Some(path) => {
            let test = read(&path, Some(&table), options)?;
            table.check_scale(train, &test, &path)?;
            Some(test.into_part(&path))
        }
        None => None,
    };
    let classes = table.classes.clone();
    put_together(path, name, table.into_part(train), test, classes, options)
}

fn read(path: &Path, like: Option<&Table>, options: &ReadOptions) -> Result<Table, Error> {
    crate::map::regular_file_length(path)?;
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    Table::read(path, BufReader::with_capacity(1 << 18, file), options, like)
}
