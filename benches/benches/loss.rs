//! Softmax cross-entropy with its gradient in place, beside a triad over as much memory: both in
//! bytes read and written.

mod settings;

use benches::triad::Triad;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::{Isa, Targets, loss};
use trainer::roofline::random;

fn softmax_cross_entropy(criterion: &mut Criterion) {
    let isa = Isa::best();
    for (rows, classes) in [(32, 10), (128, 10), (8192, 10), (128, 100), (1024, 1000)] {
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
        let mut triad = Triad::over(4 * logits.len());
        group.throughput(Throughput::Bytes(triad.bytes()));
        group.bench_function("triad", |bencher| bencher.iter(|| triad.run()));
    }
}

criterion_group! {
    name = benches;
    config = settings::criterion();
    targets = softmax_cross_entropy
}
criterion_main!(benches);
