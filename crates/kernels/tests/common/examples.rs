//! Batches with zeros in them, and the matrices they stand for.

use kernels::panels::{Data, FeatureOrder, Form, One, Panels};
use kernels::{Arena, Isa};

use super::matrix::Matrix;
use super::{Random, sparse};

/// Examples in both forms: as data of bytes or floats, and as floats in a matrix.
pub struct Examples {
    pub form: Form,
    bytes: Vec<u8>,
    pub matrix: Matrix,
    /// Where each example lies in the data: in another order, with others between.
    pub rows: Vec<u32>,
}

pub const PIXELS: Form = Form::Bytes(1.0 / 255.0);

impl Examples {
    /// `density` of the features are not zero; some columns and rows are zero throughout.
    pub fn new(random: &mut Random, form: Form, rows: usize, width: usize, density: f64) -> Self {
        let matrix = Matrix { rows: 0, cols: width, values: vec![] };
        let mut examples = Self { form, bytes: vec![], matrix, rows: vec![] };
        examples.fill(random, form, rows, density);
        examples
    }

    pub fn fill(&mut self, random: &mut Random, form: Form, rows: usize, density: f64) {
        let width = self.matrix.cols;
        self.bytes.clear();
        self.matrix.values.clear();
        self.matrix.rows = rows;
        self.rows = (0..rows as u32).map(|row| 2 * (rows as u32 - 1 - row)).collect();
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
                    self.bytes.extend(&bytes);
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
                    self.matrix.values.extend(&floats);
                }
            }
        }
    }

    /// The examples one after the other.
    pub fn in_order(&self) -> Data<'_> {
        match self.form {
            Form::Bytes(_) => Data::Bytes(&self.bytes),
            Form::Floats => Data::Floats(&self.matrix.values),
        }
    }

    /// Panels with room for so many examples.
    pub fn room(&self, examples: usize) -> Panels {
        let order = FeatureOrder::as_given(self.matrix.cols);
        Panels::with_capacity(&mut Arena::default(), self.form, order, examples)
    }

    /// Reads the examples, scattered among others that are ones throughout.
    pub fn read(&self, isa: Isa, panels: &mut Panels) {
        match self.form {
            Form::Bytes(_) => {
                let data = self.scattered(&self.bytes, 1);
                panels.fill(isa, Data::Bytes(&data), &self.rows);
            }
            Form::Floats => {
                let data = self.scattered(&self.matrix.values, 1.0);
                panels.fill(isa, Data::Floats(&data), &self.rows);
            }
        }
    }

    fn scattered<T: Copy>(&self, values: &[T], other: T) -> Vec<T> {
        let width = self.matrix.cols;
        let mut data = vec![other; (2 * self.matrix.rows * width).saturating_sub(width)];
        for (row, place) in self.rows.iter().enumerate() {
            let from = &values[row * width..][..width];
            data[*place as usize * width..][..width].copy_from_slice(from);
        }
        data
    }

    pub fn panels(&self, isa: Isa) -> Panels {
        let mut panels = self.room(self.matrix.rows);
        self.read(isa, &mut panels);
        panels
    }

    /// Each example by itself.
    pub fn ones(&self, isa: Isa) -> impl Iterator<Item = One> + '_ {
        let width = self.matrix.cols;
        let order = FeatureOrder::as_given(width);
        let mut one = One::new(&mut Arena::default(), self.form, order);
        (0..self.matrix.rows).map(move |row| {
            let range = row * width..(row + 1) * width;
            one.fill(
                isa,
                match self.form {
                    Form::Bytes(_) => Data::Bytes(&self.bytes[range]),
                    Form::Floats => Data::Floats(&self.matrix.values[range]),
                },
            );
            one.clone()
        })
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
