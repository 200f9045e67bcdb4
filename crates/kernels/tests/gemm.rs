//! Products against the naive twin, against whole numbers and against `matrixmultiply`, on every
//! instruction set. That results keep their bits is tested in `gemm_bits.rs`.

mod common;

use common::matrix::Layout::{self, Columns, Rows, Spread};
use common::matrix::{Matrix, Output};
use common::product::{Case, Kind, STARTS, Twin, assert_all_near};
use common::{EPS, Random, sparse};
use kernels::gemm::{Epilogue, Gemm, Plan, Products, Start, gemm, run};
use kernels::{Activation, Isa, MatMut, MatRef, reference};

/// Layouts of A and B with rows or columns contiguous: the four kinds of plans.
const TRANSPOSES: [[Layout; 2]; 4] =
    [[Rows(0), Rows(5)], [Columns(3), Rows(0)], [Rows(1), Columns(0)], [Columns(0), Columns(2)]];

/// Each of 1 to 70 once in each dimension, in three orders.
fn ragged_shapes(random: &mut Random) -> Vec<[usize; 3]> {
    if cfg!(miri) {
        return vec![[5, 9, 3], [3, 26, 2]];
    }
    let mut dimensions = [(); 3].map(|()| (1..=70).collect::<Vec<usize>>());
    for dimension in &mut dimensions {
        for i in (1..70).rev() {
            dimension.swap(i, random.below(i + 1));
        }
    }
    (0..70).map(|i| [dimensions[0][i], dimensions[1][i], dimensions[2][i]]).collect()
}

#[test]
fn every_layout_epilogue_and_start_matches_the_twin() {
    let mut random = Random(11);
    for shape in ragged_shapes(&mut random) {
        let case = Case::random(&mut random, shape);
        let twin = Twin::new(&case);
        let layouts = |gap: usize| [Rows(gap), Columns(gap), Spread(gap)];
        for start in STARTS {
            for kind in Kind::all().into_iter().step_by(sparse(4)) {
                let expected = twin.expected(start, kind);
                for isa in Isa::available() {
                    for a in layouts(shape[0] % 4) {
                        for b in layouts(shape[1] % 3) {
                            let c = case.run(isa, [a, b], start, kind);
                            assert_all_near(&c, &expected, || {
                                format!("{isa} {case} {a:?} {b:?} {start:?} {kind:?}")
                            });
                        }
                    }
                }
            }
        }
    }
}

/// Long sums that are cut into blocks, and operands that are packed.
#[test]
#[cfg_attr(miri, ignore = "hours in Miri; forced_blocks.rs has small ones")]
fn blocked_and_packed_products_match_the_twin() {
    let mut random = Random(12);
    let kinds = [
        (Start::Zero, Kind::BiasActivation(Activation::Relu)),
        (Start::Zero, Kind::Gradient(Activation::Sigmoid)),
        (Start::FromC, Kind::BiasActivation(Activation::Tanh)),
        (Start::FromC, Kind::Gradient(Activation::Relu)),
    ];
    for shape in [[130, 140, 1100], [300, 520, 300], [47, 10, 4100], [3, 1000, 1500]] {
        let case = Case::random(&mut random, shape);
        let twin = Twin::new(&case);
        for (start, kind) in kinds {
            let expected = twin.expected(start, kind);
            for isa in Isa::available() {
                for layouts in TRANSPOSES {
                    let c = case.run(isa, layouts, start, kind);
                    assert_all_near(&c, &expected, || {
                        format!("{isa} {case} {layouts:?} {start:?} {kind:?}")
                    });
                }
            }
        }
    }
}

/// Heights and widths of every tile with every edge. Whole numbers of this size have no rounding:
/// each element is equal, whatever the order of the sum.
#[test]
fn whole_numbers_are_exact_in_every_tile() {
    let mut random = Random(13);
    let kinds = [
        (Start::Zero, Kind::Store),
        (Start::Zero, Kind::Bias),
        (Start::FromC, Kind::BiasActivation(Activation::Relu)),
        (Start::FromC, Kind::Gradient(Activation::Relu)),
    ];
    for m in (1..=29).step_by(sparse(26)) {
        for n in (1..=140).step_by(sparse(37)) {
            let case = Case::whole(&mut random, [m, n, 3 + n % 3]);
            let sums = reference::gemm(m, n, case.k, case.a.twin(), case.b.twin());
            let (start, kind) = kinds[(m + n) % 4];
            let expected: Vec<f32> = (0..m * n)
                .map(|at| {
                    let sum = sums[at] as f32;
                    match kind {
                        Kind::Store => sum,
                        Kind::Bias => sum + case.bias.values[at % n],
                        Kind::BiasActivation(_) => {
                            (sum + case.c.values[at] + case.bias.values[at % n]).max(0.0)
                        }
                        Kind::Gradient(_) if case.outputs.values[at] > 0.0 => {
                            sum + case.c.values[at]
                        }
                        Kind::Gradient(_) => 0.0,
                    }
                })
                .collect();
            let layouts = TRANSPOSES[n % 4];
            for isa in Isa::available() {
                let c = case.run(isa, layouts, start, kind);
                assert_eq!(c, expected, "{isa} {case} {layouts:?} {start:?} {kind:?}");
            }
        }
    }
}

