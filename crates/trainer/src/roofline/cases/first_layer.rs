//! The first layer's kernels, which skip zeros: making the lists, and the two products over them.

use std::sync::Arc;

use kernels::gemm::share;
use kernels::panels::{Ahead, Data, FeatureOrder, Form, PANEL, Panels};
use kernels::{Activation, Aligned, Arena, Isa, MatMut, MatRef, first_layer};

use super::{Case, Demand, rule, rule_name};
use crate::roofline::products::{Workload, random};

/// Bytes of an entry: its number and four values of a byte.
const ENTRY: f64 = 1.0 + PANEL as f64;

/// A batch of synthetic digits, whose zeros lie as those of handwriting do.
#[derive(Clone)]
struct Digits {
    pixels: Vec<u8>,
    rows: Vec<u32>,
    panels: Panels,
    /// Features of which some example is not zero, in whole panels.
    touched: usize,
}

impl Digits {
    fn new(workload: &Workload) -> Self {
        let (count, width) = (workload.batch, workload.widths[0]);
        let (pixels, _) = dataset::glyphs::generate(dataset::glyphs::SEED, 0..count as u64);
        let order = FeatureOrder::of_image(28, 28);
        let form = Form::Bytes(1.0 / 255.0);
        let panels = Panels::with_capacity(&mut Arena::default(), form, order, count);
        let features: Vec<usize> = order.iter().collect();
        let has_ink = |panel: &&[usize]| {
            pixels.chunks_exact(width).any(|image| panel.iter().any(|pixel| image[*pixel] != 0))
        };
        let touched = PANEL * features.chunks(PANEL).filter(has_ink).count();
        let mut digits = Self { pixels, rows: (0..count as u32).collect(), panels, touched };
        digits.read(Isa::best());
        digits
    }

    fn read(&mut self, isa: Isa) {
        self.panels.fill(isa, Data::Bytes(&self.pixels), &self.rows);
    }
}

/// Entries that the lists keep.
fn entries(panels: &Panels) -> f64 {
    panels.density() * (panels.count() * panels.examples()) as f64
}

fn kept(panels: &Panels) -> String {
    format!("{:.0} % kept", 100.0 * panels.density())
}

pub(super) fn cases(workload: &'static Workload) -> [Case; 3] {
    let digits = Arc::new(Digits::new(workload));
    [lists(workload, &digits), forward(workload, &digits), update(workload, &digits)]
}

fn lists(workload: &Workload, digits: &Arc<Digits>) -> Case {
    let Workload { name, batch, widths: [inputs, ..] } = *workload;
    let kept = entries(&digits.panels);
    let digits = Arc::clone(digits);
    Case {
        kernel: format!("{name} lists of what is not zero"),
        shape: format!("{batch}x{inputs}"),
        // Each thread makes all of them for itself.
        demand: Box::new(move |_| {
            // All values are turned into columns, and the numbers of some are listed.
            let (read, writes) = ((batch * inputs) as f64, (batch * inputs) as f64 + kept);
            Demand { flops: 0.0, reads: read, writes, set: (read + writes) as usize }
        }),
        seconds: Box::new(move |isa, threads, effort| {
            let mut memory = vec![Digits::clone(&digits); threads];
            let mut team: Vec<_> = memory.iter_mut().map(|own| move || own.read(isa)).collect();
            effort.median(&mut team)
        }),
    }
}

/// The columns of the first layer that belong to one of `threads` threads.
fn columns(units: usize, index: usize, threads: usize) -> usize {
    share(units, 16, index, threads).len()
}

fn most_columns(units: usize, threads: usize) -> usize {
    (0..threads).map(|index| columns(units, index, threads)).max().unwrap_or(0)
}

fn forward(workload: &Workload, digits: &Arc<Digits>) -> Case {
    let Workload { name, batch, widths: [inputs, hidden, _] } = *workload;
    let listed = entries(&digits.panels);
    let digits = Arc::clone(digits);
    Case {
        kernel: format!("{name} forward 1 + bias, relu, zeros skipped"),
        shape: kept(&digits.panels),
        demand: Box::new(move |threads| {
            let n = most_columns(hidden, threads);
            let reads = ENTRY * listed + (4 * inputs * n) as f64;
            let writes = (4 * batch * n) as f64;
            let flops = 2.0 * PANEL as f64 * listed * n as f64;
            Demand { flops, reads, writes, set: (reads + writes) as usize }
        }),
        seconds: Box::new(move |isa, threads, effort| {
            let room = first_layer::sums(digits.panels.count(), batch);
            let mut memory: Vec<_> = (0..threads)
                .map(|index| columns(hidden, index, threads))
                .map(|n| (random(inputs * n, 1), random(n, 2), Aligned::zeros(batch * n)))
                .map(|(weights, bias, out)| (weights, bias, out, Aligned::zeros(room)))
                .collect();
            let mut team: Vec<_> = memory
                .iter_mut()
                .map(|(weights, bias, out, room)| {
                    let (x, n, relu) = (&digits.panels, bias.len(), Activation::Relu);
                    move || {
                        let weights = MatRef::new(weights, inputs, n);
                        let out = MatMut::new(out, batch, n);
                        first_layer::forward(isa, x, weights, bias, relu, room, out);
                    }
                })
                .collect();
            effort.median(&mut team)
        }),
    }
}

fn update(workload: &'static Workload, digits: &Arc<Digits>) -> Case {
    let Workload { name, batch, widths: [inputs, hidden, _] } = *workload;
    let listed = entries(&digits.panels);
    let digits = Arc::clone(digits);
    let arrays = 1 + rule(workload).states();
    let touched = digits.touched;
    Case {
        kernel: format!("{name} weight gradient 1 + {}, zeros skipped", rule_name(workload)),
        shape: kept(&digits.panels),
        demand: Box::new(move |threads| {
            let n = most_columns(hidden, threads);
            let state = (4 * arrays * touched * n) as f64;
            let reads = ENTRY * listed + (4 * batch * n) as f64 + state;
            let flops = 2.0 * PANEL as f64 * listed * n as f64;
            Demand { flops, reads, writes: state, set: reads as usize }
        }),
        seconds: Box::new(move |isa, threads, effort| {
            let rule = rule(workload);
            let mut memory: Vec<_> = (0..threads)
                .map(|index| columns(hidden, index, threads))
                .map(|n| {
                    let state = || Aligned::zeros(inputs * n);
                    let touched = vec![false; inputs.div_ceil(PANEL)];
                    (random(batch * n, 1), random(inputs * n, 2), state(), state(), touched, n)
                })
                .collect();
            let mut team: Vec<_> = memory
                .iter_mut()
                .map(|(dz, values, first, second, touched, n)| {
                    let (x, n) = (&digits.panels, *n);
                    move || {
                        let weights = first_layer::Weights {
                            values: MatMut::new(values, inputs, n),
                            first: MatMut::new(first, inputs, n),
                            second: MatMut::new(second, inputs, n),
                            touched,
                            sums: &mut [],
                        };
                        let dz = MatRef::new(dz, batch, n);
                        first_layer::update(isa, x, dz, &rule, weights, &mut Ahead::nothing());
                    }
                })
                .collect();
            effort.median(&mut team)
        }),
    }
}
