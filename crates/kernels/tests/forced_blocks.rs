//! Blocks and packed panels, forced upon products so small that Miri can run them: plans choose
//! them for large products alone.

mod common;

use common::matrix::Layout::{self, Columns, Rows};
use common::product::{Case, Kind, STARTS, Twin, assert_all_near};
use common::{Random, sparse, tiles};
use kernels::gemm::{PackB, Plan, Start};
use kernels::{Activation, Isa, reference};

const LAYOUTS: [[Layout; 2]; 4] =
    [[Rows(2), Rows(3)], [Columns(1), Rows(0)], [Rows(0), Columns(2)], [Columns(0), Columns(1)]];

/// As [`sparse`], and a sixth of the step in a build that is not optimized, which AddressSanitizer runs in. The
/// steps below reach, in Miri, whole sums from first tiles' panels, and strips copied ahead while rows stay.
const fn rare(step: usize) -> usize {
    if cfg!(debug_assertions) && !cfg!(miri) { step.div_ceil(6) } else { sparse(step) }
}

/// All ways to cut and pack a product, in tiles of the plan's own size.
fn plans(plan: &Plan, b_by_rows: bool) -> Vec<Plan> {
    let Plan { m, n, k, swap, tile_rows, tile_cols, .. } = *plan;
    // A swapped product reads the columns of A, which are contiguous, as rows of B.
    let (m, n, b_by_rows) = if swap { (n, m, true) } else { (m, n, b_by_rows) };
    let ways = match b_by_rows {
        true => &[PackB::Before, PackB::InPlace, PackB::FirstTile][..],
        false => &[PackB::Before, PackB::InTile],
    };
    let mut plans = Vec::new();
    for pack_a in [false, true] {
        for &pack_b in ways {
            // What a tile transposes is a vector wide.
            let in_tile = pack_b == PackB::InTile;
            let tile_cols = if in_tile { plan.isa.lanes() } else { tile_cols };
            // The panel of a first tile holds one strip, as does what a tile transposes.
            let down = in_tile || pack_b == PackB::FirstTile;
            for &rows_first in &[false, true][..2 - usize::from(down)] {
                for k_block in [1, 4, k] {
                    for m_block in [tile_rows, m.next_multiple_of(tile_rows)] {
                        for n_block in [tile_cols, n.next_multiple_of(tile_cols)] {
                            for rows_stay in [false, true] {
                                let size = Plan { tile_cols, rows_first, ..plan.clone() };
                                let cut = Plan { k_block, m_block, n_block, ..size };
                                plans.push(Plan { pack_a, pack_b, rows_stay, ..cut });
                            }
                        }
                    }
                }
            }
        }
    }
    plans
}

#[test]
fn small_products_may_be_cut_and_packed_in_any_way() {
    let mut random = Random(51);
    for shape @ [m, n, k] in [[9, 30, 9], [9, 6, 17], [33, 17, 10], [2, 150, 5], [40, 130, 9]]
        .into_iter()
        .take(if cfg!(miri) { 2 } else { 5 })
    {
        // Whole numbers: every way of adding them up gives the same.
        let case = Case::whole(&mut random, shape);
        let sums = reference::gemm(m, n, k, case.a.twin(), case.b.twin());
        for isa in Isa::available() {
            for layouts in LAYOUTS {
                let [a_by_rows, b_by_rows] = layouts.map(|layout| matches!(layout, Rows(_)));
                let own = Plan::new(isa, m, n, k, a_by_rows, b_by_rows);
                for plan in plans(&own, b_by_rows).into_iter().step_by(rare(119)) {
                    let got = case.run_as(layouts, Start::Zero, Kind::Bias, |_, _| plan.clone());
                    for (at, x) in got.iter().enumerate() {
                        let expected = sums[at] as f32 + case.bias.values[at % n];
                        assert_eq!(*x, expected, "{isa} {layouts:?} {plan:?}, {at}");
                    }
                }
            }
        }
    }
}

