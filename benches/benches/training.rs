//! Whole training steps, by `Model::fit`, on synthetic digits: gather, lists of what is not zero,
//! forward, loss, backward, update. Shuffling is in the time; starting the threads is not.
//! `elem/s` is samples a second.

mod settings;

use benches::models::{Digits, model};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use trainer::Fit;
use trainer::roofline::WORKLOADS;

/// Steps an epoch.
const STEPS: usize = 64;

fn steps(criterion: &mut Criterion) {
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    for workload in &WORKLOADS {
        let mut group = criterion.benchmark_group(format!("training/{}", workload.name));
        let digits = Digits::new(STEPS * workload.batch);
        group.throughput(Throughput::Elements((STEPS * workload.batch) as u64));
        let mut teams = vec![1, most];
        teams.dedup();
        for threads in teams {
            let id = BenchmarkId::new(format!("{STEPS} steps"), format!("{threads} threads"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|repetitions| {
                    let fit = Fit {
                        epochs: repetitions as usize,
                        batch_size: workload.batch,
                        threads,
                        ..Fit::default()
                    };
                    let history = model(workload).fit(digits.examples(), &fit);
                    let epochs = history.expect("synthetic digits train").epochs;
                    epochs.iter().map(|epoch| epoch.time).sum()
                });
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = settings::criterion();
    targets = steps
}
criterion_main!(benches);
