//! The reference workloads as whole models, on synthetic digits.

use dataset::{Examples, FeaturesView, LabelsView};
use trainer::roofline::Workload;
use trainer::{Activation, Dense, Flatten, Loss, Model, Optimizer, Sequential};

/// Synthetic digits in memory.
#[derive(Debug)]
pub struct Digits {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Digits {
    /// The first `count` digits.
    pub fn new(count: usize) -> Self {
        let seed = dataset::glyphs::SEED;
        let (pixels, labels) = dataset::glyphs::generate(seed, 0..count as u64);
        Self { pixels, labels }
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
