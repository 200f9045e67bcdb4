//! Training as the machine wants it: one fork an epoch, two barriers a step.
//!
//! All threads of a team run the same program over the whole epoch.
//!
//! ```text
//! for each batch of the epoch's order:
//!     gather its rows; list what is not zero           every thread, for itself
//!     1. first layer, own columns, all examples        z = X W[:, own] + b, activation
//!        --- barrier: everyone's columns are there ---
//!     2. own examples: later layers, loss, and back to the second layer's sums
//!        --- barrier: everyone's gradients are there ---
//!     3. own columns of the first layer's gradient; W[:, own] and own rows of later weights:
//!        gradient, optimizer step as its epilogue
//! ```
//!
//! The first layer holds nearly all parameters. Cut by columns, its weights and their state never
//! leave the core that owns them: what crosses between cores is the hidden activations (W2: 256 KiB
//! a step) and not the weights (1.6 MiB). Phase 3 writes nothing that another thread's phase 1
//! reads, so two barriers are enough, at any depth.
//!
//! Every output of every product is one chain of multiply-adds in the order of its summation
//! dimension, wherever the cuts are, so the trained weights are the same bits for any number of
//! threads.

pub(crate) mod barrier;
pub(crate) mod infer;
pub(crate) mod network;
mod profile;
mod shares;
mod step;
#[cfg(test)]
mod tests;

pub use profile::{Phase, Profile};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use dataset::{Examples, FeaturesView};
use kernels::gemm::Products;
use kernels::panels::{Batch, PANEL, Panels};
use kernels::{Aligned, Isa};

use crate::optimizer::{Optimizer, State};
use crate::{Parameters, Progress};
use barrier::{Barrier, BreakOnPanic};
use network::{Network, rule};
use profile::Stopwatch;
use shares::{Activations, Biases, Columns, Rows, read, stride};
use step::{Own, Shared, Step};

/// Bytes stand for 0 to 1.
pub(crate) const BYTE_SCALE: f32 = 1.0 / 255.0;

/// A team of threads with the parameters cut among them.
pub(crate) struct Engine {
    network: Network,
    optimizer: Optimizer,
    batch_size: usize,
    pool: rayon::ThreadPool,
    shared: Shared,
    own: Vec<Mutex<Own>>,
}

/// What an epoch adds up to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Sum of the examples' losses, in the order of training.
    pub(crate) loss: f64,
    pub(crate) correct: usize,
    /// The step, from 1, whose loss was not a number, and that loss; NaN for a last step that left
    /// weights which are not.
    pub(crate) failed: Option<(usize, f64)>,
}

impl Engine {
    /// Cuts the parameters among `threads` threads and allocates all that a step needs.
    pub(crate) fn new(
        network: Network,
        optimizer: Optimizer,
        parameters: &Parameters,
        state: &State,
        examples: &Examples<'_>,
        batch_size: usize,
        pool: rayon::ThreadPool,
    ) -> Self {
        let threads = pool.current_num_threads();
        let batch_size = batch_size.min(examples.len()).max(1);
        let depth = network.depth();
        let widths = &network.widths;
        let most = batch_size.div_ceil(threads);
        let shared = Shared {
            first_outputs: (0..threads)
                .map(|t| {
                    let cols = kernels::gemm::share(widths[1], shares::QUANTUM, t, threads);
                    let rows = batch_size.next_multiple_of(PANEL);
                    RwLock::new(Activations::new(rows, cols.len()))
                })
                .collect(),
            rows: (1..depth)
                .map(|l| {
                    let load = |t| RwLock::new(Rows::load(parameters, state, l, t, threads));
                    (0..threads).map(load).collect()
                })
                .collect(),
            biases: (1..depth).map(|l| RwLock::new(Biases::load(parameters, state, l))).collect(),
            examples: (0..threads)
                .map(|_| {
                    RwLock::new(step::Examples {
                        outputs: widths[2..depth.max(2)]
                            .iter()
                            .map(|w| Activations::new(most, *w))
                            .collect(),
                        gradients: widths[1..].iter().map(|w| Activations::new(most, *w)).collect(),
                        head_outputs: Activations::new(most, network.classes()),
                        losses: Vec::with_capacity(most),
                        correct: 0,
                    })
                })
                .collect(),
        };
        let own = (0..threads)
            .map(|index| {
                let columns = Columns::load(parameters, state, index, threads);
                let width = columns.range.len();
                let widest = widths[1..].iter().copied().max().unwrap_or(0);
                Mutex::new(Own {
                    index,
                    isa: Isa::best(),
                    columns,
                    batch: batch_of(examples, batch_size),
                    labels: Vec::with_capacity(most),
                    by_examples: Panels::with_capacity(batch_size, widths[0]),
                    by_features: Panels::with_capacity(widths[0], batch_size),
                    first_gradient: Activations::new(batch_size, width),
                    gradient: Aligned::zeros(step::GRADIENT_ROWS * stride(widest)),
                    products: Products::new(Isa::best()),
                    watch: Stopwatch::start(),
                })
            })
            .collect();
        Self { network, optimizer, batch_size, pool, shared, own }
    }

