//! Training on a file that is larger than the memory it may use.

use std::ops::ControlFlow;
use std::path::Path;

use dataset::{Dataset, Examples, FeaturesView, LabelsView, Part};
use tempfile::TempDir;
use trainer::{Activation, Error, Fit, Loss, Optimizer, Progress, Streaming};

use crate::data::{Data, Features, Labels, classifier, model};

/// Writes `data` as a data set of IDX files and maps it.
fn mapped(data: &Data, shape: &[usize]) -> (TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let part = |examples: Examples<'_>| {
        let FeaturesView::U8(pixels) = examples.features() else { panic!("bytes") };
        let LabelsView::U8(labels) = examples.labels() else { panic!("bytes") };
        let labels = labels.iter().map(|&label| label.into()).collect();
        Part::from_pixels(Path::new("made up"), shape, pixels.to_vec(), labels)
    };
    let (train, test) = (part(data.examples()), part(data.examples().slice(0..3)));
    let set = Dataset::new("made up", Path::new("made up"), None, train, test).unwrap();
    let target = folder.path().join("set");
    dataset::formats::write(&set, dataset::formats::Format::Idx, &target).unwrap();
    let set = Dataset::open(&target).unwrap();
    assert!(set.train.examples().is_mapped());
    (folder, set)
}

/// 1,000 examples of 30 bytes, as a file and copied in the orders of the first two epochs.
#[test]
fn the_order_is_that_of_the_block_shuffle_on_any_number_of_threads() {
    let data = Data::bytes(1000, 30, 5, 4);
    let (_folder, set) = mapped(&data, &[30]);
    let examples = set.train.examples();
    for (batch_size, memory, validation_split) in
        [(8, 6000, 0.0), (7, 960, 0.25), (150, 3000, 0.1), (64, 29_999, 0.0), (1000, 60, 0.0)]
    {
        let fit = Fit {
            epochs: 2,
            batch_size,
            validation_split,
            seed: 11,
            threads: 1,
            memory: Some(memory),
            ..Fit::default()
        };
        let Streaming { shuffle, .. } = fit.streaming(&examples).unwrap();
        assert!(shuffle.block * shuffle.window >= batch_size, "{shuffle:?}");
        let train = examples.split_validation(validation_split).0.len();
        let mut expected = classifier(&[30, 40, 5], Optimizer::adam());
        let mut losses = Vec::new();
        for epoch in [1, 2] {
            let mut order = Vec::new();
            shuffle.shuffle(&mut order, train, 11, epoch);
            let one = Fit { epochs: 1, shuffle: false, validation_split: 0.0, ..fit.clone() };
            let history = expected.fit(data.reordered(&order).examples(), &one).unwrap();
            losses.push((history.epochs[0].loss, history.epochs[0].accuracy));
        }
        for threads in [1, 2, 3] {
            let mut model = classifier(&[30, 40, 5], Optimizer::adam());
            let settings = Fit { threads, ..fit.clone() };
            let progress = Progress::default();
            let on_epoch = |_: &_| ControlFlow::Continue(());
            let history = model.fit_with(examples, &settings, &progress, on_epoch).unwrap();
            let hashes = [&model, &expected].map(|model| model.parameters().sha256());
            assert_eq!(hashes[0], hashes[1], "{shuffle:?}, batches of {batch_size}");
            let found = history.epochs.iter().map(|epoch| epoch.accuracy);
            assert!(found.eq(losses.iter().map(|of| of.1)));
            for (epoch, (loss, _)) in history.epochs.iter().zip(&losses) {
                // Added up window by window: another order of the same sum.
                assert!((epoch.loss - loss).abs() < 1e-12 * loss, "{} {loss}", epoch.loss);
                assert_eq!((epoch.samples, epoch.steps), (train, train.div_ceil(batch_size)));
            }
            assert_eq!(progress.get(), (2, train.div_ceil(batch_size)));
            assert_eq!(history.epochs[0].validation.is_some(), validation_split > 0.0);
        }
    }
}

