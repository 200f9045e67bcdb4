//! The rows of a CSV file: which character is between the cells, and where they cannot be read.

use std::io::BufRead;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};

use crate::Error;

/// A file, read row by row.
pub(super) struct Rows<'a, R> {
    path: &'a Path,
    reader: Reader<R>,
}

impl<'a, R: BufRead> Rows<'a, R> {
    pub(super) fn new(path: &'a Path, mut source: R) -> Result<Self, Error> {
        let start = source.fill_buf().map_err(|e| Error::read(path, e))?;
        let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
        // Spreadsheets of countries with decimal commas put semicolons between cells.
        let delimiter = [b',', b';', b'\t'].into_iter().find(|d| line.contains(d)).unwrap_or(b',');
        // Rows of different lengths are found later, where the message can say what to expect.
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(source);
        Ok(Self { path, reader })
    }

    /// Reads the next row into `record`; false if there is none.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<bool, Error> {
        self.reader.read_byte_record(record).map_err(|e| {
            let expected = "rows of cells with commas between them";
            Error::invalid(self.path, "CSV", e.to_string(), expected)
        })
    }
}

/// A row as text, for names of columns.
pub(super) fn names(record: &ByteRecord) -> Vec<String> {
    record.iter().map(|cell| String::from_utf8_lossy(cell).into()).collect()
}
