//! The forward pass alone: evaluation and prediction.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use dataset::{Examples, FeaturesView, LabelsView};
use kernels::first_layer::STRIP;
use kernels::gemm::{Epilogue, Products, Start, share};
use kernels::panels::{Alike, Batch, PANEL, Panels};
use kernels::{Arena, Isa, MatRef, Targets, first_layer, loss};

use super::gather::{self, push};
use super::network::{Head, Network};
use super::shares::{Activations, Block, QUANTUM};
use crate::optimizer::State;
use crate::parameters::DenseLayout;
use crate::{Evaluation, Parameters};

/// Examples a thread computes at a time: their activations stay in the second-level cache.
const CHUNK: usize = 128;

/// Parameters as the kernels like them: rows on whole cache lines.
#[derive(Debug)]
pub(crate) struct Weights {
    /// The first layer's, in blocks of columns.
    first: Vec<(Range<usize>, Block, Block)>,
    later: Vec<(Block, Block)>,
}

impl Weights {
    /// For many examples at a time: blocks of columns that lie in the order in which they are read.
    pub(crate) fn new(parameters: &Parameters) -> Self {
        Self::in_blocks(parameters, STRIP)
    }

    /// For one example at a time, which reads each row once and as wide as it is.
    pub(crate) fn whole(parameters: &Parameters) -> Self {
        Self::in_blocks(parameters, usize::MAX)
    }

    fn in_blocks(parameters: &Parameters, widest: usize) -> Self {
        let none = State::default();
        let mut arena = Arena::for_bytes(size_of_val(parameters.values()));
        let mut load = |layer: &DenseLayout, cols: Range<usize>| {
            let mut block = |at, rows| {
                Block::load(&mut arena, parameters, &none, at, layer.units, rows, cols.clone())
            };
            (block(layer.weights.start, 0..layer.inputs), block(layer.biases.start, 0..1))
        };
        let (first, later) = parameters.layers().split_first().expect("a network has layers");
        let count = first.units.div_ceil(widest);
        let blocks = (0..count).map(|i| {
            let cols = share(first.units, QUANTUM, i, count);
            let (weights, biases) = load(first, cols.clone());
            (cols, weights, biases)
        });
        Self {
            first: blocks.collect(),
            later: later.iter().map(|layer| load(layer, 0..layer.units)).collect(),
        }
    }
}

/// Rows that are copied at a time: they are in the first-level cache when they are listed.
const SOME: usize = 16;

/// One thread's memory for the forward pass of up to `capacity` examples.
#[derive(Debug)]
pub(crate) struct Forward {
    isa: Isa,
    batch: Batch,
    panels: Panels,
    alike: Alike,
    /// Which example each row of the panels is, where they are not in their order.
    order: Vec<u32>,
    /// Outputs of each layer.
    outputs: Vec<Activations>,
    products: Products,
    /// Outputs of the last layer in the order of the examples.
    in_order: Vec<f32>,
    losses: Vec<f32>,
}

impl Forward {
    /// For up to `capacity` examples like these.
    pub(crate) fn new(network: &Network, examples: &Examples<'_>, capacity: usize) -> Self {
        let isa = Isa::best();
        let arena = &mut Arena::default();
        let rows = capacity.next_multiple_of(PANEL);
        let (form, width) = (gather::form(examples), examples.width());
        Self {
            isa,
            batch: Batch::with_capacity(arena, form, capacity.min(SOME), width),
            panels: Panels::with_capacity(arena, form, rows, width),
            alike: Alike::with_capacity(capacity),
            order: Vec::with_capacity(capacity),
            outputs: network.widths[1..]
                .iter()
                .map(|w| Activations::new(arena, rows, *w))
                .collect(),
            products: Products::new(isa),
            in_order: Vec::new(),
            losses: vec![0.0; capacity],
        }
    }

    /// Reads the examples and lists what is not zero in them. Rows of bytes come in an order in
    /// which those of a panel have their zeros in the same places; no result depends on it.
    fn load(&mut self, examples: Examples<'_>) {
        let width = examples.width();
        self.panels.begin_examples(width);
        self.order.clear();
        if let FeaturesView::U8(pixels) = examples.features()
            && width.is_multiple_of(16)
            && width > 0
        {
            let rows = pixels.chunks_exact(width);
            self.order.extend_from_slice(self.alike.order_of(self.isa, rows));
            self.panels.add_rows(self.isa, pixels, &self.order);
            return;
        }
        for start in (0..examples.len()).step_by(SOME) {
            self.batch.clear();
            for i in start..(start + SOME).min(examples.len()) {
                push(&mut self.batch, &examples, i * width..(i + 1) * width);
            }
            self.panels.add_examples(self.isa, &self.batch);
        }
    }

