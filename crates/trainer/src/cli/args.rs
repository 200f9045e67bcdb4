//! The flags, as clap reads them; nothing is opened or decided here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use trainer::{Activation, Loss, Optimizer};

use super::values::{self, Hidden};

/// Train and use dense classifiers, fast, on a CPU.
///
/// Without a command, `trainer` trains: on MNIST where it is found, else on a built-in synthetic
/// data set.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, max_term_width = 100)]
#[command(override_usage = "trainer [COMMAND] [OPTIONS]")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model and test it (what `trainer` alone does)
    Train(TrainArgs),
    /// Test a saved model
    Evaluate(EvaluateArgs),
    /// Classify test images or a PNG file with a saved model
    Predict(PredictArgs),
    /// Show the layers of a saved model
    Summary(SummaryArgs),
    /// Get, inspect, convert, split and draw data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Measure the machine's peaks, and how close to them each kernel runs
    Roofline(RooflineArgs),
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Fetch known data sets: from the caches of other tools, else from the network
    Get(GetArgs),
    /// List what is known and what is here
    List(ListArgs),
    /// Show shapes, element types, classes, first labels and statistics
    Inspect(InspectArgs),
    /// Hash everything, and compare with the published hashes where they are known
    Verify(InspectArgs),
    /// Write a data set in another format
    Convert(ConvertArgs),
    /// Split a data set anew into training and test, class by class
    Split(SplitArgs),
    /// Draw as many synthetic digits as asked for into IDX files, 784 bytes each
    Generate(GenerateArgs),
}

/// Which data set.
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// Data set: a name (mnist, fashion-mnist, glyphs, ...), a folder, or a .npz or .csv file
    /// [default: mnist if it is found, else the synthetic glyphs]
    #[arg(value_name = "DATA")]
    pub data: Option<String>,
    /// The same, as a flag
    #[arg(long = "data", value_name = "DATA", conflicts_with = "data")]
    pub data_flag: Option<String>,
    /// Folder to look for data sets in, before $FLATIRON_DATA, ./data and the cache
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Fetch the data set, as `trainer data get` does, if it is not here
    #[arg(long)]
    pub download: bool,
    /// Column of a CSV file that holds the labels: its name, or its number from 0
    #[arg(long, value_name = "COLUMN", help_heading = "Reading your own data")]
    pub label_column: Option<String>,
    /// File or folder with the test part, in the format of the data and in place of its own
    #[arg(long, value_name = "PATH", help_heading = "Reading your own data")]
    pub test_data: Option<PathBuf>,
    /// Fraction that becomes the test part where there is none
    #[arg(long, value_name = "FRACTION", default_value = "0.2", value_parser = values::holdout)]
    #[arg(allow_hyphen_values = true, help_heading = "Reading your own data")]
    pub holdout: f64,
    /// Text file with a class name on each line, from class 0 on (for folders of images: the
    /// folders' names)
    #[arg(long, value_name = "FILE", help_heading = "Reading your own data")]
    pub class_names: Option<PathBuf>,
    /// Turn colour images grey
    #[arg(long, help_heading = "Reading your own data")]
    pub grey: bool,
    /// Bring images to this size
    #[arg(long, value_name = "ROWSxCOLUMNS", value_parser = values::size)]
    #[arg(help_heading = "Reading your own data")]
    pub resize: Option<(usize, usize)>,
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Units of the hidden layers: 512, or 256,128, or none
    #[arg(long, value_name = "UNITS", default_value = "512", value_parser = values::hidden)]
    #[arg(allow_hyphen_values = true, help_heading = "Model")]
    pub hidden: Hidden,
    /// Activation of the hidden layers: linear, relu, sigmoid, tanh, elu
    #[arg(long, value_name = "NAME", default_value = "relu", value_parser = values::activation)]
    #[arg(help_heading = "Model")]
    pub activation: Activation,
    /// Optimizer: sgd, rmsprop, adam, with Keras's defaults
    #[arg(long, value_name = "NAME", default_value = "rmsprop", value_parser = values::optimizer)]
    #[arg(help_heading = "Training")]
    pub optimizer: Optimizer,
    /// Step size [default: 0.001 for rmsprop and adam, 0.01 for sgd]
    #[arg(long, value_name = "RATE", value_parser = values::learning_rate)]
    #[arg(allow_hyphen_values = true, help_heading = "Training")]
    pub learning_rate: Option<f64>,
    /// Fraction of the last update that sgd keeps [default: 0]
    #[arg(long, value_name = "FRACTION", value_parser = values::momentum)]
    #[arg(allow_hyphen_values = true, help_heading = "Training")]
    pub momentum: Option<f64>,
    /// Nesterov's form of sgd's momentum
    #[arg(long, requires = "momentum", help_heading = "Training")]
    pub nesterov: bool,
    /// Loss: sparse_categorical_crossentropy, mean_squared_error
    #[arg(long, value_name = "NAME", default_value = "sparse_categorical_crossentropy")]
    #[arg(value_parser = values::loss, help_heading = "Training")]
    pub loss: Loss,
    /// Examples a step
    #[arg(long, value_name = "N", default_value = "128", value_parser = values::at_least_one)]
    #[arg(allow_hyphen_values = true, help_heading = "Training")]
    pub batch_size: usize,
    /// Passes over the training examples
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::at_least_one)]
    #[arg(allow_hyphen_values = true, help_heading = "Training")]
    pub epochs: usize,
    /// Fraction of the training examples, from their end, to validate on after each epoch
    #[arg(long, value_name = "FRACTION", default_value = "0")]
    #[arg(value_parser = values::validation_split)]
    #[arg(allow_hyphen_values = true, help_heading = "Training")]
    pub validation_split: f64,
    /// Seed of the initial weights and of the order of the examples
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::seed)]
    #[arg(allow_hyphen_values = true, help_heading = "Training")]
    pub seed: u64,
    /// Threads to train and test on [default: as many as pay, up to one a processor]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    #[arg(allow_hyphen_values = true, help_heading = "Training")]
    pub threads: Option<usize>,
    /// Memory for the data, such as 2GiB or 500MiB: larger files are read in blocks as they are
    /// trained on [default: half of what there is, on Linux;
    /// elsewhere no limit]
    #[arg(long, value_name = "SIZE", value_parser = values::memory, help_heading = "Training")]
    #[arg(allow_hyphen_values = true)]
    pub memory: Option<u64>,
    /// Stop when the validation accuracy reaches this, and say how long it took
    #[arg(long, value_name = "FRACTION", value_parser = values::accuracy)]
    #[arg(allow_hyphen_values = true, help_heading = "Training")]
    pub until_accuracy: Option<f64>,
    /// Train this many models, from --seed and the seeds after it, and print the spread
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(allow_hyphen_values = true, conflicts_with_all = ["save", "profile", "until_accuracy"])]
    #[arg(help_heading = "Training")]
    pub repeat_seeds: Option<usize>,
    /// Write the trained model to this file (safetensors)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub save: Option<PathBuf>,
    /// Print JSON objects, a line each: one an epoch, one for --until-accuracy, one for the result
    /// (its seconds: the whole run); with --repeat-seeds one a seed
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print the result alone
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
    /// Print where the epochs' time went
    #[arg(long, help_heading = "Output", conflicts_with_all = ["json", "quiet"])]
    pub profile: bool,
}

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Model file
    pub model: PathBuf,
    #[command(flatten)]
    pub data: DataArgs,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["index", "image"]))]
