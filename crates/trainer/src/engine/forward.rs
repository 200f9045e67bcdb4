//! One thread's forward pass: of some examples at a time, or of one.

use std::ops::Range;

use dataset::{Examples, LabelsView};
use kernels::first_layer::STRIP;
use kernels::gemm::{Epilogue, PackedB, Products, Right, Start, share};
use kernels::panels::{Data, FeatureOrder, One, Panels};
use kernels::{Aligned, Arena, Isa, MatRef, Targets, first_layer, loss};

use super::block::{Block, Origin, QUANTUM};
use super::gather::{Reading, data};
use super::network::{Head, Network};
use super::shares::Activations;
use crate::Parameters;
use crate::optimizer::State;
use crate::parameters::DenseLayout;

/// Parameters as the kernels like them.
#[derive(Debug)]
pub(crate) struct Weights {
    /// The first layer's, in blocks of columns.
    first: Vec<(Range<usize>, Block, Block)>,
    later: Vec<(Matrix, Block)>,
}

/// A later layer's weights, `[inputs, units]`.
#[derive(Debug)]
enum Matrix {
    /// For one example, which reads each row once and as wide as it is.
    Rows(Block),
    /// For many.
    Panels(PackedB),
}

impl Matrix {
    fn panels(arena: &mut Arena, matrix: MatRef<'_>) -> Self {
        let mut panels = PackedB::zeros(arena, Isa::best(), matrix.rows(), matrix.cols());
        panels.pack(matrix);
        Self::Panels(panels)
    }
}

impl<'a> From<&'a Matrix> for Right<'a> {
    fn from(matrix: &'a Matrix) -> Self {
        match matrix {
            Matrix::Rows(block) => block.view().into(),
            Matrix::Panels(panels) => panels.into(),
        }
    }
}

impl Weights {
    /// For many examples at a time: blocks of columns that lie in the order in which they are read.
    pub(crate) fn new(parameters: &Parameters, reading: Reading) -> Self {
        let values = parameters.values();
        Self::in_blocks(parameters, reading.order, STRIP, |arena, layer| {
            let matrix = MatRef::new(&values[layer.weights.clone()], layer.inputs, layer.units);
            Matrix::panels(arena, matrix)
        })
    }

    /// For one example at a time, which reads each row once and as wide as it is.
    pub(crate) fn whole(parameters: &Parameters, reading: Reading) -> Self {
        Self::in_blocks(parameters, reading.order, usize::MAX, |arena, layer| {
            let rows = FeatureOrder::as_given(layer.inputs);
            let origin = Origin::weights(layer, rows, 0..layer.units);
            Matrix::Rows(Block::load(arena, parameters, &State::default(), origin))
        })
    }

    /// Those for one example, once more for many at a time.
    pub(crate) fn in_strips(&self) -> Self {
        let [(_, weights, biases)] = &self.first[..] else {
            unreachable!("weights for one example are one block");
        };
        let arena = &mut Arena::default();
        let count = weights.cols.div_ceil(STRIP);
        let strips = (0..count).map(|i| {
            let cols = share(weights.cols, QUANTUM, i, count);
            let strip = weights.columns(arena, cols.clone());
            (cols.clone(), strip, biases.columns(arena, cols))
        });
        let first = strips.collect();
        let later = self.later.iter().map(|(matrix, biases)| {
            let Matrix::Rows(rows) = matrix else { unreachable!("they lie in rows") };
            (Matrix::panels(arena, rows.view()), biases.columns(arena, 0..biases.cols))
        });
        Self { first, later: later.collect() }
    }

    fn in_blocks(
        parameters: &Parameters,
        order: FeatureOrder,
        widest: usize,
        matrix: impl Fn(&mut Arena, &DenseLayout) -> Matrix,
    ) -> Self {
        let none = State::default();
        let arena = &mut Arena::for_bytes(size_of_val(parameters.values()));
        let load = |arena: &mut Arena, origin| Block::load(arena, parameters, &none, origin);
        let (first, later) = parameters.layers().split_first().expect("a network has layers");
        let count = first.units.div_ceil(widest);
        let in_blocks = (0..count).map(|i| {
            let cols = share(first.units, QUANTUM, i, count);
            let weights = load(arena, Origin::weights(first, order, cols.clone()));
            (cols.clone(), weights, load(arena, Origin::biases(first, cols)))
        });
        let first = in_blocks.collect();
        let later = later.iter().map(|layer| {
            (matrix(arena, layer), load(arena, Origin::biases(layer, 0..layer.units)))
        });
        let later = later.collect();
        Self { first, later }
    }
}

/// One thread's memory for the forward pass of up to `capacity` examples.
#[derive(Debug)]
pub(crate) struct Forward {
    isa: Isa,
    panels: Panels,
    /// The numbers of a chunk's examples.
    numbers: Vec<u32>,
    /// Room for the first layer's sums.
    room: Aligned,
    layers: Layers,
    losses: Vec<f32>,
}

impl Forward {
    /// For up to `capacity` examples that are read like the weights.
    pub(crate) fn new(network: &Network, reading: Reading, capacity: usize) -> Self {
        let Reading { form, order } = reading;
        let arena = &mut Arena::default();
        Self {
            isa: Isa::best(),
            panels: Panels::with_capacity(arena, form, order, capacity),
            numbers: (0..capacity as u32).collect(),
            room: arena.zeros(first_layer::sums(reading.panels(), capacity)),
            layers: Layers::new(arena, network, capacity),
            losses: vec![0.0; capacity],
        }
    }