/// Blocks of B that the tiles of the one before copy: strips of which the last is narrower
/// and masked, with more rows for each tile than it has turns and with fewer, through several blocks of
/// columns, of k and of rows; and the same tiles over packed blocks, asking for C and A alone.
#[test]
fn tiles_may_copy_ahead() {
    let mut random = Random(52);
    for isa in Isa::available() {
        // Those that copy while they sum are among them; others copy first.
        let several = tiles(isa).iter().filter(|(vectors, _)| (2..=4).contains(vectors));
        for &(vectors, tile_rows) in several.step_by(sparse(3)) {
            let tile_cols = vectors * isa.lanes();
            for [m, n, k] in [
                [3 * tile_rows - 1, 3 * tile_cols - 5, 9],
                [2 * tile_rows + 1, 2 * tile_cols, 70],
                [13 * tile_rows - 2, 2 * tile_cols + 3, 50],
                [5 * tile_rows + 2, 5 * tile_cols + 1, 150],
                [tile_rows, 3 * tile_cols, 10],
            ]
            .into_iter()
            .take(if cfg!(miri) { 1 } else { 5 })
            {
                let case = Case::whole(&mut random, [m, n, k]);
                let twin = Twin::new(&case);
                for layout in [Rows(1), Columns(0), Layout::Spread(1)] {
                    let plans = plans_ahead(isa, [m, n, k], (tile_rows, tile_cols));
                    for (i, plan) in plans.into_iter().enumerate().step_by(rare(57)) {
                        let (start, kind) = (STARTS[i % 2], KINDS[i % KINDS.len()]);
                        let got = case.run_as([layout, Rows(2)], start, kind, |_, _| plan.clone());
                        assert_all_near(&got, &twin.expected(start, kind), || {
                            format!("{isa} {layout:?} {start:?} {kind:?} {plan:?}")
                        });
                    }
                }
            }
        }
    }
}

/// Few rows of a B whose columns lie contiguous, or neither these nor its rows: two strips, the last one narrower
/// than a vector, and a last block of summands that is no whole one.
#[test]
fn few_rows_of_a_transposed_b_match_the_twin() {
    let mut random = Random(54);
    for isa in Isa::available() {
        let shape @ [m, n, k] = [3, isa.lanes() + 3, isa.lanes() + 5];
        assert_eq!(Plan::new(isa, m, n, k, true, false).pack_b, PackB::InTile, "{isa}");
        let case = Case::whole(&mut random, shape);
        let twin = Twin::new(&case);
        for layouts in [[Rows(1), Columns(2)], [Columns(0), Layout::Spread(1)]] {
            for (start, kind) in [(STARTS[0], KINDS[4]), (STARTS[1], KINDS[1])] {
                let got = case.run(isa, layouts, start, kind);
                let what = || format!("{isa} {layouts:?} {start:?} {kind:?}");
                assert_all_near(&got, &twin.expected(start, kind), what);
            }
        }
    }
}

/// One and two summands, whose rows are written from start to end: of whole vectors, and with a part of one.
#[test]
fn outer_products_match_the_twin() {
    let mut random = Random(55);
    for isa in Isa::available() {
        for (i, m) in [7, 1, 12, 19].into_iter().enumerate().step_by(sparse(4)) {
            for [k, n] in [[1, 3 * isa.lanes() + 5], [2, 4 * isa.lanes()]] {
                let plan = Plan::new(isa, m, n, k, true, true);
                assert!(plan.pack_b == PackB::InPlace && plan.rows_first, "{isa} {plan:?}");
                let case = Case::whole(&mut random, [m, n, k]);
                let twin = Twin::new(&case);
                let layout = [Rows(1), Columns(2), Layout::Spread(1)][i % 3];
                for start in STARTS {
                    for kind in KINDS.into_iter().skip(i % 2).step_by(sparse(2)) {
                        let got = case.run(isa, [layout, Rows(3)], start, kind);
                        let what = || format!("{isa} {m}x{k}x{n} {layout:?} {start:?} {kind:?}");
                        assert_all_near(&got, &twin.expected(start, kind), what);
                    }
                }
            }
        }
    }
}

