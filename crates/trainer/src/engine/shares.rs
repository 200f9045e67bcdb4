//! Who owns what: the parameters and the batch, cut among the threads of a team.

use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kernels::first_layer::STRIP;
use kernels::gemm::share;
use kernels::panels::FeatureOrder;
use kernels::{Aligned, Arena, Isa, MatMut, MatRef, Update};

use crate::Parameters;
use crate::optimizer::State;

/// Columns and rows are cut at multiples of this: a cache line of floats.
pub(crate) const QUANTUM: usize = 16;

/// Floats from one row of a matrix to the next: whole cache lines.
pub(crate) fn stride(width: usize) -> usize {
    width.next_multiple_of(QUANTUM)
}

/// A block of a matrix with the optimizer's state beside it, padded to whole cache lines. Nothing
/// that is read depends on the padding.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stride: usize,
    pub(crate) values: Aligned,
    pub(crate) first: Aligned,
    pub(crate) second: Aligned,
}

impl Block {
    /// A block of `rows` by `cols`, whose values and states `copy` fills, each from all of its kind.
    fn filled(
        arena: &mut Arena,
        parameters: &Parameters,
        state: &State,
        (rows, cols): (usize, usize),
        copy: impl Fn(&[f32], &mut [f32]),
    ) -> Self {
        let stride = stride(cols);
        let mut filled = |source: &[f32]| {
            if source.is_empty() {
                return Aligned::default();
            }
            // Whole blocks of sixteen rows, for the transpose.
            let mut block = arena.zeros(rows.next_multiple_of(QUANTUM) * stride);
            copy(source, &mut block);
            block
        };
        let values = filled(parameters.values());
        let (first, second) = (filled(&state.first), filled(&state.second));
        Self { rows, cols, stride, values, first, second }
    }

    /// Gives values and states back: `copy` from the block to all of a kind.
    fn give_back(
        &self,
        parameters: &mut Parameters,
        state: &mut State,
        copy: impl Fn(&[f32], &mut [f32]),
    ) {
        let copy = |block: &[f32], target: &mut [f32]| {
            if !block.is_empty() {
                copy(block, target);
            }
        };
        copy(&self.values, parameters.values_mut());
        copy(&self.first, &mut state.first);
        copy(&self.second, &mut state.second);
    }

    /// Copies rows, in their order, and columns out of a `[.., units]` matrix at `at` of the
    /// parameters.
    pub(crate) fn load(
        arena: &mut Arena,
        parameters: &Parameters,
        state: &State,
        at: usize,
        units: usize,
        rows: impl ExactSizeIterator<Item = usize> + Clone,
        cols: Range<usize>,
    ) -> Self {
        let stride = stride(cols.len());
        let shape = (rows.len(), cols.len());
        Self::filled(arena, parameters, state, shape, |source, block| {
            for (r, row) in rows.clone().enumerate() {
                let from = at + row * units + cols.start;
                block[r * stride..][..cols.len()].copy_from_slice(&source[from..][..cols.len()]);
            }
        })
    }

    /// A copy of some columns, without the state.
    pub(crate) fn columns(&self, arena: &mut Arena, cols: Range<usize>) -> Self {
        let stride = stride(cols.len());
        let mut values: Aligned = arena.zeros(self.rows.next_multiple_of(QUANTUM) * stride);
        let rows = self.values.chunks_exact(self.stride.max(1));
        for (to, from) in values.chunks_exact_mut(stride.max(1)).zip(rows) {
            to[..cols.len()].copy_from_slice(&from[cols.clone()]);
        }
        let (first, second) = (Aligned::default(), Aligned::default());
        Self { rows: self.rows, cols: cols.len(), stride, values, first, second }
    }

    /// Copies the block back to where [`load`](Self::load) took it from.
    fn save(
        &self,
        parameters: &mut Parameters,
        state: &mut State,
        at: usize,
        units: usize,
        rows: impl Iterator<Item = usize> + Clone,
        col: usize,
    ) {
        self.give_back(parameters, state, |block, target| {
            for (row, values) in rows.clone().zip(block.chunks_exact(self.stride.max(1))) {
                target[at + row * units + col..][..self.cols].copy_from_slice(&values[..self.cols]);
            }
        });
    }

    /// Copies the transpose of some rows of a `[.., units]` matrix at `at` of the parameters.
    fn load_transposed(
        arena: &mut Arena,
        parameters: &Parameters,
        state: &State,
        at: usize,
        units: usize,
        rows: Range<usize>,
    ) -> Self {
        let stride = stride(rows.len());
        Self::filled(arena, parameters, state, (units, rows.len()), |source, block| {
            for (r, row) in rows.clone().enumerate() {
                for (unit, x) in source[at + row * units..][..units].iter().enumerate() {
                    block[unit * stride + r] = *x;
                }
            }
        })
    }

    /// Copies the block back to where [`load_transposed`](Self::load_transposed) took it from.
    fn save_transposed(
        &self,
        parameters: &mut Parameters,
        state: &mut State,
        at: usize,
        rows: Range<usize>,
    ) {
        let units = self.rows;
        self.give_back(parameters, state, |block, target| {
            for (r, row) in rows.clone().enumerate() {
                for (unit, x) in target[at + row * units..][..units].iter_mut().enumerate() {
                    *x = block[unit * self.stride + r];
                }
            }
        });
    }

