//! Panels, and the first layer's forward product, which skips zeros, against the naive twin and
//! against the product that skips nothing: not a bit may differ.

mod common;

use common::examples::{DENSITIES, Examples, FORMS, PIXELS, shapes};
use common::matrix::Layout::Rows;
use common::matrix::{Matrix, Output};
use common::product::assert_all_near;
use common::{EPS, Guarded, Random, bits, same_on_avx2_and_avx512};
use kernels::first_layer;
use kernels::gemm::{Epilogue, gemm};
use kernels::panels::{Batch, Form, PANEL, Panels};
use kernels::{Activation, Arena, Isa, MatMut, MatRef, reference};

/// What the panels of a forward product are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Examples,
    Features,
}

const BOTH: [By; 2] = [By::Examples, By::Features];

impl By {
    fn panels(self, isa: Isa, x: &Examples) -> Panels {
        match self {
            Self::Examples => x.panels_of_examples(isa),
            Self::Features => x.panels_of_features(isa),
        }
    }

    /// The forward product into memory with canaries, and some rows more than needed.
    fn forward(
        self,
        isa: Isa,
        x: &Panels,
        weights: MatRef<'_>,
        bias: &[f32],
        activation: Activation,
        extra_rows: usize,
    ) -> Vec<f32> {
        let n = weights.cols();
        let rows = if self == Self::Examples { x.rows() } else { x.depth() };
        let mut out = Output::nan(rows + extra_rows, n, 3);
        let target = out.view();
        if self == Self::Examples {
            first_layer::forward_by_examples(isa, x, weights, bias, activation, target);
        } else {
            let mut room = Guarded::nan(first_layer::sums(x.count(), rows), 1);
            let sums = room.get();
            first_layer::forward_by_features(isa, x, weights, bias, activation, sums, target);
            room.done("room for sums");
        }
        let mut values = out.done(&format!("{self:?} {isa} {activation:?}: {rows} rows of {n}"));
        let extra = values.split_off(rows * n);
        assert!(extra.iter().all(|x| x.is_nan()), "rows that are not examples were written");
        values
    }
}

