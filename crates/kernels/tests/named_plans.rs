//! The plans of the shapes that have names, or a place in docs/gemm.md.

mod common;

use common::skip;
use kernels::Isa;
use kernels::gemm::{PackB, Plan};

/// What the named shapes' plans are compared by.
fn brief(plan: &Plan) -> (usize, usize, usize, PackB, bool, bool) {
    (plan.tile_rows, plan.tile_cols, plan.k_block, plan.pack_b, plan.pack_a, plan.swap)
}

/// The shapes of the reference workloads, on AVX-512: what docs/gemm.md says of them.
#[test]
fn the_named_shapes_have_the_documented_plans() {
    let Some(isa) = Isa::by_name("avx512") else { return skip("named plans: no AVX-512") };
    let brief = |m, k, n, a, b| brief(&Plan::new(isa, m, n, k, a, b));
    assert_eq!(brief(32, 784, 128, true, true), (8, 48, 784, PackB::InPlace, false, false));
    assert_eq!(brief(128, 784, 512, true, true), (8, 48, 392, PackB::Ahead, false, false));
    assert_eq!(brief(784, 32, 128, false, true), (6, 64, 32, PackB::InPlace, false, false));
    assert_eq!(brief(784, 128, 512, false, true), (8, 48, 128, PackB::FirstTile, true, false));
    assert_eq!(brief(128, 10, 512, true, false), (6, 64, 10, PackB::Before, false, false));
    assert_eq!(brief(512, 128, 10, false, true), (5, 64, 128, PackB::InPlace, false, true));
    assert_eq!(brief(128, 512, 10, true, true), (12, 16, 512, PackB::FirstTile, false, false));
    assert_eq!(brief(32, 128, 10, true, true), (11, 16, 128, PackB::FirstTile, false, false));
    assert_eq!(brief(256, 256, 256, true, true), (6, 64, 256, PackB::FirstTile, false, false));
    assert_eq!(brief(512, 512, 512, true, true), (8, 48, 512, PackB::Ahead, false, false));
    assert_eq!(brief(1024, 1024, 1024, true, true), (6, 64, 512, PackB::Ahead, false, false));
    assert_eq!(brief(2048, 2048, 2048, true, true), (6, 64, 512, PackB::Ahead, false, false));
    assert_eq!(brief(32, 1024, 1024, true, true), (8, 48, 171, PackB::FirstTile, false, false));
    assert_eq!(brief(2048, 784, 128, true, true), (8, 48, 784, PackB::Before, false, false));
    assert_eq!(brief(1024, 1024, 1024, false, true), (6, 64, 512, PackB::Ahead, true, false));
    assert_eq!(brief(784, 512, 128, false, true), (8, 48, 64, PackB::FirstTile, false, false));
    assert_eq!(brief(784, 2048, 128, false, true), (8, 48, 64, PackB::FirstTile, false, false));
    assert_eq!(brief(8192, 128, 784, true, false), (8, 48, 128, PackB::Before, false, false));
    assert_eq!(brief(1, 784, 512, true, true), (1, 128, 784, PackB::InPlace, false, false));
    assert_eq!(brief(8, 4096, 4096, true, true), (8, 48, 32, PackB::InPlace, false, false));
    assert_eq!(brief(4096, 8, 4096, false, true), (8, 48, 8, PackB::InPlace, false, false));
    assert_eq!(brief(784, 1, 512, false, true), (8, 16, 1, PackB::InPlace, false, false));
    assert_eq!(brief(8, 1024, 1024, true, false), (8, 16, 1024, PackB::InTile, false, false));
    assert_eq!(brief(128, 8, 10, false, true), (12, 16, 8, PackB::FirstTile, false, false));
}

/// Some of them on AVX2.
#[test]
fn the_named_shapes_have_their_plans_on_avx2() {
    let Some(isa) = Isa::by_name("avx2") else { return skip("named plans: no AVX2") };
    let brief = |m, k, n, a, b| brief(&Plan::new(isa, m, n, k, a, b));
    assert_eq!(brief(128, 784, 512, true, true), (6, 16, 392, PackB::FirstTile, false, false));
    assert_eq!(brief(784, 128, 512, false, true), (6, 16, 128, PackB::FirstTile, true, false));
    assert_eq!(brief(784, 512, 128, false, true), (6, 16, 64, PackB::FirstTile, false, false));
    assert_eq!(brief(2048, 784, 128, true, true), (6, 16, 784, PackB::Before, false, false));
    assert_eq!(brief(8192, 128, 784, true, false), (6, 16, 128, PackB::Before, false, false));
}
