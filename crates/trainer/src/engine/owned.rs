//! What each thread owns, put in place by that thread: the system gives memory to the processor that
//! writes to it first, and clears it there, page by page, which for large pages takes its time.

use std::sync::{Mutex, RwLock};

use dataset::Examples;
use kernels::gemm::{Products, share};
use kernels::{Arena, Isa, first_layer};

use super::block::{Block, Origin, QUANTUM, stride};
use super::gather::{Gather, Reading};
use super::network::Network;
use super::profile::Stopwatch;
use super::shares::{Activations, Columns, Rows};
use super::step::{self, Own, Shared};
use super::update;
use crate::Parameters;
use crate::optimizer::State;

/// What a thread's part is cut from.
#[derive(Clone, Copy)]
pub(crate) struct Whole<'a> {
    pub(crate) network: &'a Network,
    pub(crate) parameters: &'a Parameters,
    pub(crate) state: &'a State,
    /// See [`Columns::touched`].
    pub(crate) touched: &'a [bool],
    pub(crate) examples: &'a Examples<'a>,
    pub(crate) batch_size: usize,
    pub(crate) threads: usize,
}

/// A thread's part: what it shares, and what it has to itself.
pub(crate) struct Owned {
    first_outputs: Activations,
    /// Of the later layers' weights, `[layer - 1]`.
    rows: Vec<Rows>,
    /// All of the later layers, `[layer - 1]`, with the first thread; none with the others.
    biases: Vec<Block>,
    examples: step::Examples,
    own: Own,
}

impl Owned {
    /// The part of thread `index`, in memory of its own, side by side.
    pub(crate) fn new(whole: Whole<'_>, index: usize) -> Self {
        let Whole { network, parameters, state, touched, examples, batch_size, threads } = whole;
        let arena = &mut Arena::on_large_pages();
        let (depth, widths) = (network.depth(), &network.widths);
        let most = batch_size.div_ceil(threads);
        let columns = share(widths[1], QUANTUM, index, threads).len();
        let first_outputs = Activations::new(arena, batch_size, columns);
        let later = &parameters.layers()[1..];
        let rows = |layer| Rows::load(arena, (parameters, state), layer, (index, threads));
        let rows = later.iter().map(rows).collect();
        let biases = if index == 0 { later } else { &[] }.iter().map(|layer| {
            Block::load(arena, parameters, state, Origin::biases(layer, 0..layer.units))
        });
        let biases = biases.collect();
        let mut activations = |widths: &[usize]| -> Vec<Activations> {
            widths.iter().map(|width| Activations::new(arena, most, *width)).collect()
        };
        let own_examples = step::Examples {
            outputs: activations(&widths[2..depth.max(2)]),
            gradients: activations(&widths[1..]),
            head_outputs: Activations::new(arena, most, network.classes()),
            losses: Vec::with_capacity(most),
            correct: 0,
        };
        let reading = Reading::of(examples);
        let widest = widths[1..].iter().copied().max().unwrap_or(0);
        let own = Own {
            index,
            isa: Isa::best(),
            columns: Columns::load(
                arena,
                (parameters, state, touched),
                reading.order,
                (index, threads),
            ),
            gather: Gather::new(arena, reading, batch_size),
            gradient: arena.zeros(update::gradient_rows(Isa::best()) * stride(widest)),
            block_gradient: arena.zeros(batch_size * first_layer::STRIP),
            sums: arena.zeros(first_layer::sums(reading.panels(), batch_size)),
            products: Products::new(Isa::best()),
            watch: Stopwatch::start(),
        };
        Self { first_outputs, rows, biases, examples: own_examples, own }
    }

    /// What the threads share, and what each has to itself, from their parts in order.
    pub(crate) fn join(parts: impl Iterator<Item = Self>) -> (Shared, Vec<Mutex<Own>>) {
        let mut shared = Shared {
            first_outputs: Vec::new(),
            rows: Vec::new(),
            biases: Vec::new(),
            examples: Vec::new(),
        };
        let mut own = Vec::new();
        for part in parts {
            shared.first_outputs.push(RwLock::new(part.first_outputs));
            shared.rows.resize_with(part.rows.len(), Vec::new);
            for (layer, rows) in shared.rows.iter_mut().zip(part.rows) {
                layer.push(RwLock::new(rows));
            }
            shared.biases.extend(part.biases.into_iter().map(RwLock::new));
            shared.examples.push(RwLock::new(part.examples));
            own.push(Mutex::new(part.own));
        }
        (shared, own)
    }
}