/// The second oracle: nothing of it is ours.
fn matrixmultiply(case: &Case) -> Vec<f32> {
    let (m, n, k) = (case.m, case.n, case.k);
    let mut c = vec![f32::NAN; m * n];
    let (a, b) = (&case.a.values, &case.b.values);
    // SAFETY: row-major matrices without gaps, of these shapes.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            k as isize,
            1,
            b.as_ptr(),
            n as isize,
            1,
            0.0,
            c.as_mut_ptr(),
            n as isize,
            1,
        );
    }
    c
}

/// Several blocks in every dimension.
#[test]
#[cfg_attr(miri, ignore = "hours in Miri; forced_blocks.rs has small ones")]
fn large_whole_numbers_equal_matrixmultiply() {
    let mut random = Random(14);
    for shape in [[1000, 48, 2000], [345, 2060, 384], [1100, 300, 250], [64, 2200, 200]] {
        let case = Case::whole(&mut random, shape);
        let expected = matrixmultiply(&case);
        for isa in Isa::available() {
            for layouts in TRANSPOSES {
                let c = case.run(isa, layouts, Start::Zero, Kind::Store);
                // Not `assert_eq`, which would print a million numbers.
                let wrong = c.iter().zip(&expected).position(|(x, y)| x != y);
                assert_eq!(wrong, None, "{isa} {case} {layouts:?}: the first wrong element");
            }
        }
    }
}

#[test]
fn ragged_products_agree_with_matrixmultiply() {
    let mut random = Random(15);
    for shape in ragged_shapes(&mut random) {
        let case = Case::random(&mut random, shape);
        let expected: Vec<(f64, f64)> = matrixmultiply(&case)
            .iter()
            .zip(reference::gemm_of_magnitudes(
                shape[0],
                shape[1],
                shape[2],
                case.a.twin(),
                case.b.twin(),
            ))
            // Each of the two is within the bound of the exact sum.
            .map(|(x, size)| (f64::from(*x), 2.02 * EPS * (case.k + 1) as f64 * size))
            .collect();
        for isa in Isa::available() {
            let c = case.run(isa, TRANSPOSES[shape[0] % 4], Start::Zero, Kind::Store);
            assert_all_near(&c, &expected, || format!("{isa} {case}"));
        }
    }
}

