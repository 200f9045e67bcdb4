//! Each element of a product is one chain of multiply-adds in the order of k: however the work is
//! laid out, cut up or dealt out, and on AVX2 as on AVX-512, the bits are the same.

mod common;

use std::thread;

use common::matrix::Layout::{Columns, Rows, Spread};
use common::matrix::{Output, Stored};
use common::product::{Case, Kind, STARTS};
use common::{Random, bits, same_on_avx2_and_avx512, sparse};
use kernels::gemm::{self, Epilogue, Gemm, Products, Start, share};
use kernels::{Activation, Isa, MatMut, MatRef};

/// Small, ragged, cut in k, packed, copied ahead; one column, one row.
#[cfg(miri)]
const SHAPES: [[usize; 3]; 4] = [[1, 1, 1], [5, 29, 7], [6, 1, 20], [1, 30, 9]];
#[cfg(not(miri))]
const SHAPES: [[usize; 3]; 11] = [
    [1, 1, 1],
    [13, 29, 7],
    [32, 128, 784],
    [70, 10, 65],
    [61, 1, 40],
    [1, 200, 300],
    [33, 50, 1100],
    [300, 520, 300],
    [1030, 130, 513],
    [110, 530, 600],
    [520, 530, 520],
];

const KINDS: [Kind; 4] = [
    Kind::Store,
    Kind::BiasActivation(Activation::Relu),
    Kind::BiasActivation(Activation::Tanh),
    Kind::Gradient(Activation::Sigmoid),
];

/// What every way of computing the product must give.
fn whole(isa: Isa, case: &Case, start: Start, kind: Kind) -> Vec<u32> {
    bits(&case.run(isa, [Rows(0), Rows(0)], start, kind))
}

#[track_caller]
fn assert_same(got: &[f32], expected: &[u32], what: &str) {
    let wrong = got.iter().zip(expected).position(|(x, y)| x.to_bits() != *y);
    assert_eq!(wrong, None, "{what}: the first element with other bits");
    assert_eq!(got.len(), expected.len(), "{what}");
}

