//! One thread's part of a step: what it works on, and its first phase, between two barriers.

use std::ops::Range;
use std::sync::RwLock;

use kernels::gemm::{Epilogue, Products, Start, share};
use kernels::{Aligned, Isa, Targets, Update, first_layer, loss};

use super::block::{Block, QUANTUM, stride};
use super::gather::Gather;
use super::network::{Head, Network};
use super::profile::{Phase, Stopwatch};
use super::shares::{Activations, Columns, Rows, read, write};

/// What the threads of a team share. Each value has one writer at a time; see `read`.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Output of the first layer, one block of columns a thread: `[batch, its columns]`.
    pub(crate) first_outputs: Vec<RwLock<Activations>>,
    /// Later layers' weights, `[layer - 1][thread]`.
    pub(crate) rows: Vec<Vec<RwLock<Rows>>>,
    /// Later layers' biases, `[layer - 1]`; one thread each writes them.
    pub(crate) biases: Vec<RwLock<Block>>,
    /// The batch, cut by examples: one block a thread.
    pub(crate) examples: Vec<RwLock<Examples>>,
}

/// A thread's examples of the batch, from the second layer on.
#[derive(Debug)]
pub(crate) struct Examples {
    /// Outputs of layer l, `[l - 1]`, for the hidden layers from the second on.
    pub(crate) outputs: Vec<Activations>,
    /// Gradients with respect to layer l's sums, `[l]`; the first is used where there is but one
    /// layer.
    pub(crate) gradients: Vec<Activations>,
    /// The last layer's outputs where the head needs them beside their gradient.
    pub(crate) head_outputs: Activations,
    pub(crate) losses: Vec<f32>,
    pub(crate) correct: usize,
}

/// What a thread has to itself.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) index: usize,
    pub(crate) isa: Isa,
    pub(crate) columns: Columns,
    pub(crate) gather: Gather,
    /// Room for gradients of a later layer's weights, and of biases.
    pub(crate) gradient: Aligned,
    /// Gradient with respect to the first layer's sums in a block of columns, `[batch, columns]`.
    pub(crate) block_gradient: Aligned,
    /// Room for the first layer's sums.
    pub(crate) sums: Aligned,
    pub(crate) products: Products,
    pub(crate) watch: Stopwatch,
}

impl Own {
    /// The batch read last becomes the one at hand.
    pub(crate) fn turn(&mut self) {
        self.gather.turn();
        self.watch.profile.add_lists(&self.gather.current.panels);
    }
}

/// One step as every thread sees it.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) network: &'a Network,
    pub(crate) shared: &'a Shared,
    /// All examples trained on.
    pub(crate) data: dataset::Examples<'a>,
    pub(crate) rule: Update,
    /// Examples in this batch.
    pub(crate) len: usize,
    /// The number of the step: every other goes through the blocks of columns backwards, and finds
    /// the last ones of the step before still near.
    pub(crate) number: usize,
}

