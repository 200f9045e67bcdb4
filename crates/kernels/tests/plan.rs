//! Plans, without running them: over a grid of shapes, every property that running relies on and
//! every one that the documentation promises.

mod common;

use common::{sparse, tiles};
use kernels::Isa;
use kernels::gemm::{Epilogue, Gemm, PackB, Plan, Start, run};
use kernels::{MatMut, MatRef};

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

/// Rows and columns of what the tiles compute: of C, or of its transpose.
fn tiled(plan: &Plan) -> (usize, usize) {
    if plan.swap { (plan.n, plan.m) } else { (plan.m, plan.n) }
}

/// Whether any of B is copied to scratch memory.
fn packs_b(plan: &Plan) -> bool {
    !matches!(plan.pack_b, PackB::InPlace | PackB::InTile)
}

/// Whether both operands are larger than what stays in the second-level cache, 1 MiB.
fn is_far(plan: &Plan) -> bool {
    plan.m * plan.k > 256 * 1024 && plan.n * plan.k > 256 * 1024
}

/// Whether rows of A and B lie contiguous, as the tiles see them: operands of a swapped product are each
/// other's transposes.
fn tiled_by_rows(plan: &Plan, a_by_rows: bool, b_by_rows: bool) -> [bool; 2] {
    if plan.swap { [!b_by_rows, !a_by_rows] } else { [a_by_rows, b_by_rows] }
}

/// Whether all of B stays in the second-level cache, though not in the first, while A passes through by
/// rows, several strips of it.
fn streams(plan: &Plan, a_by_rows: bool) -> bool {
    let (m, n) = tiled(plan);
    let (size_a, size_b) = (m * plan.k, n * plan.k);
    let stays = size_b <= 256 * 1024 && size_b > 6 * 1024 && n > plan.tile_cols;
    size_a > 256 * 1024 && stays && a_by_rows
}

/// Whether scalars of a transposed A are read where they are, a stride apart, by a few strips.
fn reads_columns(isa: Isa, plan: &Plan, [a_by_rows, b_by_rows]: [bool; 2]) -> bool {
    let ((m, n), size) = (tiled(plan), tiled(plan).0 * plan.k);
    let some = if isa.name() == "avx512" { 6 * plan.tile_cols } else { 256 };
    let few = n <= plan.tile_cols.max(32) || (n <= some && size <= 2 * 1024 * 1024);
    let other = writes(plan, b_by_rows) || transposes(isa, plan, b_by_rows);
    !a_by_rows && few && size > 64 * 1024 && m > 0 && !other
}

/// Whether one or two summands and more than a line of columns, or few summands and a C of 1 or 2 MiB,
/// leave the time to write C.
fn writes(plan: &Plan, b_by_rows: bool) -> bool {
    let (m, n) = tiled(plan);
    let outer = (1..=2).contains(&plan.k) && n > 16;
    let large = plan.k <= 32 && m * n > 512 * 1024 || plan.k <= 16 && m * n > 256 * 1024;
    b_by_rows && (outer || large)
}

/// Whether few rows meet a B of more than 2 MiB.
fn scans(plan: &Plan, b_by_rows: bool) -> bool {
    b_by_rows && tiled(plan).0 <= 24 && plan.k * tiled(plan).1 > 512 * 1024
}

/// Whether few rows meet a B whose columns lie contiguous, and are long enough.
fn transposes(isa: Isa, plan: &Plan, b_by_rows: bool) -> bool {
    let most = if isa.name() == "avx512" { 12 } else { 4 };
    !b_by_rows && tiled(plan).0 <= most && plan.k >= isa.lanes()
}

#[test]
fn tiles_exist_and_fit_the_registers() {
    for_each_plan(|isa, plan, _, _| {
        let (m, n) = tiled(plan);
        let vectors = plan.tile_cols / isa.lanes();
        assert_eq!(plan.tile_cols % isa.lanes(), 0, "{isa} {plan:?}");
        let tile = tiles(isa).iter().find(|(width, _)| *width == vectors);
        let (_, most) = tile.unwrap_or_else(|| panic!("{isa} {plan:?}: no such tile"));
        assert!((1..=*most).contains(&plan.tile_rows), "{isa} {plan:?}");
        let sums = plan.tile_rows * vectors;
        assert!(sums + vectors.min(plan.tile_rows) < registers(isa), "{isa} {plan:?}: {sums} sums");
        // No taller and no wider than C, but for the last vector.
        assert!(plan.tile_rows <= m, "{isa} {plan:?}");
        assert!(plan.tile_cols < n + isa.lanes(), "{isa} {plan:?}");
    });
}

