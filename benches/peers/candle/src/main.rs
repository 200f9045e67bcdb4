//! candle's CPU backend: autograd, `AdamW` without decay for Adam, RMSprop written out.

#[path = "../../peer.rs"]
mod peer;

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, Var, backprop::GradStore};
use candle_nn::{AdamW, Init, Linear, Module, Optimizer, ParamsAdamW, loss};
use peer::{Arguments, CLASSES, Examples, PIXELS, Report};

/// candle-nn has no RMSprop; its own optimizers are written with the same tensor operations.
struct RmsProp {
    variables: Vec<(Var, Var)>,
}

impl RmsProp {
    fn new(variables: Vec<Var>) -> Result<Self> {
        let with_state = |v: Var| Ok((v.clone(), Var::from_tensor(&v.zeros_like()?)?));
        Ok(Self { variables: variables.into_iter().map(with_state).collect::<Result<_>>()? })
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        for (variable, mean_square) in &self.variables {
            let g = gradients.get(variable).expect("every variable has a gradient");
            let v = ((mean_square.as_tensor() * peer::RHO)? + (g.sqr()? * (1.0 - peer::RHO))?)?;
            let update = (g / (&v + peer::EPSILON)?.sqrt()?)?;
            variable.set(&variable.sub(&(update * peer::LEARNING_RATE)?)?)?;
            mean_square.set(&v)?;
        }
        Ok(())
    }
}

enum Update {
    Adam(AdamW),
    RmsProp(RmsProp),
}

fn variable(shape: impl Into<candle_core::Shape>, init: Init) -> Result<Var> {
    init.var(shape, DType::F32, &Device::Cpu)
}

/// Weights `[units, inputs]`, as candle's `Linear` has them.
fn dense(inputs: usize, units: usize, variables: &mut Vec<Var>) -> Result<Linear> {
    let limit = (6.0 / (inputs + units) as f64).sqrt();
    let weight = variable((units, inputs), Init::Uniform { lo: -limit, up: limit })?;
    let bias = variable(units, Init::Const(0.0))?;
    variables.extend([weight.clone(), bias.clone()]);
    Ok(Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone())))
}

fn tensors(examples: Examples) -> Result<(Tensor, Tensor)> {
    let len = examples.labels.len();
    let labels: Vec<u32> = examples.labels.iter().map(|&label| u32::from(label)).collect();
    Ok((
        Tensor::from_vec(examples.images, (len, PIXELS), &Device::Cpu)?,
        Tensor::from_vec(labels, len, &Device::Cpu)?,
    ))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    assert!(arguments.others.is_empty(), "unknown flags: {:?}", arguments.others);
    let work = &arguments.workload;
    let (images, labels) = tensors(peer::load(&arguments, "train"))?;
    let samples = labels.dim(0)?;

    let mut variables = Vec::new();
    let hidden = dense(PIXELS, work.hidden, &mut variables)?;
    let output = dense(work.hidden, CLASSES, &mut variables)?;
    let forward = |x: &Tensor| output.forward(&hidden.forward(x)?.relu()?);
    let mut update = if work.adam {
        let settings = ParamsAdamW {
            lr: peer::LEARNING_RATE,
            beta1: peer::BETA_1,
            beta2: peer::BETA_2,
            eps: peer::EPSILON,
            weight_decay: 0.0,
        };
        Update::Adam(AdamW::new(variables, settings)?)
    } else {
        Update::RmsProp(RmsProp::new(variables)?)
    };

    let setting = "CPU, gemm with AVX-512, f32 images, index_select".to_owned();
    let mut report = Report::new("candle", "0.11.1", setting, &work.name);
    let mut random = arguments.seed;
    for _ in 0..arguments.epochs {
        let started = Instant::now();
        let order = peer::shuffled(samples, &mut random);
        let mut total = 0.0;
        for rows in order.chunks(work.batch) {
            let rows = Tensor::from_slice(rows, rows.len(), &Device::Cpu)?;
            let (x, y) = (images.index_select(&rows, 0)?, labels.index_select(&rows, 0)?);
            let loss = loss::cross_entropy(&forward(&x)?, &y)?;
            let gradients = loss.backward()?;
            match &mut update {
                Update::Adam(adam) => adam.step(&gradients)?,
                Update::RmsProp(rmsprop) => rmsprop.step(&gradients)?,
            }
            total += f64::from(loss.to_scalar::<f32>()?) * y.dim(0)? as f64;
        }
        report.epoch(started, total / samples as f64);
    }

    let (images, labels) = tensors(peer::load(&arguments, "t10k"))?;
    let right = forward(&images)?.argmax(1)?.eq(&labels)?.to_dtype(DType::F32)?;
    report.result(f64::from(right.mean_all()?.to_scalar::<f32>()?));
    Ok(())
}
