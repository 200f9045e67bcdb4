//! One thread's part of a step: its phases between two barriers.

use std::ops::Range;
use std::sync::RwLock;

use kernels::gemm::{Epilogue, Products, Start, share};
use kernels::panels::Ahead;
use kernels::{Aligned, Isa, MatMut, MatRef, Targets, Update, first_layer, loss};

use super::gather::{self, Gather};
use super::network::{Head, Network};
use super::profile::{Phase, Stopwatch};
use super::shares::{Activations, Biases, Columns, Rows, read, stride, write};

/// Units of a later layer whose weight gradient is computed, and applied, at a time: few enough for
/// the gradient to stay in the first-level cache.
pub(crate) const GRADIENT_UNITS: usize = 32;

/// What the threads of a team share. Each value has one writer at a time; see `read`.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Output of the first layer, one block of columns a thread: `[batch, its columns]`.
    pub(crate) first_outputs: Vec<RwLock<Activations>>,
    /// Later layers' weights, `[layer - 1][thread]`.
    pub(crate) rows: Vec<Vec<RwLock<Rows>>>,
    /// Later layers' biases, `[layer - 1]`.
    pub(crate) biases: Vec<RwLock<Biases>>,
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
    fn threads(&self) -> usize {
        self.shared.examples.len()
    }

    /// The examples that belong to thread `index` from the second layer on.
    pub(crate) fn examples(&self, index: usize) -> Range<usize> {
        share(self.len, 1, index, self.threads())
    }

    /// The numbers of own blocks of columns, in the order of this step.
    fn blocks(&self, own: &Own) -> impl Iterator<Item = usize> + use<> {
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
    fn forward_block(&self, own: &mut Own, block: usize) {
        let mut out = write(&self.shared.first_outputs[own.index]);
        let block = &own.columns.blocks[block];
        first_layer::forward(
            own.isa,
            &own.gather.next.panels,
            block.weights.view(),
            &block.biases.values[..block.range.len()],
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
            let epilogue = Epilogue::BiasActivation(biases.values(), self.network.activation(l));
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
                    own.products.run(inputs, share.weights(), c, start, epilogue);
                } else {
                    let inputs = before[l - 2].view(rows.len()).col_range(share.range.clone());
                    own.products.run(inputs, share.weights(), c, start, epilogue);
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

    /// Second phase: the gradient and update of own parameters; each block of the first layer's goes
    /// on to the outputs of the `next` batch while it is near. Nothing that others still read is
    /// written: no barrier is needed in between.
    pub(crate) fn update(&self, own: &mut Own, next: Option<&Step<'_>>) {
        for l in 1..self.network.depth() {
            if l > 1 {
                let rows = read(&self.shared.rows[l - 1][own.index]).range.len();
                self.update_rows(own, l, 0..rows);
            }
            if l % self.threads() == own.index {
                self.update_biases(own, l);
            }
        }
        own.watch.lap(Phase::Update);
        let blocks = self.blocks(own);
        // The batch after the next sets out from memory during the last block; its rows are read when
        // the step is over. Earlier, they would be gone from the second-level cache until then.
        let rows = std::mem::take(&mut own.gather.announced);
        let mut ahead = gather::ahead(&self.data, &rows, own.columns.touched.len());
        let mut left = own.columns.blocks.len();
        for block in blocks {
            left -= 1;
            self.first_gradient(own, block);
            own.watch.lap(Phase::Backward);
            if self.network.depth() > 1 {
                self.update_rows(own, 1, own.columns.blocks[block].range.clone());
            }
            let ahead = if left == 0 { &mut ahead } else { &mut Ahead::nothing() };
            self.update_block(own, block, ahead);
            own.watch.lap(Phase::Update);
            if let Some(next) = next {
                next.forward_block(own, block);
            }
        }
        own.gather.announced = rows;
        for rows in &self.shared.rows {
            write(&rows[own.index]).refresh_weights(own.isa);
        }
        own.watch.lap(Phase::Update);
    }

    /// Gradient with respect to the first layer's sums in a block of own columns, for all examples.
    fn first_gradient(&self, own: &mut Own, block: usize) {
        let activation = self.network.activation(0);
        let outputs = read(&self.shared.first_outputs[own.index]);
        let cols = own.columns.blocks[block].range.clone();
        let width = stride(cols.len());
        for t in 0..self.threads() {
            let rows = self.examples(t);
            if rows.is_empty() {
                continue;
            }
            let theirs = read(&self.shared.examples[t]);
            let target = &mut own.block_gradient[rows.start * width..rows.end * width];
            if self.network.depth() == 1 {
                let (source, first) = (&theirs.gradients[0], own.columns.range.start);
                for (r, row) in target.chunks_exact_mut(width).enumerate() {
                    let from = &source.values[r * source.stride + first..][cols.clone()];
                    row[..cols.len()].copy_from_slice(from);
                }
                continue;
            }
            let second = read(&self.shared.rows[0][own.index]);
            let outputs = outputs.view(self.len).row_range(rows.clone()).col_range(cols.clone());
            own.products.run(
                theirs.gradients[1].view(rows.len()),
                second.transposed.view().col_range(cols.clone()),
                MatMut::with_stride(target, rows.len(), cols.len(), width),
                Start::Zero,
                Epilogue::ActivationGradient(outputs, activation),
            );
        }
    }

    fn update_block(&self, own: &mut Own, block: usize, ahead: &mut Ahead<'_>) {
        let block = &mut own.columns.blocks[block];
        let (cols, width) = (block.range.len(), block.weights.stride);
        let gradient = MatRef::with_strides(&own.block_gradient, self.len, cols, width, 1);
        let sums = &mut own.gradient[..block.biases.stride];
        add_rows(&mut own.products, gradient, Start::Zero, sums);
        block.biases.apply(own.isa, &self.rule, 0, 0..sums.len(), sums);
        let [values, first, second] = block.weights.views_mut();
        let touched = &mut own.columns.touched;
        let weights = first_layer::Weights { values, first, second, touched, sums: &mut own.sums };
        first_layer::update(
            own.isa,
            &own.gather.current.panels,
            gradient,
            &self.rule,
            weights,
            ahead,
        );
    }

    /// Some of the own rows of layer `l`'s weights, for some units at a time.
    fn update_rows(&self, own: &mut Own, l: usize, rows: Range<usize>) {
        let mut share = write(&self.shared.rows[l - 1][own.index]);
        let (share, width) = (&mut *share, stride(rows.len()));
        if rows.is_empty() {
            return;
        }
        let mut unit = 0;
        while unit < share.transposed.rows {
            let units = unit..share.transposed.rows.min(unit + GRADIENT_UNITS);
            let gradient = &mut own.gradient[..units.len() * width];
            let mut start = Start::Zero;
            for t in 0..self.threads() {
                let examples = self.examples(t);
                if examples.is_empty() {
                    continue;
                }
                let theirs = read(&self.shared.examples[t]);
                let above = theirs.gradients[l].view(examples.len()).col_range(units.clone()).t();
                let c = MatMut::with_stride(gradient, units.len(), rows.len(), width);
                if l == 1 {
                    let inputs = read(&self.shared.first_outputs[own.index]);
                    let inputs = inputs.view(self.len).row_range(examples).col_range(rows.clone());
                    own.products.run(above, inputs, c, start, Epilogue::Store);
                } else {
                    let inputs = theirs.outputs[l - 2].view(examples.len());
                    let first = share.range.start;
                    let inputs = inputs.col_range(first + rows.start..first + rows.end);
                    own.products.run(above, inputs, c, start, Epilogue::Store);
                }
                start = Start::FromC;
            }
            share.transposed.apply(own.isa, &self.rule, unit, rows.clone(), gradient);
            unit = units.end;
        }
    }

    fn update_biases(&self, own: &mut Own, l: usize) {
        let mut biases = write(&self.shared.biases[l - 1]);
        let sums = &mut own.gradient[..biases.0.stride];
        let mut start = Start::Zero;
        for t in 0..self.threads() {
            let examples = self.examples(t);
            if examples.is_empty() {
                continue;
            }
            let theirs = read(&self.shared.examples[t]);
            let gradient = theirs.gradients[l].view(examples.len());
            add_rows(&mut own.products, gradient, start, sums);
            start = Start::FromC;
        }
        biases.0.apply(own.isa, &self.rule, 0, 0..sums.len(), sums);
    }

    fn first_blocks(&self) -> impl Iterator<Item = (&RwLock<Activations>, Range<usize>)> {
        let (units, threads) = (self.network.widths[1], self.threads());
        self.shared
            .first_outputs
            .iter()
            .enumerate()
            .map(move |(t, block)| (block, share(units, super::shares::QUANTUM, t, threads)))
    }
}

/// Sums the rows of a matrix, in order: the product of a row of ones with it.
fn add_rows(products: &mut Products, matrix: MatRef<'_>, start: Start, sums: &mut [f32]) {
    let ones = MatRef::with_strides(&[1.0], 1, matrix.rows(), 0, 0);
    let sums = MatMut::new(&mut sums[..matrix.cols()], 1, matrix.cols());
    products.run(ones, matrix, sums, start, Epilogue::Store);
}