#[test]
fn blocks_cover_the_product() {
    for_each_plan(|isa, plan, _, _| {
        let what = || format!("{isa} {plan:?}");
        let (m, n) = tiled(plan);
        assert!((1..=plan.k).contains(&plan.k_block), "{}", what());
        assert!(plan.m_block >= plan.tile_rows.min(m), "{}", what());
        assert!(plan.n_block >= plan.tile_cols.min(n), "{}", what());
        // Where a block is packed and another follows, panels end where it ends.
        if plan.pack_a && plan.m_block < m {
            assert_eq!(plan.m_block % plan.tile_rows, 0, "{}", what());
        }
        if plan.n_block < n {
            assert_eq!(plan.n_block % plan.tile_cols, 0, "{}", what());
        }
        // A panel holds one strip: the strip's other tiles come next, and after them the next strip's.
        assert!(plan.pack_b != PackB::FirstTile || !plan.rows_first, "{}", what());
        // Two blocks of B stay in the second-level cache beside what passes through: of one strip where
        // all of A does too, or what is packed of it.
        if plan.pack_b == PackB::Ahead {
            let one = plan.n_block == plan.tile_cols && !plan.rows_first;
            assert_eq!(one, !is_far(plan) || plan.pack_a, "{}", what());
            assert!(plan.n_block <= 144 * 1024 / plan.k_block + plan.tile_cols, "{}", what());
        }
        // Only what is packed of A stays, which would have to be packed again for each block of B; in tiles
        // enough to copy a strip.
        assert_eq!(plan.rows_stay, plan.pack_a && plan.pack_b == PackB::Ahead, "{}", what());
        if plan.rows_stay {
            let tiles = plan.m_block.min(m).div_ceil(plan.tile_rows);
            assert!(tiles * isa.lanes() >= 4 * plan.tile_cols, "{}", what());
        }
    });
}

/// Sums are cut only where they are long, the product is large, or a panel of B is to stay near.
#[test]
fn the_sum_is_cut_only_where_it_asks_for_it() {
    for_each_plan(|isa, plan, a_by_rows, b_by_rows| {
        let by_rows @ [_, b_by_rows] = tiled_by_rows(plan, a_by_rows, b_by_rows);
        let (m, n) = tiled(plan);
        let large = isa.name() == "avx512" && n * plan.k >= 256 * 1024;
        let most = match plan.pack_b {
            PackB::InTile => usize::MAX,
            _ if scans(plan, b_by_rows) => 32,
            _ if reads_columns(isa, plan, by_rows) => {
                if m > 512 {
                    64
                } else {
                    128
                }
            }
            PackB::FirstTile if large => 196,
            PackB::FirstTile | PackB::Ahead => 512,
            _ if is_far(plan) => 512,
            _ => 1024,
        };
        assert!(plan.k_block <= most, "{isa} {plan:?}");
        assert_eq!(plan.k_block == plan.k, plan.k <= most, "{isa} {plan:?}");
        // Blocks are of equal size, rounded up: the last is short by less than one for each.
        let blocks = plan.k.div_ceil(plan.k_block);
        let last = plan.k - (blocks - 1) * plan.k_block;
        assert!(last + blocks > plan.k_block, "{isa} {plan:?}: the last has {last}");
    });
}

#[test]
fn operands_are_packed_only_where_that_pays() {
    for_each_plan(|isa, plan, a_by_rows, b_by_rows| {
        let what = || format!("{isa} {plan:?} {a_by_rows} {b_by_rows}");
        let (m, n) = tiled(plan);
        let by_rows @ [a_by_rows, b_by_rows] = tiled_by_rows(plan, a_by_rows, b_by_rows);
        let (columns, streams) = (reads_columns(isa, plan, by_rows), streams(plan, a_by_rows));
        // Tiles read rows of B: a transposed one is always packed, but for few rows.
        assert!(matches!(plan.pack_b, PackB::Before | PackB::InTile) || b_by_rows, "{}", what());
        assert_eq!(plan.pack_b == PackB::InTile, transposes(isa, plan, b_by_rows), "{}", what());
        // What takes the time to write C, or to read B, goes along their rows.
        let (writes, scans) = (writes(plan, b_by_rows), scans(plan, b_by_rows));
        if writes || scans {
            assert_eq!((plan.pack_b, plan.rows_first), (PackB::InPlace, writes), "{}", what());
        }
        // A is packed only where its scalars lie a stride apart, more than two strips read it, and it is not
        // read in short blocks.
        if plan.pack_a {
            assert!(!a_by_rows && n > 2 * plan.tile_cols && m * plan.k > 64 * 1024, "{}", what());
            assert!(!columns, "{}", what());
        }
        // Where B stays near, C goes along its rows if these are long, if it is large, or if they are the longer
        // runs.
        if plan.pack_b == PackB::InPlace && n * plan.k <= 6 * 1024 && !writes {
            let runs = m.div_ceil(plan.tile_rows) <= n.div_ceil(plan.tile_cols);
            assert_eq!(plan.rows_first, n > 256 || m * n > 256 * 1024 || runs, "{}", what());
        }
        // Few tiles read a strip, or the strip is all of B. Where rows are parts of a vector, or, with AVX-512,
        // where B is 1 MiB or more, two are many.
        let large = isa.name() == "avx512" && n * plan.k >= 256 * 1024;
        let many = if n < isa.lanes() || large { 2 } else { 6 };
        let few = m.div_ceil(plan.tile_rows) < many || n == plan.tile_cols;
        if b_by_rows && few && (!is_far(plan) || columns) && !streams && !writes {
            assert_eq!(plan.pack_b, PackB::InPlace, "{}", what());
        }
        // What is copied ahead would not stay in the second-level cache, and tiles have time to copy it.
        if plan.pack_b == PackB::Ahead {
            assert_eq!(isa.name(), "avx512", "{}", what());
            let tiles = m.div_ceil(plan.tile_rows);
            assert!(tiles * isa.lanes() >= 4 * plan.tile_cols, "{}", what());
            assert!(n * plan.k >= 256 * 1024 && n > plan.tile_cols, "{}", what());
        }
        // Where A passes through and B stays, A passes once.
        if streams && !writes && !scans && plan.pack_b != PackB::InTile {
            assert!(plan.pack_b == PackB::Before && plan.rows_first, "{}", what());
            assert!(plan.n_block >= n && plan.k_block >= plan.k.min(512), "{}", what());
        }
        // A and C are asked for where they pass through.
        let pass = (is_far(plan) && !columns) || (streams && n * plan.k >= 24 * 1024);
        let pass = pass && plan.pack_b != PackB::InTile;
        let asked = plan.pack_b == PackB::Ahead || isa.name() == "avx512" && pass;
        assert_eq!(plan.fetch, asked, "{}", what());
        let packs = plan.pack_a || packs_b(plan);
        assert_eq!(plan.scratch() == 0, !packs && !plan.swap, "{}", what());
    });
}

