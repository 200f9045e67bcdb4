//! A block of a parameter matrix with the optimizer's state beside it, and where it belongs.

use std::ops::Range;

use kernels::panels::FeatureOrder;
use kernels::{Aligned, Arena, Isa, MatMut, MatRef, Update};

use crate::Parameters;
use crate::optimizer::State;
use crate::parameters::DenseLayout;

/// Columns and rows are cut at multiples of this: a cache line of floats.
pub(crate) const QUANTUM: usize = 16;

/// Floats from one row of a matrix to the next: whole cache lines.
pub(crate) fn stride(width: usize) -> usize {
    width.next_multiple_of(QUANTUM)
}

/// Which of the parameters a block holds: where its rows and columns lie among all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The first parameter of the first row.
    at: usize,
    /// The rows, counted in `row_stride`, in the order in which the block has them.
    rows: FeatureOrder,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl Origin {
    /// Some columns of a layer's weights `[inputs, units]`, with the rows in this order.
    pub(crate) fn weights(layer: &DenseLayout, rows: FeatureOrder, cols: Range<usize>) -> Self {
        let at = layer.weights.start + cols.start;
        Self { at, rows, cols: cols.len(), row_stride: layer.units, col_stride: 1 }
    }

    /// The transpose of some rows of a layer's weights: `[units, rows]`.
    pub(crate) fn transposed(layer: &DenseLayout, rows: Range<usize>) -> Self {
        let (units, cols) = (layer.units, rows.len());
        let at = layer.weights.start + rows.start * units;
        let rows = FeatureOrder::as_given(units);
        Self { at, rows, cols, row_stride: 1, col_stride: units }
    }

    /// Some of a layer's biases: `[1, cols]`.
    pub(crate) fn biases(layer: &DenseLayout, cols: Range<usize>) -> Self {
        let at = layer.biases.start + cols.start;
        let rows = FeatureOrder::as_given(1);
        Self { at, rows, cols: cols.len(), row_stride: layer.units, col_stride: 1 }
    }

    /// Where in each row's parameters its elements lie.
    fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        let len = self.cols.saturating_sub(1) * self.col_stride + self.cols.min(1);
        let starts = self.rows.iter().map(move |row| self.at + row * self.row_stride);
        starts.map(move |start| start..start + len)
    }
}

/// A block of a matrix with the optimizer's state beside it, padded to whole cache lines. Nothing
/// that is read depends on the padding.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stride: usize,
    pub(crate) values: Aligned,
    /// State that the optimizer lacks is empty.
    first: Aligned,
    second: Aligned,
    origin: Origin,
}

impl Block {
    /// A copy of the parameters, with their state.
    pub(crate) fn load(
        arena: &mut Arena,
        parameters: &Parameters,
        state: &State,
        origin: Origin,
    ) -> Self {
        let (rows, cols, stride) = (origin.rows.features(), origin.cols, stride(origin.cols));
        let mut copy = |source: &[f32]| {
            if source.is_empty() {
                return Aligned::default();
            }
            let mut block = arena.zeros(rows * stride);
            for (row, from) in block.chunks_exact_mut(stride.max(1)).zip(origin.ranges()) {
                let from = source[from].iter().step_by(origin.col_stride);
                row.iter_mut().zip(from).for_each(|(x, from)| *x = *from);
            }
            block
        };
        let (values, first, second) =
            (copy(parameters.values()), copy(&state.first), copy(&state.second));
        Self { rows, cols, stride, values, first, second, origin }
    }

    /// Copies parameters and state back to where they came from.
    pub(crate) fn save(&self, parameters: &mut Parameters, state: &mut State) {
        let copy = |block: &[f32], target: &mut [f32]| {
            for (row, to) in block.chunks_exact(self.stride.max(1)).zip(self.origin.ranges()) {
                let to = target[to].iter_mut().step_by(self.origin.col_stride);
                to.zip(row).for_each(|(to, x)| *to = *x);
            }
        };
        copy(&self.values, parameters.values_mut());
        copy(&self.first, &mut state.first);
        copy(&self.second, &mut state.second);
    }

    /// A copy of some columns, without the state.
    pub(crate) fn columns(&self, arena: &mut Arena, cols: Range<usize>) -> Self {
        let stride = stride(cols.len());
        let mut values: Aligned = arena.zeros(self.rows * stride);
        let rows = self.values.chunks_exact(self.stride.max(1));
        for (to, from) in values.chunks_exact_mut(stride.max(1)).zip(rows) {
            to[..cols.len()].copy_from_slice(&from[cols.clone()]);
        }
        let at = self.origin.at + cols.start * self.origin.col_stride;
        let origin = Origin { at, cols: cols.len(), ..self.origin };
        let (first, second) = (Aligned::default(), Aligned::default());
        Self { rows: self.rows, cols: cols.len(), stride, values, first, second, origin }
    }

    /// Whether all values, padding aside, are finite.
    pub(crate) fn is_finite(&self) -> bool {
        // A fold without a way out in the middle becomes vector code.
        let finite = |row: &[f32]| row.iter().fold(true, |all, x| all & x.is_finite());
        (0..self.rows).all(|row| finite(self.row(row)))
    }

    /// A row's values.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.cols]
    }

    pub(crate) fn view(&self) -> MatRef<'_> {
        MatRef::with_strides(&self.values, self.rows, self.cols, self.stride, 1)
    }

    /// Values, first and second state; state that the optimizer lacks is `[0, 0]`.
    pub(crate) fn views_mut(&mut self) -> [MatMut<'_>; 3] {
        let (rows, cols, stride) = (self.rows, self.cols, self.stride);
        [&mut self.values, &mut self.first, &mut self.second].map(|data| {
            if data.is_empty() {
                MatMut::new(&mut [], 0, 0)
            } else {
                MatMut::with_stride(data, rows, cols, stride)
            }
        })
    }

    /// Applies `rule` to the columns `cols`, in whole cache lines, of the rows from `row` on that
    /// `gradient` covers; its rows are as long as those columns.
    pub(crate) fn apply(
        &mut self,
        isa: Isa,
        rule: &Update,
        row: usize,
        cols: Range<usize>,
        gradient: &[f32],
    ) {
        let width = stride(cols.len());
        // Rows side by side are one slice.
        let len = if width == self.stride { gradient.len() } else { width };
        for (r, gradient) in gradient.chunks_exact(len.max(1)).enumerate() {
            let start = (row + r) * self.stride + cols.start;
            let range = start..start + len;
            let state = |state: &Aligned| if state.is_empty() { 0..0 } else { range.clone() };
            let (first, second) = (state(&self.first), state(&self.second));
            rule.apply(
                isa,
                &mut self.values[range.clone()],
                gradient,
                &mut self.first[first],
                &mut self.second[second],
            );
        }
    }
}
