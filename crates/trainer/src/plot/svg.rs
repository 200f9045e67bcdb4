//! Predictions as an SVG file.

use std::fmt::Write;

use svg::Document;
use svg::node::element::{Group, Path, Rectangle, Text, Title};

use super::{BarKind, Prediction, Verdict};
use crate::image_file::GreyImage;

/// Side of the picture and of the chart beside it, in pixels of the drawing.
const SIDE: f64 = 220.0;
/// Between the two, and around each pair.
const GAP: f64 = 24.0;
/// Room below the picture for its caption.
const CAPTION: f64 = 34.0;
/// Pairs in a row, as the tutorials have them.
const COLUMNS: usize = 3;
/// Pixels a side above which a picture is drawn smaller.
const MAX_IMAGE_SIDE: usize = 96;
const FONT_SIZE: f64 = 14.0;
const LABEL_SIZE: f64 = 12.0;

const BLUE: &str = "#1f4fd8";
const RED: &str = "#d3212d";
const GREY: &str = "#8a8a8a";
const DARK: &str = "#333333";
const FRAME: &str = "#555555";

/// Draws predictions in a grid, each as its picture with a caption beside the bar chart of its
/// probabilities. Blue is right, red is wrong; a true class has a blue bar.
pub fn draw(predictions: &[Prediction]) -> String {
    let labels = predictions.iter().map(label_depth).fold(0.0, f64::max);
    let chart_left = if predictions.iter().any(|p| p.image().is_some()) { SIDE + GAP } else { 0.0 };
    let cell_width = chart_left + SIDE + 2.0 * GAP;
    let cell_height = SIDE + CAPTION.max(labels) + GAP + FONT_SIZE;
    let columns = predictions.len().clamp(1, COLUMNS);
    let (width, height) =
        (cell_width * columns as f64, cell_height * predictions.len().div_ceil(columns) as f64);
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, width, height))
        .set("width", width)
        .set("height", height)
        .set("font-family", "DejaVu Sans, Helvetica, Arial, sans-serif")
        .add(rectangle(0.0, 0.0, width, height).set("fill", "white"));
    for (i, prediction) in predictions.iter().enumerate() {
        let x = (i % columns) as f64 * cell_width + GAP;
        let y = (i / columns) as f64 * cell_height + GAP;
        let mut cell = Group::new().set("transform", format!("translate({x} {y})"));
        if let Some(image) = prediction.image() {
            cell = cell.add(picture(image)).add(frame());
        }
        let chart = chart(prediction).set("transform", format!("translate({chart_left} 0)"));
        document = document.add(cell.add(chart).add(caption(prediction)));
    }
    let mut text = document.to_string();
    text.push('\n');
    text
}

/// The picture, dark on white as matplotlib's `binary` map draws it, filling the square of `SIDE`
/// with its proportions kept: one path a grey level, one stroke a run of equal pixels.
fn picture(image: &GreyImage) -> Group {
    let longest = image.width().max(image.height());
    let image = if longest > MAX_IMAGE_SIDE {
        let scaled = |side: usize| (side * MAX_IMAGE_SIDE / longest).max(1);
        &image.resized(scaled(image.width()), scaled(image.height()))
    } else {
        image
    };
    let mut levels = vec![String::new(); 256];
    for (y, row) in image.pixels().chunks_exact(image.width()).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            // 0 is white, the colour of the page.
            if run[0] > 0 {
                let _ = write!(levels[usize::from(run[0])], "M{x} {y}h{0}v1h-{0}z", run.len());
            }
            x += run.len();
        }
    }
    let scale = SIDE / image.width().max(image.height()) as f64;
    let x = (SIDE - scale * image.width() as f64) / 2.0;
    let y = (SIDE - scale * image.height() as f64) / 2.0;
    let mut group = Group::new()
        .set("shape-rendering", "crispEdges")
        .set("transform", format!("translate({x} {y}) scale({scale})"));
    for (level, path) in levels.into_iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let ink = 255 - level;
        let fill = format!("#{ink:02x}{ink:02x}{ink:02x}");
        group = group.add(Path::new().set("fill", fill).set("d", path));
    }
    group
}

fn chart(prediction: &Prediction) -> Group {
    let classes = prediction.shown_classes();
    let pitch = SIDE / classes.len() as f64;
    let mut group = Group::new();
    for (i, &class) in classes.iter().enumerate() {
        let (fill, weight) = match prediction.bar_kind(class) {
            BarKind::True => (BLUE, "bold"),
            BarKind::Mistaken => (RED, "bold"),
            BarKind::Predicted => (DARK, "bold"),
            BarKind::Other => (GREY, "normal"),
        };
        let name = prediction.class_name(class);
        let height = SIDE * prediction.bar(class);
        let left = pitch * i as f64;
        let probability = prediction.probabilities()[class];
        group = group.add(
            rectangle(left + 0.1 * pitch, SIDE - height, 0.8 * pitch, height)
                .set("fill", fill)
                .add(Title::new(format!("{name}: {probability:.4}"))),
        );
        let ink = if weight == "bold" { fill } else { DARK };
        let (x, y) = (left + pitch / 2.0, SIDE + LABEL_SIZE + 4.0);
        let label = Text::new(name)
            .set("font-size", LABEL_SIZE)
            .set("font-weight", weight)
            .set("fill", ink);
        group = group.add(if slanted(prediction) {
            label
                .set("text-anchor", "end")
                .set("transform", format!("translate({:.2} {y}) rotate(-45)", x + 4.0))
        } else {
            label.set("text-anchor", "middle").set("x", x).set("y", y)
        });
    }
    group.add(frame())
}

