//! Bias and relu: in the product's epilogue, and in passes of their own. `Gelem/s` is GFLOP/s of
//! the product.

mod settings;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::gemm::{Epilogue, Gemm};
use kernels::{Activation, Isa, MatMut};
use trainer::roofline::{Operands, WORKLOADS};

fn bias_and_relu(criterion: &mut Criterion) {
    let isa = Isa::best();
    for workload in &WORKLOADS {
        for product in &workload.products()[..2] {
            let mut group = criterion.benchmark_group(format!("bias and relu/{}", product.name));
            group.throughput(Throughput::Elements(product.flops() as u64));
            let operands = Operands::new(product);
            let (m, n) = (product.m, product.n);
            let mut gemm = Gemm::new(isa, m, n, product.k, true, true);
            let mut c = operands.c.clone();
            let bias = &*operands.bias;
            let mut run = |epilogue: Epilogue<'_>, c: &mut [f32]| {
                gemm.run(operands.a(), operands.b(), MatMut::new(c, m, n), epilogue);
            };
            group.bench_function("product alone", |bencher| {
                bencher.iter(|| run(Epilogue::Store, black_box(&mut c)));
            });
            group.bench_function("fused", |bencher| {
                let fused = Epilogue::BiasActivation(bias, Activation::Relu);
                bencher.iter(|| run(fused, black_box(&mut c)));
            });
            group.bench_function("bias fused, relu in a pass of its own", |bencher| {
                bencher.iter(|| {
                    run(Epilogue::Bias(bias), black_box(&mut c));
                    Activation::Relu.forward(isa, &mut c);
                });
            });
            group.bench_function("a pass for each", |bencher| {
                bencher.iter(|| {
                    run(Epilogue::Store, black_box(&mut c));
                    for row in c.chunks_exact_mut(n) {
                        row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
                    }
                    Activation::Relu.forward(isa, &mut c);
                });
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = settings::criterion();
    targets = bias_and_relu
}
criterion_main!(benches);
