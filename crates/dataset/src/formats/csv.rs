//! CSV: a row of numbers for each example, one column of it the label.
//!
//! Two kinds of table are told apart. Pixels, as Kaggle has MNIST: columns named `pixel0`,
//! `pixel1`, ... or `1x1`, `1x2`, ... (row x column, or row x column x channel), or no header and as
//! many whole numbers from 0 to 255 as a square has; they are bytes, divided by 255 in training.
//! Anything else is a table of numbers, used as they are.

use std::io::{self, BufRead};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::ReadOptions;
use crate::{Error, Examples, FeaturesView, Part};

/// Names that tell a column of labels, in any case.
const LABEL_NAMES: [&str; 8] =
    ["label", "labels", "class", "target", "y", "species", "category", "variety"];

/// The fewest features that are taken for a square of pixels when no header says so: 7x7.
const MIN_PIXELS: usize = 49;

/// A table: features and labels of as many examples as it has rows.
#[derive(Debug)]
pub struct Table {
    columns: Columns,
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

/// Which column is what.
#[derive(Clone, Debug, PartialEq)]
struct Columns {
    count: usize,
    label: usize,
    /// The shape that the header gives to pixels.
    shape: Option<Vec<usize>>,
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

impl Columns {
    /// Works out which column holds the labels: the one asked for, or the one whose name says so,
    /// or the only one that holds no number, or the first, if the others are a square of pixels.
    fn find(
        path: &Path,
        header: Option<&[String]>,
        record: &ByteRecord,
        options: &ReadOptions,
    ) -> Result<Self, Error> {
        let count = record.len();
        if count < 2 {
            let expected = "a label and at least one feature";
            return Err(Error::invalid(path, "columns", count.to_string(), expected));
        }
        let is_pixel = |cell: &[u8]| byte(cell).is_some();
        let square = (count - 1).isqrt().pow(2) == count - 1 && count > MIN_PIXELS;
        let looks_like_pixels = square && record.iter().all(is_pixel);
        let label = match (&options.label_column, header) {
            (Some(asked), _) => Self::asked_for(path, asked, header, count)?,
            (None, Some(names)) if names.iter().any(|name| is_label(name)) => {
                names.iter().position(|name| is_label(name)).unwrap_or_default()
            }
            (None, _) => {
                let mut text = (0..count).filter(|&i| number(&record[i]).is_none());
                match (text.next(), text.next()) {
                    (Some(only), None) => only,
                    (None, _) if looks_like_pixels && header.is_none() => 0,
                    _ => {
                        let found = "no column that is clearly the label";
                        let expected = "its name or number with --label-column";
                        return Err(Error::invalid(path, "columns", found, expected));
                    }
                }
            }
        };
        let shape = match header {
            Some(names) => {
                let names = names.iter().enumerate().filter(|&(i, _)| i != label);
                pixel_shape(&names.map(|(_, name)| name.as_str()).collect::<Vec<_>>())
            }
            None => (looks_like_pixels && label == 0).then(|| vec![(count - 1).isqrt(); 2]),
        };
        Ok(Self { count, label, shape })
    }

