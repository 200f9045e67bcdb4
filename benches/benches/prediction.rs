//! Prediction without allocation: one image at a time, and 10,000 at once. Beside criterion's
//! mean, the distribution of single calls is printed, and the best pass over all.

mod settings;

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::models::{Digits, model};
use criterion::{Criterion, Throughput, criterion_group};
use trainer::Row;
use trainer::roofline::WORKLOADS;

const IMAGES: usize = 10_000;

fn predictions(criterion: &mut Criterion) {
    let digits = Digits::real(IMAGES);
    for workload in &WORKLOADS {
        let model = model(workload);
        let mut group = criterion.benchmark_group(format!("prediction/{}", workload.name));
        let mut predictor = model.predictor(&digits.examples()).expect("the shapes agree");
        let mut index = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function("one image", |bencher| {
            bencher.iter(|| {
                index = (index + 1) % 1000;
                black_box(predictor.predict(Row::Bytes(digits.image(index))));
            });
        });
        group.throughput(Throughput::Elements(IMAGES as u64));
        group.bench_function("10,000 images, all processors", |bencher| {
            let mut outputs = vec![0.0; IMAGES * workload.widths[2]];
            bencher.iter(|| {
                predictor.predict_all(digits.examples(), &mut outputs).expect("the shapes agree");
            });
        });
    }
}

/// Half of the calls, and 99 of a hundred, are faster than what is printed.
fn distribution() {
    let digits = Digits::real(1000);
    for workload in &WORKLOADS {
        let mut predictor =
            model(workload).predictor(&digits.examples()).expect("the shapes agree");
        let mut times: Vec<_> = (0..50_000)
            .map(|call| {
                let start = Instant::now();
                black_box(predictor.predict(Row::Bytes(digits.image(call % 1000))));
                start.elapsed()
            })
            .collect();
        times.sort();
        let at = |percent: usize| times[times.len() * percent / 100];
        let (name, [_, hidden, _]) = (workload.name, workload.widths);
        println!(
            "{name}, {hidden} hidden, one image of {}: p50 {:?}, p99 {:?}",
            digits.name,
            at(50),
            at(99)
        );
    }
}

/// The best pass over all images in two seconds, as `onnx_peer.py` reports it, and the median.
fn rates() {
    let digits = Digits::real(IMAGES);
    for workload in &WORKLOADS {
        let mut predictor =
            model(workload).predictor(&digits.examples()).expect("the shapes agree");
        let mut outputs = vec![0.0; IMAGES * workload.widths[2]];
        let (begin, mut times) = (Instant::now(), Vec::new());
        while begin.elapsed() < Duration::from_secs(2) {
            let start = Instant::now();
            predictor.predict_all(digits.examples(), &mut outputs).expect("the shapes agree");
            black_box(&mut outputs);
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let millions = |seconds: f64| IMAGES as f64 / seconds / 1e6;
        let (best, median) = (millions(times[0]), millions(times[times.len() / 2]));
        let (name, [_, hidden, _]) = (workload.name, workload.widths);
        println!(
            "{name}, {hidden} hidden, {IMAGES} images of {}: {best:.2} M/s at best, {median:.2} median",
            digits.name
        );
    }
}

criterion_group! {
    name = benches;
    config = settings::criterion();
    targets = predictions
}

fn main() {
    benches();
    if std::env::args().any(|argument| argument == "--bench") {
        distribution();
        rates();
    }
    Criterion::default().configure_from_args().final_summary();
}
