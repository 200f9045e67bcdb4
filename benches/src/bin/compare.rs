//! Our products beside those of other crates, interleaved.
//!
//! Criterion measures one contender after the other, and a shared machine drifts meanwhile. Here
//! each round times every contender once, in an order that rotates from round to round, and the
//! ratios are those of neighbours in time.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use benches::compare::{Outcome, Round, table};
use benches::peers::{Contender, assert_equal_results, set_matrixmultiply_threads};
use benches::{grid, interruptions, record, shapes};
use clap::Parser;
use kernels::{Isa, peak};
use trainer::roofline::{Layout, Machine, Operands, Product, time_team};

/// What a sample is to take at least; of a team, longer than the system takes to give each thread
/// a processor of its own.
fn sample(threads: usize) -> Duration {
    Duration::from_millis(if threads == 1 { 1 } else { 4 })
}

/// Rounds of a product that takes longer than this are a quarter as many.
const LONG: Duration = Duration::from_millis(20);

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
        _ if arguments.grid => {
            let threads = arguments.threads.unwrap_or(Machine::this().cores);
            print!("{}", grid::table(threads, arguments.rounds));
            Ok(())
        }
        Some(threads) if arguments.json => {
            // SAFETY: nothing above starts a thread.
            unsafe { set_matrixmultiply_threads(threads) };
            println!("{}", serde_json::to_string(&measure(threads, &arguments)?)?);
            Ok(())
        }
        threads => report(threads, &arguments),
    }
}

/// Lets a process measure each team; prints the tables and writes them to a file.
fn report(threads: Option<usize>, arguments: &Arguments) -> Result<()> {
    let machine = Machine::this();
    let mut teams = threads.map_or(vec![1, machine.cores], |threads| vec![threads]);
    teams.dedup();
    let day = record::today();
    let mut text = format!("# Matrix products, {day}\n\n");
    text += &record::description(&machine, include_str!("../../../Cargo.lock"));
    let wide = if arguments.wide { "--wide " } else { "" };
    let team = threads.map_or(String::new(), |threads| format!("--threads {threads} "));
    let rounds = arguments.rounds;
    text += &format!("- `cargo run --release -p benches -- {wide}{team}--rounds {rounds}`\n\n");
    text += "Rates in GFLOP/s: the median of the rounds, for ours with its quartiles. `of peak`: of \
             the multiply-adds that the same threads reach from registers, measured in the same \
             rounds. `near`: what a product reaches of that whose operands stay in the first-level \
             cache. Ratios: medians and quartiles of the rounds' pairs.\n";
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
    print!("{text}");
    if let Some(folder) = &arguments.out {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let wide = if arguments.wide { "-wide" } else { "" };
        let path = folder.join(format!("{day}-{}{wide}.md", record::slug(&machine.processor)));
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
    let all = if arguments.wide { shapes::wide() } else { shapes::all() };
    let wanted: Vec<&Product> =
        all.iter().filter(|product| product.name.contains(&arguments.filter)).collect();
    ensure!(
        !wanted.is_empty(),
        "--filter {}: no shape's name contains this; there are: {}",
        arguments.filter,
        all.iter().map(|product| &*product.name).collect::<Vec<_>>().join(", ")
    );
    let outcome = |product: &Product| {
        eprintln!("{} on {threads}", product.name);
        let mut outcome = Outcome::new(product, layers.contains(product), threads);
        outcome.rounds = rounds(product, threads, arguments.rounds);
        outcome
    };
    Ok(wanted.into_iter().map(outcome).collect())
}

fn rounds(product: &Product, threads: usize, rounds: usize) -> Vec<Round> {
    assert_equal_results(product, threads);
    let mut operands = Operands::new(product);
    // Each contender repeats its product until a sample is long enough.
    let mut repetitions = [1; 4];
    let mut slowest = Duration::ZERO;
    for (contender, repetitions) in Contender::ALL.into_iter().zip(&mut repetitions) {
        let mut time = contender.time(&mut operands, threads, 1);
        slowest = slowest.max(time);
        while time < sample(threads) && *repetitions < 1 << 20 {
            *repetitions *= 2;
            time = contender.time(&mut operands, threads, *repetitions);
        }
    }
    let rounds = if slowest > LONG { rounds.div_ceil(4) } else { rounds };
    (0..rounds)
        .map(|round| {
            let (mut seconds, mut rate, mut near) = ([0.0; 4], 0.0, 0.0);
            for turn in 0..seconds.len() {
                let index = (round + turn) % seconds.len();
                let repetitions = repetitions[index];
                let time = Contender::ALL[index].time(&mut operands, threads, repetitions);
                seconds[index] = time.as_secs_f64() / repetitions as f64;
                if Contender::ALL[index] == Contender::Ours {
                    rate = peak_rate(threads);
                    near = near_rate(threads);
                }
            }
            let alone = if threads > 1 {
                let time = Contender::Ours.time(&mut operands, 1, repetitions[0]);
                time.as_secs_f64() / repetitions[0] as f64
            } else {
                seconds[0]
            };
            let (peak, near) = (product.flops() / rate, product.flops() / near);
            Round { seconds, peak, near, alone }
        })
        .collect()
}

/// Multiply-adds a second from registers, on all threads, in a sample of a fraction of a millisecond
/// right after a product of ours, which still runs at the product's clock: left to its registers alone,
/// a processor raises it within a millisecond, by up to a fifth.
fn peak_rate(threads: usize) -> f64 {
    const ROUNDS: usize = 10_000;
    const REPETITIONS: usize = 10;
    let isa = Isa::best();
    let work = || {
        peak::multiply_adds(isa, ROUNDS);
    };
    let time = time_team(&mut vec![work; threads], REPETITIONS);
    (threads * REPETITIONS) as f64 * peak::multiply_adds(isa, ROUNDS) / time.as_secs_f64()
}

/// Floating-point operations a second of a single tile whose operands stay in the first-level cache, on
/// all threads, measured likewise: what is left of the peak to a program that loads its operands, where
/// another one may have half of the same core.
fn near_rate(threads: usize) -> f64 {
    const REPETITIONS: usize = 100;
    let (name, layout) = (String::from("near"), Layout::Plain);
    let product = Product { name, m: 8, k: 192, n: 48, layout };
    let mut operands = vec![Operands::new(&product); threads];
    let mut team: Vec<_> = operands
        .iter_mut()
        .flat_map(|operands| operands.team(Isa::best(), 1, None))
        .map(|mut work| move || (0..REPETITIONS).for_each(|_| work()))
        .collect();
    let time = time_team(&mut team, 1);
    (threads * REPETITIONS) as f64 * product.flops() / time.as_secs_f64()
}
