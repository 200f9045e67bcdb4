//! Training on a file larger than memory.
//!
//! ```text
//! reader:    read window 0, 1 | window 0 was left: read 2 | window 1 was left: read 3 | ...
//! training:  wait for window 0; its batches | wait for 1; its batches | wait for 2; ...
//! ```
//!
//! At any time two windows of the file are in memory, the one that is trained on and the one that
//! is being read. The order is that of [`BlockShuffle::shuffle`], whatever the threads.

use std::ops::Range;
use std::sync::mpsc;
use std::thread;

use dataset::{BlockShuffle, Examples};

use crate::engine::dynamic::{DynamicTeam, Epoch};
use crate::{Error, Fit, Progress, memory};

/// How a file that does not fit into memory is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// The order of the examples.
    pub shuffle: BlockShuffle,
    /// The bytes of features that may be in memory at a time, which the order follows from.
    pub memory: u64,
}

impl Fit {
    /// How `fit` would stream `examples`; `None` if it would not, because they are in memory
    /// already, fit into it, or are not to be shuffled.
    pub fn streaming(&self, examples: &Examples<'_>) -> Option<Streaming> {
        if !self.shuffle || !examples.is_mapped() {
            return None;
        }
        let (train, _) = examples.split_validation(self.validation_split);
        let bytes = train.feature_bytes().len();
        let memory = self.memory.or_else(memory::budget)?;
        let most = usize::try_from(memory).unwrap_or(usize::MAX);
        let mut shuffle = BlockShuffle::for_memory(train.len(), bytes / train.len().max(1), most)?;
        // A batch touches two windows at most.
        shuffle.window = shuffle.window.max(self.batch_size.div_ceil(shuffle.block));
        Some(Streaming { shuffle, memory })
    }
}

/// Trains an epoch in the order that `shuffle` gives it.
///
/// # Errors
/// [`Error::File`] if the file was changed meanwhile.
pub(crate) fn epoch(
    team: &mut DynamicTeam,
    examples: Examples<'_>,
    shuffle: BlockShuffle,
    (seed, epoch): (u64, u64),
    steps_before: u64,
    progress: &Progress,
) -> Result<Epoch, Error> {
    let mut trained = Epoch::default();
    let windows = shuffle.windows(examples.len(), seed, epoch);
    // Each message is a window: it was read, or it was left.
    let (read, to_train) = mpsc::channel();
    let (left, to_read) = mpsc::channel();
    thread::scope(|scope| {
        let runs = &windows;
        scope.spawn(move || {
            for (number, runs) in runs.iter().enumerate() {
                if number >= 2 && to_read.recv().is_err() {
                    return;
                }
                examples.prefetch(runs);
                if read.send(()).is_err() {
                    return;
                }
            }
        });
        // Moved in here, so that an early end hangs up on the reader, whom the scope waits for.
        let (to_train, left) = (to_train, left);
        let batch = team.engine().batch_size();
        // Whether all went well so far.
        let mut train = |order: &[u32]| {
            team.train(examples, order, steps_before, progress, &mut trained);
            trained.totals.failed.is_none()
        };
        // What is left of the window before, less than a batch, and then this window.
        let mut order: Vec<u32> = Vec::new();
        for (number, runs) in windows.iter().enumerate() {
            to_train.recv().expect("the reader reads every window");
            examples.check_unchanged().map_err(|error| Error::File(error.to_string()))?;
            let kept = order.len();
            BlockShuffle::shuffle_window(&mut order, runs, number, seed, epoch);
            let is_last = number + 1 == windows.len();
            let end = if is_last { order.len() } else { order.len() / batch * batch };
            let first = if kept > 0 { batch.min(end) } else { 0 };
            train(&order[..first]);
            if number > 0 {
                let next = windows.get(number + 1).map_or(&[][..], Vec::as_slice);
                release_all_but(examples, runs, next);
                // The reader has gone if that was the last window.
                let _ = left.send(());
            }
            if !train(&order[first..end]) {
                break;
            }
            order.drain(..end);
        }
        examples.release();
        Ok(trained)
    })
}

/// Drops everything from memory but two windows. More than what was just left: reading a block
/// brings in some of its neighbours too, which may have been left long ago.
fn release_all_but(examples: Examples<'_>, one: &[Range<usize>], other: &[Range<usize>]) {
    let mut kept: Vec<_> = one.iter().chain(other).cloned().collect();
    kept.sort_by_key(|run| run.start);
    let mut start = 0;
    for run in kept {
        examples.slice(start..run.start).release();
        start = run.end;
    }
    examples.slice(start..examples.len()).release();
}
