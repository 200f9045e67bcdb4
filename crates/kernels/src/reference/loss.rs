//! Losses and their gradients.

use crate::Targets;

/// What a loss comes to, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowLosses {
    /// One a row.
    pub losses: Vec<f64>,
    /// With respect to the rows given, times `scale`: `[rows, classes]` without padding.
    pub gradient: Vec<f64>,
    /// Rows whose first largest value stands where the target has its first largest.
    pub correct: usize,
}

/// Probabilities `[rows, classes]`, without padding, of logits whose rows are `stride` apart.
pub fn softmax(logits: &[f32], stride: usize, classes: usize, rows: usize) -> Vec<f64> {
    let mut all = Vec::with_capacity(rows * classes);
    for i in 0..rows {
        let row = row(logits, stride, classes, i);
        let lse = log_sum_exp(&row);
        all.extend(row.iter().map(|x| (x - lse).exp()));
    }
    all
}

/// Softmax cross-entropy `-Σ t ln p` of `rows` rows, and its gradient with respect to the logits,
/// `(p Σ t - t) * scale`.
pub fn softmax_cross_entropy(
    logits: &[f32],
    stride: usize,
    classes: usize,
    targets: Targets<'_>,
    scale: f64,
    rows: usize,
) -> RowLosses {
    let probabilities = softmax(logits, stride, classes, rows);
    let mut result = RowLosses { losses: Vec::new(), gradient: Vec::new(), correct: 0 };
    for i in 0..rows {
        let row = row(logits, stride, classes, i);
        let target = target(targets, classes, i);
        let lse = log_sum_exp(&row);
        let weight: f64 = target.iter().sum();
        let loss: f64 = target.iter().zip(&row).map(|(t, x)| t * (lse - x)).sum();
        let p = &probabilities[i * classes..];
        result.gradient.extend(p.iter().zip(&target).map(|(p, t)| (p * weight - t) * scale));
        result.correct += usize::from(!loss.is_nan() && argmax(&row) == argmax(&target));
        result.losses.push(loss);
    }
    result
}

/// Mean over the classes of `(y - t)²` of `rows` rows, and its gradient with respect to the
/// outputs, `2 (y - t) / classes * scale`.
pub fn mean_squared_error(
    outputs: &[f32],
    stride: usize,
    classes: usize,
    targets: Targets<'_>,
    scale: f64,
    rows: usize,
) -> RowLosses {
    let mut result = RowLosses { losses: Vec::new(), gradient: Vec::new(), correct: 0 };
    let mean = 1.0 / classes as f64;
    for i in 0..rows {
        let row = row(outputs, stride, classes, i);
        let target = target(targets, classes, i);
        let difference: Vec<f64> = row.iter().zip(&target).map(|(y, t)| y - t).collect();
        let loss = difference.iter().map(|d| d * d).sum::<f64>() * mean;
        result.gradient.extend(difference.iter().map(|d| 2.0 * d * mean * scale));
        result.correct += usize::from(!loss.is_nan() && argmax(&row) == argmax(&target));
        result.losses.push(loss);
    }
    result
}

fn row(values: &[f32], stride: usize, classes: usize, i: usize) -> Vec<f64> {
    values[i * stride..][..classes].iter().map(|&x| x.into()).collect()
}

fn target(targets: Targets<'_>, classes: usize, i: usize) -> Vec<f64> {
    let one_hot = |class: usize| (0..classes).map(|j| f64::from(u8::from(j == class))).collect();
    match targets {
        Targets::U8(labels) => one_hot(labels[i].into()),
        Targets::U16(labels) => one_hot(labels[i].into()),
        Targets::Dense { values, stride } => row(values, stride, classes, i),
    }
}

fn log_sum_exp(row: &[f64]) -> f64 {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// The first of the largest.
fn argmax(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, j| if row[j] > row[best] { j } else { best })
}