#[command(
    override_usage = "trainer predict <MODEL> [DATA] <--index <N>...|--image <FILE>> [OPTIONS]"
)]
pub struct PredictArgs {
    /// Model file
    pub model: PathBuf,
    #[command(flatten)]
    pub data: DataArgs,
    /// Numbers of test images, from 0 (after MODEL and DATA)
    #[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',')]
    #[arg(value_parser = values::image_number, allow_negative_numbers = true)]
    pub index: Vec<usize>,
    /// PNG file of any size, grey or in colour
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "data_flag", "data_dir", "download"])]
    pub image: Option<PathBuf>,
    /// Swap light and dark in the PNG file, for ink on paper
    #[arg(long, conflicts_with = "index")]
    pub invert: bool,
    /// Draw image and probabilities into this SVG file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Print one JSON object an image
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SummaryArgs {
    /// Model file
    pub model: PathBuf,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// mnist, fashion-mnist, kmnist, emnist-balanced, emnist-letters, emnist-digits, qmnist
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Folder to put each set into, under its name [default: $XDG_CACHE_HOME/flatiron, else
    /// ~/.cache/flatiron]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Folder that was given to torchvision as root, to copy from
    #[arg(long, value_name = "FOLDER")]
    pub torchvision: Vec<PathBuf>,
    /// Copy from caches alone; use no network
    #[arg(long)]
    pub offline: bool,
    /// Print nothing but errors and warnings
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Folder to look for data sets in, before $FLATIRON_DATA, ./data and the cache
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ConvertArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Format: idx, idx.gz, npz, npy, csv, images
    #[arg(long, value_name = "FORMAT", value_parser = values::format)]
    pub to: dataset::formats::Format,
    /// Where to write: a file for npz, else a folder that is new or empty
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct SplitArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Fraction of each class that becomes the test part
    #[arg(long, value_name = "FRACTION", value_parser = values::holdout)]
    #[arg(allow_hyphen_values = true)]
    pub test: f64,
    /// Seed of the choice
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::seed)]
    #[arg(allow_hyphen_values = true)]
    pub seed: u64,
    /// Format: idx, idx.gz, npz, npy, csv, images
    #[arg(long, value_name = "FORMAT", default_value = "idx", value_parser = values::format)]
    pub to: dataset::formats::Format,
    /// Where to write: a file for npz, else a folder that is new or empty
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Training examples
    #[arg(long, value_name = "N", default_value = "60000", value_parser = values::examples)]
    #[arg(allow_hyphen_values = true)]
    pub train: u32,
    /// Test examples
    #[arg(long, value_name = "N", default_value = "10000", value_parser = values::examples)]
    #[arg(allow_hyphen_values = true)]
    pub test: u32,
    /// Seed of the drawing; 1 is that of the data set `glyphs`
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::seed)]
    #[arg(allow_hyphen_values = true)]
    pub seed: u64,
    /// Where to write: a folder that is new or empty
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct RooflineArgs {
    /// Measure only kernels whose name contains this text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub kernel: String,
    /// Threads of the larger team [default: one a processor]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    #[arg(allow_hyphen_values = true)]
    pub threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
