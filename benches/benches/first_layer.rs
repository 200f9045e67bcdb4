//! The first layer's products, dense and with zeros skipped, and the lists for these, on synthetic
//! digits (28 % of whose pixels are not zero) and on the same number of pixels without a zero.
//! `Gelem/s` is GFLOP/s of the dense product; for lists it is the same work, which they spare.

mod settings;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::gemm::{Epilogue, Gemm};
use kernels::panels::{Ahead, Data, FeatureOrder, Form, Panels};
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
        let mut out = Aligned::zeros(b * n);
        let epilogue = Epilogue::BiasActivation(&bias, Activation::Relu);
        group.bench_function("dense", |bencher| {
            let x = random(b * k, 3);
            let mut gemm = Gemm::new(isa, b, n, k, true, true);
            bencher.iter(|| {
                gemm.run(MatRef::new(&x, b, k), weights, MatMut::new(&mut out, b, n), epilogue);
            });
        });
        for Pixels { name, rows } in pixels(workload) {
            let mut panels = panels_of(&rows, b);
            let mut room = Aligned::zeros(first_layer::sums(panels.count(), b));
            let relu = Activation::Relu;
            group.bench_function(format!("zeros skipped, {name}"), |bencher| {
                bencher.iter(|| {
                    let out = MatMut::new(&mut out, b, n);
                    first_layer::forward(isa, &panels, weights, &bias, relu, &mut room, out);
                });
            });
            let numbers: Vec<u32> = (0..b as u32).collect();
            group.bench_function(format!("lists, {name}"), |bencher| {
                bencher.iter(|| panels.fill(isa, Data::Bytes(&rows), &numbers));
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
            let panels = panels_of(&rows, b);
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

fn panels_of(images: &[u8], count: usize) -> Panels {
    let order = FeatureOrder::of_image(28, 28);
    let mut panels = Panels::with_capacity(&mut Arena::default(), PIXELS, order, count);
    let numbers: Vec<u32> = (0..count as u32).collect();
    panels.fill(Isa::best(), Data::Bytes(images), &numbers);
    panels
}

criterion_group! {
    name = benches;
    config = settings::criterion();
    targets = forward, update
}
criterion_main!(benches);
