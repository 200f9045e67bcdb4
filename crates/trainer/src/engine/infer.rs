//! The forward pass alone: evaluation and prediction.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use dataset::{Examples, LabelsView};
use kernels::first_layer::STRIP;
use kernels::gemm::{Epilogue, Products, Start, share};
use kernels::panels::{Data, FeatureOrder, One, PANEL, Panels};
use kernels::{Aligned, Arena, Isa, MatRef, Targets, first_layer, loss};

use super::gather::{self, data};
use super::network::{Head, Network};
use super::shares::{Activations, Block, QUANTUM};
use crate::optimizer::State;
use crate::parameters::DenseLayout;
use crate::{Evaluation, Parameters};

/// Examples a thread computes at a time: a chunk of the panels, whose sums stay in the first-level
/// cache, and the activations in the second.
const CHUNK: usize = 128;

/// Parameters as the kernels like them: rows on whole cache lines.
#[derive(Debug)]
pub(crate) struct Weights {
    /// The first layer's, in blocks of columns.
    first: Vec<(Range<usize>, Block, Block)>,
    later: Vec<(Block, Block)>,
}

impl Weights {
    /// For many examples like these at a time: blocks of columns that lie in the order in which they are
    /// read.
    pub(crate) fn new(parameters: &Parameters, examples: &Examples<'_>) -> Self {
        Self::in_blocks(parameters, gather::feature_order(examples), STRIP)
    }

    /// For one example at a time, which reads each row once and as wide as it is.
    pub(crate) fn whole(parameters: &Parameters, examples: &Examples<'_>) -> Self {
        Self::in_blocks(parameters, gather::feature_order(examples), usize::MAX)
    }

    /// Those for one example, once more for many at a time.
    pub(crate) fn in_strips(&self) -> Self {
        let arena = &mut Arena::default();
        let mut first = Vec::new();
        for (_, weights, biases) in &self.first {
            let count = weights.cols.div_ceil(STRIP);
            for cols in (0..count).map(|i| share(weights.cols, QUANTUM, i, count)) {
                let strip = weights.columns(arena, cols.clone());
                first.push((cols.clone(), strip, biases.columns(arena, cols)));
            }
        }
        let mut copy = |block: &Block| block.columns(arena, 0..block.cols);
        let later = self.later.iter().map(|(weights, biases)| (copy(weights), copy(biases)));
        Self { first, later: later.collect() }
    }