#[test]
fn forward_is_the_product_that_skips_nothing() {
    let mut random = Random(31);
    for (index, [rows, width, units]) in shapes(&mut random).into_iter().enumerate() {
        let (form, density) = (FORMS[index % 3], DENSITIES[index / 3 % 4]);
        let x = Examples::new(&mut random, form, rows, width, density);
        let w = Matrix::random(&mut random, width, units);
        let bias = random.floats(units, 1.0);
        let (dense, stored) = (x.matrix.stored(Rows(0)), w.stored(Rows(index % 5)));
        let sums = reference::gemm(rows, units, width, x.matrix.twin(), w.twin());
        let sizes = reference::gemm_of_magnitudes(rows, units, width, x.matrix.twin(), w.twin());
        for activation in Activation::ALL {
            let expected: Vec<(f64, f64)> = sums
                .iter()
                .zip(&sizes)
                .enumerate()
                .map(|(at, (sum, size))| {
                    let z = sum + f64::from(bias[at % units]);
                    let y = reference::activation(activation, z);
                    let bound = 1.01 * EPS * ((width + 2) as f64 * (size + z.abs()));
                    (y, bound + 5.0 * EPS * (1.0 + y.abs()))
                })
                .collect();
            for (isa, by) in Isa::available().into_iter().flat_map(|isa| BOTH.map(|by| (isa, by))) {
                let case = format!("[{rows}, {width}] {units} {form:?} {density} {activation:?}");
                let what = || format!("{isa} {by:?} {case}");
                let panels = by.panels(isa, &x);
                let out = by.forward(isa, &panels, stored.view(), &bias, activation, index % 2);
                assert_all_near(&out, &expected, what);
                let mut c = Output::nan(rows, units, 0);
                let epilogue = Epilogue::BiasActivation(&bias, activation);
                gemm(isa, dense.view(), stored.view(), c.view(), epilogue);
                assert_eq!(bits(&out), bits(&c.done(&what())), "{}", what());
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs the portable kernels alone")]
fn avx2_and_avx512_agree_in_every_bit_forward() {
    let mut random = Random(32);
    for (form, by) in FORMS.into_iter().flat_map(|form| BOTH.map(|by| (form, by))) {
        let x = Examples::new(&mut random, form, 137, 301, 0.3);
        let w = Matrix::random(&mut random, 301, 201);
        let (stored, bias) = (w.stored(Rows(7)), random.floats(201, 1.0));
        for activation in Activation::ALL {
            same_on_avx2_and_avx512(|isa| {
                let panels = by.panels(isa, &x);
                bits(&by.forward(isa, &panels, stored.view(), &bias, activation, 0))
            });
        }
    }
}

/// Panels and batches live as long as a training; a batch may be smaller than the one before.
#[test]
fn nothing_of_a_fuller_batch_is_left() {
    let mut random = Random(33);
    for form in [PIXELS, Form::Floats] {
        let (width, units) = if cfg!(miri) { (9, 3) } else { (45, 20) };
        let w = Matrix::random(&mut random, width, units).stored(Rows(0));
        let bias = random.floats(units, 1.0);
        for isa in Isa::available() {
            let mut x = Examples::new(&mut random, form, 33, width, 1.0);
            let (mut by_examples, mut by_features) = (x.panels(33, width), x.panels(width, 33));
            for (rows, density) in [(33, 1.0), (5, 0.3), (30, 0.1), (1, 1.0), (17, 0.0), (2, 0.5)] {
                x.fill(&mut random, form, rows, density);
                by_examples.fill_examples(isa, &x.batch);
                assert_eq!((by_examples.rows(), by_examples.depth()), (rows, width));
                by_features.fill_features(isa, &x.batch);
                assert_eq!((by_features.rows(), by_features.depth()), (width, rows));
                for (by, panels) in BOTH.into_iter().zip([&by_examples, &by_features]) {
                    let out = |x| by.forward(isa, x, w.view(), &bias, Activation::Linear, 0);
                    let fresh = by.panels(isa, &x);
                    assert_eq!(bits(&out(panels)), bits(&out(&fresh)), "{isa} {by:?} {rows}");
                    let density = density_of(&x.matrix, by == By::Features);
                    assert_eq!(panels.density(), density, "{isa} {by:?} {rows}");
                }
            }
        }
    }
}

/// Not an entry more than need be, on any instruction set.
#[test]
fn columns_of_zeros_are_left_out() {
    let mut random = Random(37);
    for (index, [rows, width, _]) in shapes(&mut random).into_iter().enumerate() {
        let (form, density) = (FORMS[index % 3], DENSITIES[index / 3 % 4]);
        let x = Examples::new(&mut random, form, rows, width, density);
        for isa in Isa::available() {
            let what = format!("{isa} [{rows}, {width}] {form:?}");
            let (examples, features) = (x.panels_of_examples(isa), x.panels_of_features(isa));
            assert_eq!(examples.density(), density_of(&x.matrix, false), "{what}");
            assert_eq!(features.density(), density_of(&x.matrix, true), "{what}");
        }
    }
}

/// Columns of panels at which any of four neighbouring rows is not zero, of all there are.
fn density_of(matrix: &Matrix, transposed: bool) -> f64 {
    let at = |row: usize, col: usize| match transposed {
        true => (row < matrix.cols).then(|| matrix.values[col * matrix.cols + row]),
        false => (row < matrix.rows).then(|| matrix.values[row * matrix.cols + col]),
    };
    let (rows, depth) = match transposed {
        true => (matrix.cols, matrix.rows),
        false => (matrix.rows, matrix.cols),
    };
    let mut kept = 0;
    for panel in 0..rows.div_ceil(PANEL) {
        for col in 0..depth {
            let mut four = (0..PANEL).map(|r| at(panel * PANEL + r, col).unwrap_or(0.0));
            kept += usize::from(four.any(|x| x != 0.0));
        }
    }
    kept as f64 / (rows.div_ceil(PANEL) * depth).max(1) as f64
}

#[test]
fn nan_and_infinity_are_features_too() {
    for bad in [f32::NAN, f32::INFINITY] {
        for isa in Isa::available() {
            let mut batch = Batch::with_capacity(&mut Arena::default(), Form::Floats, 6, 9);
            for row in 0..6 {
                let mut floats = [0.0; 9];
                floats[7] = if row == 4 { bad } else { 0.0 };
                batch.push_floats(&floats);
            }
            let room = |rows, depth| {
                Panels::with_capacity(&mut Arena::default(), Form::Floats, rows, depth)
            };
            let (mut by_examples, mut by_features) = (room(6, 9), room(9, 6));
            by_examples.fill_examples(isa, &batch);
            by_features.fill_features(isa, &batch);
            let ones = [1.0; 9 * 5];
            let weights = MatRef::new(&ones, 9, 5);
            for (by, panels) in BOTH.into_iter().zip([&by_examples, &by_features]) {
                let out = by.forward(isa, panels, weights, &[0.0; 5], Activation::Relu, 0);
                for (at, y) in out.iter().enumerate() {
                    assert_eq!(!y.is_finite(), at / 5 == 4, "{isa} {by:?} {bad}: {at} is {y}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "the batch is full: 5 rows")]
fn a_full_batch_is_refused_a_row() {
    let mut batch = Batch::with_capacity(&mut Arena::default(), Form::Bytes(1.0), 5, 3);
    (0..6).for_each(|_| batch.push_bytes(&[1, 2, 3]));
}

#[test]
#[should_panic(expected = "a row of 4 floats for a batch of 3 floats")]
fn a_row_of_another_width_is_refused() {
    Batch::with_capacity(&mut Arena::default(), Form::Floats, 5, 3).push_floats(&[0.0; 4]);
}

#[test]
#[should_panic(expected = "a row of 3 floats for a batch of 3 bytes")]
fn floats_in_a_batch_of_bytes_are_refused() {
    Batch::with_capacity(&mut Arena::default(), Form::Bytes(1.0), 5, 3).push_floats(&[0.0; 3]);
}

/// As many entries as there is room for, but a transpose of sixteen times the size.
#[test]
#[should_panic(expected = "panels of [4096, 1] have no room")]
fn panels_of_a_shape_without_room_are_refused() {
    let (mut arena, form) = (Arena::default(), Form::Bytes(1.0));
    let mut batch = Batch::with_capacity(&mut arena, form, 1, 4096);
    batch.push_bytes(&[1; 4096]);
    Panels::with_capacity(&mut arena, form, 64, 16).fill_features(Isa::best(), &batch);
}

#[test]
#[should_panic(expected = "191 floats for sums")]
fn too_little_room_for_sums_is_refused() {
    let (mut arena, form) = (Arena::default(), Form::Bytes(1.0));
    let mut batch = Batch::with_capacity(&mut arena, form, 2, 3);
    (0..2).for_each(|_| batch.push_bytes(&[1, 2, 3]));
    let mut panels = Panels::with_capacity(&mut arena, form, 3, 2);
    panels.fill_features(Isa::best(), &batch);
    let (zeros, mut out) = ([0.0; 12], [0.0; 8]);
    let (weights, out) = (MatRef::new(&zeros, 3, 4), MatMut::new(&mut out, 2, 4));
    let (linear, room) = (Activation::Linear, &mut [0.0; 191]);
    first_layer::forward_by_features(Isa::best(), &panels, weights, &zeros[..4], linear, room, out);
}

#[test]
#[should_panic(expected = "for 2 examples and 4 columns")]
fn an_output_with_too_few_rows_is_refused() {
    let mut batch = Batch::with_capacity(&mut Arena::default(), Form::Bytes(1.0), 2, 3);
    (0..2).for_each(|_| batch.push_bytes(&[1, 2, 3]));
    let mut panels = Panels::with_capacity(&mut Arena::default(), Form::Bytes(1.0), 2, 3);
    panels.fill_examples(Isa::best(), &batch);
    let (zeros, mut out) = ([0.0; 12], [0.0; 4]);
    let (weights, out) = (MatRef::new(&zeros, 3, 4), MatMut::new(&mut out, 1, 4));
    let relu = Activation::Relu;
    first_layer::forward_by_examples(Isa::best(), &panels, weights, &zeros[..4], relu, out);
}
