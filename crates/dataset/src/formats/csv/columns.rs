//! Which column of a table is what: the one of labels, and whether the others are pixels.

use std::collections::BTreeSet;
use std::path::Path;

use csv::ByteRecord;

use super::cells::{byte, number};
use crate::Error;
use crate::formats::ReadOptions;

/// Names that tell a column of labels, in any case.
const LABEL_NAMES: [&str; 8] =
    ["label", "labels", "class", "target", "y", "species", "category", "variety"];

/// The fewest features that are taken for a square of pixels when no header says so: 7x7.
const MIN_PIXELS: usize = 49;

/// Which column is what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    pub(super) count: usize,
    pub(super) label: usize,
    /// The shape of pixels, as the header gives it or as a square has it.
    pub(super) shape: Option<Vec<usize>>,
    /// What the header calls them; none where it only counts them.
    pub(super) names: Option<Vec<String>>,
    /// Where each of them lies in a row: a test table may have them in another order.
    pub(super) order: Vec<usize>,
    /// Why the label is taken to be where it is, if nobody and no name says so.
    pub(super) guess: Option<&'static str>,
}

impl Columns {
    /// Works out which column holds the labels: the one asked for, or the one whose name says so,
    /// or the only one that holds no number, or the first, if the others are a square of pixels.
    pub(super) fn find(
        path: &Path,
        header: Option<Vec<String>>,
        record: &ByteRecord,
        options: &ReadOptions,
    ) -> Result<Self, Error> {
        let count = record.len();
        if count < 2 {
            let expected = "a label and at least one feature";
            return Err(Error::invalid(path, "columns", count.to_string(), expected));
        }
        let asked = options.label_column.as_ref();
        let asked = asked.map(|asked| Self::asked_for(path, asked, header.as_deref(), count));
        let names = header.filter(|names| !counts(names));
        let named = names.iter().flatten().position(|name| is_label(name));
        let is_square = (count - 1).isqrt().pow(2) == count - 1 && count > MIN_PIXELS;
        let is_byte = |i: usize| byte(&record[i]).is_some();
        let are_pixels_but =
            |label: usize| is_square && (0..count).all(|i| i == label || is_byte(i));
        let (label, guess) = match (asked.transpose()?, named) {
            (Some(label), _) | (None, Some(label)) => (label, None),
            (None, None) => {
                let mut text = (0..count).filter(|&i| number(&record[i]).is_none());
                match (text.next(), text.next()) {
                    (Some(only), None) => (only, Some("the only one that holds no numbers")),
                    (None, _) if names.is_none() && is_byte(0) && are_pixels_but(0) => {
                        (0, Some("the first before a square of pixels"))
                    }
                    _ => {
                        let found = "no column that is clearly the label";
                        let expected = "its name or number with --label-column";
                        return Err(Error::invalid(path, "columns", found, expected));
                    }
                }
            }
        };
        let shape = match &names {
            Some(names) => {
                let names = names.iter().enumerate().filter(|&(i, _)| i != label);
                pixel_shape(&names.map(|(_, name)| name.as_str()).collect::<Vec<_>>())
            }
            None => are_pixels_but(label).then(|| vec![(count - 1).isqrt(); 2]),
        };
        Ok(Self { count, label, shape, names, order: (0..count).collect(), guess })
    }

    /// These columns in the table at `path`, which has this header.
    ///
    /// # Errors
    /// If both have a header, and they do not name the same columns.
    pub(super) fn like(&self, path: &Path, header: Option<Vec<String>>) -> Result<Self, Error> {
        let header = header.filter(|names| !counts(names));
        let (Some(names), Some(theirs)) = (&self.names, header) else { return Ok(self.clone()) };
        let mut left: BTreeSet<(&str, usize)> =
            theirs.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let mut order = Vec::with_capacity(names.len());
        let mut missing = None;
        for name in names {
            let at = left.range((name.as_str(), 0)..).next().filter(|found| found.0 == name);
            match at.copied() {
                Some(found) => {
                    left.remove(&found);
                    order.push(found.1);
                }
                None => missing = missing.or(Some(name)),
            }
        }
        let extra = left.iter().min_by_key(|&&(_, at)| at);
        let found = match (extra.map(|(name, _)| name), missing) {
            (None, None) => return Ok(Self { order, ..self.clone() }),
            (Some(extra), None) => format!("a column {extra:?} too many"),
            (None, Some(missing)) => format!("no column {missing:?}"),
            (Some(extra), Some(missing)) => format!("a column {extra:?} and no {missing:?}"),
        };
        let expected = "the columns of the training table, in any order";
        Err(Error::invalid(path, "header", found, expected))
    }

    /// Whether these names are those of the columns, but for that of the labels.
    pub(super) fn are_but_for_label(&self, theirs: Vec<String>) -> bool {
        self.names.as_ref().is_some_and(|names| {
            let mut rest = names.clone();
            rest.remove(self.label);
            rest == theirs
        })
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

/// The first row is a header if none of its cells is a number; or if it counts its columns; or if one
/// is a name that labels go by (or the one asked for) and the others are numbered from 0 or 1, as some
/// tools name columns.
pub(super) fn is_header(first: &[String], options: &ReadOptions) -> bool {
    let mut named = first.iter().filter(|cell| number(cell.as_bytes()).is_none());
    let numbers: Vec<_> = first.iter().filter_map(|cell| number(cell.as_bytes())).collect();
    let counts_from = |from: f32| numbers.iter().enumerate().all(|(i, &n)| n == i as f32 + from);
    numbers.is_empty()
        || counts(first)
        || named.any(|cell| is_label(cell) || Some(cell) == options.label_column.as_ref())
            && (counts_from(0.0) || counts_from(1.0))
}

/// Whether names are the numbers from 0 or 1 on and no more, as pandas names columns that have none.
fn counts(names: &[String]) -> bool {
    let from = |start: usize| names.iter().zip(start..).all(|(name, i)| *name == i.to_string());
    names.len() > 1 && (from(0) || from(1))
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
pub(super) fn pixel_name(mut i: usize, shape: &[usize]) -> String {
    let mut parts = Vec::new();
    for &dim in shape.iter().rev() {
        parts.push((i % dim + 1).to_string());
        i /= dim;
    }
    parts.reverse();
    parts.join("x")
}
