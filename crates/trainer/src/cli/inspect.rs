//! `trainer data inspect`: the data set as the notebooks show it.

use std::io::{self, Write};

use anyhow::Result;
use dataset::{Dataset, Part};
use trainer::format::{grouped, tuple};

use super::args::InspectArgs;
use super::data;

/// Labels shown from the start of each part.
const FIRST_LABELS: usize = 10;

pub fn run(args: InspectArgs) -> Result<()> {
    let set = data::open(&args.data)?;
    write(&mut io::stdout().lock(), &set)?;
    Ok(())
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
