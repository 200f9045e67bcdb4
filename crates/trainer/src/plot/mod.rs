//! Pictures of predictions: the image beside the bar chart of its probabilities, as the TensorFlow
//! tutorials draw it, in an SVG file ([`svg`]) or with block characters ([`terminal`]).

pub mod svg;
pub mod terminal;

use crate::image_file::GreyImage;

/// Classes up to which a chart shows all; beyond, the most probable ones.
const ALL_CLASSES: usize = 26;

/// How many of too many classes are shown.
const TOP_CLASSES: usize = 10;

/// Characters of a class name that are shown.
const NAME_LENGTH: usize = 24;

/// A prediction with what is known about its example.
#[derive(Clone, Debug)]
pub struct Prediction {
    image: Option<GreyImage>,
    probabilities: Vec<f32>,
    class_names: Vec<String>,
    label: Option<usize>,
}

/// How a prediction compares with the true label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The most probable class is the label.
    Right,
    /// It is another.
    Wrong,
    /// There is no label.
    Unknown,
}

impl Prediction {
    /// The outputs of the last layer for one example, with the picture it was (none if it was not
    /// one) and its true label (none if it is not known). Classes without a name go by number.
    ///
    /// # Panics
    /// If there is no output.
    pub fn new(
        probabilities: Vec<f32>,
        class_names: &[String],
        image: Option<GreyImage>,
        label: Option<usize>,
    ) -> Self {
        assert!(!probabilities.is_empty(), "a prediction needs an output");
        let class_names = (0..probabilities.len())
            .map(|class| class_names.get(class).cloned().unwrap_or_else(|| class.to_string()))
            .collect();
        Self { image, probabilities, class_names, label }
    }

    /// The most probable class; the first of them if several are, or none is a number.
    pub fn predicted(&self) -> usize {
        let mut best = 0;
        for (class, &probability) in self.probabilities.iter().enumerate() {
            let most = self.probabilities[best];
            if probability > most || most.is_nan() && !probability.is_nan() {
                best = class;
            }
        }
        best
    }

    /// The picture.
    pub fn image(&self) -> Option<&GreyImage> {
        self.image.as_ref()
    }

    /// One probability a class.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// The name of a class, cut where it is very long; its number if there is no such class.
    pub fn class_name(&self, class: usize) -> String {
        let Some(name) = self.class_names.get(class) else { return class.to_string() };
        let printable = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
        if name.chars().count() <= NAME_LENGTH {
            printable.collect()
        } else {
            printable.take(NAME_LENGTH - 1).chain(['…']).collect()
        }
    }

    /// The true label.
    pub fn label(&self) -> Option<usize> {
        self.label
    }

    /// Whether the most probable class is the true one.
    pub fn verdict(&self) -> Verdict {
        match self.label {
            None => Verdict::Unknown,
            Some(label) if label == self.predicted() && !self.probabilities[label].is_nan() => {
                Verdict::Right
            }
            Some(_) => Verdict::Wrong,
        }
    }

    /// The tutorials' line below the picture: predicted class, per cent, true class.
    pub fn caption(&self) -> String {
        let predicted = self.predicted();
        let percent = 100.0 * self.probabilities[predicted];
        let caption = format!("{} {percent:.0}%", self.class_name(predicted));
        match self.label {
            Some(label) => format!("{caption} ({})", self.class_name(label)),
            None => caption,
        }
    }

    /// The classes that a chart shows: all in order if they are few, else the most probable ones,
    /// best first, and the true one.
    pub fn shown_classes(&self) -> Vec<usize> {
        let mut classes: Vec<usize> = (0..self.probabilities.len()).collect();
        if classes.len() > ALL_CLASSES {
            classes.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
            classes.truncate(TOP_CLASSES);
            let known = self.label.filter(|&label| label < self.probabilities.len());
            classes.extend(known.filter(|label| !classes.contains(label)));
        }
        classes
    }

    /// A class's bar, between 0 and 1 whatever the last layer's activation gives.
    fn bar(&self, class: usize) -> f64 {
        let output = self.probabilities[class];
        // NaN is not above 0 either.
        if output > 0.0 { f64::from(output.min(1.0)) } else { 0.0 }
    }

    /// How a class's bar is drawn.
    fn bar_kind(&self, class: usize) -> BarKind {
        if Some(class) == self.label {
            BarKind::True
        } else if class == self.predicted() {
            if self.label.is_some() { BarKind::Mistaken } else { BarKind::Predicted }
        } else {
            BarKind::Other
        }
    }
}

/// What a bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BarKind {
    /// The true class: blue.
    True,
    /// Predicted, but not true: red.
    Mistaken,
    /// Predicted, the truth not known.
    Predicted,
    /// Any other: grey.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["Shirt", "Ankle boot", "Bag"].map(str::to_owned).to_vec()
    }

    #[test]
    fn captions_are_the_tutorials() {
        let boot = |label| Prediction::new(vec![0.015, 0.98, 0.005], &names(), None, label);
        assert_eq!(boot(Some(1)).caption(), "Ankle boot 98% (Ankle boot)");
        assert_eq!(boot(Some(2)).caption(), "Ankle boot 98% (Bag)");
        assert_eq!(boot(None).caption(), "Ankle boot 98%");
        let verdicts = [Some(1), Some(2), None].map(|label| boot(label).verdict());
        assert_eq!(verdicts, [Verdict::Right, Verdict::Wrong, Verdict::Unknown]);
        // A label the model has no output for is shown, and wrong.
        assert_eq!(boot(Some(7)).caption(), "Ankle boot 98% (7)");
        assert_eq!(boot(Some(7)).verdict(), Verdict::Wrong);
    }

    #[test]
    fn the_first_of_equals_wins_and_nan_never_does() {
        let predicted =
            |outputs: &[f32]| Prediction::new(outputs.to_vec(), &[], None, None).predicted();
        assert_eq!(predicted(&[0.25, 0.375, 0.375]), 1);
        assert_eq!(predicted(&[0.0, f32::NAN, 0.5]), 2);
        assert_eq!(predicted(&[f32::NAN, 0.0, 0.5]), 2);
        let overflowed = Prediction::new(vec![f32::NAN; 2], &[], None, Some(0));
        assert_eq!((overflowed.predicted(), overflowed.verdict()), (0, Verdict::Wrong));
    }

    #[test]
    fn of_many_classes_the_best_and_the_true_one_are_shown() {
        let mut outputs = vec![0.0; 100];
        for (i, output) in outputs[40..60].iter_mut().enumerate() {
            *output = 0.01 * i as f32;
        }
        let shown = |label| Prediction::new(outputs.clone(), &[], None, label).shown_classes();
        assert_eq!(shown(None), (50..60).rev().collect::<Vec<_>>());
        assert_eq!(shown(Some(3))[9..], [50, 3]);
        assert_eq!(shown(Some(55)).len(), 10);
        assert_eq!(shown(Some(1000)).len(), 10);
        assert_eq!(Prediction::new(vec![0.5; 26], &[], None, None).shown_classes().len(), 26);
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        let names = ["\u{1b}[2J".to_owned(), "x".repeat(50)];
        let prediction = Prediction::new(vec![1.0, 0.0], &names, None, None);
        assert_eq!(prediction.class_name(0), "\u{fffd}[2J");
        assert_eq!(prediction.class_name(1).chars().count(), NAME_LENGTH);
    }
}
