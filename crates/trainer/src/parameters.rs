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
        let mut layers = Vec::new();
        let mut end = 0;
        for pair in widths.windows(2) {
            let (inputs, units) = (pair[0], pair[1]);
            let weights = end..end + inputs * units;
            let biases = weights.end..weights.end + units;
            end = biases.end;
            layers.push(DenseLayout { inputs, units, weights, biases });
        }
        Self { values: vec![0.0; end], layers }
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
