//! One thread's second phase of a step: gradients and updates, with the first layer's outputs for the
//! next batch.

use std::ops::Range;
use std::sync::RwLockReadGuard;

use kernels::gemm::{Epilogue, Products, Start};
use kernels::narrow::{self, Gradients, Narrow};
use kernels::panels::Ahead;
use kernels::{Isa, MatMut, MatRef, first_layer};

use super::block::stride;
use super::gather;
use super::profile::Phase;
use super::shares::{read, write};
use super::step::{Examples, Own, Step};

/// Units of a later layer whose weight gradient is computed, and applied, at a time: few enough for
/// the gradient to stay in the first-level cache.
const GRADIENT_UNITS: usize = 32;

/// Rows of gradients, as long as the widest layer, that a thread needs room for: of a later layer's
/// weights, or of all of a narrow one's with the biases below.
pub(crate) fn gradient_rows(isa: Isa) -> usize {
    GRADIENT_UNITS.max(narrow::widest(isa) + 1)
}

impl Step<'_> {
    /// The batch by the threads that have some of it: which examples, and what came of them.
    fn parts(&self) -> impl Iterator<Item = (Range<usize>, RwLockReadGuard<'_, Examples>)> {
        let parts = self.shared.examples.iter().enumerate();
        parts
            .map(|(t, theirs)| (self.examples(t), theirs))
            .filter(|(examples, _)| !examples.is_empty())
            .map(|(examples, theirs)| (examples, read(theirs)))
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
        let (blocks, narrow) = (self.blocks(own), self.network.second_is_narrow(own.isa));
        // The batch after the next sets out from memory during the last block; its rows are read when
        // the step is over. Earlier, they would be gone from the second-level cache until then.
        let rows = std::mem::take(&mut own.gather.announced);
        let mut ahead = gather::ahead(&self.data, &rows, own.columns.touched.len());
        let mut left = own.columns.blocks.len();
        for block in blocks {
            left -= 1;
            if narrow {
                self.through_narrow(own, block);
            } else {
                self.through_products(own, block);
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
            write(&rows[own.index]).refresh_weights();
        }
        own.watch.lap(Phase::Update);
    }

    /// From the sums of a narrow second layer down to the first's in a block of own columns, for all
    /// examples; with the update of the second layer's own rows and the first's biases.
    fn through_narrow(&self, own: &mut Own, block: usize) {
        let activation = self.network.activation(0);
        let outputs = read(&self.shared.first_outputs[own.index]);
        let mut second = write(&self.shared.rows[0][own.index]);
        let cols = own.columns.blocks[block].range.clone();
        let (width, units) = (stride(cols.len()), second.transposed.rows);
        let (of_weights, of_biases) = own.gradient.split_at_mut(units * width);
        let of_biases = &mut of_biases[..width];
        let mut start = Start::Zero;
        for (examples, theirs) in self.parts() {
            let len = examples.len();
            let below = &mut own.block_gradient[examples.start * width..examples.end * width];
            let layer = Narrow {
                above: theirs.gradients[1].view(len),
                weights: second.transposed.view().col_range(cols.clone()),
                outputs: outputs.view(self.len).row_range(examples).col_range(cols.clone()),
                activation,
            };
            let gradients = Gradients {
                below: MatMut::with_stride(below, len, cols.len(), width),
                weights: MatMut::with_stride(of_weights, units, cols.len(), width),
                biases: &mut of_biases[..cols.len()],
            };
            narrow::backward(own.isa, layer, start, gradients);
            start = Start::FromC;
        }
        own.watch.lap(Phase::Backward);
        own.columns.blocks[block].biases.apply(own.isa, &self.rule, 0, 0..width, of_biases);
        second.transposed.apply(own.isa, &self.rule, 0, cols, of_weights);
    }

    /// The same as products, for a second layer of any width, or none.
    fn through_products(&self, own: &mut Own, block: usize) {
        self.first_gradient(own, block);
        own.watch.lap(Phase::Backward);
        if self.network.depth() > 1 {
            self.update_rows(own, 1, own.columns.blocks[block].range.clone());
        }
        let block = &mut own.columns.blocks[block];
        let (cols, width) = (block.range.len(), block.weights.stride);
        let gradient = MatRef::with_strides(&own.block_gradient, self.len, cols, width, 1);
        let sums = &mut own.gradient[..block.biases.stride];
        add_rows(&mut own.products, gradient, Start::Zero, sums);
        block.biases.apply(own.isa, &self.rule, 0, 0..sums.len(), sums);
    }

    /// Gradient with respect to the first layer's sums in a block of own columns, for all examples.
    fn first_gradient(&self, own: &mut Own, block: usize) {
        let activation = self.network.activation(0);
        let outputs = read(&self.shared.first_outputs[own.index]);
        let cols = own.columns.blocks[block].range.clone();
        let width = stride(cols.len());
        for (rows, theirs) in self.parts() {
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
            for (examples, theirs) in self.parts() {
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
        let sums = &mut own.gradient[..biases.stride];
        let mut start = Start::Zero;
        for (examples, theirs) in self.parts() {
            let gradient = theirs.gradients[l].view(examples.len());
            add_rows(&mut own.products, gradient, start, sums);
            start = Start::FromC;
        }
        biases.apply(own.isa, &self.rule, 0, 0..sums.len(), sums);
    }
}

/// Sums the rows of a matrix, in order: the product of a row of ones with it.
fn add_rows(products: &mut Products, matrix: MatRef<'_>, start: Start, sums: &mut [f32]) {
    let ones = MatRef::with_strides(&[1.0], 1, matrix.rows(), 0, 0);
    let sums = MatMut::new(&mut sums[..matrix.cols()], 1, matrix.cols());
    products.run(ones, matrix, sums, start, Epilogue::Store);
}
