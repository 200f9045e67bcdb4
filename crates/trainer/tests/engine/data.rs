//! Examples and models that the tests make up: every number is a hash of its position.

use dataset::{Examples, FeaturesView, LabelsView, mix};
use trainer::{Activation, Dense, Loss, Model, Optimizer, Sequential};

/// Uniform in -1 to 1.
pub fn signed(seed: u64, position: usize) -> f64 {
    let bits = mix(mix(seed).wrapping_add(position as u64)) >> 40;
    (bits as f64 + 0.5) / f64::from(1 << 23) - 1.0
}

/// The features of some examples.
#[derive(Clone)]
pub enum Features {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

/// The labels of some examples.
#[derive(Clone)]
pub enum Labels {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

/// Examples, owned.
#[derive(Clone)]
pub struct Data {
    pub features: Features,
    pub labels: Labels,
    pub shape: Vec<usize>,
}

impl Data {
    /// Pixels of which half are zero; labels at random.
    pub fn bytes(len: usize, width: usize, classes: usize, seed: u64) -> Self {
        let pixel = |i| {
            let h = mix(mix(seed ^ 0xb17e).wrapping_add(i as u64));
            if h & 1 == 0 { 0 } else { (h >> 56) as u8 }
        };
        let features = Features::Bytes((0..len * width).map(pixel).collect());
        Self { features, labels: labels(len, classes, seed), shape: vec![width] }
    }

    /// The same pixels as images, which have another order of their features inside.
    pub fn images(len: usize, size: [usize; 2], classes: usize, seed: u64) -> Self {
        Self { shape: size.to_vec(), ..Self::bytes(len, size[0] * size[1], classes, seed) }
    }

    /// Numbers from -1 to 1, every fifth of them zero; labels at random.
    pub fn floats(len: usize, width: usize, classes: usize, seed: u64) -> Self {
        let number = |i| if i % 5 == 3 { 0.0 } else { signed(seed ^ 0xf10a, i) as f32 };
        let features = Features::Floats((0..len * width).map(number).collect());
        Self { features, labels: labels(len, classes, seed), shape: vec![width] }
    }

    pub fn examples(&self) -> Examples<'_> {
        let features = match &self.features {
            Features::Bytes(v) => FeaturesView::U8(v),
            Features::Floats(v) => FeaturesView::F32(v),
        };
        let labels = match &self.labels {
            Labels::U8(v) => LabelsView::U8(v),
            Labels::U16(v) => LabelsView::U16(v),
        };
        Examples::new(features, labels, &self.shape)
    }

    pub fn len(&self) -> usize {
        self.examples().len()
    }

    /// What a model sees: bytes stand for 0 to 1.
    pub fn inputs(&self) -> Vec<f64> {
        match &self.features {
            Features::Bytes(v) => v.iter().map(|&x| f64::from(x) / 255.0).collect(),
            Features::Floats(v) => v.iter().map(|&x| f64::from(x)).collect(),
        }
    }

    pub fn label_numbers(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.examples().labels().get(i)).collect()
    }

    /// The examples of `order`, copied.
    pub fn reordered(&self, order: &[u32]) -> Self {
        fn rows<T: Copy>(v: &[T], width: usize, order: &[u32]) -> Vec<T> {
            order.iter().flat_map(|&i| &v[i as usize * width..][..width]).copied().collect()
        }
        let width = self.shape.iter().product();
        Self {
            features: match &self.features {
                Features::Bytes(v) => Features::Bytes(rows(v, width, order)),
                Features::Floats(v) => Features::Floats(rows(v, width, order)),
            },
            labels: match &self.labels {
                Labels::U8(v) => Labels::U8(rows(v, 1, order)),
                Labels::U16(v) => Labels::U16(rows(v, 1, order)),
            },
            shape: self.shape.clone(),
        }
    }
}

fn labels(len: usize, classes: usize, seed: u64) -> Labels {
    let label = |i| mix(mix(seed ^ 0x1abe).wrapping_add(i as u64)) % classes as u64;
    if classes <= 256 {
        Labels::U8((0..len).map(|i| label(i) as u8).collect())
    } else {
        Labels::U16((0..len).map(|i| label(i) as u16).collect())
    }
}

/// A dense model of these widths, inputs first, compiled with its own initial weights.
pub fn model(
    widths: &[usize],
    hidden: Activation,
    output: Activation,
    optimizer: Optimizer,
    loss: Loss,
) -> Model {
    let mut stack = Sequential::new([widths[0]]).seed(7);
    for units in &widths[1..widths.len() - 1] {
        stack = stack.layer(Dense::new(*units, hidden));
    }
    let last = Dense::new(widths[widths.len() - 1], output);
    stack.layer(last).compile(optimizer, loss).unwrap()
}

/// Relu, softmax and cross-entropy.
pub fn classifier(widths: &[usize], optimizer: Optimizer) -> Model {
    let loss = Loss::SparseCategoricalCrossentropy;
    model(widths, Activation::Relu, Activation::Softmax, optimizer, loss)
}

/// Every kind of optimizer.
pub const OPTIMIZERS: [Optimizer; 5] = [
    Optimizer::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false },
    Optimizer::Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: false },
    Optimizer::Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: true },
    Optimizer::RmsProp { learning_rate: 1e-3, rho: 0.9, epsilon: 1e-7 },
    Optimizer::Adam { learning_rate: 1e-3, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 },
];