    fn asked_for(
        path: &Path,
        asked: &str,
        header: Option<&[String]>,
        count: usize,
    ) -> Result<usize, Error> {
        let by_name = header.and_then(|names| names.iter().position(|name| name == asked));
        let by_number = || asked.parse().ok().filter(|&number: &usize| number < count);
        by_name.or_else(by_number).ok_or_else(|| {
            let expected = match header {
                Some(names) => {
                    let shown = names.iter().take(20).map(String::as_str).collect::<Vec<_>>();
                    format!("one of {}{}", shown.join(", "), if count > 20 { ", ..." } else { "" })
                }
                None => format!("a number from 0 to {} (there is no header)", count - 1),
            };
            Error::invalid(path, "label column", format!("none that is {asked:?}"), expected)
        })
    }
}

/// The first row is a header if none of its cells is a number; or if one is a name that labels go by
/// (or the one asked for) and the others are numbered from 0 or 1, as some tools name columns.
fn is_header(first: &[String], options: &ReadOptions) -> bool {
    let mut named = first.iter().filter(|cell| number(cell.as_bytes()).is_none());
    let numbers: Vec<_> = first.iter().filter_map(|cell| number(cell.as_bytes())).collect();
    let counts_from = |from: f32| numbers.iter().enumerate().all(|(i, &n)| n == i as f32 + from);
    numbers.is_empty()
        || named.any(|cell| is_label(cell) || Some(cell) == options.label_column.as_ref())
            && (counts_from(0.0) || counts_from(1.0))
}

fn is_label(name: &str) -> bool {
    LABEL_NAMES.iter().any(|label| name.eq_ignore_ascii_case(label))
}

/// The shape of images whose columns have these names.
fn pixel_shape(names: &[&str]) -> Option<Vec<usize>> {
    let side = names.len().isqrt();
    let numbered = |from: usize| {
        names
            .iter()
            .enumerate()
            .all(|(i, name)| name.strip_prefix("pixel").is_some_and(|n| n.parse() == Ok(i + from)))
    };
    if numbered(0) || numbered(1) {
        return Some(if side * side == names.len() { vec![side; 2] } else { vec![names.len()] });
    }
    // The last name gives the size; all names must then be those of its pixels, in order.
    let shape: Vec<usize> =
        names.last()?.split('x').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let count = shape.iter().try_fold(1usize, |product, &d| product.checked_mul(d))?;
    let right = matches!(shape.len(), 2 | 3)
        && count == names.len()
        && names.iter().enumerate().all(|(i, name)| **name == pixel_name(i, &shape));
    right.then_some(shape)
}

/// The name of pixel `i` of an image: `row x column`, or `row x column x channel`, from 1.
fn pixel_name(mut i: usize, shape: &[usize]) -> String {
    let mut parts = Vec::new();
    for &dim in shape.iter().rev() {
        parts.push((i % dim + 1).to_string());
        i /= dim;
    }
    parts.reverse();
    parts.join("x")
}

/// A whole number from 0 to 255.
fn byte(cell: &[u8]) -> Option<u8> {
    match *cell {
        [a @ b'0'..=b'9'] => Some(a - b'0'),
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + (b - b'0')),
        [_, _, _] => std::str::from_utf8(cell).ok()?.parse().ok(),
        _ => None,
    }
}

/// A finite number.
fn number(cell: &[u8]) -> Option<f32> {
    if let Some(byte) = byte(cell) {
        return Some(f32::from(byte));
    }
    std::str::from_utf8(cell).ok()?.parse().ok().filter(|number: &f32| number.is_finite())
}

/// The cells read so far.
struct Cells {
    label: usize,
    features: TableFeatures,
    labels: Vec<String>,
}

impl Cells {
    fn new(columns: &Columns) -> Self {
        let features = match columns.shape {
            Some(_) => TableFeatures::Pixels(Vec::new()),
            None => TableFeatures::Numbers(Vec::new()),
        };
        Self { label: columns.label, features, labels: Vec::new() }
    }

    fn push(&mut self, path: &Path, row: usize, record: &ByteRecord) -> Result<(), Error> {
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
    fn finish(
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

/// Writes a part as CSV with a header: `label`, then `pixel0`, ... for square grey images and rows of
/// bytes, `1x1`, ... for other images, `feature0`, ... for rows of numbers. Labels are class numbers.
///
/// # Errors
/// What the writer returns.
pub fn write(out: &mut impl io::Write, part: &Part) -> io::Result<()> {
    let examples = part.examples();
    let (shape, width) = (examples.shape(), examples.width());
    write!(out, "label")?;
    for i in 0..width {
        match (shape, examples.features()) {
            ([rows, columns], _) if rows == columns => write!(out, ",pixel{i}")?,
            ([_, _] | [_, _, _], _) => write!(out, ",{}", pixel_name(i, shape))?,
            (_, FeaturesView::U8(_)) => write!(out, ",pixel{i}")?,
            (_, FeaturesView::F32(_)) => write!(out, ",feature{i}")?,
        }
    }
    writeln!(out)?;
    let labels = examples.labels();
    let mut line = String::new();
    for example in 0..examples.len() {
        line.clear();
        write_row(&mut line, labels.get(example), &examples.slice(example..example + 1));
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn write_row(line: &mut String, label: usize, example: &Examples<'_>) {
    use std::fmt::Write;
    // Writing to a string does not fail.
    let mut cell = |cell: std::fmt::Arguments<'_>| {
        let _ = line.write_fmt(cell);
    };
    cell(format_args!("{label}"));
    match example.features() {
        FeaturesView::U8(pixels) => pixels.iter().for_each(|pixel| cell(format_args!(",{pixel}"))),
        // As `{:?}` a number keeps its point and so is never taken for a byte; the digits are the
        // fewest that read back as the same f32.
        FeaturesView::F32(numbers) => {
            numbers.iter().for_each(|number| cell(format_args!(",{number:?}")));
        }
    }
    cell(format_args!("\n"));
}
