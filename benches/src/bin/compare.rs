//! Our products beside those of other crates, interleaved.
//!
//! Criterion measures one contender after the other, and a shared machine drifts meanwhile. Here
//! each round times every contender once, in an order that rotates from round to round, and the
//! ratios are those of neighbours in time.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use benches::compare::{Outcome, table};
use benches::peers::set_matrixmultiply_threads;
use benches::{grid, interruptions, record, rounds, shapes};
use clap::Parser;
use trainer::roofline::{Machine, Product};

/// Compare matrix products with matrixmultiply, gemm and faer, interleaved, and write a table.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Arguments {
    /// Only shapes whose name contains this text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// How often each contender is timed
    #[arg(long, value_name = "N", default_value_t = 31)]
    rounds: usize,
    /// Threads [default: 1, then one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Folder for the table, which is printed as well
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Other shapes: batches from 1 to 8,192, layers from 10 to 4,096 wide
    #[arg(long)]
    wide: bool,
    /// Instead: our products over a grid of shapes, on one thread and on a team
    #[arg(long, conflicts_with_all = ["filter", "json", "wide"])]
    grid: bool,
    /// Print the outcomes of one team as JSON: what the program asks of itself, since
    /// matrixmultiply's threads can be chosen once a process
    #[arg(long, hide = true, requires = "threads")]
    json: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.rounds > 0, "--rounds 0: expected 1 or more");
    ensure!(arguments.threads != Some(0), "--threads 0: expected 1 or more");
    match arguments.threads {
        _ if arguments.grid => report_grid(&arguments),
        Some(threads) if arguments.json => {
            // SAFETY: nothing above starts a thread.
            unsafe { set_matrixmultiply_threads(threads) };
            println!("{}", serde_json::to_string(&measure(threads, &arguments)?)?);
            Ok(())
        }
        threads => report(threads, &arguments),
    }
}

/// Lets a process measure each team.
fn report(threads: Option<usize>, arguments: &Arguments) -> Result<()> {
    let machine = Machine::this();
    let mut teams = threads.map_or(vec![1, machine.cores], |threads| vec![threads]);
    teams.dedup();
    let mut text = heading("Matrix products", &machine, arguments);
    text += "Rates in GFLOP/s: the median of the rounds, for ours with its quartiles. `of peak`: of \
             the multiply-adds that the same threads reach from registers, measured in the same \
             rounds. `quiet`: the same in the quarter of the rounds in which `near` was fastest. `near`: \
             what a product reaches of that whose operands stay in the first-level cache. `packed`: ours \
             finds B in panels, made once for all products, as weights may be kept. Ratios: medians and \
             quartiles of the rounds' pairs.\n";
    for team in teams {
        let before = interruptions::measure();
        let outcomes = ask(team, arguments)?;
        let lost = [before, interruptions::measure()].map(|share| format!("{:.1}", 100.0 * share));
        let noun = if team == 1 { "thread" } else { "threads" };
        text += &format!("\n## {team} {noun}\n\n{}", table(&outcomes));
        text += &format!(
            "\nInterruptions took {} % of a second of multiply-adds on one thread before these \
             rounds, {} % after.\n",
            lost[0], lost[1]
        );
    }
    let wide = if arguments.wide { "-wide" } else { "" };
    publish(&text, &format!("{}{wide}", record::slug(&machine.processor)), arguments)
}

/// Measures a team against one thread.
fn report_grid(arguments: &Arguments) -> Result<()> {
    let machine = Machine::this();
    let threads = arguments.threads.unwrap_or(machine.cores);
    let mut text = heading("A team against one thread", &machine, arguments);
    text += &format!(
        "How many times as fast as one thread our product is on a team of up to {threads}: medians of pairs, each \
         round over all shapes. `one thread`: the plan does not use more.\n\n"
    );
    text += &grid::table(threads, arguments.rounds);
    publish(&text, "grid", arguments)
}

/// What was measured, where, and by which command.
fn heading(title: &str, machine: &Machine, arguments: &Arguments) -> String {
    let Arguments { rounds, threads, wide, grid, filter, .. } = arguments;
    let kind = if *grid { "--grid " } else { "" };
    let wide = if *wide { "--wide " } else { "" };
    let filter = if filter.is_empty() { String::new() } else { format!("--filter '{filter}' ") };
    let team = threads.map_or(String::new(), |threads| format!("--threads {threads} "));
    format!(
        "# {title}, {}\n\n{}\
         - `cargo run --release -p benches -- {kind}{wide}{filter}{team}--rounds {rounds}`\n\n",
        record::today(),
        record::description(machine, include_str!("../../../Cargo.lock")),
    )
}

/// Prints a text, and writes it to a file of the day if a folder is given.
fn publish(text: &str, name: &str, arguments: &Arguments) -> Result<()> {
    print!("{text}");
    if let Some(folder) = &arguments.out {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let path = folder.join(format!("{}-{name}.md", record::today()));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.persist(&path).with_context(|| format!("writing {}", path.display()))?;
        eprintln!("written to {}", path.display());
    }
    Ok(())
}

/// Runs this program for one team.
fn ask(threads: usize, arguments: &Arguments) -> Result<Vec<Outcome>> {
    let output = Command::new(env::current_exe()?)
        .args(["--json", "--threads", &threads.to_string()])
        .args(["--rounds", &arguments.rounds.to_string(), "--filter", &arguments.filter])
        .args(arguments.wide.then_some("--wide"))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "measuring {threads} threads failed: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn measure(threads: usize, arguments: &Arguments) -> Result<Vec<Outcome>> {
    let layers = shapes::layers();
    let all =
        if arguments.wide { shapes::wide() } else { [shapes::all(), shapes::packed()].concat() };
    let wanted: Vec<&Product> =
        all.iter().filter(|product| product.name.contains(&arguments.filter)).collect();
    ensure!(
        !wanted.is_empty(),
        "--filter {}: no shape's name contains this; there are: {}",
        arguments.filter,
        all.iter().map(|product| &*product.name).collect::<Vec<_>>().join(", ")
    );
    // Wide shapes are too many and too large to be in memory together.
    let together = if arguments.wide { 1 } else { wanted.len() };
    let mut outcomes = Vec::new();
    for shapes in wanted.chunks(together) {
        let names: Vec<&str> = shapes.iter().map(|product| &*product.name).collect();
        eprintln!("{} on {threads}", names.join(", "));
        let rounds = rounds::measure(shapes, threads, arguments.rounds);
        outcomes.extend(shapes.iter().zip(rounds).map(|(product, rounds)| Outcome {
            rounds,
            ..Outcome::new(product, layers.contains(product), threads)
        }));
    }
    Ok(outcomes)
}
