//! `trainer predict`: test images, or a picture in a file, with their probabilities.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use dataset::{Dataset, Examples, FeaturesView, LabelsView};
use serde::Serialize;
use trainer::Model;
use trainer::format::grouped;
use trainer::image_file::{self, GreyImage, PngExample};
use trainer::plot::{Prediction, Verdict, svg, terminal as blocks};

use super::args::PredictArgs;
use super::failure::UsageError;
use super::{data, note, note_debug_build, pipe, terminal};

/// An example by the name it goes by in the output.
struct Named {
    name: String,
    index: Option<usize>,
    prediction: Prediction,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    predicted: usize,
    class: String,
    probability: f32,
    label: Option<usize>,
    probabilities: &'a [f32],
}

pub fn run(args: PredictArgs) -> Result<()> {
    if let Some(path) = &args.plot {
        dataset::check_destination(path)?;
    }
    let model = Model::load(&args.model)?;
    note_debug_build();
    let predictions = match &args.image {
        Some(path) => vec![picture(&model, path, args.invert)?],
        None => {
            let set = data::open(&args.data)?;
            data::check_fit(&model, &args.model, &set, args.data.is_named())?;
            let predictions = test_images(&model, &set, &args.index)?;
            set.check_unchanged()?;
            predictions
        }
    };
    // What is to stay first: the reader of the rest may go away.
    if let Some(path) = &args.plot {
        let predictions: Vec<_> =
            predictions.iter().map(|named| named.prediction.clone()).collect();
        let drawing = svg::draw(&predictions);
        dataset::write_atomically(path, |file| file.write_all(drawing.as_bytes()))?;
    }
    let mut out = pipe::stdout();
    for (i, named) in predictions.iter().enumerate() {
        if args.json {
            json(&mut out, named)?;
            continue;
        }
        if i > 0 {
            writeln!(out)?;
        }
        if out.is_terminal() {
            writeln!(out, "{}", named.name)?;
            let colour = terminal::colour(true);
            out.write_all(blocks::draw(&named.prediction, colour).as_bytes())?;
        } else {
            table(&mut out, named)?;
        }
    }
    if let Some(path) = args.plot.filter(|_| !args.json) {
        writeln!(out, "\nplot written to {}", path.display())?;
    }
    Ok(())
}

/// Predictions for test images by number.
fn test_images(model: &Model, set: &Dataset, indices: &[usize]) -> Result<Vec<Named>> {
    let test = set.test.examples();
    if let Some(index) = indices.iter().find(|&&index| index >= test.len()) {
        return Err(UsageError(format!(
            "--index {index}: {} has {} test examples, numbered 0 to {}",
            set.title(),
            grouped(test.len() as u64),
            test.len() - 1
        ))
        .into());
    }
    let predict = |&index: &usize| {
        let example = test.slice(index..index + 1);
        let label = example.labels().get(0);
        let image = GreyImage::of(example);
        let noun = if image.is_some() { "image" } else { "example" };
        Ok(Named {
            name: format!("{} test {noun} {index}", set.title()),
            index: Some(index),
            prediction: Prediction::new(
                model.predict(example)?,
                model_classes(model, set),
                image,
                Some(label),
            ),
        })
    };
    indices.iter().map(predict).collect()
}

/// The model's class names; where it has none, those of the data.
fn model_classes<'a>(model: &'a Model, set: &'a Dataset) -> &'a [String] {
    if model.class_names().is_empty() { &set.classes } else { model.class_names() }
}

/// The prediction for the PNG file at `path`.
fn picture(model: &Model, path: &Path, invert: bool) -> Result<Named> {
    let name = path.display();
    let PngExample { mut pixels, original, size } =
        image_file::open_png_as(path, model.input_shape())?;
    if original != size {
        let [(from_width, from_height), (width, height)] = [original, size];
        note(&format!(
            "{name}: resized from {from_width} x {from_height} to the model's {width} x {height} \
             pixels"
        ));
    }
    if invert {
        pixels.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
    }
    // There is no label: prediction does not look at it.
    let labels = LabelsView::U8(&[0]);
    let example = Examples::new(FeaturesView::U8(&pixels), labels, model.input_shape());
    let image = GreyImage::of(example);
    if !invert && image.as_ref().is_some_and(GreyImage::has_light_background) {
        note(&format!(
            "{name}: the background is light; for a model trained on light strokes on black, as in \
             MNIST, add --invert"
        ));
    }
    Ok(Named {
        name: name.to_string(),
        index: None,
        prediction: Prediction::new(model.predict(example)?, model.class_names(), image, None),
    })
}

/// A prediction as text: what was predicted, then each class with its probability.
fn table(out: &mut impl Write, named: &Named) -> io::Result<()> {
    let prediction = &named.prediction;
    let full_name = |class: usize| {
        let name = prediction.class_name(class);
        if name == class.to_string() { name } else { format!("{class} {name}") }
    };
    let predicted = prediction.predicted();
    let probability = prediction.probabilities()[predicted];
    write!(out, "{}: {} with probability {probability:.4}", named.name, full_name(predicted))?;
    let verdict = match prediction.verdict() {
        Verdict::Right => "right",
        Verdict::Wrong => "wrong",
        Verdict::Unknown => "",
    };
    match prediction.label() {
        Some(label) => writeln!(out, ", true label {}: {verdict}", full_name(label))?,
        None => writeln!(out)?,
    }
    let shown = prediction.shown_classes();
    let width = shown.iter().map(|&class| full_name(class).chars().count()).max().unwrap_or(0);
    for class in shown {
        writeln!(out, "  {:<width$}  {:.4}", full_name(class), prediction.probabilities()[class])?;
    }
    Ok(())
}

fn json(out: &mut impl Write, named: &Named) -> io::Result<()> {
    let prediction = &named.prediction;
    let predicted = prediction.predicted();
    let line = Line {
        index: named.index,
        image: named.index.is_none().then_some(named.name.as_str()),
        predicted,
        class: prediction.class_name(predicted),
        probability: prediction.probabilities()[predicted],
        label: prediction.label(),
        probabilities: prediction.probabilities(),
    };
    pipe::json_line(out, &line)
}
