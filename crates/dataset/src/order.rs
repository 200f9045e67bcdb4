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
    let key = mix(seed ^ mix(epoch.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    for i in (1..order.len()).rev() {
        // Multiply-shift instead of a remainder: unbiased to 2^-32, and no division.
        let draw = mix(key.wrapping_add((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let j = ((u128::from(draw) * (i as u128 + 1)) >> 64) as usize;
        order.swap(i, j);
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
}
