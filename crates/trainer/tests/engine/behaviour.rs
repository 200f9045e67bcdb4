//! What a call of `fit` does with its examples: their order, their number, their labels.

use std::ops::ControlFlow;

use trainer::{Fit, Optimizer, Progress};

use crate::data::{Data, Features, Labels, OPTIMIZERS, classifier};

const WIDTHS: [usize; 3] = [30, 40, 5];

#[test]
fn a_second_call_goes_on_where_the_first_stopped() {
    let data = Data::bytes(70, 30, 5, 1);
    for optimizer in OPTIMIZERS {
        let run = |epochs: &[usize]| {
            let mut model = classifier(&WIDTHS, optimizer);
            for (i, &epochs) in epochs.iter().enumerate() {
                let settings = Fit { epochs, shuffle: false, threads: 1 + i, ..Fit::default() };
                let history = model.fit(data.examples(), &settings).unwrap();
                assert!(history.epochs.iter().map(|e| e.epoch).eq(1..=epochs));
            }
            model.parameters().sha256()
        };
        assert_eq!(run(&[2, 3]), run(&[5]), "{optimizer:?}");
        assert_eq!(run(&[1, 1, 1, 0, 2]), run(&[5]), "{optimizer:?}");
        assert_ne!(run(&[4]), run(&[5]));
    }
}

/// Pixels that go dark with the second call: their weights go on as the optimizer's state has it.
#[test]
fn two_calls_on_halves_are_one_call_on_all() {
    let mut data = Data::bytes(128, 30, 5, 12);
    let Features::Bytes(bytes) = &mut data.features else { panic!() };
    let dark = |i: &usize| i / 30 >= 64 && (4..12).contains(&(i % 30));
    (0..bytes.len()).filter(dark).for_each(|i| bytes[i] = 0);
    let all = data.examples();
    for optimizer in OPTIMIZERS {
        let settings = Fit { shuffle: false, threads: 2, ..Fit::default() };
        let mut whole = classifier(&WIDTHS, optimizer);
        let mut halves = whole.clone();
        whole.fit(all, &settings).unwrap();
        for half in [all.slice(0..64), all.slice(64..128)] {
            halves.fit(half, &settings).unwrap();
        }
        assert_eq!(whole.parameters(), halves.parameters(), "{optimizer:?}");
    }
}

/// Each epoch has the order of its number, and each call numbers its epochs from 1.
#[test]
fn the_order_of_an_epoch_is_that_of_its_seed_and_number() {
    let data = Data::bytes(70, 30, 5, 2);
    let order = |seed, epoch| {
        let mut order = vec![0; 70];
        dataset::shuffle(&mut order, seed, epoch);
        data.reordered(&order)
    };
    let fit = Fit { threads: 2, seed: 9, ..Fit::default() };
    let in_order = |epochs: &[Data]| {
        let mut model = classifier(&WIDTHS, Optimizer::adam());
        for data in epochs {
            model.fit(data.examples(), &Fit { shuffle: false, ..fit.clone() }).unwrap();
        }
        model.parameters().sha256()
    };
    let mut model = classifier(&WIDTHS, Optimizer::adam());
    model.fit(data.examples(), &Fit { epochs: 3, ..fit.clone() }).unwrap();
    assert_eq!(model.parameters().sha256(), in_order(&[order(9, 1), order(9, 2), order(9, 3)]));

    let mut model = classifier(&WIDTHS, Optimizer::adam());
    for _ in 0..2 {
        model.fit(data.examples(), &fit).unwrap();
    }
    assert_eq!(model.parameters().sha256(), in_order(&[order(9, 1), order(9, 1)]));
}

#[test]
fn validation_examples_are_the_last_and_are_not_trained_on() {
    let data = Data::bytes(90, 30, 5, 3);
    let (train, validation) = data.examples().split_validation(0.2);
    assert_eq!((train.len(), validation.len()), (72, 18));
    let mut split = classifier(&WIDTHS, Optimizer::rmsprop());
    let mut cut = split.clone();
    let settings = Fit { epochs: 3, threads: 2, validation_split: 0.2, ..Fit::default() };
    let history = split.fit(data.examples(), &settings).unwrap();
    let without = Fit { validation_split: 0.0, ..settings };
    let mut evaluations = Vec::new();
    let progress = Progress::default();
    for epochs in 1..=3 {
        cut = classifier(&WIDTHS, Optimizer::rmsprop());
        cut.fit_with(train, &Fit { epochs, ..without.clone() }, &progress, |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
        evaluations.push(cut.evaluate(validation).unwrap());
    }
    assert_eq!(split.parameters(), cut.parameters());
    assert_eq!(progress.get(), (3, 3));
    let reported: Vec<_> = history.epochs.iter().map(|e| e.validation.unwrap()).collect();
    assert_eq!(reported, evaluations);
    assert!(history.epochs.iter().all(|e| (e.samples, e.steps) == (72, 3)));
}

/// One feature of thirty, in every other example: one panel of eight.
#[test]
fn the_profile_says_what_the_zeros_left() {
    let mut data = Data::bytes(70, 30, 5, 13);
    let Features::Bytes(bytes) = &mut data.features else { panic!() };
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from(i / 30 % 2 == 0 && i % 30 == 5);
    }
    for threads in 1..=2 {
        let settings = Fit { epochs: 2, batch_size: 32, threads, ..Fit::default() };
        let mut model = classifier(&WIDTHS, Optimizer::rmsprop());
        let history = model.fit(data.examples(), &settings).unwrap();
        assert!(history.epochs.iter().all(|epoch| epoch.profile.density() == 1.0 / 16.0));
    }
}

