//! A right operand in panels: products with it have the bits of those with the matrix, and its plans are as the
//! documentation says.

mod common;

use common::matrix::Layout::{Columns, Rows, Spread};
use common::matrix::Output;
use common::product::{Case, Kind, STARTS};
use common::{Random, bits, skip, sparse};
use kernels::gemm::{Epilogue, Gemm, PackB, PackedB, Plan, Products, Right, Start, run};
use kernels::{Activation, Isa, MatRef};

/// Small and ragged; a panel that is filled up, one that is whole.
#[cfg(miri)]
const SHAPES: [[usize; 3]; 5] = [[1, 1, 1], [5, 29, 7], [6, 1, 20], [1, 30, 9], [3, 8, 4]];
#[cfg(not(miri))]
const SHAPES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [13, 29, 7],
    [32, 128, 78],
    [70, 10, 65],
    [70, 16, 65],
    [61, 1, 40],
    [1, 200, 300],
    [9, 2000, 12],
];
/// Cut in k and in rows; a column more than whole panels; an A that passes, that is packed. Unoptimized they take
/// minutes.
const LARGE: [[usize; 3]; 5] =
    [[32, 128, 784], [33, 50, 1100], [96, 530, 600], [101, 577, 530], [1030, 530, 513]];

fn shapes() -> impl Iterator<Item = [usize; 3]> {
    let large: &[_] = if cfg!(debug_assertions) { &[] } else { &LARGE };
    SHAPES.into_iter().chain(large.iter().copied())
}

const KINDS: [Kind; 4] = [
    Kind::Store,
    Kind::BiasActivation(Activation::Relu),
    Kind::BiasActivation(Activation::Tanh),
    Kind::Gradient(Activation::Sigmoid),
];

#[test]
fn panels_keep_the_bits() {
    let mut random = Random(41);
    for shape in shapes() {
        let case = Case::random(&mut random, shape);
        for isa in Isa::available() {
            for (kind, start) in KINDS.into_iter().zip(STARTS.into_iter().cycle()) {
                let expected = bits(&case.run(isa, [Rows(0), Rows(0)], start, kind));
                for layouts in [
                    [Rows(3), Rows(1)],
                    [Columns(0), Columns(2)],
                    [Spread(1), Rows(0)],
                    [Rows(0), Spread(0)],
                ] {
                    let c = case.run_packed(isa, layouts, start, kind, |a, b| {
                        Plan::packed(case.m, b, a.col_stride() == 1)
                    });
                    let what = format!("{isa} {case} {layouts:?} {start:?} {kind:?}");
                    assert_eq!(c.len(), expected.len(), "{what}");
                    let wrong = c.iter().zip(&expected).position(|(x, y)| x.to_bits() != *y);
                    assert_eq!(wrong, None, "{what}: the first element with other bits");
                }
            }
        }
    }
}

/// Blocks that no plan has today, with tiles that ask for what comes next and tiles that do not.
#[test]
fn forced_blocks_of_panels_keep_the_bits() {
    let mut random = Random(42);
    let case = Case::random(&mut random, if cfg!(miri) { [5, 20, 9] } else { [26, 200, 90] });
    for isa in Isa::available() {
        let (kind, start) = (Kind::BiasActivation(Activation::Relu), Start::FromC);
        let expected = bits(&case.run(isa, [Rows(0), Rows(0)], start, kind));
        for choice in (0..128).step_by(sparse(7)) {
            let is = |bit: usize| choice >> bit & 1 == 1;
            let a = if is(6) { Columns(1) } else { Rows(0) };
            let c = case.run_packed(isa, [a, Rows(0)], start, kind, |a, b| {
                let own = Plan::packed(case.m, b, a.col_stride() == 1);
                Plan {
                    k_block: if is(0) { case.k } else { 40 },
                    m_block: if is(1) { case.m } else { 3 * own.tile_rows },
                    n_block: if is(2) { case.n } else { 2 * own.tile_cols },
                    rows_first: is(3),
                    fetch: is(4),
                    rows_stay: is(5),
                    pack_a: is(6),
                    ..own
                }
            });
            assert_eq!(bits(&c), expected, "{isa} {case}, choice {choice}");
        }
    }
}

