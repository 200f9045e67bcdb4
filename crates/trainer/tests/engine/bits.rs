//! The trained weights have the same bits for any number of threads, and on AVX2 and AVX-512.

use std::env;
use std::io::{self, Write};
use std::process::Command;

use kernels::Isa;
use trainer::{Activation, Fit, Loss, Model, Optimizer};

use crate::data::{Data, OPTIMIZERS, model};

/// Set for the process that computes the hashes of another instruction set.
const CHILD: &str = "TRAINER_TEST_HASHES";

struct Shape {
    /// Inputs first.
    widths: &'static [usize],
    examples: usize,
    batch: usize,
    validation_split: f64,
}

/// Hidden layers of 10, 100, 512 and, for products whose summation is cut into blocks, 1100 units, one
/// below a layer of 4, which is narrow on AVX2 too; depths 1 to 4; batches of 1, 7, 32, 128 and, for lists
/// that are cut into chunks, 300, none of which divides its examples.
const SHAPES: [Shape; 14] = [
    Shape { widths: &[90, 10], examples: 75, batch: 32, validation_split: 0.0 },
    Shape { widths: &[90, 40], examples: 75, batch: 7, validation_split: 0.0 },
    Shape { widths: &[90, 10, 10], examples: 75, batch: 7, validation_split: 0.2 },
    Shape { widths: &[90, 100, 10], examples: 141, batch: 32, validation_split: 0.1 },
    Shape { widths: &[90, 512, 10], examples: 141, batch: 128, validation_split: 0.0 },
    Shape { widths: &[90, 512, 10], examples: 9, batch: 1, validation_split: 0.0 },
    Shape { widths: &[90, 100, 10, 10], examples: 141, batch: 128, validation_split: 0.0 },
    Shape { widths: &[90, 512, 100, 10], examples: 45, batch: 7, validation_split: 0.1 },
    Shape { widths: &[90, 10, 512, 10], examples: 75, batch: 32, validation_split: 0.0 },
    Shape { widths: &[90, 100, 100, 100, 10], examples: 75, batch: 32, validation_split: 0.3 },
    Shape { widths: &[90, 10, 10, 10, 10], examples: 9, batch: 1, validation_split: 0.0 },
    Shape { widths: &[30, 1100, 33, 10], examples: 45, batch: 32, validation_split: 0.0 },
    Shape { widths: &[90, 100, 10], examples: 700, batch: 300, validation_split: 0.0 },
    Shape { widths: &[90, 100, 4], examples: 141, batch: 32, validation_split: 0.0 },
];

/// Activations, outputs and losses take turns over the shapes and optimizers.
const KINDS: [(Activation, Activation, Loss); 6] = [
    (Activation::Relu, Activation::Softmax, Loss::SparseCategoricalCrossentropy),
    (Activation::Tanh, Activation::Softmax, Loss::SparseCategoricalCrossentropy),
    (Activation::Sigmoid, Activation::Sigmoid, Loss::MeanSquaredError),
    (Activation::Elu, Activation::Softmax, Loss::MeanSquaredError),
    (Activation::Relu, Activation::Linear, Loss::MeanSquaredError),
    (Activation::Linear, Activation::Tanh, Loss::MeanSquaredError),
];

/// Two epochs; returns the model and all that the history says but times.
fn train(
    shape: &Shape,
    optimizer: Optimizer,
    kind: usize,
    floats: bool,
    threads: usize,
) -> (Model, Vec<u64>) {
    let (hidden, output, loss) = KINDS[kind % KINDS.len()];
    let (inputs, classes) = (shape.widths[0], shape.widths[shape.widths.len() - 1]);
    let make = if floats { Data::floats } else { Data::bytes };
    let data = make(shape.examples, inputs, classes, 5);
    let mut model = model(shape.widths, hidden, output, optimizer, loss);
    let settings = Fit {
        epochs: 2,
        batch_size: shape.batch,
        validation_split: shape.validation_split,
        seed: 3,
        threads,
        ..Fit::default()
    };
    let history = model.fit(data.examples(), &settings).unwrap();
    let mut numbers = Vec::new();
    for epoch in &history.epochs {
        numbers.extend([epoch.loss.to_bits(), epoch.accuracy.to_bits(), epoch.steps as u64]);
        assert_eq!(epoch.validation.is_some(), shape.validation_split > 0.0);
        if let Some(validation) = epoch.validation {
            numbers.extend([validation.loss.to_bits(), validation.accuracy.to_bits()]);
        }
    }
    (model, numbers)
}

