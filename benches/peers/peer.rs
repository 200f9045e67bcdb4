//! What the Rust peers share: the data, the two workloads, and the lines they print (see peer.py).

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Instant,
};

use flate2::read::GzDecoder;
use serde_json::json;

pub const LEARNING_RATE: f64 = 1e-3;
pub const EPSILON: f64 = 1e-7;
pub const RHO: f64 = 0.9;
pub const BETA_1: f64 = 0.9;
pub const BETA_2: f64 = 0.999;
pub const PIXELS: usize = 784;
pub const CLASSES: usize = 10;

pub struct Workload {
    pub name: String,
    pub data: &'static str,
    pub hidden: usize,
    pub adam: bool,
    pub batch: usize,
}

pub struct Arguments {
    pub workload: Workload,
    pub data_dir: PathBuf,
    pub epochs: usize,
    pub seed: u64,
    /// Flags that only one peer knows, as `--name value`.
    pub others: Vec<(String, String)>,
}

impl Arguments {
    /// Reads `--workload`, `--data-dir`, `--epochs` and `--seed`.
    pub fn parse() -> Self {
        let mut workload = None;
        let mut data_dir = None;
        let (mut epochs, mut seed, mut others) = (5, 0, Vec::new());
        let mut words = std::env::args().skip(1);
        while let Some(flag) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{flag} needs a value"));
            match flag.as_str() {
                "--workload" => workload = Some(value),
                "--data-dir" => data_dir = Some(PathBuf::from(value)),
                "--epochs" => epochs = value.parse().expect("--epochs: a number"),
                "--seed" => seed = value.parse().expect("--seed: a number"),
                _ => others.push((flag, value)),
            }
        }
        let name = workload.expect("--workload W1 or W2");
        let workload = match name.as_str() {
            "W1" => Workload { name, data: "fashion-mnist", hidden: 128, adam: true, batch: 32 },
            "W2" => Workload { name, data: "mnist", hidden: 512, adam: false, batch: 128 },
            other => panic!("--workload is W1 or W2, not {other}"),
        };
        let data_dir = data_dir.expect("--data-dir: the folder with mnist/ and fashion-mnist/");
        Self { workload, data_dir, epochs, seed, others }
    }
}

/// Images scaled to 0..1, row-major `[len, 784]`, and their labels.
pub struct Examples {
    pub images: Vec<f32>,
    pub labels: Vec<u8>,
}

/// The payload of an IDX file, gzipped or not, without its header.
fn idx(folder: &Path, name: &str) -> Vec<u8> {
    let mut raw = fs::read(folder.join(name)).unwrap_or_else(|_| {
        let path = folder.join(format!("{name}.gz"));
        let file = fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut raw = Vec::new();
        GzDecoder::new(file).read_to_end(&mut raw).expect("a gzip file");
        raw
    });
    let header = 4 + 4 * raw[3] as usize;
    raw.drain(..header);
    raw
}

/// `part` is "train" or "t10k".
pub fn load(arguments: &Arguments, part: &str) -> Examples {
    let folder = arguments.data_dir.join(arguments.workload.data);
    let pixels = idx(&folder, &format!("{part}-images-idx3-ubyte"));
    Examples {
        images: pixels.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect(),
        labels: idx(&folder, &format!("{part}-labels-idx1-ubyte")),
    }
}

/// The numbers 0 to `len` in random order, from a 64-bit linear congruential generator.
pub fn shuffled(len: usize, state: &mut u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len as u32).collect();
    for i in (1..len).rev() {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let j = ((*state >> 33) as usize * (i + 1)) >> 31;
        order.swap(i, j);
    }
    order
}

/// Prints the lines of one peer's run.
pub struct Report {
    framework: &'static str,
    version: &'static str,
    setting: String,
    workload: String,
    seconds: Vec<f64>,
}

impl Report {
    pub fn new(framework: &'static str, version: &'static str, setting: String, workload: &str) -> Self {
        Self { framework, version, setting, workload: workload.to_owned(), seconds: Vec::new() }
    }

    pub fn epoch(&mut self, started: Instant, loss: f64) {
        let seconds = started.elapsed().as_secs_f64();
        self.seconds.push(seconds);
        println!(
            "{}",
            json!({
                "framework": self.framework, "version": self.version, "setting": self.setting,
                "workload": self.workload, "epoch": self.seconds.len(), "seconds": seconds, "loss": loss,
            })
        );
    }

    /// The median leaves the first epoch out.
    pub fn result(&self, test_accuracy: f64) {
        let mut steady = self.seconds[self.seconds.len().min(2) - 1..].to_vec();
        steady.sort_by(f64::total_cmp);
        let middle = steady.len() / 2;
        let median = if steady.len() % 2 == 1 { steady[middle] } else { (steady[middle - 1] + steady[middle]) / 2.0 };
        println!(
            "{}",
            json!({
                "framework": self.framework, "version": self.version, "setting": self.setting,
                "workload": self.workload, "seconds_per_epoch": median, "first_epoch_seconds": self.seconds[0],
                "epochs": self.seconds.len(), "test_accuracy": test_accuracy,
                "threads": std::thread::available_parallelism().map_or(1, usize::from),
            })
        );
    }
}
