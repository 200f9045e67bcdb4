//! The two reference workloads on the real data: what a wrong formula would not reach.
//!
//! Each model is trained on one thread, which gives the bits of any other number: the two tests
//! run side by side.

use dataset::Dataset;
use tests::skip;
use trainer::{Activation, Dense, Evaluation, Fit, Flatten, Loss, Optimizer, Sequential};

/// The data set, where it is here and this build is fast enough to train on it.
fn real(name: &str) -> Option<Dataset> {
    let what = format!("accuracy on {name}");
    if cfg!(debug_assertions) {
        skip(&format!("{what}: takes minutes in a debug build; cargo test --release"));
        return None;
    }
    tests::real(name, &what)
}

/// Trains on the training part and evaluates on the test part.
fn train(set: &Dataset, units: usize, optimizer: Optimizer, fit: &Fit) -> Evaluation {
    let mut model = Sequential::new([28, 28])
        .seed(fit.seed)
        .layer(Flatten)
        .layer(Dense::new(units, Activation::Relu))
        .layer(Dense::new(10, Activation::Softmax))
        .compile(optimizer, Loss::SparseCategoricalCrossentropy)
        .unwrap();
    model.fit(set.train.examples(), fit).unwrap();
    model.evaluate(set.test.examples()).unwrap()
}

/// The mean over five seeds is to be 0.977 to 0.983; seeds spread by 0.001.
#[test]
fn mnist_with_512_units_in_5_epochs() {
    let Some(mnist) = real("mnist") else { return };
    for seed in 0..2 {
        let fit = Fit { epochs: 5, batch_size: 128, seed, threads: 1, ..Fit::default() };
        let result = train(&mnist, 512, Optimizer::rmsprop(), &fit);
        assert!((0.974..0.986).contains(&result.accuracy), "seed {seed}: {result:?}");
    }
}

/// The mean over five seeds is to be at least 0.875.
#[test]
fn fashion_mnist_with_128_units_in_10_epochs() {
    let Some(fashion) = real("fashion-mnist") else { return };
    for seed in 0..2 {
        let fit = Fit { epochs: 10, batch_size: 32, seed, threads: 1, ..Fit::default() };
        let result = train(&fashion, 128, Optimizer::adam(), &fit);
        assert!((0.870..0.895).contains(&result.accuracy), "seed {seed}: {result:?}");
    }
}