    /// The last layer's sums for the batch, in the order of the panels: `[rows, classes]`.
    fn sums(&mut self, network: &Network, weights: &Weights) -> &mut Activations {
        let rows = self.panels.rows();
        for (cols, matrix, biases) in &weights.first {
            let biases = &biases.values[..cols.len()];
            let out =
                self.outputs[0].view_mut(rows.next_multiple_of(PANEL)).col_range(cols.clone());
            let activation = network.activation(0);
            first_layer::forward_by_examples(
                self.isa,
                &self.panels,
                matrix.view(),
                biases,
                activation,
                out,
            );
        }
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

    /// The model's outputs for the batch that was loaded, in the order of the panels: `[rows,
    /// classes]`, padded rows.
    fn outputs(&mut self, network: &Network, weights: &Weights) -> &Activations {
        let (isa, rows) = (self.isa, self.panels.rows());
        let sums = self.sums(network, weights);
        let stride = sums.stride;
        let values = &mut sums.values[..rows * stride];
        match network.head {
            Head::SquaredError(activation) => activation.forward(isa, values),
            _ => loss::softmax(isa, values, stride, network.classes(), rows),
        }
        sums
    }

    /// Sum of losses, in order, and correct predictions.
    fn evaluate(
        &mut self,
        network: &Network,
        weights: &Weights,
        examples: Examples<'_>,
    ) -> (f64, usize) {
        self.load(examples);
        let (isa, rows, classes) = (self.isa, examples.len(), network.classes());
        let mut losses = std::mem::take(&mut self.losses);
        let targets = match examples.labels() {
            LabelsView::U8(labels) => Targets::U8(labels),
            LabelsView::U16(labels) => Targets::U16(labels),
        };
        let here = &mut losses[..rows];
        let correct = if network.head == Head::SoftmaxCrossEntropy {
            let stride = self.sums(network, weights).stride;
            let sums = self.in_order(rows);
            loss::softmax_cross_entropy_loss(isa, sums, stride, classes, targets, here)
        } else {
            let stride = self.outputs(network, weights).stride;
            let outputs = self.in_order(rows);
            loss::mean_squared_error_loss(isa, outputs, stride, classes, targets, here)
        };
        let sum = here.iter().map(|loss| f64::from(*loss)).sum();
        self.losses = losses;
        (sum, correct)
    }

    /// The last layer's rows in the order of the examples.
    fn in_order(&mut self, rows: usize) -> &[f32] {
        let Some(Activations { values, stride, .. }) = self.outputs.last() else {
            unreachable!("a network has layers")
        };
        let values = &values[..rows * stride];
        if self.order.is_empty() {
            return values;
        }
        self.in_order.resize(values.len(), 0.0);
        for (row, place) in values.chunks_exact(*stride).zip(&self.order) {
            self.in_order[*place as usize * stride..][..*stride].copy_from_slice(row);
        }
        &self.in_order
    }

    /// Outputs for one example, `[classes]`.
    pub(crate) fn one(&mut self, network: &Network, weights: &Weights, row: Row<'_>) -> &[f32] {
        self.batch.clear();
        match row {
            Row::Bytes(bytes) => self.batch.push_bytes(bytes),
            Row::Floats(floats) => self.batch.push_floats(floats),
        }
        self.order.clear();
        self.panels.fill_examples(self.isa, &self.batch);
        let classes = network.classes();
        &self.outputs(network, weights).values[..classes]
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

/// The threads of the current rayon pool, each with its own memory, which it makes when it first has
/// something to do.
struct Team<'a> {
    network: &'a Network,
    members: Vec<Mutex<Option<Forward>>>,
}

impl<'a> Team<'a> {
    fn new(network: &'a Network) -> Self {
        let members = (0..rayon::current_num_threads()).map(|_| Mutex::new(None)).collect();
        Self { network, members }
    }

    /// Calls `work` with each chunk of `examples` and what belongs to it of `targets`. Whoever is
    /// free takes the next.
    fn chunks<T: Send>(
        &self,
        examples: Examples<'_>,
        targets: impl Iterator<Item = T> + Send,
        work: impl Fn(&mut Forward, Examples<'_>, T) + Sync,
    ) {
        let chunks = Mutex::new((0..examples.len()).step_by(CHUNK).zip(targets));
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
        rayon::broadcast(|context| {
            let member = self.members[context.index()].lock();
            let mut member = member.unwrap_or_else(PoisonError::into_inner);
            while let Some((start, target)) = next() {
                let forward =
                    member.get_or_insert_with(|| Forward::new(self.network, &examples, CHUNK));
                let end = (start + CHUNK).min(examples.len());
                work(forward, examples.slice(start..end), target);
            }
        });
    }
}

/// Loss and accuracy, on the current rayon pool. The sum runs over chunks in order, so the number
/// of threads does not change it.
pub(crate) fn evaluate(
    network: &Network,
    parameters: &Parameters,
    examples: Examples<'_>,
) -> Evaluation {
    let (weights, team) = (Weights::new(parameters), Team::new(network));
    let mut sums = vec![(0.0, 0); examples.len().div_ceil(CHUNK)];
    let mut rest = sums.iter_mut();
    in_pieces(examples, |piece| {
        team.chunks(piece, rest.by_ref(), |forward, chunk, sum: &mut (f64, usize)| {
            *sum = forward.evaluate(network, &weights, chunk);
        });
    });
    let loss: f64 = sums.iter().map(|sum| sum.0).sum();
    let correct: usize = sums.iter().map(|sum| sum.1).sum();
    let len = examples.len().max(1) as f64;
    Evaluation { loss: loss / len, accuracy: correct as f64 / len }
}

/// Outputs `[len, classes]`, on the current rayon pool.
pub(crate) fn predict(
    network: &Network,
    parameters: &Parameters,
    examples: Examples<'_>,
) -> Vec<f32> {
    let weights = Weights::new(parameters);
    let classes = network.classes();
    let mut all = vec![0.0; examples.len() * classes];
    let targets = all.chunks_mut(CHUNK * classes);
    Team::new(network).chunks(examples, targets, |forward, chunk, out: &mut [f32]| {
        forward.load(chunk);
        forward.outputs(network, &weights);
        let stride = forward.outputs[forward.outputs.len() - 1].stride;
        let outputs = forward.in_order(chunk.len());
        for (out, row) in out.chunks_mut(classes).zip(outputs.chunks(stride)) {
            out.copy_from_slice(&row[..classes]);
        }
    });
    all
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
