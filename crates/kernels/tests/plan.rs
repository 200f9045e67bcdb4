//! Plans, without running them: over a grid of shapes, every property that running relies on and
//! every one that the documentation promises.

mod common;

use common::sparse;
use kernels::Isa;
use kernels::gemm::{Epilogue, Gemm, Plan};
use kernels::{MatMut, MatRef};

/// Widths in vectors, and the rows of the tallest tile of that width.
fn tiles(isa: Isa) -> &'static [(usize, usize)] {
    match isa.name() {
        "avx512" => &[(1, 14), (2, 12), (3, 8), (4, 6), (5, 4), (6, 4), (7, 3), (8, 3)],
        "avx2" => &[(1, 10), (2, 6), (3, 4), (4, 2), (5, 1), (6, 1)],
        _ => &[(1, 4), (2, 4), (3, 4)],
    }
}

/// Registers that hold sums, a row of B and a broadcast.
fn registers(isa: Isa) -> usize {
    match isa.name() {
        "avx512" => 32,
        "avx2" => 16,
        // Eight vectors of eight in sixteen registers of four; some sums live in memory.
        _ => 16,
    }
}

const SIZES: [usize; 24] = [
    1, 2, 3, 7, 10, 16, 17, 31, 32, 48, 64, 100, 128, 192, 193, 256, 300, 512, 784, 1024, 1025,
    2048, 4096, 60_000,
];

fn for_each_plan(mut check: impl FnMut(Isa, &Plan, bool, bool)) {
    for isa in Isa::available() {
        for m in SIZES.into_iter().step_by(sparse(9)) {
            for n in SIZES.into_iter().step_by(sparse(9)) {
                for k in SIZES.into_iter().step_by(sparse(9)) {
                    for layout in 0..4 {
                        let (a, b) = (layout & 1 == 0, layout & 2 == 0);
                        check(isa, &Plan::new(isa, m, n, k, a, b), a, b);
                    }
                }
            }
        }
    }
}

fn is_large(plan: &Plan) -> bool {
    let Plan { m, n, k, .. } = *plan;
    m * n >= 128 * 1024 && m * k >= 64 * 1024 && k * n >= 64 * 1024
}

#[test]
fn tiles_exist_and_fit_the_registers() {
    for_each_plan(|isa, plan, _, _| {
        let vectors = plan.tile_cols / isa.lanes();
        assert_eq!(plan.tile_cols % isa.lanes(), 0, "{isa} {plan:?}");
        let tile = tiles(isa).iter().find(|(width, _)| *width == vectors);
        let (_, most) = tile.unwrap_or_else(|| panic!("{isa} {plan:?}: no such tile"));
        assert!((1..=*most).contains(&plan.tile_rows), "{isa} {plan:?}");
        let sums = plan.tile_rows * vectors;
        assert!(sums + vectors < registers(isa), "{isa} {plan:?}: {sums} sums");
        // No taller and no wider than C, but for the last vector.
        assert!(plan.tile_rows <= plan.m, "{isa} {plan:?}");
        assert!(plan.tile_cols < plan.n + isa.lanes(), "{isa} {plan:?}");
    });
}

#[test]
fn blocks_cover_the_product() {
    for_each_plan(|isa, plan, _, _| {
        let what = || format!("{isa} {plan:?}");
        assert!((1..=plan.k).contains(&plan.k_block), "{}", what());
        assert!(plan.m_block >= plan.tile_rows.min(plan.m), "{}", what());
        assert!(plan.n_block >= plan.tile_cols.min(plan.n), "{}", what());
        // Where a block is packed and another follows, panels end where it ends.
        if plan.pack_a && plan.m_block < plan.m {
            assert_eq!(plan.m_block % plan.tile_rows, 0, "{}", what());
        }
        if plan.pack_b && plan.n_block < plan.n {
            assert_eq!(plan.n_block % plan.tile_cols, 0, "{}", what());
        }
    });
}

/// Sums are cut only where they are long or the product is large; a block of B's strip then stays
/// in the first-level cache.
#[test]
fn the_sum_is_cut_only_where_it_asks_for_it() {
    for_each_plan(|isa, plan, _, _| {
        let whole = plan.k <= 1024 && !is_large(plan);
        assert_eq!(plan.k_block == plan.k, whole || plan.k <= 192, "{isa} {plan:?}");
        assert!(whole || plan.k_block <= 192, "{isa} {plan:?}");
        // Blocks are of nearly equal size: the last is never a sliver.
        let last = plan.k - (plan.k.div_ceil(plan.k_block) - 1) * plan.k_block;
        assert!(2 * last >= plan.k_block, "{isa} {plan:?}: the last has {last}");
    });
}

