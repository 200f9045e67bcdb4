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
use kernels::panels::{Data, FeatureOrder, Form, One, PANEL, Panels};
use kernels::{Activation, Arena, Isa, MatMut, MatRef, reference};

/// The forward product into memory with canaries, and some rows more than needed.
fn forward(
    isa: Isa,
    x: &Panels,
    weights: MatRef<'_>,
    bias: &[f32],
    activation: Activation,
    extra_rows: usize,
) -> Vec<f32> {
    let (n, rows) = (weights.cols(), x.examples());
    let mut out = Output::nan(rows + extra_rows, n, 3);
    let mut room = Guarded::nan(first_layer::sums(x.count(), rows), 1);
    first_layer::forward(isa, x, weights, bias, activation, room.get(), out.view());
    room.done("room for sums");
    let mut values = out.done(&format!("{isa} {activation:?}: {rows} rows of {n}"));
    let extra = values.split_off(rows * n);
    assert!(extra.iter().all(|x| x.is_nan()), "rows that are not examples were written");
    values
}

/// The forward products of the examples one by one.
fn one_by_one(
    isa: Isa,
    x: &Examples,
    weights: MatRef<'_>,
    bias: &[f32],
    activation: Activation,
) -> Vec<f32> {
    let mut all = Vec::new();
    for one in x.ones(isa) {
        let mut out = Guarded::nan(weights.cols(), 1);
        first_layer::forward_one(isa, &one, weights, bias, activation, out.get());
        all.extend(out.done("outputs of one example"));
    }
    all
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
            for isa in Isa::available() {
                let case = format!("[{rows}, {width}] {units} {form:?} {density} {activation:?}");
                let what = || format!("{isa} {case}");
                let panels = x.panels(isa);
                let out = forward(isa, &panels, stored.view(), &bias, activation, index % 2);
                assert_all_near(&out, &expected, what);
                let mut c = Output::nan(rows, units, 0);
                let epilogue = Epilogue::BiasActivation(&bias, activation);
                gemm(isa, dense.view(), stored.view(), c.view(), epilogue);
                assert_eq!(bits(&out), bits(&c.done(&what())), "{}", what());
                let each = one_by_one(isa, &x, stored.view(), &bias, activation);
                assert_eq!(bits(&out), bits(&each), "one by one, {}", what());
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs the portable kernels alone")]
fn avx2_and_avx512_agree_in_every_bit_forward() {
    let mut random = Random(32);
    for form in FORMS {
        let x = Examples::new(&mut random, form, 137, 301, 0.3);
        let w = Matrix::random(&mut random, 301, 201);
        let (stored, bias) = (w.stored(Rows(7)), random.floats(201, 1.0));
        for activation in Activation::ALL {
            same_on_avx2_and_avx512(|isa| {
                let all = forward(isa, &x.panels(isa), stored.view(), &bias, activation, 0);
                let each = one_by_one(isa, &x, stored.view(), &bias, activation);
                [all, each].map(|out| bits(&out))
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
            let mut panels = x.room(33);
            for (rows, density) in [(33, 1.0), (5, 0.3), (30, 0.1), (1, 1.0), (17, 0.0), (2, 0.5)] {
                x.fill(&mut random, form, rows, density);
                x.read(isa, &mut panels);
                assert_eq!((panels.features(), panels.examples()), (width, rows));
                let out = |x| forward(isa, x, w.view(), &bias, Activation::Linear, 0);
                assert_eq!(bits(&out(&panels)), bits(&out(&x.panels(isa))), "{isa} {rows}");
                assert_eq!(panels.density(), density_of(&x.matrix), "{isa} {rows}");
            }
        }
    }
}

/// Not an entry more than need be, on any instruction set.
#[test]
fn examples_without_a_value_are_left_out() {
    let mut random = Random(37);
    for (index, [rows, width, _]) in shapes(&mut random).into_iter().enumerate() {
        let (form, density) = (FORMS[index % 3], DENSITIES[index / 3 % 4]);
        let x = Examples::new(&mut random, form, rows, width, density);
        for isa in Isa::available() {
            let what = format!("{isa} [{rows}, {width}] {form:?}");
            assert_eq!(x.panels(isa).density(), density_of(&x.matrix), "{what}");
        }
    }
}

/// Examples in which any of four neighbouring features is not zero, of all there are.
fn density_of(matrix: &Matrix) -> f64 {
    let Matrix { rows, cols, values } = matrix;
    let panels = cols.div_ceil(PANEL);
    let of = |row: &[f32]| row.chunks(PANEL).filter(|four| four.iter().any(|x| *x != 0.0)).count();
    let kept: usize = values.chunks_exact((*cols).max(1)).map(of).sum();
    kept as f64 / (panels * rows).max(1) as f64
}

#[test]
fn nan_and_infinity_are_features_too() {
    for bad in [f32::NAN, f32::INFINITY] {
        for isa in Isa::available() {
            let mut floats = [0.0; 6 * 9];
            floats[4 * 9 + 7] = bad;
            let panels = panels_of(Data::Floats(&floats), 6, 9);
            let ones = [1.0; 9 * 5];
            let weights = MatRef::new(&ones, 9, 5);
            let out = forward(isa, &panels, weights, &[0.0; 5], Activation::Relu, 0);
            let mut one = One::new(&mut Arena::default(), Form::Floats, FeatureOrder::as_given(9));
            one.fill(isa, Data::Floats(&floats[4 * 9..5 * 9]));
            let mut alone = [0.0; 5];
            first_layer::forward_one(isa, &one, weights, &[0.0; 5], Activation::Relu, &mut alone);
            assert!(alone.iter().all(|y| !y.is_finite()), "{isa} {bad}: {alone:?}");
            for (at, y) in out.iter().enumerate() {
                assert_eq!(!y.is_finite(), at / 5 == 4, "{isa} {bad}: {at} is {y}");
            }
        }
    }
}

/// Panels of examples one after the other.
fn panels_of(data: Data<'_>, examples: usize, features: usize) -> Panels {
    let form = match data {
        Data::Bytes(_) => Form::Bytes(1.0),
        Data::Floats(_) => Form::Floats,
    };
    let order = FeatureOrder::as_given(features);
    let mut panels = Panels::with_capacity(&mut Arena::default(), form, order, examples);
    let rows: Vec<u32> = (0..examples as u32).collect();
    panels.fill(Isa::best(), data, &rows);
    panels
}

/// An image's patches are its features in another order: the bits of an example are those of the
/// example put in that order, by itself and in a batch.
#[test]
fn patches_are_another_order_of_features() {
    let mut random = Random(39);
    for [height, width] in [[2, 2], [4, 6], [6, 34], [28, 28], [3, 4], [4, 5], [0, 4], [2, 0]] {
        let (rows, features) = (21, height * width);
        let order = FeatureOrder::of_image(height, width);
        let mut all: Vec<usize> = order.iter().collect();
        if order.patches().is_some() {
            for four in all.chunks(4) {
                assert_eq!(four, [four[0], four[0] + 1, four[0] + width, four[0] + width + 1]);
                assert!(
                    four[0] / width % 2 == 0 && four[0] % width % 2 == 0,
                    "{four:?} of {width}"
                );
            }
        } else {
            assert!(height % 2 == 1 || width % 2 == 1 || width == 0);
            assert!(all.iter().copied().eq(0..features));
        }
        let mut pixel = || (random.below(500) as u8) / 2 * (random.below(2) as u8);
        let images: Vec<u8> = (0..rows * features).map(|_| pixel()).collect();
        let image = |row: usize| &images[row * features..(row + 1) * features];
        let permuted: Vec<u8> =
            (0..rows).flat_map(|row| all.iter().map(move |pixel| image(row)[*pixel])).collect();
        let w = Matrix::random(&mut random, features, 20).stored(Rows(0));
        let numbers: Vec<u32> = (0..rows as u32).collect();
        for isa in Isa::available() {
            let out = |order, pixels| {
                let (arena, form) = (&mut Arena::default(), Form::Bytes(0.5));
                let mut panels = Panels::with_capacity(arena, form, order, rows);
                panels.fill(isa, Data::Bytes(pixels), &numbers);
                bits(&forward(isa, &panels, w.view(), &[0.0; 20], Activation::Linear, 0))
            };
            let (patches, given) =
                (out(order, &images), out(FeatureOrder::as_given(features), &permuted));
            assert_eq!(patches, given, "{isa} {height} x {width}");
            let mut one = One::new(&mut Arena::default(), Form::Bytes(0.5), order);
            for row in 0..rows {
                one.fill(isa, Data::Bytes(image(row)));
                let mut alone = [0.0; 20];
                let linear = Activation::Linear;
                first_layer::forward_one(isa, &one, w.view(), &[0.0; 20], linear, &mut alone);
                assert_eq!(bits(&alone), patches[20 * row..][..20], "{isa} {height} x {width}");
            }
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..features));
    }
}

#[test]
#[should_panic(expected = "no room for 6 examples of 64 features")]
fn more_examples_than_there_is_room_for_are_refused() {
    let order = FeatureOrder::as_given(64);
    let mut panels = Panels::with_capacity(&mut Arena::default(), Form::Bytes(1.0), order, 5);
    panels.fill(Isa::best(), Data::Bytes(&[1; 64]), &[0; 6]);
}

#[test]
#[should_panic(expected = "examples of 3 features below 2")]
fn an_example_that_is_not_there_is_refused() {
    let order = FeatureOrder::as_given(3);
    let mut panels = Panels::with_capacity(&mut Arena::default(), Form::Floats, order, 5);
    panels.fill(Isa::best(), Data::Floats(&[0.0; 8]), &[1, 2]);
}

#[test]
#[should_panic(expected = "bytes or floats")]
fn data_of_another_form_are_refused() {
    let order = FeatureOrder::as_given(3);
    let mut panels = Panels::with_capacity(&mut Arena::default(), Form::Bytes(1.0), order, 5);
    panels.fill(Isa::best(), Data::Floats(&[0.0; 3]), &[0]);
}

#[test]
#[should_panic(expected = "features of an example")]
fn an_example_of_another_width_is_refused() {
    let order = FeatureOrder::as_given(3);
    let mut one = One::new(&mut Arena::default(), Form::Bytes(1.0), order);
    one.fill(Isa::best(), Data::Bytes(&[1; 4]));
}

#[test]
#[should_panic(expected = "191 floats for sums")]
fn too_little_room_for_sums_is_refused() {
    let panels = panels_of(Data::Bytes(&[1, 2, 3, 1, 2, 3]), 2, 3);
    let (zeros, mut out) = ([0.0; 12], [0.0; 8]);
    let (weights, out) = (MatRef::new(&zeros, 3, 4), MatMut::new(&mut out, 2, 4));
    let (linear, room) = (Activation::Linear, &mut [0.0; 191]);
    first_layer::forward(Isa::best(), &panels, weights, &zeros[..4], linear, room, out);
}

#[test]
#[should_panic(expected = "for 2 examples and 4 columns")]
fn an_output_with_too_few_rows_is_refused() {
    let panels = panels_of(Data::Bytes(&[1, 2, 3, 1, 2, 3]), 2, 3);
    let (zeros, mut out, mut room) = ([0.0; 12], [0.0; 4], [0.0; 192]);
    let (weights, out) = (MatRef::new(&zeros, 3, 4), MatMut::new(&mut out, 1, 4));
    let relu = Activation::Relu;
    first_layer::forward(Isa::best(), &panels, weights, &zeros[..4], relu, &mut room, out);
}