/// All that a tile may do with its sums, and an activation after it.
const KINDS: [Kind; 5] = [
    Kind::Store,
    Kind::Bias,
    Kind::BiasActivation(Activation::Relu),
    Kind::Gradient(Activation::Relu),
    Kind::BiasActivation(Activation::Tanh),
];

/// All ways in which tiles of a size may do something for later ones.
fn plans_ahead(isa: Isa, [m, n, k]: [usize; 3], tile: (usize, usize)) -> Vec<Plan> {
    let (tile_rows, tile_cols) = tile;
    let own = Plan { tile_rows, tile_cols, fetch: true, ..Plan::new(isa, m, n, k, true, true) };
    let mut plans = Vec::new();
    for (pack_b, orders) in [
        (PackB::Ahead, &[false, true][..]),
        (PackB::Before, &[false, true]),
        (PackB::InPlace, &[false, true]),
        (PackB::FirstTile, &[false]),
    ] {
        for &rows_first in orders {
            for pack_a in [false, true] {
                for k_block in [k, k.div_ceil(3)] {
                    for n_block in [tile_cols, 2 * tile_cols, n] {
                        for m_block in [2 * tile_rows, m.next_multiple_of(tile_rows)] {
                            // While rows stay, strips are copied ahead one by one.
                            let several = pack_b == PackB::Ahead && n_block > tile_cols;
                            for &rows_stay in &[false, true][..2 - usize::from(several)] {
                                let cut = Plan { k_block, n_block, m_block, ..own.clone() };
                                plans.push(Plan { pack_a, pack_b, rows_stay, rows_first, ..cut });
                            }
                        }
                    }
                }
            }
        }
    }
    plans
}

/// A product of three strips of vectors that copies ahead, cut in another way.
fn copies_ahead(cut: impl Fn(Plan) -> Plan) {
    let isa = Isa::by_name("portable").expect("everywhere");
    let case = Case::whole(&mut Random(53), [8, 24, 10]);
    case.run_as([Rows(0), Rows(0)], Start::Zero, Kind::Store, |_, _| {
        let own = Plan::new(isa, 8, 24, 10, true, true);
        cut(Plan { tile_rows: 4, tile_cols: 8, n_block: 24, pack_b: PackB::Ahead, ..own })
    });
}

/// A panel's rows are as wide as whole vectors, wherever the next panel starts.
#[test]
#[should_panic(expected = "strips of 12 columns, no whole vectors, copied ahead")]
fn strips_of_parts_of_vectors_are_not_copied_ahead() {
    copies_ahead(|plan| Plan { tile_cols: 12, k_block: 5, rows_first: true, ..plan });
}

/// The narrow strip at the end has the first ones after it.
#[test]
#[should_panic(expected = "more than a strip, copied ahead while rows stay")]
fn strips_are_not_copied_ahead_together_while_rows_stay() {
    copies_ahead(|plan| Plan { m_block: 4, n_block: 16, rows_stay: true, ..plan });
}

/// A narrow product that was planned through its transpose, and cannot be computed so.
#[test]
#[should_panic(expected = "planned for contiguous rows")]
fn a_narrow_product_reads_no_rows_that_are_not_there() {
    let isa = Isa::best();
    let case = Case::whole(&mut Random(54), [40, 10, 30]);
    let layouts = [Layout::Spread(1), Columns(0)];
    case.run_as(layouts, Start::Zero, Kind::Store, |_, _| Plan::new(isa, 40, 10, 30, false, true));
}

/// A first tile's panel is for the tiles below it: those to the right have other columns.
#[test]
#[should_panic(expected = "panels of first tiles, for tiles to the right")]
fn panels_of_first_tiles_are_not_for_the_right() {
    copies_ahead(|plan| Plan { pack_b: PackB::FirstTile, rows_first: true, ..plan });
}

/// A tile has room for the transpose of a vector's columns.
#[test]
#[should_panic(expected = "tiles of 24 columns, more than a vector, or to the right, transpose B")]
fn tiles_transpose_no_more_than_a_vector() {
    copies_ahead(|plan| Plan { tile_cols: 24, pack_b: PackB::InTile, ..plan });
}
