//! CSV: a row of numbers for each example, one column of it the label.
//!
//! Two kinds of table are told apart. Pixels, as Kaggle has MNIST: columns named `pixel0`,
//! `pixel1`, ... or `1x1`, `1x2`, ... (row x column, or row x column x channel), or no header and as
//! many whole numbers from 0 to 255 as a square has; they are bytes, divided by 255 in training.
//! Anything else is a table of numbers, used as they are. In columns of pixels `12.0` is the byte 12
//! as well, and one cell that is no byte makes all of them numbers.

mod cells;
mod columns;
mod write;

use std::io::BufRead;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};

use self::cells::{Cells, NotByte};
use self::columns::{Columns, is_header};
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
    /// With `like`, the columns and classes are those of that table (the training part).
    ///
    /// # Errors
    /// If there is no row, rows have different lengths, the label column is not clear, or a cell is
    /// not a number; the row and column are named.
    pub fn read(
        path: &Path,
        mut source: impl BufRead,
        options: &ReadOptions,
        like: Option<&Self>,
    ) -> Result<Self, Error> {
        let start = source.fill_buf().map_err(|e| Error::read(path, e))?;
        let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
        // Spreadsheets of countries with decimal commas put semicolons between cells.
        let delimiter = [b',', b';', b'\t'].into_iter().find(|d| line.contains(d)).unwrap_or(b',');
        // Rows of different lengths are found here, where the message can say what to expect.
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(source);
        let mut record = ByteRecord::new();
        let mut next = |record: &mut ByteRecord| {
            reader.read_byte_record(record).map_err(|e| {
                Error::invalid(path, "CSV", e.to_string(), "rows of cells with commas between them")
            })
        };
        if !next(&mut record)? {
            return Err(Error::Empty { path: path.to_owned(), expected: "rows of numbers" });
        }
        let first: Vec<String> = record.iter().map(|c| String::from_utf8_lossy(c).into()).collect();
        let header = is_header(&first, options).then_some(first);
        if header.is_some() && !next(&mut record)? {
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
            Some(table) => table.columns.clone(),
            None => Columns::find(path, header.as_deref(), &record, options)?,
        };
        let mut cells = Cells::new(&columns);
        let mut row = 1 + usize::from(header.is_some());
        loop {
            if record.len() != columns.count {
                let field = format!("row {row}");
                let found = format!("{} cells", record.len());
                return Err(Error::invalid(path, field, found, columns.count.to_string()));
            }
            cells.push(path, row, &record)?;
            row += 1;
            if !next(&mut record)? {
                break;
            }
        }
        cells.finish(path, columns, 1 + usize::from(header.is_some()), like)
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
            _ => Ok(()),
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