#[test]
fn a_product_of_whole_numbers_is_exact_and_finds_its_plan_again() {
    let mut random = Random(43);
    for isa in Isa::available() {
        let mut products = Products::new(isa);
        // The same shape in panels and as it is; and a height after the other on the same panels.
        for m in [24, 7, 24] {
            let case = Case::whole(&mut random, [m, 50, 31]);
            let (a, b) = (case.a.stored(Rows(0)), case.b.stored(Columns(1)));
            let packed = PackedB::new(isa, b.view());
            let mut expected = vec![0.0; m * 50];
            for (i, x) in expected.iter_mut().enumerate() {
                let (row, col) = (i / 50, i % 50);
                *x = (0..31)
                    .map(|k| case.a.values[row * 31 + k] * case.b.values[k * 50 + col])
                    .sum();
            }
            for in_panels in [true, false, true] {
                let mut c = Output::nan(m, 50, 3);
                if in_panels {
                    products.run(a.view(), &packed, c.view(), Start::Zero, Epilogue::Store);
                } else {
                    products.run(a.view(), b.view(), c.view(), Start::Zero, Epilogue::Store);
                }
                assert_eq!(c.done("C"), expected, "{isa}, {m} rows, in panels: {in_panels}");
            }
            let mut c = Output::nan(m, 50, 0);
            Gemm::packed(m, &packed, true).run(a.view(), &packed, c.view(), Epilogue::Store);
            assert_eq!(c.done("C"), expected, "{isa}, {m} rows");
        }
    }
}

#[test]
fn panels_are_as_wide_as_the_tiles_and_nothing_is_copied() {
    for isa in Isa::available() {
        let sizes = [(1, 1), (12, 10), (784, 512), (784, 128), (512, 10), (64, 100), (300, 4096)];
        for (k, n) in sizes.into_iter().take(if cfg!(miri) { 2 } else { usize::MAX }) {
            let zeros = vec![0.0; k * n];
            let packed = PackedB::new(isa, MatRef::new(&zeros, k, n));
            assert_eq!((packed.rows(), packed.cols(), packed.isa()), (k, n, isa));
            assert!(packed.width().is_multiple_of(isa.lanes()), "{packed:?}");
            // No panel of filling alone.
            assert!(packed.width() < n + isa.lanes(), "{packed:?}");
            for m in [1, 2, 5, 32, 96, 128, 1000, 8192] {
                let plan = Plan::packed(m, &packed, true);
                assert_eq!(
                    (plan.pack_b, plan.tile_cols),
                    (PackB::Packed, packed.width()),
                    "{plan:?}"
                );
                assert_eq!(plan.scratch(), 0, "{plan:?}");
                assert_eq!((plan.m, plan.k, plan.n, plan.swap), (m, k, n, false), "{plan:?}");
                let most = common::tiles(isa)
                    .iter()
                    .find(|(width, _)| width * isa.lanes() == plan.tile_cols);
                assert!(plan.tile_rows <= most.unwrap().1, "{plan:?}");
            }
        }
    }
}

#[test]
fn the_plan_for_w2s_forward_product_asks_for_the_next_panel() {
    let Some(isa) = Isa::by_name("avx512") else { return skip("no AVX-512") };
    let zeros = vec![0.0; 784 * 512];
    let packed = PackedB::new(isa, MatRef::new(&zeros, 784, 512));
    let plan = Plan::packed(128, &packed, true);
    let tile = (plan.tile_rows, plan.tile_cols);
    assert_eq!((tile, plan.k_block, plan.fetch, plan.rows_first), ((8, 48), 784, true, false));
    // B stays near: the processor's own prefetcher follows a panel.
    let packed = PackedB::new(isa, MatRef::new(&zeros, 784, 128));
    assert!(!Plan::packed(32, &packed, true).fetch);
}

