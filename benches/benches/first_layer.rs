//! The first layer's products, dense and with zeros skipped, and the lists for these, on synthetic
//! digits (28 % of whose pixels are not zero) and on the same number of pixels without a zero.
//! `Gelem/s` is GFLOP/s of the dense product; for lists it is the same work, which they spare.

mod settings;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::gemm::{Epilogue, Gemm};
use kernels::panels::{Ahead, Batch, Form, Panels};
use kernels::{Activation, Aligned, Arena, Isa, MatMut, MatRef, Update, first_layer};
use trainer::roofline::{WORKLOADS, Workload, random};

const PIXELS: Form = Form::Bytes(1.0 / 255.0);

/// A batch as bytes, by rows.
struct Pixels {
    name: &'static str,
    rows: Vec<u8>,
}

fn pixels(workload: &Workload) -> [Pixels; 2] {
    let count = workload.batch as u64;
    let (digits, _) = dataset::glyphs::generate(dataset::glyphs::SEED, 0..count);
    let full = digits.iter().map(|x| x | 1).collect();
    [Pixels { name: "digits", rows: digits }, Pixels { name: "no zeros", rows: full }]
}

fn forward(criterion: &mut Criterion) {
    let isa = Isa::best();
    for workload in &WORKLOADS {
        let Workload { name, batch: b, widths: [k, n, _] } = *workload;
        let mut group = criterion.benchmark_group(format!("first layer/{name} forward"));
        group.throughput(Throughput::Elements((2 * b * k * n) as u64));
        let (weights, bias) = (random(k * n, 1), random(n, 2));
        let weights = MatRef::new(&weights, k, n);
        let mut out = Aligned::zeros(b.next_multiple_of(16) * n);
        let epilogue = Epilogue::BiasActivation(&bias, Activation::Relu);
        group.bench_function("dense", |bencher| {
            let x = random(b * k, 3);
            let mut gemm = Gemm::new(isa, b, n, k, true, true);
            bencher.iter(|| {
                gemm.run(MatRef::new(&x, b, k), weights, MatMut::new(&mut out, b, n), epilogue);
            });
        });
        for Pixels { name, rows } in pixels(workload) {
            let (batch, arena) = (batch_of(&rows, b, k), &mut Arena::default());
            let mut by_examples = Panels::with_capacity(arena, PIXELS, b, k);
            let mut by_features = Panels::with_capacity(arena, PIXELS, k, b);
            by_examples.fill_examples(isa, &batch);
            by_features.fill_features(isa, &batch);
            let mut room = Aligned::zeros(first_layer::sums(by_features.count(), b));
            let relu = Activation::Relu;
            group.bench_function(format!("by examples, {name}"), |bencher| {
                bencher.iter(|| {
                    let out = MatMut::new(&mut out, b.next_multiple_of(16), n);
                    first_layer::forward_by_examples(isa, &by_examples, weights, &bias, relu, out);
                });
            });
            group.bench_function(format!("lists of examples, {name}"), |bencher| {
                bencher.iter(|| by_examples.fill_examples(isa, &batch));
            });
            group.bench_function(format!("by features, {name}"), |bencher| {
                let x = &by_features;
                bencher.iter(|| {
                    let out = MatMut::new(&mut out, b, n);
                    first_layer::forward_by_features(isa, x, weights, &bias, relu, &mut room, out);
                });
            });
            group.bench_function(format!("lists of features, {name}"), |bencher| {
                bencher.iter(|| by_features.fill_features(isa, &batch));
            });
        }
    }
}

fn update(criterion: &mut Criterion) {
    let isa = Isa::best();
    let rules = [Update::adam(1e-3, 0.9, 0.999, 1e-7, 100), Update::rmsprop(1e-3, 0.9, 1e-7)];
    for (workload, rule) in WORKLOADS.iter().zip(rules) {
        let Workload { name, batch: b, widths: [k, n, _] } = *workload;
        let mut group = criterion.benchmark_group(format!("first layer/{name} update"));
        group.throughput(Throughput::Elements((2 * b * k * n) as u64));
        let dz = random(b * n, 1);
        let dz = MatRef::new(&dz, b, n);
        let mut weights = random(k * n, 2);
        let (mut first, mut second) = (Aligned::zeros(k * n), Aligned::zeros(k * n));
        group.bench_function("dense, then the optimizer", |bencher| {
            let x = random(b * k, 3);
            let mut gradient = Aligned::zeros(k * n);
            let mut gemm = Gemm::new(isa, k, n, b, false, true);
            bencher.iter(|| {
                let x = MatRef::new(&x, b, k).t();
                gemm.run(x, dz, MatMut::new(&mut gradient, k, n), Epilogue::Store);
                rule.apply(isa, &mut weights, &gradient, &mut first, &mut second);
            });
        });
        for Pixels { name, rows } in pixels(workload) {
            let batch = batch_of(&rows, b, k);
            let mut panels = Panels::with_capacity(&mut Arena::default(), PIXELS, k, b);
            panels.fill_features(isa, &batch);
            let mut touched = vec![false; k.div_ceil(kernels::panels::PANEL)];
            group.bench_function(format!("zeros skipped, {name}"), |bencher| {
                bencher.iter(|| {
                    let weights = first_layer::Weights {
                        values: MatMut::new(&mut weights, k, n),
                        first: MatMut::new(&mut first, k, n),
                        second: MatMut::new(&mut second, k, n),
                        touched: &mut touched,
                        sums: &mut [],
                    };
                    first_layer::update(isa, &panels, dz, &rule, weights, &mut Ahead::nothing());
                });
            });
        }
    }
}

fn batch_of(rows: &[u8], count: usize, width: usize) -> Batch {
    let mut batch = Batch::with_capacity(&mut Arena::default(), PIXELS, count, width);
    rows.chunks_exact(width).for_each(|row| batch.push_bytes(row));
    batch
}

criterion_group! {
    name = benches;
    config = settings::criterion();
    targets = forward, update
}
criterion_main!(benches);
