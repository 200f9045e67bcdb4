//! Rows of outputs with targets, for the tests of losses.

use kernels::Targets;

use super::{Random, sparse};

/// Rows with targets of all kinds. Padding is NaN: nothing may read it.
pub struct Case {
    pub rows: usize,
    pub classes: usize,
    pub stride: usize,
    pub values: Vec<f32>,
    pub labels: Vec<u16>,
    pub small_labels: Vec<u8>,
    pub one_hot: Vec<f32>,
    pub soft: Vec<f32>,
    pub soft_stride: usize,
}

impl Case {
    pub fn new(seed: u64, rows: usize, classes: usize, stride: usize, size: f32) -> Self {
        let mut random = Random(seed);
        let mut values = vec![f32::NAN; rows * stride];
        let soft_stride = classes + 3;
        let mut soft = vec![f32::NAN; rows * soft_stride];
        let mut one_hot = vec![0.0; rows * classes];
        let mut labels = Vec::new();
        for i in 0..rows {
            values[i * stride..][..classes].copy_from_slice(&random.floats(classes, size));
            // Rows that do not add up to 1 as well.
            let weights: Vec<f32> = (0..classes).map(|_| random.float().abs()).collect();
            let sum: f32 = weights.iter().sum::<f32>() * if i % 3 == 0 { 0.5 } else { 1.0 };
            for (t, w) in soft[i * soft_stride..].iter_mut().zip(&weights) {
                *t = w / sum;
            }
            let label = random.below(classes);
            one_hot[i * classes + label] = 1.0;
            labels.push(label as u16);
        }
        let small_labels = labels.iter().map(|&label| label as u8).collect();
        Self { rows, classes, stride, values, labels, small_labels, one_hot, soft, soft_stride }
    }

    pub fn targets(&self) -> Vec<Targets<'_>> {
        let mut all = vec![
            Targets::U16(&self.labels),
            Targets::Dense { values: &self.one_hot, stride: self.classes },
            Targets::Dense { values: &self.soft, stride: self.soft_stride },
        ];
        if self.classes <= 256 {
            all.push(Targets::U8(&self.small_labels));
        }
        all
    }

    /// `[rows, classes]` of a result, its padding being 0.
    pub fn unpadded(&self, result: &[f32], what: &str) -> Vec<f32> {
        let mut all = Vec::new();
        for row in result.chunks_exact(self.stride) {
            let (used, padding) = row.split_at(self.classes);
            assert!(padding.iter().all(|x| x.to_bits() == 0), "{what}: padding {padding:?}");
            all.extend_from_slice(used);
        }
        all
    }
}

const SHAPES: [(usize, usize, usize); 11] = [
    (0, 10, 16),
    (1, 1, 1),
    (3, 1, 4),
    (5, 2, 2),
    (17, 10, 10),
    (64, 10, 16),
    (33, 10, 13),
    (16, 16, 16),
    (18, 26, 32),
    (4, 1000, 1008),
    (2, 65_536, 65_536),
];

/// The named shapes, and every number of classes up to 70.
pub fn cases() -> Vec<Case> {
    let ragged = (1..=70).map(|classes| (1 + classes % 4, classes, classes + classes % 3));
    let mut all = Vec::new();
    for (seed, (rows, classes, stride)) in SHAPES.into_iter().chain(ragged).enumerate() {
        let sizes: &[f32] = if classes < 1000 { &[1.0, 30.0, 1000.0] } else { &[30.0] };
        for &size in sizes {
            all.push(Case::new(seed as u64, rows, classes, stride, size));
        }
    }
    if cfg!(miri) {
        all.retain(|case| case.rows * case.classes < 40);
    }
    all.into_iter().step_by(sparse(14)).collect()
}
