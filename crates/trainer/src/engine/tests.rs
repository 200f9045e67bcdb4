//! What no caller of the library can bring about: a panic inside a step, and another number of threads
//! from step to step.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dataset::{FeaturesView, LabelsView};

use super::*;
use crate::engine::network::Head;

const WIDTH: usize = 20;
const EXAMPLES: usize = 40;
const BATCH: usize = 8;

/// Trains an epoch in `order` on a team of `threads`, with these labels, which nothing checks
/// before the loss does; returns what the epoch panicked with.
///
/// # Panics
/// If the epoch neither ends nor panics.
fn panic_of_epoch(threads: usize, order: Vec<u32>, labels: [u8; EXAMPLES]) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let features = vec![7; EXAMPLES * WIDTH];
        let examples =
            Examples::new(FeaturesView::U8(&features), LabelsView::U8(&labels), &[WIDTH]);
        let widths = vec![WIDTH, 33, 17, 4];
        let parameters = Parameters::zeros(&widths);
        let optimizer = Optimizer::adam();
        let state = State::new(optimizer, parameters.values().len());
        let hidden = vec![kernels::Activation::Relu; 2];
        let network = Network { widths, hidden, head: Head::SoftmaxCrossEntropy };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let engine = Engine::new(network, optimizer, &parameters, &state, &examples, BATCH, pool);
        let epoch = || {
            let totals = &mut Totals::default();
            engine.train(examples, &order, 0, &Progress::default(), totals);
        };
        let panic = catch_unwind(AssertUnwindSafe(epoch)).err().map(|panic| message(&*panic));
        sender.send(panic).unwrap();
    });
    receiver
        .recv_timeout(Duration::from_secs(60))
        .unwrap_or_else(|_| panic!("an epoch on {threads} threads hangs"))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap()
}

fn in_order() -> Vec<u32> {
    (0..EXAMPLES as u32).collect()
}

#[test]
fn a_panic_in_one_thread_ends_the_epoch_with_its_message() {
    for threads in 1..=5 {
        assert_eq!(panic_of_epoch(threads, in_order(), [3; EXAMPLES]), None);
        // Every place in a batch, and so every thread, in the first, a middle and the last step.
        for bad in (0..BATCH).chain(2 * BATCH..3 * BATCH).chain(4 * BATCH..5 * BATCH) {
            let mut labels = [3; EXAMPLES];
            labels[bad] = 200;
            let message = panic_of_epoch(threads, in_order(), labels);
            assert!(
                message.as_ref().is_some_and(|text| text.contains("label 200")),
                "{threads} threads, example {bad}: {message:?}"
            );
        }
    }
}

#[test]
fn a_panic_in_all_threads_ends_the_epoch() {
    for threads in [1, 2, 4] {
        let mut order = in_order();
        order[13] = EXAMPLES as u32;
        let message = panic_of_epoch(threads, order, [3; EXAMPLES]);
        assert!(message.is_some_and(|text| text.contains("examples of ")));
    }
}

/// Trains two epochs, each of the parts in turn with the next number of threads; returns the bits of the
/// losses and of all that was trained.
fn bits_of_parts(sizes: &[usize], part: usize) -> Vec<u64> {
    // Some features that no example has, and some that only the first batch has: later steps may pass
    // over a panel of the former, not of the latter.
    let pixel = |example: usize, feature: usize| match feature {
        0..4 => 0,
        4..12 if example >= BATCH => 0,
        _ => (dataset::mix((example * WIDTH + feature) as u64) >> 56) as u8,
    };
    let features: Vec<u8> = (0..EXAMPLES * WIDTH).map(|i| pixel(i / WIDTH, i % WIDTH)).collect();
    let labels: Vec<u8> = (0..EXAMPLES).map(|i| (i % 4) as u8).collect();
    let examples = Examples::new(FeaturesView::U8(&features), LabelsView::U8(&labels), &[WIDTH]);
    let widths = vec![WIDTH, 33, 17, 4];
    let mut parameters = Parameters::zeros(&widths);
    parameters.draw(3);
    let optimizer = Optimizer::adam();
    let mut state = State::new(optimizer, parameters.values().len());
    let hidden = vec![kernels::Activation::Relu; 2];
    let network = Network { widths, hidden, head: Head::SoftmaxCrossEntropy };
    let most = sizes.iter().copied().max().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(most).build().unwrap();
    let mut engine = Engine::new(network, optimizer, &parameters, &state, &examples, BATCH, pool);
    let mut sizes = sizes.iter().cycle();
    let mut bits = Vec::new();
    for epoch in 0..2 {
        let mut totals = Totals::default();
        for order in in_order().chunks(part * BATCH) {
            engine.resize(*sizes.next().unwrap(), &examples);
            let before = epoch * (EXAMPLES / BATCH) as u64;
            engine.train(examples, order, before, &Progress::default(), &mut totals);
        }
        assert!(engine.is_finite() && totals.steps == EXAMPLES / BATCH);
        bits.push(totals.loss.to_bits());
    }
    engine.save(&mut parameters, &mut state);
    let trained = [parameters.values(), &state.first, &state.second];
    bits.extend(trained.into_iter().flatten().map(|x| u64::from(x.to_bits())));
    bits
}

#[test]
fn another_number_of_threads_from_step_to_step_trains_the_same_bits() {
    let expected = bits_of_parts(&[1], EXAMPLES);
    for (sizes, part) in [(&[2, 1][..], 1), (&[1, 2, 3, 4, 5], 1), (&[4, 1], 2), (&[3], 3)] {
        assert!(bits_of_parts(sizes, part) == expected, "{sizes:?}, {part} steps each");
    }
}
