//! The order in which an epoch visits its examples.

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

/// Writes a permutation of `0..order.len()` into `order` that is random, and yet reads a file nearly
/// from front to back: for data sets larger than memory.
///
/// The examples are cut into blocks of `block` neighbours, the blocks are put in random order, and
/// every `window` blocks in that order are shuffled together. So at any time examples come from
/// `window` blocks alone, each `block` examples long and read whole: `window * block` examples are
/// all that memory must hold, and a disk reads runs of `block` examples instead of single ones. An
/// example can come anywhere in an epoch, but meets only those of its window: the more blocks a
/// window has, the closer to [`shuffle`]. Like that, it depends on `seed`, `epoch` and sizes alone.
///
/// # Panics
/// If `block` or `window` is zero.
pub fn shuffle_blocks(order: &mut [u32], seed: u64, epoch: u64, block: usize, window: usize) {
    assert!(block > 0 && window > 0, "blocks of {block} examples, {window} of them at a time");
    let mut blocks = vec![0; order.len().div_ceil(block)];
    shuffle(&mut blocks, seed, epoch);
    let length = order.len();
    let members = blocks.iter().flat_map(|&b| {
        let start = b as usize * block;
        start..(start + block).min(length)
    });
    for (slot, example) in order.iter_mut().zip(members) {
        *slot = example as u32;
    }
    // The last block may be short, and lie anywhere: windows are counted in blocks, not examples.
    let mut rest = order;
    for (number, blocks) in blocks.chunks(window).enumerate() {
        let last = length.div_ceil(block) - 1;
        let short = blocks.iter().any(|&b| b as usize == last);
        let size = blocks.len() * block - if short { (last + 1) * block - length } else { 0 };
        let (window, after) = rest.split_at_mut(size);
        permute(window, seed, epoch ^ mix(number as u64 + 1));
        rest = after;
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
    #[test]
    fn blocks_come_in_windows_and_every_example_once() {
        for (length, block, window) in
            [(1000, 64, 3), (1000, 1000, 2), (7, 10, 1), (96, 8, 4), (0, 5, 2)]
        {
            let mut order = vec![u32::MAX; length];
            shuffle_blocks(&mut order, 3, 1, block, window);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..length as u32), "{length} {block} {window}");
            // What one window reads comes from `window` blocks, each of them whole.
            let mut rest = &order[..];
            let mut seen = std::collections::HashSet::new();
            while !rest.is_empty() {
                let mut blocks = std::collections::HashSet::new();
                let count = rest.iter().take_while(|&&i| {
                    let number = i as usize / block;
                    blocks.contains(&number) || blocks.len() < window && blocks.insert(number)
                });
                let count = count.count();
                assert!(blocks.iter().all(|&number| seen.insert(number)), "a block comes twice");
                rest = &rest[count..];
            }
        }
    }

    #[test]
    fn blocks_are_shuffled_within_and_among() {
        let mut order = vec![0; 1024];
        shuffle_blocks(&mut order, 1, 0, 32, 4);
        let first: Vec<_> = order[..128].iter().map(|i| i / 32).collect();
        assert!(
            !first.is_sorted() && first.windows(2).filter(|pair| pair[0] != pair[1]).count() > 60
        );
        let mut later = vec![0; 1024];
        shuffle_blocks(&mut later, 1, 1, 32, 4);
        assert_ne!(order, later);
        // One window of everything is as good as a full shuffle: neighbours are no longer together.
        shuffle_blocks(&mut order, 1, 0, 32, 32);
        assert!(order.windows(2).filter(|pair| pair[0] / 32 == pair[1] / 32).count() < 80);
    }
}
