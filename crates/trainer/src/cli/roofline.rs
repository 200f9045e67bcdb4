//! `trainer roofline`: the machine's peaks, and how close each kernel comes to what bounds it.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;
use trainer::format::bytes;
use trainer::roofline::{
    Bandwidth, Bound, Effort, Figure, Level, Machine, Peaks, Row, names, rows,
};

use super::args::RooflineArgs;
use super::failure::UsageError;
use super::pipe;

/// Columns of the widest kernel's name and shape.
const NAME: usize = 46;
const SHAPE: usize = 15;

pub fn run(args: RooflineArgs) -> Result<()> {
    super::note_debug_build();
    let known = names();
    if !known.iter().any(|name| name.contains(&args.kernel)) {
        return Err(UsageError(format!(
            "--kernel {}: no kernel's name contains this; there are: {}",
            args.kernel,
            known.join("; ")
        ))
        .into());
    }
    let machine = Machine::this();
    let most = args.threads.unwrap_or(machine.cores);
    let mut teams = vec![1, most];
    teams.dedup();
    let measure = |threads: &usize| Peaks::measure(&machine, *threads, Effort::USUAL);
    let peaks: Vec<Peaks> = teams.iter().map(measure).collect();
    let kernels = rows(&machine, &peaks, &args.kernel, Effort::USUAL);
    let mut out = pipe::stdout();
    if args.json {
        let kernels = kernels.collect();
        let report = Report { machine: &machine, peaks: &peaks, kernels };
        return Ok(pipe::json_line(&mut out, &report)?);
    }
    writeln!(out, "{}\n{}", heading(&machine), table_of_peaks(&peaks))?;
    writeln!(out, "{}", table_heading(&teams))?;
    // A line at a time: people wait for the one that they work on.
    for row in kernels {
        writeln!(out, "{}", line(&row))?;
        out.flush()?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    peaks: &'a [Peaks],
    kernels: Vec<Row>,
}

fn heading(machine: &Machine) -> String {
    let Machine { processor, cores, isa, caches } = machine;
    let size = |count| if count == 0 { "none".to_owned() } else { bytes(count as u64) };
    format!(
        "machine   {processor}, {cores} {}, kernels for {isa}\n\
         caches    L1 {}, L2 {} a core, L3 {}\n",
        if *cores == 1 { "core" } else { "cores" },
        size(caches.l1),
        size(caches.l2),
        size(caches.l3)
    )
}

fn threads(count: usize) -> String {
    format!("{count} {}", if count == 1 { "thread" } else { "threads" })
}

fn table_of_peaks(peaks: &[Peaks]) -> String {
    let line = |name: &str, of: &dyn Fn(&Peaks) -> String| {
        let columns: String = peaks.iter().map(|peaks| format!("{:>28}", of(peaks))).collect();
        format!("{name:<16}{columns}\n")
    };
    let mut text = line("peaks", &|peaks| threads(peaks.threads));
    text += &line("multiply-adds", &|peaks| format!("{:.1} GFLOP/s", peaks.flops / 1e9));
    for level in Level::ALL {
        let of = |peaks: &Peaks| peaks.bandwidths.iter().find(|b| b.level == level).copied();
        if !peaks.iter().any(|peaks| of(peaks).is_some()) {
            continue;
        }
        let column = |rate: fn(&Bandwidth) -> f64| {
            move |peaks: &Peaks| {
                of(peaks).map_or("-".to_owned(), |b| format!("{:.1} GB/s", rate(&b) / 1e9))
            }
        };
        text += &line(&format!("{} read", level.name()), &column(|b| b.read));
        text += &line(&format!("{} triad", level.name()), &column(|b| b.triad));
    }
    text
}

fn table_heading(teams: &[usize]) -> String {
    let columns: String = teams.iter().map(|count| format!("{:>32}", threads(*count))).collect();
    format!("{:<NAME$}{:<SHAPE$}{columns}", "kernel", "shape")
}

fn line(row: &Row) -> String {
    let columns: String = row.figures.iter().map(|f| format!("{:>32}", figure(f))).collect();
    format!("{:<NAME$}{:<SHAPE$}{columns}", row.kernel, row.shape)
}

/// `113.1 GFLOP/s  88 % of compute`
fn figure(figure: &Figure) -> String {
    let unit = if figure.bound == Bound::Compute { "GFLOP/s" } else { "GB/s" };
    format!(
        "{:.1} {unit} {:>3.0} % of {:<7}",
        figure.achieved / 1e9,
        figure.percent(),
        figure.bound.name()
    )
}

#[cfg(test)]
mod tests {
    use trainer::roofline::Caches;

    use super::*;

    fn peaks(threads: usize, levels: &[Level]) -> Peaks {
        let bandwidth = |level: &Level| Bandwidth {
            level: *level,
            bytes_a_thread: 1000,
            read: 250e9,
            triad: 125.25e9,
        };
        Peaks {
            threads,
            flops: 130.04e9 * threads as f64,
            bandwidths: levels.iter().map(bandwidth).collect(),
        }
    }

    fn row() -> Row {
        let figure = |threads, achieved, bound| Figure {
            threads,
            seconds: 1e-6,
            bound,
            achieved,
            at_most: 200e9,
        };
        Row {
            kernel: "W1 forward 1".to_owned(),
            shape: "32x784x128".to_owned(),
            figures: vec![
                figure(1, 113.06e9, Bound::Compute),
                figure(2, 9.0e9, Bound::Memory(Level::L2)),
            ],
        }
    }

    #[test]
    fn figures_stand_under_their_teams() {
        let heading = table_heading(&[1, 2]);
        let line = line(&row());
        assert_eq!(heading.len(), NAME + SHAPE + 64);
        assert_eq!(line.len(), heading.len());
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>().join(" "),
            "W1 forward 1 32x784x128 113.1 GFLOP/s 57 % of compute 9.0 GB/s 4 % of L2"
        );
    }

    #[test]
    fn a_level_that_one_team_does_not_see_has_a_dash() {
        let levels = [Level::L1, Level::L3, Level::Memory];
        let text = table_of_peaks(&[peaks(1, &levels), peaks(2, &[Level::L1, Level::Memory])]);
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["peaks", "1", "thread", "2", "threads"]);
        assert_eq!(lines[1], ["multiply-adds", "130.0", "GFLOP/s", "260.1", "GFLOP/s"]);
        assert_eq!(lines[4], ["L3", "read", "250.0", "GB/s", "-"]);
        assert_eq!(lines[5], ["L3", "triad", "125.2", "GB/s", "-"]);
        assert_eq!(lines.len(), 2 + 2 * 3, "no second level here: {text}");
    }

    #[test]
    fn the_machine_is_named() {
        let machine = Machine {
            processor: "A Processor".to_owned(),
            cores: 2,
            isa: kernels::Isa::best(),
            caches: Caches { l1: 48 << 10, l2: 2 << 20, l3: 0 },
        };
        let text = heading(&machine);
        assert!(text.starts_with("machine   A Processor, 2 cores, kernels for "), "{text}");
        assert!(text.contains("L1 48.0 KiB, L2 2.00 MiB a core, L3 none"), "{text}");
    }

    #[test]
    fn json_has_machine_peaks_and_kernels() {
        let machine = Machine {
            processor: "A Processor".to_owned(),
            cores: 2,
            isa: kernels::Isa::best(),
            caches: Caches::ASSUMED,
        };
        let peaks = [peaks(1, &[Level::L1])];
        let report = Report { machine: &machine, peaks: &peaks, kernels: vec![row()] };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["machine"]["cores"], 2);
        assert_eq!(json["machine"]["caches"]["l1"], 32 << 10);
        assert_eq!(json["peaks"][0]["bandwidths"][0]["level"], "l1");
        assert_eq!(json["kernels"][0]["kernel"], "W1 forward 1");
        assert_eq!(json["kernels"][0]["figures"][1]["bound"], "l2");
        assert_eq!(json["kernels"][0]["figures"][0]["at_most"], 200e9);
    }
}