/// The caption: below the picture if there is one, above the chart otherwise.
fn caption(prediction: &Prediction) -> Text {
    let fill = match prediction.verdict() {
        Verdict::Right => BLUE,
        Verdict::Wrong => RED,
        Verdict::Unknown => DARK,
    };
    let y = if prediction.image().is_some() { SIDE + FONT_SIZE + 6.0 } else { -6.0 };
    Text::new(prediction.caption())
        .set("x", SIDE / 2.0)
        .set("y", y)
        .set("text-anchor", "middle")
        .set("font-size", FONT_SIZE)
        .set("fill", fill)
}

/// Whether the class names are too long to stand side by side.
fn slanted(prediction: &Prediction) -> bool {
    let classes = prediction.shown_classes();
    let longest = longest_name(prediction) as f64;
    longest * 0.7 * LABEL_SIZE > SIDE / classes.len() as f64
}

/// How far the class names reach below the chart.
fn label_depth(prediction: &Prediction) -> f64 {
    let name = if slanted(prediction) {
        // The width of the text, along the diagonal of a square.
        longest_name(prediction) as f64 * 0.68 * LABEL_SIZE * std::f64::consts::FRAC_1_SQRT_2
    } else {
        0.0
    };
    name + LABEL_SIZE + 8.0
}

fn longest_name(prediction: &Prediction) -> usize {
    let classes = prediction.shown_classes();
    classes.iter().map(|&class| prediction.class_name(class).chars().count()).max().unwrap_or(0)
}

fn frame() -> Rectangle {
    rectangle(0.0, 0.0, SIDE, SIDE).set("fill", "none").set("stroke", FRAME)
}

fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Rectangle {
    // A hundredth of a pixel is finer than any screen.
    let [x, y, width, height] = [x, y, width, height].map(|v| (v * 100.0).round() / 100.0);
    Rectangle::new().set("x", x).set("y", y).set("width", width).set("height", height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(label: Option<usize>) -> Prediction {
        let image = GreyImage::new(3, 2, vec![0, 255, 255, 0, 128, 0]);
        let names = ["a<b".to_owned(), "c".to_owned()];
        Prediction::new(vec![0.25, 0.75], &names, Some(image), label)
    }

    #[test]
    fn the_picture_is_dark_on_white_in_runs() {
        let svg = draw(&[prediction(None)]);
        assert!(svg.contains(r##"<path d="M1 0h2v1h-2z" fill="#000000"/>"##), "{svg}");
        assert!(svg.contains(r##"<path d="M1 1h1v1h-1z" fill="#7f7f7f"/>"##), "{svg}");
        assert_eq!(svg.matches("<path").count(), 2, "{svg}");
    }

    #[test]
    fn bars_are_as_high_as_their_probabilities() {
        let svg = draw(&[prediction(None)]);
        for bar in [
            r##"<rect fill="#8a8a8a" height="55" width="88" x="11" y="165">"##,
            r##"<rect fill="#333333" height="165" width="88" x="121" y="55">"##,
        ] {
            assert!(svg.contains(bar), "{bar} in {svg}");
        }
    }

    #[test]
    fn colours_tell_right_from_wrong() {
        let count = |svg: &str, colour: &str| svg.matches(colour).count();
        let right = draw(&[prediction(Some(1))]);
        // Bar, label of the axis, caption.
        assert_eq!((count(&right, BLUE), count(&right, RED)), (3, 0), "{right}");
        let wrong = draw(&[prediction(Some(0))]);
        assert_eq!((count(&wrong, BLUE), count(&wrong, RED)), (2, 3), "{wrong}");
        let unknown = draw(&[prediction(None)]);
        assert_eq!((count(&unknown, BLUE), count(&unknown, RED)), (0, 0), "{unknown}");
    }

    #[test]
    fn names_are_escaped() {
        let svg = draw(&[prediction(Some(0))]);
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"), "{svg}");
    }

    #[test]
    fn several_predictions_make_a_grid() {
        let one = draw(&[prediction(None)]);
        let four = draw(&vec![prediction(None); 4]);
        let size = |svg: &str, key: &str| -> f64 {
            let rest = svg.split_once(&format!(" {key}=\"")).unwrap().1;
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        assert_eq!(size(&four, "height"), 2.0 * size(&one, "height"));
        assert_eq!(size(&four, "width"), 3.0 * size(&one, "width"));
    }

    #[test]
    fn large_pictures_are_drawn_smaller() {
        let pixels = (0..400 * 200).map(|i| (i % 251) as u8).collect();
        let image = GreyImage::new(400, 200, pixels);
        let svg = draw(&[Prediction::new(vec![1.0], &[], Some(image), None)]);
        assert!(svg.len() < 200_000, "{} bytes", svg.len());
    }
}