    /// The threads, for work beside training.
    pub(crate) fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// Examples a step.
    pub(crate) fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Trains one pass over `examples` in `order`, after `steps_before` steps of earlier epochs.
    pub(crate) fn epoch(
        &self,
        examples: Examples<'_>,
        order: &[u32],
        steps_before: u64,
        progress: &Progress,
    ) -> Totals {
        let barrier = Barrier::new(self.own.len());
        let stop = AtomicBool::new(false);
        let overflow = AtomicBool::new(false);
        let totals = Mutex::new(Totals::default());
        self.pool.broadcast(|context| {
            let _guard = BreakOnPanic(&barrier);
            let own = self.own[context.index()].lock();
            let mut own = own.unwrap_or_else(PoisonError::into_inner);
            let own = &mut *own;
            own.watch = Stopwatch::start();
            let mut batches = order.chunks(self.batch_size).enumerate().peekable();
            while let Some((index, rows)) = batches.next() {
                let next = batches.peek().map_or(&[][..], |(_, rows)| rows);
                let step = Step {
                    network: &self.network,
                    shared: &self.shared,
                    rule: rule(self.optimizer, steps_before + index as u64 + 1),
                    len: rows.len(),
                };
                gather(&step, own, examples, rows, next);
                step.first_forward(own);
                let waited = barrier.wait();
                own.watch.lap(Phase::Wait);
                if waited.is_err() || stop.load(Ordering::Relaxed) {
                    return;
                }
                step.middle(own);
                let waited = barrier.wait();
                own.watch.lap(Phase::Wait);
                if waited.is_err() {
                    return;
                }
                step.update(own);
                if context.index() == 0 {
                    let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    let loss = self.add_up(&mut totals);
                    progress.step();
                    if !loss.is_finite() {
                        totals.failed = Some((index + 1, loss / rows.len() as f64));
                        // Seen by all after the next barrier, which orders it.
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            }
            if !self.is_finite(own) {
                overflow.store(true, Ordering::Relaxed);
            }
        });
        let mut totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        if totals.failed.is_none() && overflow.into_inner() {
            totals.failed = Some((order.len().div_ceil(self.batch_size), f64::NAN));
        }
        totals
    }

    /// Whether the thread's parameters are numbers: no loss has seen what the last step made of
    /// them.
    fn is_finite(&self, own: &Own) -> bool {
        let mut finite = own.columns.weights.is_finite() && own.columns.biases.is_finite();
        for (l, (rows, biases)) in (1..).zip(self.shared.rows.iter().zip(&self.shared.biases)) {
            finite &= read(&rows[own.index]).weights.is_finite();
            finite &= l % self.own.len() != own.index || read(biases).0.is_finite();
        }
        finite
    }

    /// Adds the step's losses in the order of the examples; returns their sum.
    fn add_up(&self, totals: &mut Totals) -> f64 {
        let mut sum = 0.0;
        for block in &self.shared.examples {
            let block = read(block);
            for loss in &block.losses {
                sum += f64::from(*loss);
            }
            totals.correct += block.correct;
        }
        totals.loss += sum;
        sum
    }

    /// Copies the trained parameters and the optimizer's state back.
    pub(crate) fn save(&self, parameters: &mut Parameters, state: &mut State) {
        for own in &self.own {
            let own = own.lock().unwrap_or_else(PoisonError::into_inner);
            own.columns.save(parameters, state);
        }
        for (l, (rows, biases)) in self.shared.rows.iter().zip(&self.shared.biases).enumerate() {
            for share in rows {
                read(share).save(parameters, state, l + 1);
            }
            read(biases).save(parameters, state, l + 1);
        }
    }

    /// Where the last epoch's time went, all threads together.
    pub(crate) fn profile(&self) -> Profile {
        let mut sum = Profile::default();
        for own in &self.own {
            sum.add(&own.lock().unwrap_or_else(PoisonError::into_inner).watch.profile);
        }
        sum
    }
}

/// An empty batch for examples of this kind.
pub(crate) fn batch_of(examples: &Examples<'_>, capacity: usize) -> Batch {
    match examples.features() {
        FeaturesView::U8(_) => Batch::of_bytes(capacity, examples.width(), BYTE_SCALE),
        FeaturesView::F32(_) => Batch::of_floats(capacity, examples.width()),
    }
}

/// Copies the rows of a batch to where the thread works on them, and its own examples' labels; the
/// rows of the next batch set out from memory meanwhile.
fn gather(step: &Step<'_>, own: &mut Own, examples: Examples<'_>, rows: &[u32], next: &[u32]) {
    let width = examples.width();
    own.batch.clear();
    let range = |row: u32| row as usize * width..(row as usize + 1) * width;
    let later = next.iter().map(Some).chain(std::iter::repeat(None));
    for (&row, later) in rows.iter().zip(later) {
        match examples.features() {
            FeaturesView::U8(pixels) => {
                own.batch.push_bytes(&pixels[range(row)]);
                later.inspect(|later| Batch::prefetch(&pixels[range(**later)]));
            }
            FeaturesView::F32(values) => {
                own.batch.push_floats(&values[range(row)]);
                later.inspect(|later| Batch::prefetch(&values[range(**later)]));
            }
        }
    }
    let mine = step.examples(own.index);
    let labels = examples.labels();
    own.labels.clear();
    own.labels.extend(rows[mine].iter().map(|row| labels.get(*row as usize) as u16));
}
