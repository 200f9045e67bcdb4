//! `trainer data inspect`: the data set as the notebooks show it.

use std::io::{self, Write};

use anyhow::{Result, bail};
use dataset::{Dataset, Inspection, Part, PartStatistics, Verdict, lookup};
use trainer::format::{grouped, tuple};

use super::args::InspectArgs;
use super::{data, pipe};

/// Labels shown from the start of each part.
const FIRST_LABELS: usize = 10;

pub fn run(args: InspectArgs) -> Result<()> {
    let set = data::open(&args.data)?;
    let mut out = pipe::stdout();
    write(&mut out, &set)?;
    let statistics = set.inspect();
    set.check_unchanged()?;
    write_statistics(&mut out, &statistics)?;
    Ok(())
}

/// `trainer data verify`: hashes of everything.
pub fn verify(args: InspectArgs) -> Result<()> {
    let set = data::open(&args.data)?;
    let mut out = pipe::stdout();
    let mut wrong = Vec::new();
    let arrays = set.verify();
    set.check_unchanged()?;
    for array in arrays {
        let verdict = match array.verdict {
            Verdict::Published => "as published".to_owned(),
            Verdict::NoneKnown => "whole; no published hash is known".to_owned(),
            Verdict::Differs(expected) => {
                wrong.push(array.path.display().to_string());
                format!("NOT as published, {expected}")
            }
        };
        writeln!(out, "{}  {:<24} {verdict}", array.sha256, array.name)?;
    }
    if !wrong.is_empty() {
        let remedy = match lookup(&set.name).filter(|known| known.is_synthetic()) {
            Some(drawn) => format!(
                "remove the folder {}, and {} is drawn anew the next time it is used",
                set.source.display(),
                drawn.name
            ),
            None => format!(
                "remove the files and fetch them again with `trainer data get {}`",
                set.name
            ),
        };
        bail!("{}: not the published contents; {remedy}", wrong.join(", "));
    }
    Ok(())
}

/// How a number about a part is shown.
type Show = fn(&PartStatistics) -> String;

fn write_statistics(out: &mut impl Write, inspection: &Inspection) -> io::Result<()> {
    let Inspection { train, test, test_in_train } = inspection;
    writeln!(out, "\n{:<24}{:>14}{:>14}", "", "train", "test")?;
    let mut row =
        |name: &str, train: String, test: String| writeln!(out, "{name:<24}{train:>14}{test:>14}");
    let rows: [(&str, Show); 7] = [
        ("smallest feature", |part| format!("{:.4}", part.range.0)),
        ("largest feature", |part| format!("{:.4}", part.range.1)),
        ("mean", |part| format!("{:.4}", part.mean)),
        ("standard deviation", |part| format!("{:.4}", part.deviation)),
        ("not zero", |part| format!("{:.1} %", 100.0 * part.density)),
        ("always zero", |part| grouped(part.always_zero as u64)),
        ("duplicates", |part| grouped(part.duplicates as u64)),
    ];
    for (name, show) in rows {
        row(name, show(train), show(test))?;
    }
    row("also in train", String::new(), grouped(*test_in_train as u64))
}

fn write(out: &mut impl Write, set: &Dataset) -> io::Result<()> {
    writeln!(out, "{} in {}\n", set.title(), set.source.display())?;
    let parts = [("train", &set.train), ("test", &set.test)];
    let shape = |part: &Part| tuple(&[&[part.len()], part.shape()].concat());
    let width = parts.map(|(_, part)| shape(part).len()).into_iter().max().unwrap_or(0);
    for (name, part) in parts {
        let labels = tuple(&[part.len()]);
        writeln!(out, "{:<14}{:<width$}  {}", format!("{name}_images"), shape(part), part.dtype())?;
        writeln!(out, "{:<14}{labels:<width$}  {}", format!("{name}_labels"), part.label_dtype())?;
    }
    writeln!(out)?;
    for (name, part) in parts {
        let labels = part.examples().labels();
        let first: Vec<_> =
            (0..part.len().min(FIRST_LABELS)).map(|i| labels.get(i).to_string()).collect();
        let more = if part.len() > FIRST_LABELS { ", ..." } else { "" };
        writeln!(out, "{:<14}[{}{more}]", format!("{name}_labels"), first.join(", "))?;
    }
    let counts = parts.map(|(_, part)| part.label_counts(set.classes.len()));
    let names = set.classes.iter().map(|name| name.chars().count());
    let width = names.max().unwrap_or(0).max("class".len());
    writeln!(out, "\nlabel  {:<width$}  {:>9}  {:>9}", "class", "train", "test")?;
    for (class, name) in set.classes.iter().enumerate() {
        let [train, test] = [0, 1].map(|part| grouped(counts[part][class] as u64));
        writeln!(out, "{class:>5}  {name:<width$}  {train:>9}  {test:>9}")?;
    }
    Ok(())
}