#[test]
fn any_number_of_threads_trains_the_same_bits() {
    for (index, shape) in SHAPES.iter().enumerate() {
        for (kind, optimizer) in [(index, OPTIMIZERS[index % 5]), (2 * index + 1, OPTIMIZERS[3])] {
            let floats = kind % 4 == 3;
            let (model, numbers) = train(shape, optimizer, kind, floats, 1);
            let hash = model.parameters().sha256();
            for threads in [2, 3, 4, 7, 0] {
                let (other, other_numbers) = train(shape, optimizer, kind, floats, threads);
                let Shape { widths, batch, .. } = shape;
                let what = format!("{widths:?}, batch {batch}, {optimizer:?}, {threads} threads");
                assert_eq!(other.parameters().sha256(), hash, "{what}: weights");
                assert_eq!(other_numbers, numbers, "{what}: history");
            }
        }
    }
}

/// Steps enough for the search to try fewer threads and go back, wherever in an epoch that is; whether and
/// when it does is the clock's to say, and changes no bit.
#[test]
fn a_team_that_changes_as_it_trains_trains_the_same_bits() {
    let data = Data::bytes(300, 90, 10, 5);
    let train = |threads| {
        let optimizer = OPTIMIZERS[3];
        let (relu, softmax) = (Activation::Relu, Activation::Softmax);
        let loss = Loss::SparseCategoricalCrossentropy;
        let mut model = model(&[90, 40, 10], relu, softmax, optimizer, loss);
        // An epoch of the few steps that a stretch must have, and of far more.
        for (epochs, batch_size) in [(100, 32), (30, 2)] {
            let settings = Fit { epochs, batch_size, threads, ..Fit::default() };
            let history = model.fit(data.examples(), &settings).unwrap();
            assert!(history.threads() >= 1.0, "{}", history.threads());
        }
        model.parameters().sha256()
    };
    let hash = train(1);
    for _ in 0..3 {
        assert_eq!(train(0), hash);
    }
}

/// A hash for every shape with every optimizer.
fn hashes() -> Vec<String> {
    let mut hashes = Vec::new();
    for (index, shape) in SHAPES.iter().enumerate() {
        for (kind, optimizer) in OPTIMIZERS.into_iter().enumerate() {
            let (model, _) = train(shape, optimizer, kind + index, kind == 1, 2);
            hashes.push(model.parameters().sha256());
        }
    }
    hashes
}

/// The hashes of a process like this one with `KERNELS_ISA` set.
fn hashes_on(isa: &str) -> Vec<String> {
    let test = "bits::avx2_and_avx512_train_the_same_bits";
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("KERNELS_ISA", isa)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{isa}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let line = |line: &str| line.strip_prefix("hash ").map(str::to_owned);
    let hashes: Vec<_> = text.lines().filter_map(line).collect();
    assert_eq!(hashes.len(), SHAPES.len() * OPTIMIZERS.len(), "{isa}: {text}");
    hashes
}

#[test]
fn avx2_and_avx512_train_the_same_bits() {
    if env::var_os(CHILD).is_some() {
        // A line of its own: the harness has begun one with the test's name.
        println!("\nisa {}", Isa::best());
        hashes().iter().for_each(|hash| println!("hash {hash}"));
        return;
    }
    let required = env::var("KERNELS_REQUIRE").unwrap_or_default();
    for isa in ["avx2", "avx512"] {
        if Isa::by_name(isa).is_none() {
            assert!(
                !required.split(',').any(|name| name.trim() == isa),
                "KERNELS_REQUIRE names {isa}: not available"
            );
            writeln!(io::stderr(), "skipped: the bits of {isa}: this processor lacks it").unwrap();
            return;
        }
    }
    let (avx2, avx512) = (hashes_on("avx2"), hashes_on("avx512"));
    for (i, (avx2, avx512)) in avx2.iter().zip(&avx512).enumerate() {
        let (shape, optimizer) = (&SHAPES[i / OPTIMIZERS.len()], OPTIMIZERS[i % OPTIMIZERS.len()]);
        assert_eq!(avx2, avx512, "{:?}, batch {}, {optimizer:?}", shape.widths, shape.batch);
    }
    // Different runs have different hashes: it is the weights that are compared.
    let mut distinct = avx2;
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), avx512.len());
}
