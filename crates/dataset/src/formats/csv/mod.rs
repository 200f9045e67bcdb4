//! CSV: a row of numbers for each example, one column of it the label.
//!
//! Two kinds of table are told apart. Pixels, as Kaggle has MNIST: columns named `pixel0`,
//! `pixel1`, ... or `1x1`, `1x2`, ... (row x column, or row x column x channel), or no header (or one
//! that only counts the columns) and as many whole numbers from 0 to 255 as a square has; they are
//! bytes, divided by 255 in training. Anything else is a table of numbers, used as they are. In
//! columns of pixels `12.0` is the byte 12 as well, and one cell that is no byte makes all of them
//! numbers.

mod cells;
mod columns;
mod rows;
mod write;

use std::io::BufRead;
use std::path::Path;

use csv::ByteRecord;

use self::cells::{Cells, NotByte};
use self::columns::{Columns, is_header};
use self::rows::{Rows, names};
pub use self::write::write;
use super::ReadOptions;
use crate::{Error, Part};

/// A table: features and labels of as many examples as it has rows.
#[derive(Debug)]
pub struct Table {
    columns: Columns,
    not_byte: Option<NotByte>,
    /// The shape of one example.
    pub shape: Vec<usize>,
    /// The features, row-major.
    pub features: TableFeatures,
    /// Class numbers.
    pub labels: Vec<u16>,
    /// The classes' names, where the labels are names.
    pub classes: Option<Vec<String>>,
}

/// The features of a table.
#[derive(Debug, PartialEq)]
pub enum TableFeatures {
    /// Whole numbers from 0 to 255 of a table of pixels.
    Pixels(Vec<u8>),
    /// Numbers.
    Numbers(Vec<f32>),
}

impl Table {
    /// Reads a table.
    ///
    /// With `like`, the columns and classes are those of that table (the training part): in whatever
    /// order where both have a header, else in the same.
    ///
    /// # Errors
    /// If there is no row, rows have different lengths, the label column is not clear, a cell is not
    /// a number, or the columns have other names than those of `like`; the row and column are named.
    pub fn read(
        path: &Path,
        source: impl BufRead,
        options: &ReadOptions,
        like: Option<&Self>,
    ) -> Result<Self, Error> {
        let mut rows = Rows::new(path, source)?;
        let mut record = ByteRecord::new();
        if !rows.next(&mut record)? {
            return Err(Error::Empty { path: path.to_owned(), expected: "rows of numbers" });
        }
        let first = names(&record);
        let is_header = is_header(&first, options)
            || like.is_some_and(|table| table.columns.names.as_ref() == Some(&first));
        let first_row = 1 + usize::from(is_header);
        let header = is_header.then_some(first);
        if header.is_some() && !rows.next(&mut record)? {
            return Err(Error::invalid(path, "rows", "a header alone", "rows of numbers below it"));
        }
        if let Some(names) = &header
            && names.len() != record.len()
        {
            let found = format!("{} cells", record.len());
            let expected = format!("{}, as many as the header has", names.len());
            return Err(Error::invalid(path, "row 2", found, expected));
        }
        let columns = match like {
            Some(table) => table.columns.like(path, header)?,
            None => Columns::find(path, header, &record, options)?,
        };
        let mut cells = Cells::new(&columns);
        let mut row = first_row;
        loop {
            if record.len() != columns.count {
                let field = format!("row {row}");
                let found = format!("{} cells", record.len());
                return Err(Error::invalid(path, field, found, columns.count.to_string()));
            }
            cells.push(path, row, &record)?;
            row += 1;
            if !rows.next(&mut record)? {
                break;
            }
        }
        cells.finish(path, columns, first_row, options, like)
    }

    /// Whether the table at `path` has the columns of this one except for the labels, as the test.csv
    /// of a Kaggle competition.
    ///
    /// # Errors
    /// If its first row cannot be read.
    pub(crate) fn is_without_labels(
        &self,
        path: &Path,
        source: impl BufRead,
    ) -> Result<bool, Error> {
        let mut record = ByteRecord::new();
        let found = Rows::new(path, source)?.next(&mut record)?;
        Ok(found && self.columns.are_but_for_label(names(&record)))
    }

    /// The name of the column of labels, if there is a header.
    pub(crate) fn label_name(&self) -> Option<&str> {
        self.columns.names.as_ref().map(|names| names[self.columns.label].as_str())
    }

    /// Sees to it that the training table at `path` and the test table at `test_path` are both bytes
    /// or both numbers: bytes are divided by 255 in training, so that a model would otherwise be
    /// tested on another scale than the one it was trained on.
    ///
    /// # Errors
    /// If they are not; the first cell that is no byte is named.
    pub(crate) fn check_scale(
        &self,
        path: &Path,
        test: &Self,
        test_path: &Path,
    ) -> Result<(), Error> {
        match (&self.not_byte, &test.not_byte) {
            (Some(cell), None) => Err(cell.error(path, test_path)),
            (None, Some(cell)) => Err(cell.error(test_path, path)),
            _ => {
                let are_bytes = |table: &Self| matches!(table.features, TableFeatures::Pixels(_));
                if are_bytes(self) == are_bytes(test) {
                    return Ok(());
                }
                let expected =
                    format!("0.0 and 1.0, as in {}: put both tables on one scale", path.display());
                Err(Error::invalid(test_path, "pixels", "other whole numbers", expected))
            }
        }
    }

    /// The table as a part of a data set; `path` is used in messages.
    pub fn into_part(self, path: &Path) -> Part {
        match self.features {
            TableFeatures::Pixels(pixels) => {
                Part::from_pixels(path, &self.shape, pixels, self.labels)
            }
            TableFeatures::Numbers(numbers) => {
                Part::from_numbers(path, &self.shape, numbers, self.labels)
            }
        }
    }
}
