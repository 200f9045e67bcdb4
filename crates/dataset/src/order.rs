//! The order in which an epoch visits its examples.

use std::ops::Range;

/// Writes a uniformly random permutation of `0..order.len()` into `order`.
///
/// The permutation depends on `seed`, `epoch` and the length alone: a Fisher-Yates shuffle whose
/// draw for position `i` is a hash of (seed, epoch, i), so that an epoch's order can be known
/// without running the ones before it.
pub fn shuffle(order: &mut [u32], seed: u64, epoch: u64) {
    for (i, slot) in order.iter_mut().enumerate() {
        *slot = i as u32;
    }
    permute(order, seed, epoch);
}

/// Puts `order` in random order: Fisher-Yates, keyed as [`shuffle`] says.
fn permute(order: &mut [u32], seed: u64, epoch: u64) {
    let key = mix(seed ^ mix(epoch.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    for i in (1..order.len()).rev() {
        // Multiply-shift instead of a remainder: unbiased to 2^-32, and no division.
        let draw = mix(key.wrapping_add((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let j = ((u128::from(draw) * (i as u128 + 1)) >> 64) as usize;
        order.swap(i, j);
    }
}

/// An order for data sets larger than memory: random, and yet made of runs that a disk reads whole.
///
/// The examples are cut into blocks of neighbours, the blocks are put in random order, and every
/// `window` blocks in that order are shuffled together. So at any time examples come from one window
/// alone: `window * block` examples are all that memory must hold. An example can come anywhere in an
/// epoch, but meets only those of its window: the more blocks a window has, the closer to [`shuffle`].
/// Like that, the order depends on seed, epoch and sizes alone.
///
/// Within a window the pages are visited at random, which a disk is slow at: [`Self::windows`] tells
/// which runs the next window needs, for [`crate::Examples::prefetch`] to read one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockShuffle {
    /// Neighbours in a block.
    pub block: usize,
    /// Blocks in a window.
    pub window: usize,
}

impl BlockShuffle {
    /// Blocks that a window should have at least, so that batches mix examples from all over.
    const WINDOW: usize = 16;

    /// Bytes of a block above which a disk gains nothing more.
    const BLOCK_BYTES: usize = 4 << 20;

    /// The shuffle for `len` examples of `bytes` bytes each where two windows, one in use and one
    /// being read, may take `memory` bytes; `None` if all examples fit, which need no blocks.
    pub fn for_memory(len: usize, bytes: usize, memory: usize) -> Option<Self> {
        let bytes = bytes.max(1);
        if len.saturating_mul(bytes) <= memory {
            return None;
        }
        let examples = (memory / 2 / bytes).max(1);
        let block = (Self::BLOCK_BYTES / bytes).min(examples / Self::WINDOW).max(1);
        Some(Self { block, window: (examples / block).max(1) })
    }

    /// Makes `order` the order of `epoch`, a permutation of `0..len`.
    ///
    /// # Panics
    /// If `block` or `window` is zero.
    pub fn shuffle(&self, order: &mut Vec<u32>, len: usize, seed: u64, epoch: u64) {
        order.clear();
        for (number, runs) in self.windows(len, seed, epoch).iter().enumerate() {
            Self::shuffle_window(order, runs, number, seed, epoch);
        }
    }

    /// Appends the order of a window, the one of this number in [`Self::windows`], to `order`.
    pub fn shuffle_window(
        order: &mut Vec<u32>,
        runs: &[Range<usize>],
        number: usize,
        seed: u64,
        epoch: u64,
    ) {
        let start = order.len();
        order.extend(runs.iter().cloned().flatten().map(|example| example as u32));
        permute(&mut order[start..], seed, epoch ^ mix(number as u64 + 1));
    }

    /// The runs of examples that each window of `epoch` consists of, window after window.
    ///
    /// # Panics
    /// If `block` or `window` is zero.
    pub fn windows(&self, len: usize, seed: u64, epoch: u64) -> Vec<Vec<Range<usize>>> {
        let Self { block, window } = *self;
        assert!(block > 0 && window > 0, "blocks of {block} examples, {window} of them at a time");
        let mut blocks = vec![0; len.div_ceil(block)];
        shuffle(&mut blocks, seed, epoch);
        let run = |&b: &u32| {
            let start = b as usize * block;
            start..(start + block).min(len)
        };
        blocks.chunks(window).map(|window| window.iter().map(run).collect()).collect()
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014): a bijection of 64-bit words that passes BigCrush on a counter.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(length: usize, seed: u64, epoch: u64) -> Vec<u32> {
        // Whatever was in it does not matter.
        let mut order = vec![u32::MAX; length];
        shuffle(&mut order, seed, epoch);
        order
    }

    #[test]
    fn every_example_comes_once() {
        for length in [0, 1, 2, 3, 10, 1000] {
            let mut sorted = order(length, 7, 3);
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..length as u32), "{length}");
        }
    }

    #[test]
    fn seed_and_epoch_each_change_the_order() {
        let orders = [order(100, 1, 0), order(100, 1, 1), order(100, 2, 0), order(100, 0, 1)];
        for (i, a) in orders.iter().enumerate() {
            assert!(orders[..i].iter().all(|b| a != b));
        }
        assert_eq!(order(100, 1, 1), orders[1]);
    }

    #[test]
    fn the_order_of_a_seed_is_for_ever() {
        // Committed results depend on it: a change of these numbers is a breaking change.
        assert_eq!(order(10, 0, 0), [5, 9, 7, 8, 2, 6, 3, 0, 1, 4]);
        assert_eq!(order(10, 42, 3), [5, 6, 1, 0, 2, 9, 7, 8, 4, 3]);
    }

    #[test]
    fn every_permutation_is_as_likely() {
        let mut counts = std::collections::HashMap::new();
        for epoch in 0..24_000 {
            *counts.entry(order(4, 5, epoch)).or_insert(0) += 1;
        }
        // 24 permutations, 1,000 of each expected, standard deviation 31.
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
    fn blocks(length: usize, block: usize, window: usize, epoch: u64) -> Vec<u32> {
        let mut order = vec![u32::MAX; 5];
        BlockShuffle { block, window }.shuffle(&mut order, length, 3, epoch);
        order
    }

    #[test]
    fn every_example_comes_once_in_the_window_of_its_block() {
        let sizes = [(1000, 64, 3), (1000, 1000, 2), (7, 10, 1), (96, 8, 4), (97, 8, 4), (0, 5, 2)];
        for (length, block, window) in sizes {
            let order = blocks(length, block, window, 1);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..length as u32), "{length} {block} {window}");
            let mut rest = &order[..];
            for runs in (BlockShuffle { block, window }).windows(length, 3, 1) {
                assert!(runs.len() <= window && runs.iter().all(|run| run.len() <= block));
                let (part, after) = rest.split_at(runs.iter().map(|run| run.len()).sum());
                let is_in = |i: &u32| runs.iter().any(|run| run.contains(&(*i as usize)));
                assert!(part.iter().all(is_in), "{length} {block} {window}");
                rest = after;
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn blocks_are_shuffled_within_and_among() {
        let order = blocks(1024, 32, 4, 0);
        let first: Vec<_> = order[..128].iter().map(|i| i / 32).collect();
        let changes = first.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(!first.is_sorted() && changes > 60, "{first:?}");
        assert_ne!(order, blocks(1024, 32, 4, 1));
        let places = |epoch| blocks(1024, 32, 4, epoch).iter().position(|&i| i == 0);
        assert!((1..9).any(|epoch| places(epoch).unwrap() / 128 != places(0).unwrap() / 128));
        // One window of everything is as good as a full shuffle: neighbours are no longer together.
        let order = blocks(1024, 32, 32, 0);
        assert!(order.windows(2).filter(|pair| pair[0] / 32 == pair[1] / 32).count() < 80);
    }

    #[test]
    fn a_window_is_half_of_the_memory_there_is() {
        assert_eq!(BlockShuffle::for_memory(1000, 784, 784_000), None);
        for (len, bytes, memory) in [
            (11_000_000, 784, 64 << 20),
            (1 << 31, 784, 1 << 30),
            (5000, 1 << 20, 64 << 20),
            (9, 9, 1),
        ] {
            let shuffle = BlockShuffle::for_memory(len, bytes, memory).unwrap();
            let used = shuffle.block * shuffle.window * bytes;
            assert!(used <= (memory / 2).max(bytes), "{shuffle:?} {used}");
            assert!(
                used >= memory / 3 && shuffle.window >= 16 || memory < 16 * bytes,
                "{shuffle:?}"
            );
        }
    }
}
