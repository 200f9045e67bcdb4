//! Batches with zeros in them, and the matrices they stand for.

use kernels::panels::{Batch, Form, Panels};
use kernels::{Arena, Isa};

use super::matrix::Matrix;
use super::{Random, sparse};

/// Examples in both forms: bytes or floats in a batch, floats in a matrix.
pub struct Examples {
    pub form: Form,
    pub batch: Batch,
    pub matrix: Matrix,
}

pub const PIXELS: Form = Form::Bytes(1.0 / 255.0);

impl Examples {
    /// `density` of the features are not zero; some columns and rows are zero throughout.
    pub fn new(random: &mut Random, form: Form, rows: usize, width: usize, density: f64) -> Self {
        let batch = Batch::with_capacity(&mut Arena::default(), form, rows, width);
        let mut examples =
            Self { form, batch, matrix: Matrix { rows: 0, cols: width, values: vec![] } };
        examples.fill(random, form, rows, density);
        examples
    }

    pub fn fill(&mut self, random: &mut Random, form: Form, rows: usize, density: f64) {
        let width = self.matrix.cols;
        self.batch.clear();
        self.matrix.values.clear();
        self.matrix.rows = rows;
        for row in 0..rows {
            let here = if row % 7 == 3 { 0.0 } else { density };
            let is_zero = |random: &mut Random, col: usize| {
                // A stretch of columns that are zero everywhere.
                col % 23 > 17 || (random.below(1000) as f64) >= here * 1000.0
            };
            match form {
                Form::Bytes(scale) => {
                    let bytes: Vec<u8> = (0..width)
                        .map(|col| match is_zero(random, col) {
                            true => 0,
                            false => 1 + random.below(255) as u8,
                        })
                        .collect();
                    self.batch.push_bytes(&bytes);
                    self.matrix.values.extend(bytes.iter().map(|x| f32::from(*x) * scale));
                }
                Form::Floats => {
                    let floats: Vec<f32> = (0..width)
                        .map(|col| match is_zero(random, col) {
                            // A zero of either sign is a zero.
                            true => [0.0, -0.0][col % 2],
                            false => random.float(),
                        })
                        .collect();
                    self.batch.push_floats(&floats);
                    self.matrix.values.extend(&floats);
                }
            }
        }
    }

    /// Panels with room for this matrix.
    pub fn panels(&self, rows: usize, depth: usize) -> Panels {
        Panels::with_capacity(&mut Arena::default(), self.form, rows, depth)
    }

    pub fn panels_of_examples(&self, isa: Isa) -> Panels {
        let mut panels = self.panels(self.matrix.rows, self.matrix.cols);
        panels.fill_examples(isa, &self.batch);
        panels
    }

    pub fn panels_of_features(&self, isa: Isa) -> Panels {
        let mut panels = self.panels(self.matrix.cols, self.matrix.rows);
        panels.fill_features(isa, &self.batch);
        panels
    }
}

/// Rows, width and units: ragged batches, some of several chunks of examples, widths that are no
/// multiple of 4 or of 16, units of less than a vector, of several strips, and those of a real layer.
pub fn shapes(random: &mut Random) -> Vec<[usize; 3]> {
    let ragged = [1, 2, 3, 4, 5, 7, 15, 16, 17, 30, 31, 33, 50, 63, 65, 100];
    let units = [1, 3, 8, 10, 16, 17, 24, 31, 48, 49, 96, 97, 130];
    let mut shapes: Vec<[usize; 3]> =
        (1..=70).map(|rows| [rows, ragged[random.below(16)], units[random.below(13)]]).collect();
    shapes.extend(ragged.map(|width| [1 + random.below(40), width, units[random.below(13)]]));
    shapes.extend(units.map(|units| [1 + random.below(9), 20, units]));
    shapes.extend([[1, 784, 128], [32, 784, 128], [0, 9, 5], [6, 0, 5], [6, 9, 0]]);
    if cfg!(miri) {
        shapes.retain(|[rows, width, units]| rows * width * units < 1000);
    }
    let mut shapes: Vec<_> = shapes.into_iter().step_by(sparse(6)).collect();
    // Several chunks, each in all forms and densities; in Miri the first ones.
    let chunks = [[130, 3, 1], [257, 5, 1], [129, 33, 33], [400, 20, 49], [600, 7, 97]];
    let times = if cfg!(miri) { 1 } else { FORMS.len() * DENSITIES.len() };
    for chunks in chunks.into_iter().take(if cfg!(miri) { 2 } else { 5 }) {
        shapes.extend(std::iter::repeat_n(chunks, times));
    }
    shapes
}

pub const FORMS: [Form; 3] = [PIXELS, Form::Bytes(1.0), Form::Floats];
pub const DENSITIES: [f64; 4] = [0.0, 0.05, 0.4, 1.0];
