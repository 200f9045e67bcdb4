//! What the tests of the kernels share.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod examples;
pub mod matrix;
pub mod product;
pub mod rows;
pub mod steps;

use std::io::{self, Write};

use kernels::Isa;

/// The step through cases of a kind: 1, and `step` in Miri, which interprets each operation, some
/// thousand times slower.
pub const fn sparse(step: usize) -> usize {
    if cfg!(miri) { step } else { 1 }
}

/// Unit roundoff of single precision.
pub const EPS: f64 = 0.5 * f32::EPSILON as f64;

/// A slice of floats between canaries, at any offset from an aligned address.
pub struct Guarded {
    floats: Vec<f32>,
    start: usize,
    len: usize,
}

const CANARIES: usize = 32;
const CANARY: u32 = 0x7fd1_5eed; // a NaN

impl Guarded {
    /// `values`, `offset` floats further than they need be.
    pub fn new(values: &[f32], offset: usize) -> Self {
        let start = CANARIES + offset;
        let canary = f32::from_bits(CANARY);
        let mut floats = vec![canary; start + values.len() + CANARIES];
        floats[start..start + values.len()].copy_from_slice(values);
        Self { floats, start, len: values.len() }
    }

    /// `len` NaNs, to be overwritten.
    pub fn nan(len: usize, offset: usize) -> Self {
        Self::new(&vec![f32::NAN; len], offset)
    }

    pub fn get(&mut self) -> &mut [f32] {
        &mut self.floats[self.start..self.start + self.len]
    }

    /// The values, after a look at the canaries.
    pub fn done(self, what: &str) -> Vec<f32> {
        let (before, rest) = self.floats.split_at(self.start);
        let (values, after) = rest.split_at(self.len);
        for (i, x) in before.iter().chain(after).enumerate() {
            assert_eq!(x.to_bits(), CANARY, "{what}: canary {i} around {} floats", self.len);
        }
        values.to_vec()
    }
}

/// Numbers without a pattern: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Between -1 and 1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, n: usize, size: f32) -> Vec<f32> {
        (0..n).map(|_| self.float() * size).collect()
    }
}

/// Within `bound` of `expected`; NaN never is.
#[track_caller]
pub fn assert_near(got: f32, expected: f64, bound: f64, what: &str) {
    let error = (f64::from(got) - expected).abs();
    assert!(error <= bound, "{what}: {got} for {expected}, off by {error:e}, allowed {bound:e}");
}

/// The bits, for comparisons that know NaN and the sign of zero.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Says that a test does nothing here; past the capture of the output of tests that pass.
pub fn skip(why: &str) {
    #[expect(clippy::explicit_write, reason = "the test runner swallows what eprintln! prints")]
    writeln!(io::stderr(), "skipped: {why}").unwrap();
}

/// Runs `f` on AVX2 and AVX-512 and compares what it returns; says so where one is missing.
pub fn same_on_avx2_and_avx512<T: PartialEq + std::fmt::Debug>(f: impl Fn(Isa) -> T) {
    match (Isa::by_name("avx2"), Isa::by_name("avx512")) {
        (Some(avx2), Some(avx512)) => assert_eq!(f(avx2), f(avx512), "AVX2 and AVX-512"),
        _ => skip("AVX2 against AVX-512: the processor lacks one of them"),
    }
}

/// Widths in vectors, and the rows of the tallest tile of that width.
pub fn tiles(isa: Isa) -> &'static [(usize, usize)] {
    match isa.name() {
        "avx512" => &[(1, 12), (2, 12), (3, 8), (4, 6), (5, 4), (6, 4), (7, 3), (8, 3)],
        "avx2" => &[(1, 10), (2, 6), (3, 3), (4, 2), (5, 1), (6, 1)],
        _ => &[(1, 4), (2, 4), (3, 4)],
    }
}
