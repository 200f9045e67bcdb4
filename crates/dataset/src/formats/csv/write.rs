//! Parts written as tables.

use std::io;

use super::columns::pixel_name;
use crate::{Examples, FeaturesView, Part};

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
        // Both ways of writing a number take the fewest digits that read back as the same f32. In
        // columns of pixels `12.0` would be taken for a byte, `1.2e1` is not.
        FeaturesView::F32(numbers) => numbers.iter().for_each(|&number| {
            let like_byte = number.fract() == 0.0 && (0.0..=255.0).contains(&number);
            if like_byte && example.shape().len() > 1 {
                cell(format_args!(",{number:e}"));
            } else {
                cell(format_args!(",{number:?}"));
            }
        }),
    }
    cell(format_args!("\n"));
}
