//! Predictions from the command line.

use std::fs::File;
use std::path::Path;

use serde_json::Value;

use crate::util::{CLASSES, Dir, FILES, SIDE, TEST, TRAIN, examples};

fn predict(dir: &Dir, flags: &[&str]) -> Vec<Value> {
    let text = dir.trainer(&["predict", "model.safetensors", "--json"]).args(flags).succeeds();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn probabilities(line: &Value) -> Vec<f64> {
    line["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect()
}

/// Writes test image `i`, each pixel `scale` by `scale`, as a picture of `color`.
fn write_png(path: &Path, i: usize, scale: usize, invert: bool, color: png::ColorType) {
    let (images, _) = examples(1, TEST);
    let image = &images[i * SIDE * SIDE..][..SIDE * SIDE];
    let mut data = Vec::new();
    for y in 0..SIDE * scale {
        for x in 0..SIDE * scale {
            let pixel = image[y / scale * SIDE + x / scale];
            let pixel = if invert { 255 - pixel } else { pixel };
            data.extend(vec![pixel; color.samples()]);
        }
    }
    let side = (SIDE * scale) as u32;
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), side, side);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
}

#[test]
fn test_images_by_number() {
    let dir = Dir::with_data();
    dir.train_model();
    let lines = predict(&dir, &["--data", "small", "--index", "0", "7", "59"]);
    assert_eq!(lines.len(), 3);
    for (line, index) in lines.iter().zip([0, 7, 59]) {
        assert_eq!(line["index"], index);
        assert_eq!(line["label"], index * 7 % CLASSES);
        let probabilities = probabilities(line);
        assert_eq!(probabilities.len(), CLASSES);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{line}");
        let best = probabilities.iter().copied().fold(0.0, f64::max);
        let predicted = line["predicted"].as_u64().unwrap() as usize;
        assert_eq!(probabilities[predicted], best);
        assert_eq!(line["class"], predicted.to_string());
    }
    let error = dir.trainer(&["predict", "model.safetensors", "small", "--index", "60"]).fails(2);
    assert!(error.contains("--index 60") && error.contains("0 to 59"), "{error}");
}

#[test]
fn text_for_people() {
    let dir = Dir::with_data();
    dir.write("small/classes.txt", b"top\nmiddle\nbottom\n");
    dir.train_model();
    let text = dir.trainer(&["predict", "model.safetensors", "small", "--index", "1,2"]).succeeds();
    assert!(text.starts_with("small test image 1: "), "{text}");
    assert!(text.contains("\nsmall test image 2: "), "{text}");
    assert!(text.contains("true label 1 middle: "), "{text}");
    assert!(text.contains("\n  2 bottom  0."), "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn a_png_file_of_any_size_or_colour_is_the_same_picture() {
    let dir = Dir::with_data();
    dir.train_model();
    let expected = predict(&dir, &["small", "--index", "4"]);
    let expected = probabilities(&expected[0]);
    for (scale, color) in [
        (1, png::ColorType::Grayscale),
        (1, png::ColorType::Rgb),
        (3, png::ColorType::Grayscale),
        (4, png::ColorType::Rgb),
    ] {
        write_png(&dir.path("x.png"), 4, scale, false, color);
        let line = &predict(&dir, &["--image", "x.png"])[0];
        assert_eq!(probabilities(line), expected, "{scale} {color:?}");
        assert!(line["label"].is_null() && line["image"] == "x.png", "{line}");
    }
    write_png(&dir.path("x.png"), 4, 2, true, png::ColorType::Grayscale);
    let line = &predict(&dir, &["--image", "x.png", "--invert"])[0];
    assert_eq!(probabilities(line), expected);
}

#[test]
fn notes_say_what_was_done_to_the_picture() {
    let dir = Dir::with_data();
    dir.train_model();
    let notes = |flags: &[&str]| {
        let run = dir.trainer(&["predict", "model.safetensors", "--image", "x.png"]);
        run.args(flags).succeeds_with_notes().1
    };
    write_png(&dir.path("x.png"), 4, 2, true, png::ColorType::Grayscale);
    let text = notes(&[]);
    assert!(text.contains("resized from 10 x 10 to the model's 5 x 5"), "{text}");
    assert!(text.contains("light") && text.contains("--invert"), "{text}");
    assert!(!notes(&["--invert"]).contains("--invert"));
    write_png(&dir.path("x.png"), 4, 1, false, png::ColorType::Grayscale);
    let text = notes(&[]);
    assert!(!text.contains("resized") && !text.contains("light"), "{text}");
}

#[test]
fn pictures_that_cannot_be_read() {
    let dir = Dir::with_data();
    dir.train_model();
    write_png(&dir.path("good.png"), 4, 9, false, png::ColorType::Rgb);
    let good = dir.read("good.png");
    dir.write("cut.png", &good[..good.len() / 2]);
    dir.write("text.png", b"this is no picture at all");
    dir.write("empty.png", b"");
    for (name, part) in [
        ("cut.png", "ends inside the picture"),
        ("text.png", "expected a PNG file"),
        ("empty.png", "PNG file"),
        ("none.png", "No such file"),
        ("small", "folder"),
    ] {
        let run = dir.trainer(&["predict", "model.safetensors", "--image", name]);
        let error = run.args(&["--plot", "out.svg"]).fails(1);
        assert!(error.starts_with(&format!("{name}: ")) && error.contains(part), "{error}");
    }
    assert!(!dir.path("out.svg").exists());
}

#[test]
fn a_plot_is_written_whole_or_not_at_all() {
    let dir = Dir::with_data();
    dir.train_model();
    let run = |plot| {
        let arguments = ["predict", "model.safetensors", "small", "--index", "0", "1", "--plot"];
        dir.trainer(&arguments).args(&[plot])
    };
    let text = run("out.svg").succeeds();
    assert!(text.ends_with("plot written to out.svg\n"), "{text}");
    let svg = String::from_utf8(dir.read("out.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    // A bar a class for two images, two frames for each, and the page.
    assert_eq!(svg.matches("<rect").count(), 2 * (CLASSES + 2) + 1, "{svg}");
    assert!(run("none/out.svg").fails(1).contains("no folder none"));
    assert!(run(".").fails(1).contains("folder"));
}

#[test]
fn images_of_floats_are_pictures_too() {
    let dir = Dir::with_data();
    for (part, count, file) in [(0, TRAIN, FILES[0]), (1, TEST, FILES[2])] {
        let mut bytes = vec![0, 0, 0x0d, 3];
        for size in [count, SIDE, SIDE] {
            bytes.extend((size as u32).to_be_bytes());
        }
        let (pixels, _) = examples(part, count);
        bytes.extend(pixels.iter().flat_map(|&p| (f32::from(p) / 255.0).to_be_bytes()));
        dir.write(&format!("small/{file}"), &bytes);
    }
    let text = dir.trainer(&["data", "inspect", "small"]).succeeds();
    assert!(text.contains("train_images  (300, 5, 5)  float32"), "{text}");
    dir.train_model();
    dir.trainer(&["predict", "model.safetensors", "small", "--index", "0", "--plot", "out.svg"])
        .succeeds();
    let svg = String::from_utf8(dir.read("out.svg")).unwrap();
    // The brightest of the picture is black ink, and there are other levels.
    assert!(svg.contains("fill=\"#000000\"") && svg.matches("<path").count() > 5, "{svg}");
}
