//! Adam and RMSprop over weights, gradient and state, beside a triad over as much memory: all in
//! bytes read and written, from the first-level cache to memory.

mod settings;

use benches::triad::Triad;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::{Aligned, Isa, Update};
use trainer::roofline::random;

fn optimizers(criterion: &mut Criterion) {
    let isa = Isa::best();
    let rules = [
        ("rmsprop", Update::rmsprop(1e-3, 0.9, 1e-7)),
        ("adam", Update::adam(1e-3, 0.9, 0.999, 1e-7, 100)),
    ];
    let sizes = [
        ("1,024 weights", 1024),
        ("W1's first layer", 784 * 128),
        ("W2's first layer", 784 * 512),
        ("16 Mi weights", 16 << 20),
    ];
    for (size, len) in sizes {
        for (name, rule) in rules {
            let mut group = criterion.benchmark_group(format!("{name}/{size}"));
            let (mut weights, gradient) = (random(len, 1), random(len, 2));
            let (mut first, mut second) = (Aligned::zeros(len), Aligned::zeros(len));
            // Weights, gradient and states read; weights and states written.
            let moved = 4 * len * (3 + 2 * rule.states());
            group.throughput(Throughput::Bytes(moved as u64));
            group.bench_function("update", |bencher| {
                bencher.iter(|| {
                    rule.apply(isa, &mut weights, &gradient, &mut first, &mut second);
                });
            });
            let mut triad = Triad::over(4 * len * (2 + rule.states()));
            group.throughput(Throughput::Bytes(triad.bytes()));
            group.bench_function("triad", |bencher| bencher.iter(|| triad.run()));
        }
    }
}

criterion_group! {
    name = benches;
    config = settings::criterion();
    targets = optimizers
}
criterion_main!(benches);
