//! Evaluation, prediction and the predictor agree with each other and with the textbook.

use dataset::Examples;
use trainer::{Activation, Error, Fit, Loss, Model, Optimizer, Row};

use crate::data::{Data, Features, classifier, model};
use crate::naive::{Naive, argmax};

fn naive(
    widths: &[usize],
    hidden: Activation,
    output: Activation,
    loss: Loss,
    model: &Model,
) -> (Naive, Vec<f64>) {
    let parameters = model.parameters().values().iter().map(|w| f64::from(*w)).collect();
    (Naive { widths: widths.to_vec(), hidden, output, loss }, parameters)
}

#[test]
fn outputs_and_losses_are_those_of_the_textbook() {
    // More examples than are computed at a time, not a multiple of any block.
    let data = [
        Data::bytes(277, 48, 11, 1),
        Data::images(277, [6, 8], 11, 1),
        Data::floats(277, 48, 11, 2),
    ];
    for (i, hidden) in [Activation::Relu, Activation::Sigmoid, Activation::Tanh, Activation::Elu]
        .into_iter()
        .enumerate()
    {
        for (output, loss) in [
            (Activation::Softmax, Loss::SparseCategoricalCrossentropy),
            (Activation::Softmax, Loss::MeanSquaredError),
            (Activation::Linear, Loss::MeanSquaredError),
            (Activation::Sigmoid, Loss::MeanSquaredError),
            (Activation::Relu, Loss::MeanSquaredError),
        ] {
            let widths = [&[48, 11][..], &[48, 33, 11], &[48, 20, 130, 11]][i % 3];
            let data = &data[(i + usize::from(loss == Loss::MeanSquaredError)) % 3];
            let mut model = model(widths, hidden, output, Optimizer::adam(), loss);
            // Weights that no longer are the initial ones, biases that are not zero.
            model.fit(data.examples(), &Fit::default()).unwrap();
            let (naive, parameters) = naive(widths, hidden, output, loss, &model);
            let (inputs, labels) = (data.inputs(), data.label_numbers());

            let outputs = model.predict(data.examples()).unwrap();
            assert_eq!(outputs.len(), data.len() * 11);
            for (found, example) in outputs.chunks(11).zip(inputs.chunks(48)) {
                for (found, expected) in found.iter().zip(naive.outputs(&parameters, example)) {
                    let off = (f64::from(*found) - expected).abs();
                    assert!(off < 2e-6, "{widths:?} {output:?}: {found} for {expected}");
                }
            }
            let result = model.evaluate(data.examples()).unwrap();
            let expected = naive.loss(&parameters, &inputs, &labels);
            assert!((result.loss - expected).abs() < 1e-6, "{} for {expected}", result.loss);
            assert_eq!(result.accuracy, naive.accuracy(&parameters, &inputs, &labels));
            let hits = outputs.chunks(11).zip(&labels).filter(|(y, l)| argmax(y) == **l).count();
            assert_eq!(result.accuracy, hits as f64 / data.len() as f64);
        }
    }
}

