//! Softmax cross-entropy with its gradient in place, beside a copy of the same buffer: both in bytes
//! read and written.

mod settings;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::{Isa, Targets, loss};
use trainer::roofline::random;

/// Rows and classes: those of the reference workloads, and buffers in the first and second level of
/// cache (32, 128 and 8,192 rows of ten; 128x100; 8x1000; 1x65536) and in the third (the others).
const SHAPES: [(usize, usize); 8] = [
    (32, 10),
    (128, 10),
    (8192, 10),
    (131_072, 10),
    (128, 100),
    (8, 1000),
    (1024, 1000),
    (1, 65_536),
];

fn softmax_cross_entropy(criterion: &mut Criterion) {
    let isa = Isa::best();
    for (rows, classes) in SHAPES {
        let stride = usize::next_multiple_of(classes, 16);
        let name = format!("softmax cross-entropy/{rows}x{classes}");
        let mut group = criterion.benchmark_group(name);
        let mut logits = random(rows * stride, 1);
        let mut losses = vec![0.0; rows];
        let labels: Vec<u16> = (0..rows).map(|row| (row * 7 % classes) as u16).collect();
        group.throughput(Throughput::Bytes(2 * 4 * logits.len() as u64));
        group.bench_function("loss and gradient", |bencher| {
            let labels = Targets::U16(&labels);
            bencher.iter(|| {
                loss::softmax_cross_entropy(
                    isa,
                    &mut logits,
                    stride,
                    classes,
                    labels,
                    1.0,
                    &mut losses,
                    None,
                )
            });
        });
        let from = random(rows * stride, 1);
        let mut to = from.clone();
        group.bench_function("copy", |bencher| {
            bencher.iter(|| to.copy_from_slice(black_box(&from)));
        });
    }
}

criterion_group! {
    name = benches;
    config = settings::criterion();
    targets = softmax_cross_entropy
}
criterion_main!(benches);
