//! A loss that stops being a number ends the run, and the model is as it was an epoch earlier.

use trainer::{Activation, Error, Fit, History, Loss, Model, Optimizer};

use crate::data::{Data, Features, OPTIMIZERS, classifier, model};

const BATCH: usize = 8;
const STEPS: usize = 5;

fn settings(epochs: usize, threads: usize) -> Fit {
    Fit { epochs, batch_size: BATCH, shuffle: false, threads, ..Fit::default() }
}

/// The epoch and step that the run failed in.
fn failure(result: Result<History, Error>) -> (usize, usize) {
    match result {
        Err(Error::NotFinite { epoch, step, loss }) => {
            assert!(!loss.is_finite(), "{loss}");
            (epoch, step)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bad_number_is_reported_with_the_step_that_saw_it() {
    for bad in [f32::NAN, f32::INFINITY] {
        for (example, step) in [(0, 1), (7, 1), (8, 2), (38, 5)] {
            for threads in [1, 3] {
                let mut data = Data::floats(STEPS * BATCH, 20, 4, 1);
                let Features::Floats(values) = &mut data.features else { panic!() };
                values[example * 20 + 11] = bad;
                let mut model = classifier(&[20, 33, 4], Optimizer::adam());
                let before = model.clone();
                let result = model.fit(data.examples(), &settings(3, threads));
                assert_eq!(failure(result), (1, step), "example {example}");
                assert_eq!(model.parameters(), before.parameters());
            }
        }
    }
}

/// A model whose loss grows, slowly enough to overflow some epochs later.
fn diverging() -> (Model, Data) {
    let rate = Optimizer::Sgd { learning_rate: 30.0, momentum: 0.0, nesterov: false };
    let (linear, loss) = (Activation::Linear, Loss::MeanSquaredError);
    (model(&[20, 4], linear, linear, rate, loss), Data::floats(STEPS * BATCH, 20, 4, 2))
}

#[test]
fn a_run_that_diverges_keeps_the_last_good_epoch() {
    // Step by step, each a run of its own.
    let (mut model, data) = diverging();
    let mut at_epochs = Vec::new();
    let (epoch, step) = (0..1000)
        .find_map(|n: usize| {
            if n.is_multiple_of(STEPS) {
                at_epochs.push(model.parameters().clone());
            }
            let rows = n % STEPS * BATCH..(n % STEPS + 1) * BATCH;
            let result = model.fit(data.examples().slice(rows), &settings(1, 1));
            result.is_err().then_some((n / STEPS + 1, n % STEPS + 1))
        })
        .expect("the weights grow from step to step");
    assert!(epoch > 2 && step > 1, "epoch {epoch}, step {step}: choose another learning rate");

    for threads in [1, 2, 4] {
        let (mut model, data) = diverging();
        let mut seen = 0;
        let run = settings(1000, threads);
        let result = model.fit_with(data.examples(), &run, &Default::default(), |report| {
            seen = report.epoch;
            std::ops::ControlFlow::Continue(())
        });
        let error = result.as_ref().unwrap_err().to_string();
        assert!(error.contains(&format!("in epoch {epoch}, step {step}:")), "{error}");
        assert_eq!(failure(result), (epoch, step));
        assert_eq!(seen, epoch - 1, "the epochs that ended well were reported");
        assert_eq!(model.parameters(), at_epochs.last().unwrap());
    }
}

#[test]
fn training_can_go_on_after_a_failure() {
    for optimizer in OPTIMIZERS {
        let good = Data::floats(STEPS * BATCH, 20, 4, 3);
        let mut bad = good.clone();
        let Features::Floats(values) = &mut bad.features else { panic!() };
        values[30 * 20] = f32::NAN;
        let mut failed = classifier(&[20, 33, 17, 4], optimizer);
        let mut spared = failed.clone();
        for model in [&mut failed, &mut spared] {
            model.fit(good.examples(), &settings(2, 2)).unwrap();
        }
        assert_eq!(failure(failed.fit(bad.examples(), &settings(1, 2))), (1, 4));
        for model in [&mut failed, &mut spared] {
            model.fit(good.examples(), &settings(2, 2)).unwrap();
        }
        // The optimizer's state and its count of steps are those of the last good epoch, too.
        assert_eq!(failed.parameters(), spared.parameters(), "{optimizer:?}");
    }
}

#[test]
fn weights_that_overflow_in_the_last_step_are_an_error() {
    // The losses of both steps are numbers; what the second one makes of the weights is not.
    let rate = Optimizer::Sgd { learning_rate: 3e38, momentum: 0.0, nesterov: false };
    for threads in [1, 2] {
        for widths in [&[20, 4][..], &[20, 33, 4]] {
            let (linear, loss) = (Activation::Linear, Loss::MeanSquaredError);
            let mut model = model(widths, linear, linear, rate, loss);
            for w in model.parameters_mut().values_mut() {
                *w *= 1e3;
            }
            let before = model.parameters().clone();
            let data = Data::floats(BATCH, 20, 4, 4);
            let result = model.fit(data.examples(), &settings(1, threads));
            assert_eq!(failure(result), (1, 1));
            assert_eq!(*model.parameters(), before);
        }
    }
}
