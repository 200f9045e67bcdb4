//! Predictions with block characters.

use std::fmt::Write;

use super::{BarKind, Prediction, Verdict};
use crate::image_file::GreyImage;

/// Characters of the longest bar.
const BAR_WIDTH: usize = 24;
/// Columns of the drawn picture, which is as many pixels.
const IMAGE_WIDTH: usize = 28;
/// Rows of the drawn picture at most, of two pixels each.
const IMAGE_HEIGHT: usize = 28;

const BLUE: &str = "\x1b[94m";
const RED: &str = "\x1b[91m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[90m";
const RESET: &str = "\x1b[0m";

/// Draws one prediction as lines of text: the picture, and to its right the caption and a bar a
/// class. With `colour`, in the 256 colours of xterm; else with shades alone.
pub fn draw(prediction: &Prediction, colour: bool) -> String {
    let picture = prediction.image().map_or_else(Vec::new, |image| picture(image, colour));
    let mut chart = vec![caption(prediction, colour), String::new()];
    chart.extend(bars(prediction, colour));
    // The shorter of the two stands in the middle of the other's height.
    let height = picture.len().max(chart.len());
    let (picture_top, chart_top) = ((height - picture.len()) / 2, (height - chart.len()) / 2);
    let mut text = String::new();
    for row in 0..height {
        let mut line = String::new();
        if let Some(image) = prediction.image() {
            let blank = || " ".repeat(drawn_size(image).0);
            line += &row
                .checked_sub(picture_top)
                .and_then(|row| picture.get(row).cloned())
                .unwrap_or_else(blank);
            line += "   ";
        }
        if let Some(right) = row.checked_sub(chart_top).and_then(|row| chart.get(row)) {
            line += right;
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Columns and rows of pixels that a picture is drawn with.
fn drawn_size(image: &GreyImage) -> (usize, usize) {
    let width = image.width().min(IMAGE_WIDTH);
    let height = (image.height() * width).div_ceil(image.width()).clamp(1, 2 * IMAGE_HEIGHT);
    (width, height)
}

/// The picture in half blocks: each character is an upper and a lower pixel.
fn picture(image: &GreyImage, colour: bool) -> Vec<String> {
    let (width, height) = drawn_size(image);
    let image = image.resized(width, height);
    let pixel = |x: usize, y: usize| image.pixels().get(y * width + x).copied().unwrap_or(0);
    (0..height.div_ceil(2))
        .map(|row| {
            let mut line = String::new();
            for x in 0..width {
                let (upper, lower) = (pixel(x, 2 * row), pixel(x, 2 * row + 1));
                if colour {
                    let (upper, lower) = (grey_index(upper), grey_index(lower));
                    let _ = write!(line, "\x1b[38;5;{upper};48;5;{lower}m▀");
                } else {
                    line.push(shade(upper, lower));
                }
            }
            if colour {
                line += RESET;
            }
            line
        })
        .collect()
}

/// The nearest of xterm's greys: 16 is black, 231 white, 232 to 255 are levels 8, 18, ... 238.
fn grey_index(level: u8) -> u8 {
    match level {
        0..=3 => 16,
        247..=255 => 231,
        _ => 232 + (level.saturating_sub(3) / 10).min(23),
    }
}

/// One of five shades for two pixels.
fn shade(upper: u8, lower: u8) -> char {
    let mean = (usize::from(upper) + usize::from(lower)) / 2;
    [' ', '░', '▒', '▓', '█'][(mean + 32) / 64]
}

fn caption(prediction: &Prediction, colour: bool) -> String {
    let style = match prediction.verdict() {
        Verdict::Right => BLUE,
        Verdict::Wrong => RED,
        Verdict::Unknown => "",
    };
    painted(&prediction.caption(), &[BOLD, style], colour)
}

/// One line a class: number, name, bar, per cent.
fn bars(prediction: &Prediction, colour: bool) -> Vec<String> {
    let classes = prediction.shown_classes();
    let heading = |class: usize| {
        let name = prediction.class_name(class);
        if name == class.to_string() { name } else { format!("{class} {name}") }
    };
    let width = classes.iter().map(|&c| heading(c).chars().count()).max().unwrap_or(0);
    classes
        .iter()
        .map(|&class| {
            let style = match prediction.bar_kind(class) {
                BarKind::True => BLUE,
                BarKind::Mistaken => RED,
                BarKind::Predicted => BOLD,
                BarKind::Other => DIM,
            };
            let bar = painted(&bar(prediction.bar(class)), &[style], colour);
            let percent = 100.0 * prediction.probabilities()[class];
            format!("{:<width$}  {percent:>5.1}%  {bar}", heading(class))
        })
        .collect()
}

/// A bar of `fraction` of the full width, to an eighth of a character.
fn bar(fraction: f64) -> String {
    let eighths = (fraction * 8.0 * BAR_WIDTH as f64).round() as usize;
    let bar = "█".repeat(eighths / 8);
    bar + ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
}

fn painted(text: &str, styles: &[&str], colour: bool) -> String {
    if colour && !text.is_empty() {
        format!("{}{text}{RESET}", styles.concat())
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_shades_and_blocks() {
        let image =
            GreyImage::new(4, 4, vec![0, 255, 255, 0, 0, 255, 0, 0, 64, 0, 0, 0, 64, 0, 0, 9]);
        let names = ["hat".to_owned(), "coat".to_owned()];
        let drawn = draw(&Prediction::new(vec![0.25, 0.75], &names, Some(image), Some(0)), false);
        let expected = "       coat 75% (hat)
 █▒
░      0 hat    25.0%  ██████
       1 coat   75.0%  ██████████████████
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn classes_without_names_and_examples_without_pictures() {
        let drawn = draw(&Prediction::new(vec![0.01, 0.99], &[], None, None), false);
        let expected = "1 99%

0    1.0%  ▎
1   99.0%  ███████████████████████▊
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn greys_are_near_their_levels() {
        for level in 0..=255u8 {
            let shown = match grey_index(level) {
                16 => 0,
                231 => 255,
                index => 8 + 10 * i32::from(index - 232),
            };
            let error = (shown - i32::from(level)).abs();
            assert!(error <= 8, "level {level} is shown as {shown}");
        }
    }

    #[test]
    fn colour_ends_on_every_line() {
        let image = GreyImage::new(28, 28, vec![200; 784]);
        let drawn = draw(&Prediction::new(vec![0.1; 10], &[], Some(image), Some(3)), true);
        assert_eq!(drawn.lines().count(), 14);
        for line in drawn.lines() {
            let colours = line.matches("\x1b[").count() - line.matches(RESET).count();
            assert!(colours == 0 || line.ends_with(RESET), "{line:?}");
        }
    }

    #[test]
    fn outputs_beyond_probabilities_stay_inside_the_chart() {
        let drawn = draw(&Prediction::new(vec![-3.0, 7.5, f32::NAN], &[], None, None), false);
        assert!(drawn.contains(&"█".repeat(BAR_WIDTH)));
        assert!(!drawn.contains(&"█".repeat(BAR_WIDTH + 1)));
    }
}