#[test]
fn panels_without_elements_touch_nothing_and_empty_sums_are_where_they_start() {
    let mut random = Random(44);
    for isa in Isa::available() {
        for shape in [[0, 5, 3], [5, 0, 3], [0, 0, 0], [0, 300, 0], [4, 60, 0]] {
            let case = Case::whole(&mut random, shape);
            for start in STARTS {
                let run = |kind| {
                    case.run_packed(isa, [Rows(0), Rows(0)], start, kind, |_, b| {
                        Plan::packed(case.m, b, true)
                    })
                };
                let expected = case.run(isa, [Rows(0), Rows(0)], start, Kind::Bias);
                assert_eq!(run(Kind::Bias), expected, "{isa} {case}");
                assert_eq!(run(Kind::Bias).len(), case.m * case.n);
            }
        }
        // Views that are larger than any memory, without an element.
        let zeros = [0.0; 1];
        for (k, n) in [(0, usize::MAX), (usize::MAX, 0)] {
            let packed = PackedB::new(isa, MatRef::with_strides(&zeros, k, n, 0, 0));
            assert_eq!((packed.rows(), packed.cols()), (k, n));
        }
    }
}

/// A release build wraps, where a multiplication is not told not to.
#[test]
#[should_panic(expected = "capacity overflow")]
fn a_view_larger_than_memory_is_not_packed() {
    PackedB::new(Isa::best(), MatRef::with_strides(&[1.0], 2, usize::MAX, 0, 0));
}

#[test]
#[should_panic(expected = "for avx2, in a product on avx512")]
fn panels_for_other_tiles_are_refused() {
    let (Some(avx2), Some(avx512)) = (Isa::by_name("avx2"), Isa::by_name("avx512")) else {
        skip("no AVX-512");
        panic!("for avx2, in a product on avx512");
    };
    let zeros = [0.0; 20];
    let packed = PackedB::new(avx2, MatRef::new(&zeros, 4, 5));
    let (a, mut c) = (MatRef::new(&zeros, 3, 4), Output::nan(3, 5, 0));
    Products::new(avx512).run(a, &packed, c.view(), Start::Zero, Epilogue::Store);
}

/// A by columns, for which the transposed product would be computed: A would be read as panels.
#[test]
#[should_panic(expected = "through its transpose, of a B in panels")]
fn panels_are_refused_by_a_product_through_its_transpose() {
    let zeros = vec![0.0; 640];
    let packed = PackedB::new(Isa::best(), MatRef::new(&zeros, 64, 10));
    let plan = Plan { swap: true, ..Plan::packed(10, &packed, false) };
    let (a, mut c) = (MatRef::new(&zeros, 64, 10).t(), Output::nan(10, 10, 0));
    let mut scratch = vec![0.0; plan.scratch()];
    let (start, epilogue) = (Start::Zero, Epilogue::Store);
    run(Isa::best(), &plan, a, &packed, c.view(), start, epilogue, &mut scratch);
}

/// Runs a product `[3, 4] x [4, 5]` as a plan says that is made for the panels: with these, or with the matrix.
fn run_as(plan: impl Fn(&PackedB) -> Plan, in_panels: bool) {
    let zeros = [0.0; 20];
    let (a, b) = (MatRef::new(&zeros, 3, 4), MatRef::new(&zeros, 4, 5));
    let packed = PackedB::new(Isa::best(), b);
    let plan = plan(&packed);
    let mut c = Output::nan(3, 5, 0);
    let b = if in_panels { Right::from(&packed) } else { Right::from(b) };
    run(Isa::best(), &plan, a, b, c.view(), Start::Zero, Epilogue::Store, &mut []);
}

#[test]
#[should_panic(expected = "planned InPlace in")]
fn panels_are_refused_where_a_matrix_was_planned() {
    run_as(|_| Plan::new(Isa::best(), 3, 5, 4, true, true), true);
}

#[test]
#[should_panic(expected = "planned Packed in")]
fn a_matrix_is_refused_where_panels_were_planned() {
    run_as(|packed| Plan::packed(3, packed, true), false);
}

#[test]
#[should_panic(expected = "planned Packed in")]
fn panels_of_another_width_are_refused() {
    run_as(|packed| Plan { tile_cols: 2 * packed.width(), ..Plan::packed(3, packed, true) }, true);
}

#[test]
#[should_panic(expected = "no whole panels")]
fn parts_of_panels_are_refused() {
    run_as(|packed| Plan { n_block: 3, ..Plan::packed(3, packed, true) }, true);
}

#[test]
#[should_panic(expected = "MatRef[5, 4]")]
fn a_matrix_of_another_shape_is_not_packed() {
    let zeros = [0.0; 20];
    PackedB::new(Isa::best(), MatRef::new(&zeros, 4, 5)).pack(MatRef::new(&zeros, 5, 4));
}