    /// Whether all values, padding aside, are finite.
    pub(crate) fn is_finite(&self) -> bool {
        // A fold without a way out in the middle becomes vector code.
        let finite = |row: &[f32]| row.iter().fold(true, |all, x| all & x.is_finite());
        (0..self.rows).all(|row| finite(&self.values[row * self.stride..][..self.cols]))
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

/// A thread's columns of the first layer; nobody else ever reads them during an epoch.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) range: Range<usize>,
    /// The order of the weights' rows.
    order: FeatureOrder,
    pub(crate) blocks: Vec<ColumnBlock>,
    /// One a panel of features; see `kernels::first_layer::Weights`.
    pub(crate) touched: Vec<bool>,
}

/// Columns that are computed together: one strip of tiles, so that weights and gradients lie in
/// memory in the order in which the products read them.
#[derive(Debug)]
pub(crate) struct ColumnBlock {
    /// Which of the thread's columns.
    pub(crate) range: Range<usize>,
    pub(crate) weights: Block,
    pub(crate) biases: Block,
}

impl Columns {
    pub(crate) fn load(
        arena: &mut Arena,
        (p, state, touched): (&Parameters, &State, &[bool]),
        order: FeatureOrder,
        (index, threads): (usize, usize),
    ) -> Self {
        let layer = &p.layers()[0];
        let range = share(layer.units, QUANTUM, index, threads);
        let count = range.len().div_ceil(STRIP);
        let block = |i: usize| {
            let own = share(range.len(), QUANTUM, i, count);
            let cols = range.start + own.start..range.start + own.end;
            let (rows, units) = (order.iter(), layer.units);
            ColumnBlock {
                weights: Block::load(
                    arena,
                    p,
                    state,
                    layer.weights.start,
                    units,
                    rows,
                    cols.clone(),
                ),
                biases: Block::load(arena, p, state, layer.biases.start, units, 0..1, cols),
                range: own,
            }
        };
        let blocks = (0..count).map(block).collect();
        Self { range, order, blocks, touched: touched.to_vec() }
    }

    pub(crate) fn save(&self, p: &mut Parameters, state: &mut State) {
        let layer = p.layers()[0].clone();
        for block in &self.blocks {
            let col = self.range.start + block.range.start;
            let rows = self.order.iter();
            block.weights.save(p, state, layer.weights.start, layer.units, rows, col);
            block.biases.save(p, state, layer.biases.start, layer.units, 0..1, col);
        }
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.blocks.iter().all(|block| block.weights.is_finite() && block.biases.is_finite())
    }
}

/// A thread's rows of a later layer's weights.
///
/// What is trained is their transpose. The vectors of its gradient are full where the layer has but
/// ten units, and the gradient on the way back multiplies by it; the forward product's weights follow
/// from it after each step.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) range: Range<usize>,
    /// `[units, rows]`
    pub(crate) transposed: Block,
    /// `[rows, units]`, padded like a block.
    weights: Aligned,
}

impl Rows {
    pub(crate) fn load(
        arena: &mut Arena,
        p: &Parameters,
        state: &State,
        l: usize,
        index: usize,
        threads: usize,
    ) -> Self {
        let layer = &p.layers()[l];
        let range = share(layer.inputs, QUANTUM, index, threads);
        let (at, units) = (layer.weights.start, layer.units);
        let transposed = Block::load_transposed(arena, p, state, at, units, range.clone());
        let weights = arena.zeros(range.len().next_multiple_of(QUANTUM) * stride(units));
        let mut rows = Self { range, transposed, weights };
        rows.refresh_weights(Isa::best());
        rows
    }

    pub(crate) fn save(&self, p: &mut Parameters, state: &mut State, l: usize) {
        let at = p.layers()[l].weights.start;
        self.transposed.save_transposed(p, state, at, self.range.clone());
    }

    /// Brings the weights of the forward product up to date.
    pub(crate) fn refresh_weights(&mut self, isa: Isa) {
        let Block { rows, cols, stride: from, values, .. } = &self.transposed;
        kernels::transpose(isa, values, *from, *rows, *cols, &mut self.weights, stride(*rows));
    }

    /// `[rows, units]`
    pub(crate) fn weights(&self) -> MatRef<'_> {
        let Block { rows: units, cols: rows, .. } = self.transposed;
        MatRef::with_strides(&self.weights, rows, units, stride(units), 1)
    }
}

/// The biases of a later layer; one thread owns them.
#[derive(Debug)]
pub(crate) struct Biases(pub(crate) Block);

impl Biases {
    pub(crate) fn load(arena: &mut Arena, p: &Parameters, state: &State, l: usize) -> Self {
        let layer = &p.layers()[l];
        Self(Block::load(arena, p, state, layer.biases.start, layer.units, 0..1, 0..layer.units))
    }

    pub(crate) fn save(&self, p: &mut Parameters, state: &mut State, l: usize) {
        let layer = p.layers()[l].clone();
        self.0.save(p, state, layer.biases.start, layer.units, 0..1, 0);
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.0.values[..self.0.cols]
    }
}

/// Activations or gradients of some examples: `[examples, width]`, rows on whole cache lines.
#[derive(Debug)]
pub(crate) struct Activations {
    pub(crate) values: Aligned,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl Activations {
    pub(crate) fn new(arena: &mut Arena, examples: usize, width: usize) -> Self {
        let stride = stride(width);
        Self { values: arena.zeros(examples * stride), width, stride }
    }

    pub(crate) fn view(&self, examples: usize) -> MatRef<'_> {
        MatRef::with_strides(&self.values, examples, self.width, self.stride, 1)
    }

    pub(crate) fn view_mut(&mut self, examples: usize) -> MatMut<'_> {
        MatMut::with_stride(&mut self.values, examples, self.width, self.stride)
    }
}

/// A lock that is never waited for: the barriers keep writers and readers apart. It is what lets
/// the compiler check that sharing without a word of `unsafe`, for some ten nanoseconds a phase.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// As [`read`], to write.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