    fn in_blocks(parameters: &Parameters, order: FeatureOrder, widest: usize) -> Self {
        let none = State::default();
        let mut arena = Arena::for_bytes(size_of_val(parameters.values()));
        let mut block = |layer: &DenseLayout, at, rows: &[usize], cols: Range<usize>| {
            let rows = rows.iter().copied();
            Block::load(&mut arena, parameters, &none, at, layer.units, rows, cols)
        };
        let (first, later) = parameters.layers().split_first().expect("a network has layers");
        let in_order: Vec<_> = order.iter().collect();
        let count = first.units.div_ceil(widest);
        let first = (0..count).map(|i| {
            let cols = share(first.units, QUANTUM, i, count);
            let weights = block(first, first.weights.start, &in_order, cols.clone());
            (cols.clone(), weights, block(first, first.biases.start, &[0], cols))
        });
        let first = first.collect();
        let later = later.iter().map(|layer| {
            let rows: Vec<_> = (0..layer.inputs).collect();
            let weights = block(layer, layer.weights.start, &rows, 0..layer.units);
            (weights, block(layer, layer.biases.start, &[0], 0..layer.units))
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
    /// Outputs of each layer.
    outputs: Vec<Activations>,
    products: Products,
    losses: Vec<f32>,
}

impl Forward {
    /// For up to `capacity` examples like these.
    pub(crate) fn new(network: &Network, examples: &Examples<'_>, capacity: usize) -> Self {
        let isa = Isa::best();
        let arena = &mut Arena::default();
        let (form, order) = (gather::form(examples), gather::feature_order(examples));
        let panels = order.features().div_ceil(PANEL);
        Self {
            isa,
            panels: Panels::with_capacity(arena, form, order, capacity),
            numbers: (0..capacity as u32).collect(),
            room: arena.zeros(first_layer::sums(panels, capacity)),
            outputs: network.widths[1..]
                .iter()
                .map(|w| Activations::new(arena, capacity, *w))
                .collect(),
            products: Products::new(isa),
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
                &biases.values[..cols.len()],
                network.activation(0),
                &mut self.room,
                self.outputs[0].view_mut(rows).col_range(cols.clone()),
            );
        }
        self.later(network, weights, rows)
    }

    /// The layers after the first.
    fn later(&mut self, network: &Network, weights: &Weights, rows: usize) -> &mut Activations {
        for (l, (matrix, biases)) in (1..).zip(&weights.later) {
            let (before, after) = self.outputs.split_at_mut(l);
            let biases = &biases.values[..biases.cols];
            let inputs: MatRef<'_> = before[l - 1].view(rows);
            let epilogue = Epilogue::BiasActivation(biases, network.activation(l));
            let out = after[0].view_mut(rows);
            self.products.run(inputs, matrix.view(), out, Start::Zero, epilogue);
        }
        let last = self.outputs.len() - 1;
        &mut self.outputs[last]
    }

    /// The model's outputs for these examples: `[rows, classes]`, padded rows.
    fn outputs(
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
    fn evaluate(
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

/// Sums of the last layer to outputs of the model.
fn finish(isa: Isa, network: &Network, sums: &mut Activations, rows: usize) {
    let stride = sums.stride;
    let values = &mut sums.values[..rows * stride];
    match network.head {
        Head::SquaredError(activation) => activation.forward(isa, values),
        _ => loss::softmax(isa, values, stride, network.classes(), rows),
    }
}

/// Memory for the forward pass of one example at a time.
#[derive(Debug)]
pub(crate) struct ForwardOne {
    one: One,
    /// The layers after the first.
    forward: Forward,
}

impl ForwardOne {
    /// For examples like these.
    pub(crate) fn new(network: &Network, examples: &Examples<'_>) -> Self {
        let (form, order) = (gather::form(examples), gather::feature_order(examples));
        let one = One::new(&mut Arena::default(), form, order);
        Self { one, forward: Forward::new(network, examples, 1) }
    }

    /// Outputs for one example, `[classes]`.
    pub(crate) fn run(&mut self, network: &Network, weights: &Weights, row: Row<'_>) -> &[f32] {
        let Self { one, forward } = self;
        let isa = forward.isa;
        one.fill(
            isa,
            match row {
                Row::Bytes(bytes) => Data::Bytes(bytes),
                Row::Floats(floats) => Data::Floats(floats),
            },
        );
        for (cols, matrix, biases) in &weights.first {
            let bias = &biases.values[..cols.len()];
            let out = &mut forward.outputs[0].values[cols.clone()];
            let activation = network.activation(0);
            first_layer::forward_one(isa, one, matrix.view(), bias, activation, out);
        }
        let sums = forward.later(network, weights, 1);
        finish(isa, network, sums, 1);
        &sums.values[..network.classes()]
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

/// The forward pass of many examples, on the threads of the current rayon pool. Each has its own memory,
/// which it makes when it first has something to do.
#[derive(Debug)]
pub(crate) struct Team {
    network: Network,
    weights: Weights,
    members: Vec<Mutex<Option<Forward>>>,
}

impl Team {
    pub(crate) fn new(network: &Network, weights: Weights) -> Self {
        Self { network: network.clone(), weights, members: Vec::new() }
    }

    /// Calls `work` with each chunk of `examples` and what belongs to it of `targets`. Whoever is
    /// free takes the next.
    fn chunks<T: Send>(
        &mut self,
        examples: Examples<'_>,
        targets: impl Iterator<Item = T> + Send,
        work: impl Fn(&mut Forward, &Network, &Weights, Examples<'_>, T) + Sync,
    ) {
        let threads = rayon::current_num_threads();
        self.members.resize_with(self.members.len().max(threads), || Mutex::new(None));
        let Self { network, weights, members } = &*self;
        let chunks = Mutex::new((0..examples.len()).step_by(CHUNK).zip(targets));
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
        rayon::broadcast(|context| {
            let member = members[context.index()].lock();
            let mut member = member.unwrap_or_else(PoisonError::into_inner);
            while let Some((start, target)) = next() {
                let forward = member.get_or_insert_with(|| Forward::new(network, &examples, CHUNK));
                let end = (start + CHUNK).min(examples.len());
                work(forward, network, weights, examples.slice(start..end), target);
            }
        });
    }

    /// Loss and accuracy. The sum runs over chunks in order, so the number of threads does not change
    /// it.
    fn evaluate(&mut self, examples: Examples<'_>) -> Evaluation {
        let mut sums = vec![(0.0, 0); examples.len().div_ceil(CHUNK)];
        let mut rest = sums.iter_mut();
        in_pieces(examples, |piece| {
            self.chunks(piece, rest.by_ref(), |forward, network, weights, chunk, sum| {
                *sum = forward.evaluate(network, weights, &chunk);
            });
        });
        let loss: f64 = sums.iter().map(|sum| sum.0).sum();
        let correct: usize = sums.iter().map(|sum| sum.1).sum();
        let len = examples.len().max(1) as f64;
        Evaluation { loss: loss / len, accuracy: correct as f64 / len }
    }

    /// Outputs `[len, classes]`.
    pub(crate) fn predict(&mut self, examples: Examples<'_>, outputs: &mut [f32]) {
        let classes = self.network.classes();
        let targets = outputs.chunks_mut(CHUNK * classes);
        self.chunks(examples, targets, |forward, network, weights, chunk, out| {
            let Activations { values, stride, .. } = forward.outputs(network, weights, &chunk);
            for (out, row) in out.chunks_mut(classes).zip(values.chunks(*stride)) {
                out.copy_from_slice(&row[..classes]);
            }
        });
    }
}

/// Loss and accuracy, on the current rayon pool.
pub(crate) fn evaluate(
    network: &Network,
    parameters: &Parameters,
    examples: Examples<'_>,
) -> Evaluation {
    Team::new(network, Weights::new(parameters, &examples)).evaluate(examples)
}

/// Outputs `[len, classes]`, on the current rayon pool.
pub(crate) fn predict(
    network: &Network,
    parameters: &Parameters,
    examples: Examples<'_>,
) -> Vec<f32> {
    let mut outputs = vec![0.0; examples.len() * network.classes()];
    let weights = Weights::new(parameters, &examples);
    Team::new(network, weights).predict(examples, &mut outputs);
    outputs
}

/// Hands `examples` to `each` in stretches of whole chunks that are in memory one after the other: a
/// file may be larger than memory.
fn in_pieces<'a>(examples: Examples<'a>, mut each: impl FnMut(Examples<'a>)) {
    const PIECE: usize = 64 << 20;
    let bytes = examples.feature_bytes().len();
    if bytes <= PIECE {
        return each(examples);
    }
    let chunk = CHUNK * (bytes / examples.len());
    let len = CHUNK * (PIECE / chunk).max(1);
    for start in (0..examples.len()).step_by(len) {
        let end = (start + len).min(examples.len());
        let piece = examples.slice(start..end);
        piece.will_need();
        each(piece);
        // With all before it: reading one piece may have brought in the end of another.
        examples.slice(0..end).release();
    }
}