#[test]
fn a_sum_of_nothing_gives_the_epilogue_of_zero() {
    let mut random = Random(16);
    for [m, n] in [[1, 1], [17, 40], [9, 129], [5, 3]].into_iter().step_by(sparse(3)) {
        let case = Case::whole(&mut random, [m, n, 0]);
        let twin = Twin::new(&case);
        for start in STARTS {
            for kind in Kind::all() {
                let expected = twin.expected(start, kind);
                for isa in Isa::available() {
                    for layouts in TRANSPOSES {
                        let c = case.run(isa, layouts, start, kind);
                        assert_all_near(&c, &expected, || {
                            format!("{isa} {case} {start:?} {kind:?}")
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn products_without_elements_touch_nothing() {
    for isa in Isa::available() {
        for [m, n, k] in [[0, 5, 3], [5, 0, 3], [0, 0, 0], [0, 300, 0]] {
            let case = Case::whole(&mut Random(17), [m, n, k]);
            for layouts in TRANSPOSES {
                assert!(case.run(isa, layouts, Start::Zero, Kind::Bias).is_empty());
            }
        }
    }
}

/// A masked lane or a padded panel never carries NaN or infinity to where it does not belong.
#[test]
fn nan_and_infinity_stay_in_their_row_and_column() {
    let mut random = Random(18);
    for bad in [f32::NAN, f32::INFINITY] {
        for shape in [[7, 19, 5], [70, 70, 33], [600, 250, 270]].into_iter().step_by(sparse(3)) {
            let mut case = Case::random(&mut random, shape);
            let [m, n, k] = shape;
            let (row, col) = (m / 2, n / 3);
            case.a.values[row * k + k - 1] = bad;
            case.b.values[(k / 2) * n + col] = bad;
            for isa in Isa::available() {
                for layouts in TRANSPOSES {
                    let c = case.run(isa, layouts, Start::Zero, Kind::Store);
                    for (at, x) in c.iter().enumerate() {
                        let hit = at / n == row || at % n == col;
                        assert_eq!(!x.is_finite(), hit, "{isa} {case} {layouts:?}, {at}: {x}");
                    }
                }
            }
        }
    }
}

/// The operands of a product that is wrong in one place.
struct Wrong {
    a: [usize; 2],
    b: [usize; 2],
    c: [usize; 2],
    bias: usize,
}

const RIGHT: Wrong = Wrong { a: [3, 4], b: [4, 5], c: [3, 5], bias: 5 };

impl Wrong {
    fn run(&self) {
        let zeros = [0.0; 64];
        let mut out = [0.0; 64];
        let a = MatRef::new(&zeros, self.a[0], self.a[1]);
        let b = MatRef::new(&zeros, self.b[0], self.b[1]);
        let c = MatMut::new(&mut out, self.c[0], self.c[1]);
        let isa = Isa::best();
        let plan = Plan::new(isa, 3, 5, 4, true, true);
        let epilogue = Epilogue::Bias(&zeros[..self.bias]);
        run(isa, &plan, a, b, c, Start::Zero, epilogue, &mut []);
    }
}

#[test]
fn right_shapes_are_accepted() {
    RIGHT.run();
}

#[test]
#[should_panic(expected = "A is MatRef[3, 5]")]
fn another_a_is_refused() {
    Wrong { a: [3, 5], ..RIGHT }.run();
}

#[test]
#[should_panic(expected = "B is MatRef[5, 5]")]
fn another_b_is_refused() {
    Wrong { b: [5, 5], ..RIGHT }.run();
}

#[test]
#[should_panic(expected = "C is MatMut[3, 6]")]
fn another_c_is_refused() {
    Wrong { c: [3, 6], ..RIGHT }.run();
}

#[test]
#[should_panic(expected = "biases for 5 columns")]
fn another_number_of_biases_is_refused() {
    Wrong { bias: 4, ..RIGHT }.run();
}

#[test]
#[should_panic(expected = "B is MatRef[3, 5]")]
fn shapes_that_do_not_fit_each_other_are_refused() {
    let zeros = [0.0; 20];
    let mut out = Output::nan(3, 5, 0);
    let (a, b) = (MatRef::new(&zeros, 3, 4), MatRef::new(&zeros, 3, 5));
    gemm(Isa::best(), a, b, out.view(), Epilogue::Store);
}

#[test]
#[should_panic(expected = "outputs MatRef[4, 5]")]
fn outputs_of_another_shape_are_refused() {
    let zeros = [0.0; 20];
    let mut out = Output::nan(3, 5, 0);
    let (a, b) = (MatRef::new(&zeros, 3, 4), MatRef::new(&zeros, 4, 5));
    let epilogue = Epilogue::ActivationGradient(MatRef::new(&zeros, 4, 5), Activation::Elu);
    Products::new(Isa::best()).run(a, b, out.view(), Start::Zero, epilogue);
}

#[test]
#[should_panic(expected = "planned for contiguous rows")]
fn a_transposed_b_is_refused_where_rows_were_planned() {
    let zeros = [0.0; 20];
    let mut out = Output::nan(3, 5, 0);
    let (a, b) = (MatRef::new(&zeros, 3, 4), MatRef::new(&zeros, 5, 4).t());
    Gemm::new(Isa::best(), 3, 5, 4, true, true).run(a, b, out.view(), Epilogue::Store);
}

#[test]
#[should_panic(expected = "scratch of")]
fn too_little_scratch_memory_is_refused() {
    let isa = Isa::best();
    let plan = Plan::new(isa, 3, 5, 4, true, false);
    let b = Matrix::random(&mut Random(19), 4, 5).stored(Columns(0));
    let (zeros, mut out) = ([0.0; 12], Output::nan(3, 5, 0));
    let a = MatRef::new(&zeros, 3, 4);
    let mut scratch = vec![0.0; plan.scratch() - 1];
    run(isa, &plan, a, b.view(), out.view(), Start::Zero, Epilogue::Store, &mut scratch);
}
