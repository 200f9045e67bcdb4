//! Which column of a table is what: the one of labels, and whether the others are pixels.

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
    /// The shape that the header gives to pixels.
    pub(super) shape: Option<Vec<usize>>,
}

impl Columns {
    /// Works out which column holds the labels: the one asked for, or the one whose name says so,
    /// or the only one that holds no number, or the first, if the others are a square of pixels.
    pub(super) fn find(
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
pub(super) fn is_header(first: &[String], options: &ReadOptions) -> bool {
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
pub(super) fn pixel_name(mut i: usize, shape: &[usize]) -> String {
    let mut parts = Vec::new();
    for &dim in shape.iter().rev() {
        parts.push((i % dim + 1).to_string());
        i /= dim;
    }
    parts.reverse();
    parts.join("x")
}
