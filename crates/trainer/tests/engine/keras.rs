//! 120 small models step by step against Keras; see `tests/fixtures/keras/README.md`.

use std::path::Path;

use serde_json::Value;
use trainer::{Activation, Fit, Loss, Model, Optimizer};

use crate::data::{Data, Features, Labels, model};

// The README derives them.
const LOSS: f64 = 5e-6;
const ENTRY: f64 = 2e-6;
const SUM: f64 = 5e-5;

const WIDTHS: [usize; 4] = [20, 16, 12, 5];
const EXAMPLES: usize = 75;
const BATCH: usize = 8;
const STEPS: usize = 10;

fn mix(position: u32) -> u32 {
    let mut x = position.wrapping_mul(2_654_435_761);
    x ^= x >> 15;
    x = x.wrapping_mul(2_246_822_519);
    x ^ (x >> 13)
}

/// All parameters, tensor by tensor, which is their order in a model too.
fn initial_parameters() -> Vec<f32> {
    let mut all = Vec::new();
    for (layer, pair) in WIDTHS.windows(2).enumerate() {
        for (tensor, len, scale) in
            [(2 * layer, pair[0] * pair[1], 512.0), (2 * layer + 1, pair[1], 2048.0)]
        {
            let entry = |i| {
                let h = mix(65536 * tensor as u32 + i as u32);
                (2.0 * (h >> 24) as f32 - 255.0) / scale
            };
            all.extend((0..len).map(entry));
        }
    }
    all
}

fn examples() -> Data {
    let pixel = |i: usize| {
        let h = mix(0x50000 + i as u32);
        if h >> 8 & 1 == 1 { (h >> 24) as u8 } else { 0 }
    };
    let label = |i: usize| (mix(0x60000 + i as u32) % 5) as u8;
    let mut data = Data::bytes(EXAMPLES, WIDTHS[0], WIDTHS[3], 0);
    data.features = Features::Bytes((0..EXAMPLES * WIDTHS[0]).map(pixel).collect());
    data.labels = Labels::U8((0..EXAMPLES).map(label).collect());
    data
}

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/keras/steps.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn optimizer(settings: &Value) -> Optimizer {
    let get = |key: &str| settings[key].as_f64().unwrap();
    let learning_rate = get("learning_rate");
    match text(settings, "name") {
        "sgd" => Optimizer::Sgd {
            learning_rate,
            momentum: get("momentum"),
            nesterov: settings["nesterov"].as_bool().unwrap(),
        },
        "rmsprop" => Optimizer::RmsProp { learning_rate, rho: get("rho"), epsilon: get("epsilon") },
        "adam" => Optimizer::Adam {
            learning_rate,
            beta_1: get("beta_1"),
            beta_2: get("beta_2"),
            epsilon: get("epsilon"),
        },
        name => panic!("the fixture has an optimizer {name}"),
    }
}

fn case_model(case: &Value, optimizers: &Value) -> Model {
    let activation = |key| Activation::from_name(text(case, key)).unwrap();
    let loss = Loss::from_name(text(case, "loss")).unwrap();
    let optimizer = optimizer(&optimizers[text(case, "optimizer")]);
    let mut model = model(&WIDTHS, activation("activation"), activation("output"), optimizer, loss);
    model.parameters_mut().values_mut().copy_from_slice(&initial_parameters());
    model
}

/// Trains the ten steps of a case; returns their losses.
fn train(model: &mut Model, order: &str, data: &Data, threads: usize) -> Vec<f64> {
    let settings = Fit { batch_size: BATCH, shuffle: false, threads, ..Fit::default() };
    if order == "repeat" {
        let first = data.examples().slice(0..BATCH);
        let history = model.fit(first, &Fit { epochs: STEPS, ..settings }).unwrap();
        return history.epochs.iter().map(|epoch| epoch.loss).collect();
    }
    // A call a step, to see each loss: the optimizer's state goes on from call to call.
    (0..STEPS)
        .map(|step| {
            let rows = step * BATCH..((step + 1) * BATCH).min(EXAMPLES);
            model.fit(data.examples().slice(rows), &settings).unwrap().epochs[0].loss
        })
        .collect()
}

fn name(case: &Value) -> String {
    ["optimizer", "activation", "output", "loss", "order"].map(|key| text(case, key)).join(" ")
}

#[test]
fn both_sides_compute_the_same_beginning() {
    let fixture = fixture();
    let data = examples();
    let weights: Vec<f64> = initial_parameters().iter().map(|w| f64::from(*w)).collect();
    assert_eq!(numbers(&fixture["first_weights"]), weights[..8]);
    let Features::Bytes(pixels) = &data.features else { panic!() };
    let pixels: Vec<f64> = pixels.iter().map(|p| f64::from(*p)).collect();
    assert_eq!(numbers(&fixture["first_pixels"]), pixels[..20]);
    let labels: Vec<f64> = data.label_numbers().iter().map(|l| *l as f64).collect();
    assert_eq!(numbers(&fixture["first_labels"]), labels[..8]);
}

#[test]
fn ten_steps_of_every_model_are_those_of_keras() {
    let fixture = fixture();
    let data = examples();
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5 * 4 * 3 * 2);
    let mut whole = 0;
    for (index, case) in cases.iter().enumerate() {
        let name = name(case);
        let mut model = case_model(case, &fixture["optimizers"]);
        let losses = train(&mut model, text(case, "order"), &data, 1 + index % 2);
        let expected = numbers(&case["losses"]);
        assert_eq!(losses.len(), expected.len(), "{name}");
        for (step, (loss, keras)) in losses.iter().zip(expected).enumerate() {
            assert!((loss - keras).abs() < LOSS, "{name}, step {step}: loss {loss}, Keras {keras}");
        }
        let parameters = model.parameters();
        for (number, keras) in case["parameters"].as_array().unwrap().iter().enumerate() {
            let layer = number / 2;
            let tensor =
                if number % 2 == 0 { parameters.weights(layer) } else { parameters.biases(layer) };
            let tensor: Vec<f64> = tensor.iter().map(|x| f64::from(*x)).collect();
            let close = |what: &str, ours: f64, theirs: f64, bound: f64| {
                let off = (ours - theirs).abs();
                assert!(off < bound, "{name}, tensor {number}: {what} {ours}, Keras {theirs}");
            };
            let get = |key: &str| keras[key].as_f64().unwrap();
            close("sum", tensor.iter().sum(), get("sum"), SUM);
            let squares = tensor.iter().map(|x| x * x).sum();
            close("sum of squares", squares, get("sum_of_squares"), SUM);
            let stride = keras["stride"].as_u64().unwrap() as usize;
            let entries = numbers(&keras["entries"]);
            assert_eq!(entries.len(), tensor.len().div_ceil(stride), "{name}, tensor {number}");
            for (ours, theirs) in tensor.iter().step_by(stride).zip(entries) {
                close("entry", *ours, theirs, ENTRY);
            }
            if let Some(all) = case["all_parameters"].as_array() {
                let all = numbers(&all[number]);
                assert_eq!(all.len(), tensor.len(), "{name}, tensor {number}");
                for (ours, theirs) in tensor.iter().zip(all) {
                    close("entry", *ours, theirs, ENTRY);
                }
                whole += 1;
            }
        }
    }
    assert_eq!(whole, 5 * 6);
}