/// Only a narrow result whose A has contiguous columns is computed through its transpose.
#[test]
fn narrow_results_are_swapped() {
    for_each_plan(|isa, plan, a_by_rows, _| {
        let lanes = isa.lanes();
        let idle = plan.n.next_multiple_of(lanes) - plan.n;
        let narrow = plan.n <= 2 * lanes && 4 * idle >= plan.n.next_multiple_of(lanes);
        let expected = narrow && !a_by_rows && plan.m >= lanes && plan.k > 8;
        assert_eq!(plan.swap, expected, "{isa} {plan:?} {a_by_rows}");
    });
}

/// Scratch memory has a bound that does not grow with the product: a block of A, two of B, and
/// the result of a swapped product.
#[test]
fn scratch_memory_is_bounded() {
    const BLOCK: usize = 256 * 1024;
    for_each_plan(|isa, plan, _, _| {
        let edge = (plan.tile_rows + plan.tile_cols) * plan.k_block;
        let packs = packs_b(plan) || plan.pack_a || plan.swap;
        let most = usize::from(packs) * 2 * (BLOCK + edge) + 2 * 1024 * 1024 / 64;
        assert!(plan.scratch() <= most, "{isa} {plan:?}: {} of {most}", plan.scratch());
        // And never more than the operands, padded.
        let pad = |x: usize| x + 128;
        let operands = pad(plan.m) * plan.k + pad(plan.n) * plan.k;
        let result = usize::from(plan.swap) * plan.m * plan.n;
        assert!(plan.scratch() <= operands + result, "{isa} {plan:?}: {}", plan.scratch());
    });
}

/// A swapped product reads rows of A': where neither the rows nor the columns of A lie contiguous,
/// it is computed as it stands, in the memory that was planned.
#[test]
fn a_narrow_product_of_any_strides_runs() {
    let (m, n, k) = (40, 10, 300);
    let data = vec![1.0; 2 * (m * k).max(n * k)];
    for isa in Isa::available() {
        for b_by_rows in [true, false] {
            let plan = Plan::new(isa, m, n, k, false, b_by_rows);
            assert!(plan.swap);
            let a = MatRef::with_strides(&data, m, k, 2 * k, 2);
            let b = match b_by_rows {
                true => MatRef::new(&data, k, n),
                false => MatRef::new(&data, n, k).t(),
            };
            let mut c = vec![f32::NAN; m * n];
            let mut scratch = vec![f32::NAN; plan.scratch()];
            let view = MatMut::new(&mut c, m, n);
            run(isa, &plan, a, b, view, Start::Zero, Epilogue::Store, &mut scratch);
            assert!(c.iter().all(|x| *x == k as f32), "{isa}: {:?}", &c[..n]);
        }
    }
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
                        let packs = plan.pack_a || packs_b(&plan) || plan.swap;
                        assert!(scratch == 0 || packs, "{plan:?}");
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
        assert_eq!(plan.pack_b, PackB::Before);
        let honest = plan.scratch();
        // By wrapping arithmetic the product with the padded columns would be small.
        plan.k_block = usize::MAX / 16 + 1;
        assert!(plan.scratch() >= honest, "{isa}: {} of {honest}", plan.scratch());
        plan.n_block = usize::MAX;
        assert!(plan.scratch() >= honest, "{isa}: {} of {honest}", plan.scratch());
    }
}
