//! The comparison of products, for a number of threads. `Gelem/s` is GFLOP/s.

#[path = "../settings/mod.rs"]
mod settings;

use benches::peers::{Contender, assert_equal_results};
use benches::shapes;
use criterion::{BenchmarkId, Throughput};
use trainer::roofline::Operands;

pub fn bench(name: &str, threads: usize) {
    let mut criterion = settings::criterion();
    for product in shapes::all() {
        let mut group = criterion.benchmark_group(format!("{name}/{}", product.name));
        group.throughput(Throughput::Elements(product.flops() as u64));
        let mut checked = false;
        for contender in Contender::ALL {
            let id = BenchmarkId::new(contender.name(), product.shape());
            group.bench_function(id, |bencher| {
                // Here, so that a filter on the command line saves the time.
                if !checked {
                    assert_equal_results(&product, threads);
                    checked = true;
                }
                let mut operands = Operands::new(&product);
                bencher.iter_custom(|repetitions| {
                    contender.time(&mut operands, threads, repetitions as usize)
                });
            });
        }
    }
    criterion.final_summary();
}