#[test]
fn layouts_keep_the_bits() {
    let mut random = Random(21);
    for shape in SHAPES {
        let case = Case::random(&mut random, shape);
        for isa in Isa::available() {
            let kind = Kind::BiasActivation(Activation::Elu);
            let expected = whole(isa, &case, Start::Zero, kind);
            for layouts in [
                [Rows(3), Rows(1)],
                [Columns(0), Rows(16)],
                [Rows(0), Columns(1)],
                [Columns(2), Columns(0)],
                [Spread(1), Spread(0)],
            ] {
                let c = case.run(isa, layouts, Start::Zero, kind);
                assert_same(&c, &expected, &format!("{isa} {case} {layouts:?}"));
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs the portable kernels alone")]
fn avx2_and_avx512_agree_in_every_bit() {
    let mut random = Random(22);
    let case_of = |shape| Case::random(&mut random, shape);
    for case in SHAPES.map(case_of) {
        for start in STARTS {
            for kind in Kind::all() {
                same_on_avx2_and_avx512(|isa| whole(isa, &case, start, kind));
            }
        }
    }
}

/// Operands in memory, transposed where that takes another path.
struct Operands {
    a: Stored,
    b: Stored,
    outputs: Stored,
}

impl Operands {
    fn new(case: &Case, transposed: bool) -> Self {
        let layout = if transposed { Columns(1) } else { Rows(2) };
        Self {
            a: case.a.stored(layout),
            b: case.b.stored(layout),
            outputs: case.outputs.stored(Rows(1)),
        }
    }
}

fn output(case: &Case, start: Start) -> Output {
    match start {
        Start::Zero => Output::nan(case.m, case.n, 3),
        Start::FromC => Output::holding(&case.c, 3),
    }
}

/// One after the other through the same memory, twice: nothing of an earlier product is left.
#[test]
fn plans_and_memory_are_used_again_and_again() {
    let mut random = Random(23);
    let cases = SHAPES.map(|shape| Case::random(&mut random, shape));
    for isa in Isa::available() {
        let mut products = Products::new(isa);
        for round in 0..2 {
            for case in &cases {
                for transposed in [false, true] {
                    let operands = Operands::new(case, transposed);
                    for (start, kind) in STARTS.into_iter().zip(KINDS.into_iter().rev()) {
                        let mut c = output(case, start);
                        let (a, b) = (operands.a.view(), operands.b.view());
                        let epilogue = kind.epilogue(&case.bias.values, operands.outputs.view());
                        products.run(a, b, c.view(), start, epilogue);
                        let what = format!("{isa} {case} {transposed} {kind:?}, round {round}");
                        let expected = whole(isa, case, start, kind);
                        assert_same(&c.done(&what), &expected, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_planned_product_runs_again() {
    let mut random = Random(24);
    for shape in SHAPES {
        let cases = [(); 3].map(|()| Case::random(&mut random, shape));
        let [m, n, k] = shape;
        for isa in Isa::available() {
            let mut planned = Gemm::new(isa, m, n, k, false, false);
            for case in &cases {
                let operands = Operands::new(case, true);
                let mut c = output(case, Start::Zero);
                let mut once = output(case, Start::Zero);
                let (a, b) = (operands.a.view(), operands.b.view());
                planned.run(a, b, c.view(), Epilogue::Bias(&case.bias.values));
                gemm::gemm(isa, a, b, once.view(), Epilogue::Bias(&case.bias.values));
                let what = format!("{isa} {case}");
                let expected = whole(isa, case, Start::Zero, Kind::Bias);
                assert_same(&c.done(&what), &expected, &what);
                assert_same(&once.done(&what), &expected, &what);
            }
        }
    }
}

#[test]
fn shares_cover_everything_once_and_are_nearly_equal() {
    for len in (0..100).step_by(sparse(7)).chain([512, 10_000]) {
        for quantum in [1, 3, 4, 16, 64] {
            for shares in 1..=9 {
                let mut end = 0;
                let mut units = Vec::new();
                for index in 0..shares {
                    let part = share(len, quantum, index, shares);
                    assert_eq!(part.start, end, "{len} {quantum} {index}/{shares}");
                    assert!(
                        part.start.is_multiple_of(quantum) || part.is_empty(),
                        "{part:?} by {quantum}"
                    );
                    end = part.end;
                    units.push(part.len().div_ceil(quantum));
                }
                assert_eq!(end, len);
                let (most, least) = (units.iter().max().unwrap(), units.iter().min().unwrap());
                assert!(most - least <= 1, "{len} by {quantum} among {shares}: {units:?}");
            }
        }
    }
}

/// How a team divides the work.
#[derive(Clone, Copy, Debug)]
enum By {
    Rows { quantum: usize },
    Columns { quantum: usize },
}

/// Each member computes some rows or some columns, on a thread of its own.
fn by_shares(isa: Isa, case: &Case, start: Start, kind: Kind, shares: usize, by: By) -> Vec<f32> {
    let operands = Operands::new(case, shares.is_multiple_of(2));
    let (a, b, outputs) = (operands.a.view(), operands.b.view(), operands.outputs.view());
    let mut c = output(case, start);
    thread::scope(|scope| {
        let mut rest = c.view();
        for index in 0..shares {
            let (mut a, mut b, mut outputs) = (a, b, outputs);
            let mut bias = &case.bias.values[..];
            let own: MatMut<'_>;
            match by {
                By::Rows { quantum } => {
                    let part = share(case.m, quantum, index, shares);
                    (own, rest) = rest.split_rows(part.len());
                    (a, outputs) = (a.row_range(part.clone()), outputs.row_range(part));
                }
                By::Columns { quantum } => {
                    let part = share(case.n, quantum, index, shares);
                    (own, rest) = rest.split_cols(part.len());
                    (b, outputs) = (b.col_range(part.clone()), outputs.col_range(part.clone()));
                    bias = &bias[part];
                }
            }
            scope.spawn(move || {
                let epilogue = kind.epilogue(bias, outputs);
                Products::new(isa).run(a, b, own, start, epilogue);
            });
        }
    });
    c.done(&format!("{isa} {case} {kind:?}: {shares} shares, {by:?}"))
}

#[test]
fn a_team_computes_the_bits_of_one() {
    let mut random = Random(25);
    let ways = [
        By::Rows { quantum: 1 },
        By::Rows { quantum: 4 },
        By::Columns { quantum: 1 },
        By::Columns { quantum: 16 },
    ];
    for (shape, index) in SHAPES.into_iter().zip(0..) {
        let case = Case::random(&mut random, shape);
        for isa in Isa::available() {
            for (kind, start) in KINDS.into_iter().zip(STARTS.into_iter().cycle().skip(index)) {
                let expected = whole(isa, &case, start, kind);
                for (by, shares) in
                    ways.into_iter().zip([2, 3, 4, 5].into_iter().cycle().skip(index))
                {
                    let c = by_shares(isa, &case, start, kind, shares, by);
                    assert_same(&c, &expected, &format!("{isa} {case} {kind:?} {shares} {by:?}"));
                }
            }
        }
    }
}

/// The summation dimension spread over several buffers, the sums carried on in C.
#[test]
fn segments_of_the_sum_carry_on() {
    let mut random = Random(26);
    for shape in SHAPES {
        let case = Case::random(&mut random, shape);
        let k = case.k;
        for isa in Isa::available() {
            for (cuts, kind) in [
                (vec![0, k], KINDS[0]),
                (vec![0, k / 2, k], KINDS[1]),
                (vec![0, 0, k / 3, k - k / 4, k], KINDS[2]),
                ((0..=k.min(9)).chain([k]).collect(), KINDS[3]),
            ] {
                let what = format!("{isa} {case} {kind:?}: segments at {cuts:?}");
                let operands = Operands::new(&case, k.is_multiple_of(2));
                let mut c = output(&case, Start::Zero);
                let mut products = Products::new(isa);
                let last = cuts.len() - 2;
                for (i, ends) in cuts.windows(2).enumerate() {
                    let segment = ends[0]..ends[1];
                    let a: MatRef<'_> = operands.a.view().col_range(segment.clone());
                    let b = operands.b.view().row_range(segment);
                    let start = if i == 0 { Start::Zero } else { Start::FromC };
                    let kind = if i == last { kind } else { Kind::Store };
                    let epilogue = kind.epilogue(&case.bias.values, operands.outputs.view());
                    products.run(a, b, c.view(), start, epilogue);
                }
                assert_same(&c.done(&what), &whole(isa, &case, Start::Zero, kind), &what);
            }
        }
    }
}