#[test]
fn what_fits_or_is_in_memory_or_is_in_order_is_not_streamed() {
    let data = Data::bytes(100, 30, 5, 4);
    let (_folder, set) = mapped(&data, &[5, 6]);
    let examples = set.train.examples();
    let small = Fit { memory: Some(1000), ..Fit::default() };
    assert!(small.streaming(&examples).is_some());
    assert_eq!(small.streaming(&data.examples()), None);
    assert_eq!(Fit { shuffle: false, ..small.clone() }.streaming(&examples), None);
    assert_eq!(Fit { memory: Some(3000), ..small.clone() }.streaming(&examples), None);
    assert!(Fit { memory: Some(2999), ..small.clone() }.streaming(&examples).is_some());
    let split = Fit { memory: Some(2999), validation_split: 0.1, ..small };
    assert_eq!(split.streaming(&examples), None);
    assert_eq!(Fit::default().streaming(&examples), None);
}

/// A loss that is not a number is reported with its step of the epoch, in whichever window it is.
#[test]
fn the_step_that_failed_is_counted_over_the_windows() {
    let data = Data::bytes(400, 30, 5, 8);
    let (_folder, set) = mapped(&data, &[30]);
    let fit = Fit { batch_size: 10, memory: Some(2400), threads: 2, ..Fit::default() };
    let Streaming { shuffle, .. } = fit.streaming(&set.train.examples()).unwrap();
    assert_eq!(shuffle.block * shuffle.window, 40);
    let mut order = Vec::new();
    shuffle.shuffle(&mut order, 400, 0, 1);
    let copy = data.reordered(&order);
    let steps = [1.0, 3.0, 10.0, 100.0, 1e4, 3e18].map(|learning_rate| {
        let sgd = Optimizer::Sgd { learning_rate, momentum: 0.9, nesterov: false };
        let step = |examples: Examples<'_>, fit: &Fit| {
            // Linear all through: what diverges goes on to diverge.
            let loss = Loss::SparseCategoricalCrossentropy;
            let widths = [30, 40, 20, 5];
            let mut model = model(&widths, Activation::Linear, Activation::Softmax, sgd, loss);
            match model.fit(examples, fit) {
                Ok(_) => None,
                Err(Error::NotFinite { epoch: 1, step, .. }) => Some(step),
                Err(other) => panic!("{other}"),
            }
        };
        let expected = step(copy.examples(), &Fit { shuffle: false, ..fit.clone() });
        assert_eq!(step(set.train.examples(), &fit), expected, "{learning_rate}");
        expected
    });
    // Windows are of four steps.
    assert!(steps.iter().flatten().any(|&step| step > 4), "{steps:?}");
}

/// Bytes of mapped files called `name` that are in memory.
#[cfg(target_os = "linux")]
fn resident(name: &str) -> usize {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = smaps.lines();
    let mut sum = 0;
    while lines.by_ref().any(|line| line.ends_with(name)) {
        let rss = lines.by_ref().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        sum += rss.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10;
    }
    sum
}

/// Not all moments are looked at; that there are more than allowed is found at any.
#[cfg(target_os = "linux")]
#[test]
fn no_more_of_the_file_is_in_memory_than_was_allowed() {
    use std::sync::atomic::{AtomicBool, Ordering};

    const WIDTH: usize = 1 << 14;
    let data = Data {
        features: Features::Bytes((0..4096 * WIDTH).map(|i| (i >> 9) as u8).collect()),
        labels: Labels::U8((0..4096).map(|i| (i % 5) as u8).collect()),
        ..Data::bytes(1, WIDTH, 5, 0)
    };
    let (folder, set) = mapped(&data, &[128, 128]);
    drop(data);
    let name = folder.path().join("set/train-images-idx3-ubyte");
    let name = name.to_str().unwrap();
    let memory = 16 << 20;
    let fit = Fit { batch_size: 64, memory: Some(memory), threads: 2, ..Fit::default() };
    let mut model = classifier(&[WIDTH, 8, 5], Optimizer::rmsprop());
    let finished = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !finished.load(Ordering::Relaxed) {
                most = most.max(resident(name));
            }
            most
        });
        model.fit(set.train.examples(), &fit).unwrap();
        finished.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    // Reading a block brings in some of its neighbours.
    assert!(most > 0 && most < 20 << 20, "{most} bytes of 64 MiB");
    assert_eq!(resident(name), 0);
}
