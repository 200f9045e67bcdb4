//! More threads than processors: slower, not stuck.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use trainer::{Fit, Optimizer};

use crate::data::{Data, classifier};

/// Trains some hundred steps on so many threads and returns how long it took.
fn train(threads: usize) -> Duration {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let data = Data::bytes(3200, 100, 10, 1);
        let mut model = classifier(&[100, 128, 10], Optimizer::adam());
        let start = Instant::now();
        model.fit(data.examples(), &Fit { threads, epochs: 2, ..Fit::default() }).unwrap();
        sender.send(start.elapsed()).unwrap();
    });
    receiver
        .recv_timeout(Duration::from_secs(120))
        .unwrap_or_else(|_| panic!("200 steps on {threads} threads do not end"))
}

#[test]
fn more_threads_than_processors_come_to_an_end() {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    for threads in [4, 2 * processors, 2 * processors + 1] {
        let (alone, together) = (train(1), train(threads));
        // On an idle machine of two processors, four threads take about as long as one. The bound
        // finds a barrier that waits for time slices to end; the second keeps a busy machine out.
        let bound = 20 * alone + Duration::from_secs(2);
        assert!(together < bound, "{threads} threads {together:?}, one {alone:?}");
    }
}
