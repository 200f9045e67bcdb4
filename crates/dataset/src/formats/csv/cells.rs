//! The cells of a table, as they are read row by row, and what becomes of them.

use std::path::Path;

use csv::ByteRecord;

use super::columns::Columns;
use super::{Table, TableFeatures};
use crate::Error;

/// A whole number from 0 to 255.
pub(super) fn byte(cell: &[u8]) -> Option<u8> {
    match *cell {
        [a @ b'0'..=b'9'] => Some(a - b'0'),
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + (b - b'0')),
        [_, _, _] => std::str::from_utf8(cell).ok()?.parse().ok(),
        _ => None,
    }
}

/// A finite number.
pub(super) fn number(cell: &[u8]) -> Option<f32> {
    if let Some(byte) = byte(cell) {
        return Some(f32::from(byte));
    }
    std::str::from_utf8(cell).ok()?.parse().ok().filter(|number: &f32| number.is_finite())
}

/// The cells read so far.
pub(super) struct Cells {
    label: usize,
    features: TableFeatures,
    labels: Vec<String>,
}

impl Cells {
    pub(super) fn new(columns: &Columns) -> Self {
        let features = match columns.shape {
            Some(_) => TableFeatures::Pixels(Vec::new()),
            None => TableFeatures::Numbers(Vec::new()),
        };
        Self { label: columns.label, features, labels: Vec::new() }
    }

    pub(super) fn push(
        &mut self,
        path: &Path,
        row: usize,
        record: &ByteRecord,
    ) -> Result<(), Error> {
        for (column, cell) in record.iter().enumerate() {
            if column == self.label {
                self.labels.push(String::from_utf8_lossy(cell).into());
                continue;
            }
            if let TableFeatures::Pixels(pixels) = &mut self.features {
                match byte(cell) {
                    Some(pixel) => {
                        pixels.push(pixel);
                        continue;
                    }
                    // A table of pixels that are not bytes is one of numbers after all.
                    None => {
                        let numbers = pixels.iter().map(|&p| f32::from(p)).collect();
                        self.features = TableFeatures::Numbers(numbers);
                    }
                }
            }
            if let TableFeatures::Numbers(numbers) = &mut self.features {
                numbers.push(number(cell).ok_or_else(|| {
                    let field = format!("row {row}, column {}", column + 1);
                    let shown = String::from_utf8_lossy(&cell[..cell.len().min(40)]).into_owned();
                    Error::invalid(path, field, format!("{shown:?}"), "a finite number")
                })?);
            }
        }
        Ok(())
    }

    /// `first` is the number of the row of the first label, for messages.
    pub(super) fn finish(
        self,
        path: &Path,
        columns: Columns,
        first: usize,
        like: Option<&Table>,
    ) -> Result<Table, Error> {
        let shape = columns.shape.clone().unwrap_or_else(|| vec![columns.count - 1]);
        let as_number = |label: &String| {
            let number: f64 = label.parse().ok()?;
            (number.fract() == 0.0 && (0.0..=65_535.0).contains(&number)).then_some(number as u16)
        };
        let wrong = |index: usize, expected: String| {
            let field = format!("row {}, label", first + index);
            Error::invalid(path, field, format!("{:?}", self.labels[index]), expected)
        };
        let classes = match like {
            Some(table) => table.classes.clone(),
            None if self.labels.iter().all(|label| as_number(label).is_some()) => None,
            None => {
                let mut names = self.labels.clone();
                names.sort();
                names.dedup();
                Some(names)
            }
        };
        let class = |(index, label): (usize, &String)| match &classes {
            None => as_number(label)
                .ok_or_else(|| wrong(index, "a whole number from 0 to 65535".into())),
            Some(names) => match names.binary_search(label) {
                _ if label.is_empty() => Err(wrong(index, "the number or name of a class".into())),
                Ok(class) => u16::try_from(class)
                    .map_err(|_| wrong(index, "at most 65536 different labels".into())),
                Err(_) => Err(wrong(index, "a class of the training rows".into())),
            },
        };
        let labels = self.labels.iter().enumerate().map(class).collect::<Result<Vec<u16>, _>>()?;
        Ok(Table { columns, shape, features: self.features, labels, classes })
    }
}
