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
