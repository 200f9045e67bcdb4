//! The reference workloads as whole models, and digits for them.

use dataset::{Dataset, Examples, FeaturesView, LabelsView, Search};
use trainer::roofline::Workload;
use trainer::{Activation, Dense, Flatten, Loss, Model, Optimizer, Sequential};

/// Digits in memory.
#[derive(Debug)]
pub struct Digits {
    /// `mnist`, or `glyphs` for synthetic ones.
    pub name: &'static str,
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Digits {
    /// The first `count` digits.
    pub fn new(count: usize) -> Self {
        let seed = dataset::glyphs::SEED;
        let (pixels, labels) = dataset::glyphs::generate(seed, 0..count as u64);
        Self { name: "glyphs", pixels, labels }
    }

    /// The first `count` of MNIST's test images where MNIST is found, synthetic ones elsewhere.
    pub fn real(count: usize) -> Self {
        let found = Dataset::find("mnist", &Search::from_env(None)).ok();
        found.and_then(|data| Self::of(&data, count)).unwrap_or_else(|| Self::new(count))
    }

    fn of(data: &Dataset, count: usize) -> Option<Self> {
        let examples = data.test.examples();
        let FeaturesView::U8(pixels) = examples.features() else { return None };
        let labels = (0..count.min(examples.len())).map(|i| examples.labels().get(i) as u8);
        let labels: Vec<u8> = labels.collect();
        let pixels = pixels.get(..784 * count)?.to_vec();
        Some(Self { name: "mnist", pixels, labels })
    }

    /// All of them.
    pub fn examples(&self) -> Examples<'_> {
        Examples::new(FeaturesView::U8(&self.pixels), LabelsView::U8(&self.labels), &[28, 28])
    }

    /// The pixels of one digit.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * 784..][..784]
    }
}

/// The workload's model with its optimizer, untrained.
pub fn model(workload: &Workload) -> Model {
    let [_, hidden, classes] = workload.widths;
    let optimizer = if workload.name == "W1" { Optimizer::adam() } else { Optimizer::rmsprop() };
    Sequential::new([28, 28])
        .layer(Flatten)
        .layer(Dense::new(hidden, Activation::Relu))
        .layer(Dense::new(classes, Activation::Softmax))
        .compile(optimizer, Loss::SparseCategoricalCrossentropy)
        .expect("the workloads' layers fit each other")
}
