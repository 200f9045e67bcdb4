//! The cells of a table, as they are read row by row, and what becomes of them.

use std::path::Path;

use csv::ByteRecord;

use super::columns::Columns;
use super::{Table, TableFeatures};
use crate::formats::{ReadOptions, named_in};
use crate::{Error, class_names};

/// A whole number from 0 to 255.
pub(super) fn byte(cell: &[u8]) -> Option<u8> {
    match *cell {
        [a @ b'0'..=b'9'] => Some(a - b'0'),
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + (b - b'0')),
        [_, _, _] => std::str::from_utf8(cell).ok()?.parse().ok(),
        _ => None,
    }
}

/// A whole number from 0 to 255 in a column of pixels. A point and zeros behind it change nothing:
/// pandas writes them wherever a column was once held as floats.
fn pixel(cell: &[u8]) -> Option<u8> {
    match cell.iter().position(|&c| c == b'.') {
        Some(point) if cell[point + 1..].iter().all(|&c| c == b'0') => byte(&cell[..point]),
        Some(_) => None,
        None => byte(cell),
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
    order: Vec<usize>,
    features: TableFeatures,
    labels: Vec<String>,
    not_byte: Option<NotByte>,
    /// Whether a pixel was written with a point.
    pointed: bool,
}

/// The first cell that keeps columns of pixels from being bytes.
#[derive(Debug)]
pub(super) struct NotByte {
    row: usize,
    column: usize,
    cell: String,
}

impl NotByte {
    /// The error that it is in the table at `path`, where the table at `other` has bytes alone.
    pub(super) fn error(&self, path: &Path, other: &Path) -> Error {
        let field = format!("row {}, column {}", self.row, self.column + 1);
        let expected = format!(
            "a whole number from 0 to 255, as in every pixel of {}: put both tables on one scale",
            other.display()
        );
        Error::invalid(path, field, format!("{:?}", self.cell), expected)
    }
}

impl Cells {
    pub(super) fn new(columns: &Columns) -> Self {
        let features = match columns.shape {
            Some(_) => TableFeatures::Pixels(Vec::new()),
            None => TableFeatures::Numbers(Vec::new()),
        };
        let (label, order) = (columns.label, columns.order.clone());
        Self { label, order, features, labels: Vec::new(), not_byte: None, pointed: false }
    }

    pub(super) fn push(
        &mut self,
        path: &Path,
        row: usize,
        record: &ByteRecord,
    ) -> Result<(), Error> {
        for (column, &at) in self.order.iter().enumerate() {
            let cell = &record[at];
            if column == self.label {
                self.labels.push(String::from_utf8_lossy(cell).into());
                continue;
            }
            if let TableFeatures::Pixels(pixels) = &mut self.features {
                match pixel(cell) {
                    Some(pixel) => {
                        pixels.push(pixel);
                        self.pointed |= cell.contains(&b'.');
                        continue;
                    }
                    // A table of pixels that are not bytes is one of numbers after all.
                    None => {
                        let numbers = pixels.iter().map(|&p| f32::from(p)).collect();
                        self.features = TableFeatures::Numbers(numbers);
                        self.not_byte = Some(NotByte { row, column: at, cell: shown(cell) });
                    }
                }
            }
            if let TableFeatures::Numbers(numbers) = &mut self.features {
                numbers.push(number(cell).ok_or_else(|| {
                    let field = format!("row {row}, column {}", at + 1);
                    Error::invalid(path, field, format!("{:?}", shown(cell)), "a finite number")
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
        options: &ReadOptions,
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
        if let (None, Some(guess), [label, others @ ..]) = (like, columns.guess, &self.labels[..])
            && !others.is_empty()
            && others.iter().all(|other| other == label)
        {
            let found = format!("{label:?} in every row");
            let expected = format!(
                "labels of two classes or more: column {} was taken for it as {guess}; name the \
                 right one with --label-column",
                columns.label + 1
            );
            return Err(Error::invalid(path, "label column", found, expected));
        }
        let classes = match (like, &options.class_names) {
            (Some(table), _) => table.classes.clone(),
            (None, _) if self.labels.iter().all(|label| as_number(label).is_some()) => None,
            (None, Some(file)) => Some(named_in(file)?),
            (None, None) => {
                let mut names = self.labels.clone();
                names.sort();
                names.dedup();
                Some(names)
            }
        };
        let by_name = classes.as_deref().map(class_names::sorted).unwrap_or_default();
        let class = |(index, label): (usize, &String)| match &classes {
            None => as_number(label)
                .ok_or_else(|| wrong(index, "a whole number from 0 to 65535".into())),
            Some(names) => match by_name.binary_search_by_key(&label, |&class| &names[class]) {
                _ if label.is_empty() => Err(wrong(index, "the number or name of a class".into())),
                _ if !class_names::is_fit(label) => Err(wrong(index, class_names::FIT.into())),
                Ok(at) => u16::try_from(by_name[at])
                    .map_err(|_| wrong(index, "at most 65536 different labels".into())),
                Err(_) => Err(wrong(
                    index,
                    match &options.class_names {
                        Some(file) => format!("a class named in {}", file.display()),
                        None => "a class of the training rows".into(),
                    },
                )),
            },
        };
        let labels = self.labels.iter().enumerate().map(class).collect::<Result<Vec<u16>, _>>()?;
        let (mut features, not_byte) = (self.features, self.not_byte);
        // Black and white written as 0.0 and 1.0 is on the scale that training wants already.
        let as_numbers = match like.map(|table| &table.features) {
            None => self.pointed,
            Some(TableFeatures::Numbers(_)) => true,
            Some(TableFeatures::Pixels(_)) => false,
        };
        if let TableFeatures::Pixels(pixels) = &features
            && as_numbers
            && pixels.iter().all(|&pixel| pixel <= 1)
        {
            features = TableFeatures::Numbers(pixels.iter().map(|&p| f32::from(p)).collect());
        }
        Ok(Table { columns, not_byte, shape, features, labels, classes })
    }
}

/// As much of a cell as a message has room for.
fn shown(cell: &[u8]) -> String {
    String::from_utf8_lossy(&cell[..cell.len().min(40)]).into()
}
