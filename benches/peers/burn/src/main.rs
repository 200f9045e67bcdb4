//! burn with its `flex` backend: pure Rust, SIMD, rayon. (`ndarray` is deprecated in its favour.)

#[path = "../../peer.rs"]
mod peer;

use std::time::Instant;

use burn::{
    nn::{Initializer, Linear, LinearConfig, Relu, loss::CrossEntropyLossConfig},
    optim::{AdamConfig, GradientsParams, RmsPropConfig},
    prelude::*,
};
use peer::{Arguments, CLASSES, Examples, PIXELS, Report};

#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    activation: Relu,
    output: Linear,
}

impl Mlp {
    fn new(units: usize, device: &Device) -> Self {
        let dense = |inputs, units| {
            LinearConfig::new(inputs, units)
                .with_initializer(Initializer::XavierUniform { gain: 1.0 })
                .init(device)
        };
        Self { hidden: dense(PIXELS, units), activation: Relu::new(), output: dense(units, CLASSES) }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.activation.forward(self.hidden.forward(x)))
    }
}

fn tensors(examples: Examples, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let len = examples.labels.len();
    let labels: Vec<i64> = examples.labels.iter().map(|&label| i64::from(label)).collect();
    (
        Tensor::from_data(TensorData::new(examples.images, [len, PIXELS]), device),
        Tensor::from_data(TensorData::new(labels, [len]), device),
    )
}

fn main() {
    let arguments = Arguments::parse();
    assert!(arguments.others.is_empty(), "unknown flags: {:?}", arguments.others);
    let device = Device::flex().autodiff();
    device.seed(arguments.seed);
    let work = &arguments.workload;
    let (images, labels) = tensors(peer::load(&arguments, "train"), &device);
    let samples = labels.dims()[0];

    let mut model = Mlp::new(work.hidden, &device);
    let mut optimizer = if work.adam {
        AdamConfig::new()
            .with_beta_1(peer::BETA_1 as f32)
            .with_beta_2(peer::BETA_2 as f32)
            .with_epsilon(peer::EPSILON as f32)
            .init()
    } else {
        RmsPropConfig::new()
            .with_alpha(peer::RHO as f32)
            .with_momentum(0.0)
            .with_epsilon(peer::EPSILON as f32)
            .init()
    };
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    let setting = "flex backend, autodiff, f32 images, select".to_owned();
    let mut report = Report::new("burn", "0.22.1", setting, &work.name);
    let mut random = arguments.seed;
    for _ in 0..arguments.epochs {
        let started = Instant::now();
        let order = peer::shuffled(samples, &mut random);
        let mut total = 0.0;
        for rows in order.chunks(work.batch) {
            let rows: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
            let len = rows.len();
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [len]), &device);
            let (x, y) = (images.clone().select(0, rows.clone()), labels.clone().select(0, rows));
            let loss = cross_entropy.forward(model.forward(x), y);
            total += f64::from(loss.clone().into_scalar::<f32>()) * len as f64;
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(peer::LEARNING_RATE, model, gradients);
        }
        report.epoch(started, total / samples as f64);
    }

    let (images, labels) = tensors(peer::load(&arguments, "t10k"), &device);
    let tested = labels.dims()[0];
    let predicted = model.forward(images).argmax(1).reshape([tested]);
    let right = predicted.equal(labels).int().sum().into_scalar::<i64>();
    report.result(right as f64 / tested as f64);
}
