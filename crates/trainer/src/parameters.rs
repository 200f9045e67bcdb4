//! All parameters of a model: one allocation, named views.

use std::ops::Range;

/// Where a dense layer's parameters lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseLayout {
    /// Inputs of the layer.
    pub inputs: usize,
    /// Outputs of the layer.
    pub units: usize,
    /// The weights, row-major `[inputs, units]`, in [`Parameters::values`].
    pub weights: Range<usize>,
    /// The biases, `[units]`, in [`Parameters::values`].
    pub biases: Range<usize>,
}

/// The parameters of a model in the order of its layers: weights, then biases, of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    values: Vec<f32>,
    layers: Vec<DenseLayout>,
}

impl Parameters {
    /// Parameters of dense layers with these widths, all zero: `[784, 512, 10]` are two layers.
    pub fn zeros(widths: &[usize]) -> Self {
        let layers = layout(widths);
        let end = layers.last().map_or(0, |layer| layer.biases.end);
        Self { values: vec![0.0; end], layers }
    }

    /// Where layers of these widths would lie.
    pub(crate) fn layout_of(&self, widths: &[usize]) -> Vec<DenseLayout> {
        layout(widths)
    }

    /// Draws the weights: uniform within `sqrt(6 / (inputs + units))` of zero (Glorot and Bengio,
    /// 2010; Keras's default), each from a hash of seed, layer and position. Biases are zero.
    pub(crate) fn draw(&mut self, seed: u64) {
        for (l, layer) in self.layers.iter().enumerate() {
            let limit = (6.0 / (layer.inputs + layer.units) as f64).sqrt();
            let key = dataset::mix(seed ^ dataset::mix(l as u64 + 1));
            for (i, value) in self.values[layer.weights.clone()].iter_mut().enumerate() {
                let bits = dataset::mix(key.wrapping_add(i as u64)) >> 40;
                // 24 bits, in the middle of their cells: -1 to 1 without either end.
                let unit = (bits as f64 + 0.5) / f64::from(1 << 23) - 1.0;
                *value = (unit * limit) as f32;
            }
            self.values[layer.biases.clone()].fill(0.0);
        }
    }

    /// All values, layer by layer.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Where each dense layer's parameters lie.
    pub fn layers(&self) -> &[DenseLayout] {
        &self.layers
    }

    /// The weights of dense layer `l`, row-major `[inputs, units]`.
    pub fn weights(&self, l: usize) -> &[f32] {
        &self.values[self.layers[l].weights.clone()]
    }

    /// The biases of dense layer `l`, `[units]`.
    pub fn biases(&self, l: usize) -> &[f32] {
        &self.values[self.layers[l].biases.clone()]
    }
}

fn layout(widths: &[usize]) -> Vec<DenseLayout> {
    let mut layers = Vec::new();
    let mut end = 0;
    for pair in widths.windows(2) {
        let (inputs, units) = (pair[0], pair[1]);
        let weights = end..end + inputs * units;
        let biases = weights.end..weights.end + units;
        end = biases.end;
        layers.push(DenseLayout { inputs, units, weights, biases });
    }
    layers
}