#[test]
fn the_caller_can_end_the_training_after_an_epoch() {
    let data = Data::bytes(40, 30, 5, 4);
    let settings = Fit { epochs: 9, threads: 1, ..Fit::default() };
    let mut model = classifier(&WIDTHS, Optimizer::adam());
    let stop = |report: &trainer::EpochReport| {
        if report.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let history = model.fit_with(data.examples(), &settings, &Progress::default(), stop).unwrap();
    assert_eq!(history.epochs.len(), 2);
    let mut two = classifier(&WIDTHS, Optimizer::adam());
    two.fit(data.examples(), &Fit { epochs: 2, ..settings }).unwrap();
    assert_eq!(model.parameters(), two.parameters());
}

#[test]
fn a_batch_larger_than_the_data_is_the_data() {
    let data = Data::bytes(37, 30, 5, 5);
    let run = |batch_size| {
        let mut model = classifier(&WIDTHS, Optimizer::adam());
        let settings = Fit { epochs: 3, batch_size, threads: 2, ..Fit::default() };
        let history = model.fit(data.examples(), &settings).unwrap();
        assert_eq!(history.epochs[2].steps, 1);
        model.parameters().sha256()
    };
    assert_eq!(run(37), run(38));
    assert_eq!(run(37), run(usize::MAX));
}

#[test]
fn one_example_is_enough() {
    for data in [Data::bytes(1, 30, 5, 6), Data::floats(1, 30, 5, 7)] {
        let mut model = classifier(&WIDTHS, Optimizer::adam());
        let settings = Fit { epochs: 200, threads: 3, ..Fit::default() };
        let history = model.fit(data.examples(), &settings).unwrap();
        assert_eq!((history.epochs[0].samples, history.epochs[0].steps), (1, 1));
        assert!(history.epochs[199].loss < 0.05, "{}", history.epochs[199].loss);
        assert_eq!(model.evaluate(data.examples()).unwrap().accuracy, 1.0);
    }
}

#[test]
fn labels_of_either_width_are_the_same() {
    let narrow = Data::bytes(70, 30, 5, 8);
    let mut wide = narrow.clone();
    wide.labels = Labels::U16(narrow.label_numbers().iter().map(|l| *l as u16).collect());
    let models = [&narrow, &wide].map(|data| {
        let mut model = classifier(&WIDTHS, Optimizer::adam());
        let settings = Fit { epochs: 2, threads: 2, ..Fit::default() };
        let history = model.fit(data.examples(), &settings).unwrap();
        (
            model.parameters().sha256(),
            history.epochs[1].loss,
            model.evaluate(data.examples()).unwrap(),
        )
    });
    assert_eq!(models[0], models[1]);
}

#[test]
fn three_hundred_classes_are_learned() {
    let mut data = Data::floats(300, 30, 300, 9);
    data.labels = Labels::U16((0..300).collect());
    let mut model = classifier(&[30, 64, 300], Optimizer::adam().with_learning_rate(1e-2));
    let settings = Fit { epochs: 60, batch_size: 50, threads: 3, ..Fit::default() };
    let history = model.fit(data.examples(), &settings).unwrap();
    // The first epoch starts from guessing: ln 300 = 5.70.
    assert!((history.epochs[0].loss - 300_f64.ln()).abs() < 0.5, "{}", history.epochs[0].loss);
    let result = model.evaluate(data.examples()).unwrap();
    assert!(result.accuracy > 0.99 && result.loss < 0.2, "{result:?}");
}

#[test]
fn pixels_are_the_floats_they_stand_for() {
    let pixels = Data::bytes(70, 30, 5, 10);
    let Features::Bytes(bytes) = &pixels.features else { panic!() };
    let mut floats = pixels.clone();
    floats.features =
        Features::Floats(bytes.iter().map(|&p| f32::from(p) * (1.0 / 255.0)).collect());
    let hashes = [&pixels, &floats].map(|data| {
        let mut model = classifier(&WIDTHS, Optimizer::rmsprop());
        model.fit(data.examples(), &Fit { epochs: 2, threads: 2, ..Fit::default() }).unwrap();
        model.parameters().sha256()
    });
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn weights_of_pixels_that_are_never_lit_stay() {
    // Pixels 4 to 11 and 17 of all examples are zero: two whole panels, and one of a third.
    let dark = |pixel: usize| (4..12).contains(&pixel) || pixel == 17;
    for optimizer in OPTIMIZERS {
        let mut data = Data::bytes(70, 30, 5, 11);
        let Features::Bytes(bytes) = &mut data.features else { panic!() };
        bytes.iter_mut().enumerate().filter(|(i, _)| dark(i % 30)).for_each(|(_, p)| *p = 0);
        let mut model = classifier(&WIDTHS, optimizer);
        let before = model.parameters().clone();
        model.fit(data.examples(), &Fit { epochs: 2, threads: 2, ..Fit::default() }).unwrap();
        let rows = before.weights(0).chunks(40).zip(model.parameters().weights(0).chunks(40));
        for (pixel, (before, after)) in rows.enumerate() {
            assert_eq!(before == after, dark(pixel), "{optimizer:?}: pixel {pixel}");
        }
    }
}
