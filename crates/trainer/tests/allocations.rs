//! Steps and predictions allocate nothing.
//!
//! One test: the allocations of steps are counted over the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use dataset::{Examples, FeaturesView, LabelsView};
use trainer::{Activation, Dense, Fit, Loss, Model, Optimizer, Row, Sequential};

/// The system's allocator, counting: for the process, and for each thread by itself. `stats_alloc` counts for
/// the process alone, where a thread of an earlier run that ends meanwhile allocates too: 1 for the 0 below.
struct Counting;

/// Allocations of all threads.
static ALL: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Allocations of this thread.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

fn one_more() {
    ALL.fetch_add(1, Ordering::Relaxed);
    // Nothing that is dropped, so it is there for as long as the thread is.
    OWN.set(OWN.get() + 1);
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        one_more();
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        one_more();
        // SAFETY: the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        one_more();
        // SAFETY: the caller's.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WIDTH: usize = 40;
const BATCH: usize = 16;

fn model(hidden: &[usize], output: Activation, loss: Loss, optimizer: Optimizer) -> Model {
    let stack = Sequential::new([WIDTH]);
    let add = |stack: Sequential, units: &usize| stack.layer(Dense::new(*units, Activation::Tanh));
    let stack = hidden.iter().fold(stack, add);
    stack.layer(Dense::new(10, output)).compile(optimizer, loss).unwrap()
}

/// Allocations of a run of `epochs` epochs of `steps` steps, the last of them partial.
fn allocations(
    model: &Model,
    data: &(Vec<u8>, Vec<f32>, Vec<u8>),
    floats: bool,
    (epochs, steps, threads): (usize, usize, usize),
) -> usize {
    let len = steps * BATCH - 5;
    let labels = LabelsView::U8(&data.2[..len]);
    let features = if floats {
        FeaturesView::F32(&data.1[..len * WIDTH])
    } else {
        FeaturesView::U8(&data.0[..len * WIDTH])
    };
    let examples = Examples::new(features, labels, &[WIDTH]);
    let settings = Fit { epochs, batch_size: BATCH, threads, ..Fit::default() };
    let mut model = model.clone();
    let before = ALL.load(Ordering::Relaxed);
    model.fit(examples, &settings).unwrap();
    ALL.load(Ordering::Relaxed) - before
}

#[test]
fn steps_and_predictions_allocate_nothing() {
    const STEPS: usize = 500;
    let pixels: Vec<u8> = (0..STEPS * BATCH * WIDTH)
        .map(|i| (dataset::mix(i as u64) >> 56) as u8)
        .map(|p| if p < 100 { 0 } else { p })
        .collect();
    let floats = pixels.iter().map(|&p| f32::from(p) / 100.0 - 1.0).collect();
    let labels = (0..STEPS * BATCH).map(|i| (dataset::mix(!i as u64) % 10) as u8).collect();
    let data = (pixels, floats, labels);

    let cross_entropy = (Activation::Softmax, Loss::SparseCategoricalCrossentropy);
    let squares = (Activation::Sigmoid, Loss::MeanSquaredError);
    let squares_of_softmax = (Activation::Softmax, Loss::MeanSquaredError);
    for (hidden, (output, loss), optimizer, floats) in [
        (&[][..], cross_entropy, Optimizer::sgd(), false),
        (&[100], cross_entropy, Optimizer::adam(), false),
        (&[33], squares, Optimizer::rmsprop(), true),
        (&[64, 20, 33], squares_of_softmax, Optimizer::adam(), false),
    ] {
        let model = model(hidden, output, loss, optimizer);
        for threads in [1, 2, 3] {
            let run = |epochs, steps| allocations(&model, &data, floats, (epochs, steps, threads));
            let few = run(1, 50);
            let many = run(1, STEPS);
            let epoch = run(2, STEPS).saturating_sub(many);
            // Starting threads and handing them an epoch allocates now and then by one more or
            // less; a step that allocated would do it 450 times.
            assert!(
                many.abs_diff(few) < 20 && epoch < 20,
                "{hidden:?} on {threads} threads: {few} allocations for 50 steps, {many} for \
                 {STEPS}, {epoch} for another epoch"
            );
        }

        let examples = Examples::new(
            if floats { FeaturesView::F32(&data.1) } else { FeaturesView::U8(&data.0) },
            LabelsView::U8(&data.2),
            &[WIDTH],
        );
        let mut predictor = model.predictor(&examples).unwrap();
        let before = OWN.get();
        for i in 0..100 {
            let at = i * WIDTH..(i + 1) * WIDTH;
            let row = if floats { Row::Floats(&data.1[at]) } else { Row::Bytes(&data.0[at]) };
            assert_eq!(predictor.predict(row).len(), 10);
        }
        assert_eq!(OWN.get() - before, 0, "{hidden:?}: allocations of 100 predictions");
        let mut outputs = vec![0.0; 10 * examples.len()];
        rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| {
            predictor.predict_all(examples, &mut outputs).unwrap();
            let before = OWN.get();
            predictor.predict_all(examples, &mut outputs).unwrap();
            let again = OWN.get() - before;
            assert!(again < 10, "{hidden:?}: {again} allocations, {} examples", examples.len());
        });
    }
}