    /// The last layer's sums for these examples: `[rows, classes]`.
    fn sums(
        &mut self,
        network: &Network,
        weights: &Weights,
        examples: &Examples<'_>,
    ) -> &mut Activations {
        let rows = examples.len();
        self.panels.fill(self.isa, data(examples), &self.numbers[..rows]);
        for (cols, matrix, biases) in &weights.first {
            first_layer::forward(
                self.isa,
                &self.panels,
                matrix.view(),
                biases.row(0),
                network.activation(0),
                &mut self.room,
                self.layers.outputs[0].view_mut(rows).col_range(cols.clone()),
            );
        }
        self.layers.run(network, weights, rows)
    }

    /// The model's outputs for these examples: `[rows, classes]`, padded rows.
    pub(crate) fn outputs(
        &mut self,
        network: &Network,
        weights: &Weights,
        examples: &Examples<'_>,
    ) -> &Activations {
        let isa = self.isa;
        let sums = self.sums(network, weights, examples);
        finish(isa, network, sums, examples.len());
        sums
    }

    /// Sum of losses, in order, and correct predictions.
    pub(crate) fn evaluate(
        &mut self,
        network: &Network,
        weights: &Weights,
        examples: &Examples<'_>,
    ) -> (f64, usize) {
        let (isa, rows, classes) = (self.isa, examples.len(), network.classes());
        let mut losses = std::mem::take(&mut self.losses);
        let targets = match examples.labels() {
            LabelsView::U8(labels) => Targets::U8(labels),
            LabelsView::U16(labels) => Targets::U16(labels),
        };
        let here = &mut losses[..rows];
        let correct = if network.head == Head::SoftmaxCrossEntropy {
            let Activations { values, stride, .. } = self.sums(network, weights, examples);
            let sums = &values[..rows * *stride];
            loss::softmax_cross_entropy_loss(isa, sums, *stride, classes, targets, here)
        } else {
            let Activations { values, stride, .. } = self.outputs(network, weights, examples);
            let outputs = &values[..rows * *stride];
            loss::mean_squared_error_loss(isa, outputs, *stride, classes, targets, here)
        };
        let sum = here.iter().map(|loss| f64::from(*loss)).sum();
        self.losses = losses;
        (sum, correct)
    }
}

/// Memory for the forward pass of one example at a time.
#[derive(Debug)]
pub(crate) struct ForwardOne {
    isa: Isa,
    one: One,
    layers: Layers,
}

impl ForwardOne {
    /// For examples that are read like the weights.
    pub(crate) fn new(network: &Network, reading: Reading) -> Self {
        let Reading { form, order } = reading;
        let arena = &mut Arena::default();
        let one = One::new(arena, form, order);
        Self { isa: Isa::best(), one, layers: Layers::new(arena, network, 1) }
    }

    /// Outputs for one example, `[classes]`.
    pub(crate) fn run(&mut self, network: &Network, weights: &Weights, row: Row<'_>) -> &[f32] {
        let Self { isa, one, layers } = self;
        one.fill(
            *isa,
            match row {
                Row::Bytes(bytes) => Data::Bytes(bytes),
                Row::Floats(floats) => Data::Floats(floats),
            },
        );
        for (cols, matrix, biases) in &weights.first {
            let (bias, activation) = (biases.row(0), network.activation(0));
            let out = &mut layers.outputs[0].values[cols.clone()];
            first_layer::forward_one(*isa, one, matrix.view(), bias, activation, out);
        }
        let sums = layers.run(network, weights, 1);
        finish(*isa, network, sums, 1);
        &sums.values[..network.classes()]
    }
}

/// The layers' outputs, and what it takes to get from one to the next.
#[derive(Debug)]
struct Layers {
    outputs: Vec<Activations>,
    products: Products,
}

impl Layers {
    fn new(arena: &mut Arena, network: &Network, capacity: usize) -> Self {
        let layer = |width: &usize| Activations::new(arena, capacity, *width);
        let outputs = network.widths[1..].iter().map(layer).collect();
        Self { outputs, products: Products::new(Isa::best()) }
    }

    /// The layers after the first; the last one's sums.
    fn run(&mut self, network: &Network, weights: &Weights, rows: usize) -> &mut Activations {
        for (l, (matrix, biases)) in (1..).zip(&weights.later) {
            let (before, after) = self.outputs.split_at_mut(l);
            let inputs: MatRef<'_> = before[l - 1].view(rows);
            let epilogue = Epilogue::BiasActivation(biases.row(0), network.activation(l));
            let out = after[0].view_mut(rows);
            self.products.run(inputs, matrix, out, Start::Zero, epilogue);
        }
        let last = self.outputs.len() - 1;
        &mut self.outputs[last]
    }
}

/// Sums of the last layer to outputs of the model.
fn finish(isa: Isa, network: &Network, sums: &mut Activations, rows: usize) {
    let stride = sums.stride;
    let values = &mut sums.values[..rows * stride];
    match network.head {
        Head::SquaredError(activation) => activation.forward(isa, values),
        _ => loss::softmax(isa, values, stride, network.classes(), rows),
    }
}

/// The features of one example.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// Pixels 0 to 255, divided by 255.
    Bytes(&'a [u8]),
    /// Numbers used as they are.
    Floats(&'a [f32]),
}
