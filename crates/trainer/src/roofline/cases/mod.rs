//! The kernels of the table, each at the shapes of the reference workloads: what it must do at the
//! least, and how to time it.

mod first_layer;

use std::ops::Range;

use kernels::{Activation, Aligned, Isa, Targets, Update, loss};

use super::products::{Layout, Operands, Product, WORKLOADS, Workload, random};
use super::team::Effort;

/// What the busiest thread of a team must at least do, whatever the algorithm: each operand is
/// read once and each result written once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Demand {
    pub(super) flops: f64,
    /// Bytes read.
    pub(super) reads: f64,
    /// Bytes written.
    pub(super) writes: f64,
    /// Bytes that it touches: what a cache has to hold from one call to the next.
    pub(super) set: usize,
}

/// A kernel at a shape.
pub(super) struct Case {
    pub(super) kernel: String,
    pub(super) shape: String,
    /// For a team of that many threads.
    pub(super) demand: Box<dyn Fn(usize) -> Demand>,
    /// Seconds of one call on a team of that many threads.
    pub(super) seconds: Box<dyn Fn(Isa, usize, Effort) -> f64>,
}

/// All of them, in the order of a step.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for workload in &WORKLOADS {
        for product in workload.products() {
            let first = product.name.ends_with("forward 1");
            cases.push(self::product(product.clone(), None));
            if first {
                cases.push(self::product(product, Some(Activation::Relu)));
            }
        }
        cases.extend(workload.packed().into_iter().map(|packed| self::product(packed, None)));
        cases.extend(first_layer::cases(workload));
        cases.push(softmax(workload.name, workload.batch, workload.widths[2]));
        cases.push(optimizer(workload));
        cases.push(self::product(one_image(workload), None));
    }
    cases.push(softmax("large", 8192, 10));
    cases.push(softmax("wide", 1024, 1000));
    let [_, Workload { batch, widths: [_, hidden, _], .. }] = WORKLOADS;
    for (name, activation) in [("relu", Activation::Relu), ("tanh", Activation::Tanh)] {
        cases.push(self::activation(name, activation, batch, hidden));
    }
    cases
}

fn one_image(workload: &Workload) -> Product {
    let [k, n, _] = workload.widths;
    let name = format!("{} one image", workload.name);
    Product { name, m: 1, k, n, layout: Layout::Plain }
}

fn product(product: Product, activation: Option<Activation>) -> Case {
    let fused = if activation.is_some() { " + bias, relu" } else { "" };
    let (of_demand, of_seconds) = (product.clone(), product.clone());
    Case {
        kernel: format!("{}{fused}", product.name),
        shape: product.shape(),
        demand: Box::new(move |threads| {
            let k = of_demand.k;
            let demand = |(rows, cols): (Range<usize>, Range<usize>)| {
                let (m, n) = (rows.len(), cols.len());
                let (reads, writes) = (4 * (m * k + k * n), 4 * m * n);
                Demand {
                    flops: 2.0 * (m * k * n) as f64,
                    reads: reads as f64,
                    writes: writes as f64,
                    set: reads + writes,
                }
            };
            busiest(of_demand.shares(Isa::best(), threads).into_iter().map(demand))
        }),
        seconds: Box::new(move |isa, threads, effort| {
            let mut operands = Operands::new(&of_seconds);
            effort.median(&mut operands.team(isa, threads, activation))
        }),
    }
}

fn busiest(shares: impl Iterator<Item = Demand>) -> Demand {
    let more = |a: Demand, b: Demand| {
        if b.flops + b.reads + b.writes > a.flops + a.reads + a.writes { b } else { a }
    };
    shares.fold(Demand::default(), more)
}

/// The optimizer of a workload, some steps into the training.
fn rule(workload: &Workload) -> Update {
    match workload.name {
        "W1" => Update::adam(1e-3, 0.9, 0.999, 1e-7, 100),
        _ => Update::rmsprop(1e-3, 0.9, 1e-7),
    }
}

fn rule_name(workload: &Workload) -> &'static str {
    if rule(workload).states() == 2 { "adam" } else { "rmsprop" }
}

/// The update of the first layer's weights alone.
fn optimizer(workload: &'static Workload) -> Case {
    let Workload { name, widths: [inputs, hidden, _], .. } = *workload;
    let states = rule(workload).states();
    Case {
        kernel: format!("{name} {}", rule_name(workload)),
        shape: format!("{inputs}x{hidden}"),
        demand: Box::new(move |threads| {
            let bytes = 4 * (inputs * hidden).div_ceil(threads);
            Demand {
                flops: 0.0,
                reads: ((2 + states) * bytes) as f64,
                writes: ((1 + states) * bytes) as f64,
                set: (2 + states) * bytes,
            }
        }),
        seconds: Box::new(move |isa, threads, effort| {
            let rule = rule(workload);
            let len = (inputs * hidden).div_ceil(threads);
            let mut memory: Vec<_> = (0..threads)
                .map(|_| (random(len, 1), random(len, 2), Aligned::zeros(len), Aligned::zeros(len)))
                .collect();
            let mut team: Vec<_> = memory
                .iter_mut()
                .map(|(w, g, first, second)| move || rule.apply(isa, w, g, first, second))
                .collect();
            effort.median(&mut team)
        }),
    }
}

fn softmax(name: &str, rows: usize, classes: usize) -> Case {
    let stride = classes.next_multiple_of(16);
    Case {
        kernel: format!("{name} softmax cross-entropy, gradient"),
        shape: format!("{rows}x{classes}"),
        demand: Box::new(move |threads| {
            let bytes = 4 * rows.div_ceil(threads) * stride;
            Demand { flops: 0.0, reads: bytes as f64, writes: bytes as f64, set: bytes }
        }),
        seconds: Box::new(move |isa, threads, effort| {
            let rows = rows.div_ceil(threads);
            let labels: Vec<u16> = (0..rows).map(|i| (i * 7 % classes) as u16).collect();
            let labels = &labels;
            let mut memory: Vec<_> =
                (0..threads).map(|_| (random(rows * stride, 1), vec![0.0; rows])).collect();
            let mut team: Vec<_> = memory
                .iter_mut()
                .map(|(logits, losses)| {
                    move || {
                        let targets = Targets::U16(labels);
                        loss::softmax_cross_entropy(
                            isa, logits, stride, classes, targets, 1.0, losses, None,
                        );
                    }
                })
                .collect();
            effort.median(&mut team)
        }),
    }
}

fn activation(name: &str, activation: Activation, rows: usize, cols: usize) -> Case {
    Case {
        kernel: format!("{name} alone"),
        shape: format!("{rows}x{cols}"),
        demand: Box::new(move |threads| {
            let bytes = 4 * rows.div_ceil(threads) * cols;
            Demand { flops: 0.0, reads: bytes as f64, writes: bytes as f64, set: bytes }
        }),
        seconds: Box::new(move |isa, threads, effort| {
            let mut memory: Vec<_> =
                (0..threads).map(|_| random(rows.div_ceil(threads) * cols, 1)).collect();
            let mut team: Vec<_> =
                memory.iter_mut().map(|values| move || activation.forward(isa, values)).collect();
            effort.median(&mut team)
        }),
    }
}