impl Step<'_> {
    pub(super) fn threads(&self) -> usize {
        self.shared.examples.len()
    }

    /// The examples that belong to thread `index` from the second layer on.
    pub(crate) fn examples(&self, index: usize) -> Range<usize> {
        share(self.len, 1, index, self.threads())
    }

    /// The numbers of own blocks of columns, in the order of this step.
    pub(super) fn blocks(&self, own: &Own) -> impl Iterator<Item = usize> + use<> {
        let (count, backwards) = (own.columns.blocks.len(), self.number % 2 == 1);
        (0..count).map(move |i| if backwards { count - 1 - i } else { i })
    }

    /// The first layer before the first step, when there is no update to do it after.
    pub(crate) fn first_forward(&self, own: &mut Own) {
        for block in self.blocks(own) {
            self.forward_block(own, block);
        }
    }

    /// The first layer's outputs in a block of own columns, for all examples of the batch that is
    /// coming.
    pub(super) fn forward_block(&self, own: &mut Own, block: usize) {
        let mut out = write(&self.shared.first_outputs[own.index]);
        let block = &own.columns.blocks[block];
        first_layer::forward(
            own.isa,
            &own.gather.next.panels,
            block.weights.view(),
            block.biases.row(0),
            self.network.activation(0),
            &mut own.sums,
            out.view_mut(self.len).col_range(block.range.clone()),
        );
        own.watch.lap(Phase::Forward);
    }

    /// First phase: own examples, through all later layers, the loss, and back.
    pub(crate) fn own_examples(&self, own: &mut Own) {
        let rows = self.examples(own.index);
        let mut mine = write(&self.shared.examples[own.index]);
        let mine = &mut *mine;
        mine.losses.clear();
        mine.losses.resize(rows.len(), 0.0);
        mine.correct = 0;
        if rows.is_empty() {
            return;
        }
        self.forward(own, mine, rows.clone());
        own.watch.lap(Phase::Forward);
        self.head(own.isa, mine, &own.gather.current.labels[rows.clone()]);
        own.watch.lap(Phase::Loss);
        for l in (2..self.network.depth()).rev() {
            let (below, above) = mine.gradients.split_at_mut(l);
            let (outputs, activation) = (&mine.outputs[l - 2], self.network.activation(l - 1));
            for share in &self.shared.rows[l - 1] {
                let share = read(share);
                if share.range.is_empty() {
                    continue;
                }
                let target = below[l - 1].view_mut(rows.len()).col_range(share.range.clone());
                let outputs = outputs.view(rows.len()).col_range(share.range.clone());
                let epilogue = Epilogue::ActivationGradient(outputs, activation);
                let gradient = above[0].view(rows.len());
                own.products.run(gradient, share.transposed.view(), target, Start::Zero, epilogue);
            }
        }
        own.watch.lap(Phase::Backward);
    }

    /// Layers from the second to the last; the last one's sums land in its gradient's place.
    fn forward(&self, own: &mut Own, mine: &mut Examples, rows: Range<usize>) {
        let depth = self.network.depth();
        if depth == 1 {
            for (block, cols) in self.first_blocks() {
                let block = read(block);
                let target = &mut mine.gradients[0];
                for (r, row) in rows.clone().enumerate() {
                    let from = &block.values[row * block.stride..][..cols.len()];
                    target.values[r * target.stride..][cols.clone()].copy_from_slice(from);
                }
            }
            return;
        }
        for l in 1..depth {
            let biases = read(&self.shared.biases[l - 1]);
            let epilogue = Epilogue::BiasActivation(biases.row(0), self.network.activation(l));
            let (before, after) = mine.outputs.split_at_mut(l - 1);
            let target = if l + 1 == depth { &mut mine.gradients[l] } else { &mut after[0] };
            let shares = &self.shared.rows[l - 1];
            let last = shares.iter().rposition(|share| !read(share).range.is_empty());
            let mut start = Start::Zero;
            for (t, share) in shares.iter().enumerate() {
                let share = read(share);
                if share.range.is_empty() {
                    continue;
                }
                // The sum over inputs runs through the owners' blocks in order.
                let epilogue = if Some(t) == last { epilogue } else { Epilogue::Store };
                let c = target.view_mut(rows.len());
                if l == 1 {
                    let block = read(&self.shared.first_outputs[t]);
                    let inputs = block.view(rows.end).row_range(rows.clone());
                    own.products.run(inputs, &share.weights, c, start, epilogue);
                } else {
                    let inputs = before[l - 2].view(rows.len()).col_range(share.range.clone());
                    own.products.run(inputs, &share.weights, c, start, epilogue);
                }
                start = Start::FromC;
            }
        }
    }

    /// Loss, and its gradient with respect to the last layer's sums, in place.
    fn head(&self, isa: Isa, mine: &mut Examples, labels: &[u16]) {
        let rows = labels.len();
        let classes = self.network.classes();
        let width = stride(classes);
        let targets = Targets::U16(labels);
        let scale = 1.0 / self.len as f32;
        let last = mine.gradients.len() - 1;
        let sums = &mut mine.gradients[last].values[..rows * width];
        let losses = &mut mine.losses;
        let outputs = &mut mine.head_outputs.values;
        match self.network.head {
            Head::SoftmaxCrossEntropy => {
                mine.correct = loss::softmax_cross_entropy(
                    isa, sums, width, classes, targets, scale, losses, None,
                );
            }
            Head::SquaredError(activation) => {
                activation.forward(isa, sums);
                let outputs = &mut outputs[..sums.len()];
                outputs.copy_from_slice(sums);
                mine.correct =
                    loss::mean_squared_error(isa, sums, width, classes, targets, scale, losses);
                activation.backward(isa, outputs, sums);
            }
            Head::SquaredErrorOfSoftmax => {
                loss::softmax(isa, sums, width, classes, rows);
                let outputs = &mut outputs[..sums.len()];
                outputs.copy_from_slice(sums);
                mine.correct =
                    loss::mean_squared_error(isa, sums, width, classes, targets, scale, losses);
                // The Jacobian of softmax: dz_j = p_j (g_j - sum_k g_k p_k).
                for (g, p) in sums.chunks_exact_mut(width).zip(outputs.chunks_exact(width)) {
                    let inner: f32 = g.iter().zip(p).map(|(g, p)| g * p).sum();
                    g.iter_mut().zip(p).for_each(|(g, p)| *g = p * (*g - inner));
                }
            }
        }
    }

    fn first_blocks(&self) -> impl Iterator<Item = (&RwLock<Activations>, Range<usize>)> {
        let (units, threads) = (self.network.widths[1], self.threads());
        self.shared
            .first_outputs
            .iter()
            .enumerate()
            .map(move |(t, block)| (block, share(units, QUANTUM, t, threads)))
    }
}
