//! The command line: flags to plain data ([`args`]), resolved once into what runs
//! ([`settings`]), then one module a command.

mod args;
mod convert;
mod data;
mod data_get;
mod evaluate;
mod failure;
mod inspect;
mod list;
mod pipe;
mod predict;
mod profile;
mod progress;
mod repeat;
mod report;
mod roofline;
mod settings;
mod terminal;
mod train;
mod values;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use trainer::Model;

use self::args::{Cli, Command, DataCommand};
use self::failure::UsageError;

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let started = Instant::now();
    let arguments = with_default_command(std::env::args_os().collect());
    let result = match Cli::try_parse_from(arguments) {
        Ok(cli) => execute(cli.command, started),
        Err(message) => {
            // Help and version as well: on standard output, with exit code 0.
            let _ = message.print();
            return ExitCode::from(message.exit_code() as u8);
        }
    };
    result.map_or_else(|e| failure::report(&e), |()| ExitCode::SUCCESS)
}

/// `trainer`, `trainer --flags` and `trainer mnist` mean `trainer train ...`.
fn with_default_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let general = ["-h", "--help", "-V", "--version"];
    let is_train = match arguments.get(1).map(|first| first.to_string_lossy()) {
        None => true,
        Some(first) if first.starts_with('-') => !general.contains(&&*first),
        Some(first) => dataset::lookup(&first).is_some(),
    };
    if is_train && !arguments.is_empty() {
        arguments.insert(1, "train".into());
    }
    arguments
}

fn execute(command: Command, started: Instant) -> Result<()> {
    check_isa()?;
    dataset::survive_lost_pages();
    match command {
        Command::Train(args) => train::run(args, started),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Summary(args) => {
            let model = Model::load(&args.model)?;
            writeln!(pipe::stdout(), "{}", model.summary())?;
            Ok(())
        }
        Command::Roofline(args) => roofline::run(args),
        Command::Data(DataCommand::Get(args)) => data_get::run(args),
        Command::Data(DataCommand::List(args)) => list::run(args),
        Command::Data(DataCommand::Inspect(args)) => inspect::run(args),
        Command::Data(DataCommand::Verify(args)) => inspect::verify(args),
        Command::Data(DataCommand::Convert(args)) => convert::run(args),
        Command::Data(DataCommand::Split(args)) => convert::split(args),
        Command::Data(DataCommand::Generate(args)) => convert::generate(args),
    }
}

/// Prints a line about how things stand, beside the output proper.
fn note(text: &str) {
    // A note that cannot be shown stops nothing.
    let _ = writeln!(std::io::stderr(), "note: {text}");
}

/// Says that this is not the program to measure, if it is not. To be called once a run, by what
/// computes.
fn note_debug_build() {
    if cfg!(debug_assertions) {
        note("this is a debug build, many times slower than `cargo run --release`");
    }
}

/// A wrong `KERNELS_ISA` is a slip of the user; the kernels themselves would panic.
fn check_isa() -> Result<()> {
    let Ok(name) = std::env::var("KERNELS_ISA") else { return Ok(()) };
    if kernels::Isa::by_name(&name).is_none() {
        let names = kernels::Isa::available().into_iter().map(|isa| isa.name());
        return Err(UsageError(format!(
            "KERNELS_ISA names the instruction set `{name}`; this processor has {}",
            names.collect::<Vec<_>>().join(", ")
        ))
        .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_is_the_default_command() {
        let cases: [(&[&str], &[&str]); 7] = [
            (&["trainer"], &["trainer", "train"]),
            (&["trainer", "--epochs", "3"], &["trainer", "train", "--epochs", "3"]),
            (&["trainer", "MNIST"], &["trainer", "train", "MNIST"]),
            (&["trainer", "--help"], &["trainer", "--help"]),
            (&["trainer", "-V"], &["trainer", "-V"]),
            (&["trainer", "evaluate"], &["trainer", "evaluate"]),
            (&[], &[]),
        ];
        for (given, meant) in cases {
            let given = given.iter().map(OsString::from).collect();
            assert_eq!(with_default_command(given), meant);
        }
    }
}