#[test]
fn the_predictor_has_the_bits_of_predict() {
    // 1100 inputs of a hidden layer: a sum that the products cut into blocks.
    for widths in [&[45, 10][..], &[45, 512, 10], &[48, 40, 7, 1], &[48, 1100, 33, 300]] {
        let (inputs, classes) = (widths[0], widths[widths.len() - 1]);
        // Images of 3 x 15 and 4 x 12: in the order of their pixels, and in patches.
        let size = if inputs == 45 { [3, 15] } else { [4, 12] };
        for data in [
            Data::bytes(133, inputs, classes, 1),
            Data::images(133, size, classes, 1),
            Data::floats(133, inputs, classes, 2),
        ] {
            let model = classifier(widths, Optimizer::adam());
            let outputs = model.predict(data.examples()).unwrap();
            let mut predictor = model.predictor(&data.examples()).unwrap();
            // In which shape the numbers of an example come does not matter any more.
            let examples = data.examples();
            for shape in [&[inputs][..], &size, &data.shape, &[inputs]] {
                let examples = Examples::new(examples.features(), examples.labels(), shape);
                let mut all = vec![f32::NAN; outputs.len()];
                predictor.predict_all(examples, &mut all).unwrap();
                assert_eq!(all, outputs, "{widths:?}, {:?} as {shape:?}", data.shape);
            }
            for (i, expected) in outputs.chunks(classes).enumerate() {
                let row = match &data.features {
                    Features::Bytes(v) => Row::Bytes(&v[i * inputs..][..inputs]),
                    Features::Floats(v) => Row::Floats(&v[i * inputs..][..inputs]),
                };
                assert_eq!(predictor.predict(row), expected, "{widths:?}, example {i}");
                // However many examples come together.
                let alone = model.predict(data.examples().slice(i..i + 1)).unwrap();
                assert_eq!(alone, expected, "{widths:?}, example {i} alone");
            }
        }
    }
}

#[test]
fn what_fit_reports_is_what_evaluate_finds() {
    // A learning rate too small to change a weight: every step sees the same model.
    let still = Optimizer::Sgd { learning_rate: 1e-30, momentum: 0.0, nesterov: false };
    for (output, loss) in [
        (Activation::Softmax, Loss::SparseCategoricalCrossentropy),
        (Activation::Softmax, Loss::MeanSquaredError),
        (Activation::Sigmoid, Loss::MeanSquaredError),
    ] {
        let data = Data::bytes(203, 30, 5, 6);
        let mut model = model(&[30, 40, 5], Activation::Relu, output, still, loss);
        let expected = model.evaluate(data.examples()).unwrap();
        let history = model.fit(data.examples(), &Fit { threads: 2, ..Fit::default() }).unwrap();
        let report = &history.epochs[0];
        assert!((report.loss - expected.loss).abs() < 1e-7, "{report:?} {expected:?}");
        assert_eq!(report.accuracy, expected.accuracy);
        assert_eq!((report.samples, report.steps), (203, 7));
    }
}

#[test]
fn examples_of_another_kind_are_refused() {
    let narrow = Data::bytes(4, 29, 5, 1);
    let labels = Data::bytes(40, 30, 6, 1);
    let mut model = classifier(&[30, 5], Optimizer::adam());
    let mismatch = |error: Error| {
        assert!(matches!(error, Error::Mismatch(_)), "{error:?}");
        error.to_string()
    };
    for error in [
        model.fit(narrow.examples(), &Fit::default()).unwrap_err(),
        model.evaluate(narrow.examples()).unwrap_err(),
        model.predict(narrow.examples()).unwrap_err(),
        model.predictor(&narrow.examples()).unwrap_err(),
    ] {
        let message = mismatch(error);
        assert!(message.contains("[30]") && message.contains("[29]"), "{message}");
    }
    for error in [
        model.fit(labels.examples(), &Fit::default()).unwrap_err(),
        model.evaluate(labels.examples()).unwrap_err(),
    ] {
        let message = mismatch(error);
        assert!(message.contains("label 5") && message.contains("5 outputs"), "{message}");
    }
    let mut predictor = model.predictor(&labels.examples()).unwrap();
    for (data, outputs, expected) in [
        (&narrow, 20, "examples of 30 bytes, and these have 29 bytes"),
        (&Data::floats(4, 30, 5, 1), 20, "examples of 30 bytes, and these have 30 floats"),
        (&labels, 199, "199 outputs for 40 examples and 5 units: give room for 200"),
    ] {
        let error = predictor.predict_all(data.examples(), &mut vec![0.0; outputs]).unwrap_err();
        let message = mismatch(error);
        assert!(message.contains(expected), "{message}");
    }
    // Prediction does not look at labels.
    assert!(model.predict(labels.examples()).is_ok());
}
