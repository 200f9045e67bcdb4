//! Who owns what: the parameters and the batch, cut among the threads of a team.

use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kernels::first_layer::STRIP;
use kernels::gemm::{PackedB, share};
use kernels::panels::FeatureOrder;
use kernels::{Aligned, Arena, Isa, MatMut, MatRef};

use super::block::{Block, Origin, QUANTUM, stride};
use crate::Parameters;
use crate::optimizer::State;
use crate::parameters::DenseLayout;

/// A thread's columns of the first layer; nobody else ever reads them during an epoch.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) range: Range<usize>,
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
        (parameters, state, touched): (&Parameters, &State, &[bool]),
        order: FeatureOrder,
        (index, threads): (usize, usize),
    ) -> Self {
        let layer = &parameters.layers()[0];
        let range = share(layer.units, QUANTUM, index, threads);
        let count = range.len().div_ceil(STRIP);
        let block = |i: usize| {
            let own = share(range.len(), QUANTUM, i, count);
            let cols = range.start + own.start..range.start + own.end;
            let mut load = |origin| Block::load(arena, parameters, state, origin);
            ColumnBlock {
                weights: load(Origin::weights(layer, order, cols.clone())),
                biases: load(Origin::biases(layer, cols)),
                range: own,
            }
        };
        let blocks = (0..count).map(block).collect();
        Self { range, blocks, touched: touched.to_vec() }
    }

    pub(crate) fn save(&self, parameters: &mut Parameters, state: &mut State) {
        for block in &self.blocks {
            block.weights.save(parameters, state);
            block.biases.save(parameters, state);
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
/// from it after each step, in the panels that its tiles read.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) range: Range<usize>,
    /// `[units, rows]`
    pub(crate) transposed: Block,
    /// `[rows, units]`
    pub(crate) weights: PackedB,
}

impl Rows {
    pub(crate) fn load(
        arena: &mut Arena,
        (parameters, state): (&Parameters, &State),
        layer: &DenseLayout,
        (index, threads): (usize, usize),
    ) -> Self {
        let range = share(layer.inputs, QUANTUM, index, threads);
        let origin = Origin::transposed(layer, range.clone());
        let transposed = Block::load(arena, parameters, state, origin);
        let weights = PackedB::zeros(arena, Isa::best(), range.len(), layer.units);
        let mut rows = Self { range, transposed, weights };
        rows.refresh_weights();
        rows
    }

    /// Brings the weights of the forward product up to date.
    pub(crate) fn refresh_weights(&mut self) {
        self.weights.pack(self.transposed.view().t());
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