#[test]
fn operands_are_packed_only_where_that_pays() {
    for_each_plan(|isa, plan, a_by_rows, b_by_rows| {
        let what = || format!("{isa} {plan:?} {a_by_rows} {b_by_rows}");
        // Tiles read rows of B: a transposed one is always packed.
        assert!(plan.pack_b || b_by_rows, "{}", what());
        if !is_large(plan) {
            assert!(!plan.pack_a, "{}", what());
            assert_eq!(plan.pack_b, !b_by_rows, "{}", what());
        }
        // One pass over the rows reads B once; one pass over the columns reads A once.
        if plan.m <= 2 * plan.tile_rows {
            assert_eq!(plan.pack_b, !b_by_rows, "{}", what());
        }
        if plan.n <= plan.tile_cols && a_by_rows {
            assert!(!plan.pack_a, "{}", what());
        }
        assert_eq!(plan.scratch() == 0, !plan.pack_a && !plan.pack_b, "{}", what());
    });
}

/// Scratch memory has a bound that does not grow with the product: a block of A in the
/// second-level cache and four times as much of B.
#[test]
fn scratch_memory_is_bounded() {
    const BLOCK: usize = 96 * 1024;
    for_each_plan(|isa, plan, _, _| {
        let edge = (plan.tile_rows + plan.tile_cols) * plan.k_block;
        let most = (usize::from(plan.pack_a) + 4 * usize::from(plan.pack_b)) * BLOCK + edge;
        assert!(plan.scratch() <= most, "{isa} {plan:?}: {} of {most}", plan.scratch());
        // And never more than the operands, padded.
        let pad = |x: usize| x + 128;
        let operands = pad(plan.m) * plan.k + pad(plan.n) * plan.k;
        assert!(plan.scratch() <= operands, "{isa} {plan:?}: {}", plan.scratch());
    });
}

#[test]
fn the_same_shape_has_the_same_plan() {
    for_each_plan(|isa, plan, a, b| {
        assert_eq!(&Plan::new(isa, plan.m, plan.n, plan.k, a, b), plan);
    });
}

#[test]
fn every_small_shape_runs() {
    let values = [0.0; 400];
    for isa in Isa::available() {
        for m in (0..=20).step_by(sparse(7)) {
            for n in (0..=20).step_by(sparse(7)) {
                for k in (0..=20).step_by(sparse(7)) {
                    for layout in 0..4 {
                        let (a_by_rows, b_by_rows) = (layout & 1 == 0, layout & 2 == 0);
                        let view = |rows, cols, by_rows| match by_rows {
                            true => MatRef::new(&values, rows, cols),
                            false => MatRef::new(&values, cols, rows).t(),
                        };
                        let mut c = [f32::NAN; 400];
                        let mut planned = Gemm::new(isa, m, n, k, a_by_rows, b_by_rows);
                        let (a, b) = (view(m, k, a_by_rows), view(k, n, b_by_rows));
                        planned.run(a, b, MatMut::new(&mut c, m, n), Epilogue::Store);
                        let (inside, outside) = c.split_at(m * n);
                        assert!(inside.iter().all(|x| *x == 0.0), "{isa} {m} {n} {k}");
                        assert!(outside.iter().all(|x| x.is_nan()), "{isa} {m} {n} {k}");
                    }
                }
            }
        }
    }
}

/// Larger than any memory: views with strides of zero may be.
#[test]
fn huge_shapes_are_planned() {
    let huge = [0, 1, 1000, 1 << 31, 1 << 40, usize::MAX / 2, usize::MAX];
    for isa in Isa::available() {
        for m in huge {
            for n in huge {
                for k in huge {
                    for layout in 0..4 {
                        let plan = Plan::new(isa, m, n, k, layout & 1 == 0, layout & 2 == 0);
                        assert_eq!(plan, plan.clone());
                        let scratch = plan.scratch();
                        assert!(scratch == 0 || plan.pack_a || plan.pack_b, "{plan:?}");
                    }
                }
            }
        }
    }
}

/// Fields are there to be read; whatever is written into them, no memory but the views and the
/// scratch memory is touched.
#[test]
fn a_plan_that_was_tampered_with_asks_for_all_it_would_write() {
    for isa in Isa::available() {
        let mut plan = Plan::new(isa, 64, 40, 30, true, false);
        assert!(plan.pack_b);
        let honest = plan.scratch();
        // By wrapping arithmetic the product with the padded columns would be small.
        plan.k_block = usize::MAX / 16 + 1;
        assert!(plan.scratch() >= honest, "{isa}: {} of {honest}", plan.scratch());
        plan.n_block = usize::MAX;
        assert!(plan.scratch() >= honest, "{isa}: {} of {honest}", plan.scratch());
    }
}
