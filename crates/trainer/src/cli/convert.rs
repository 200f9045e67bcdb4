//! `trainer data convert` and `trainer data split`: a data set written anew.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use dataset::Dataset;
use dataset::formats::{self, Format};
use trainer::format::grouped;

use super::args::{ConvertArgs, SplitArgs};
use super::data;

pub fn run(args: ConvertArgs) -> Result<()> {
    let set = data::open(&args.data)?;
    write(&set, args.to, &args.out)
}

pub fn split(args: SplitArgs) -> Result<()> {
    let set = data::open(&args.data)?.resplit(args.test, args.seed)?;
    write(&set, args.to, &args.out)
}

fn write(set: &Dataset, format: Format, out: &Path) -> Result<()> {
    formats::write(set, format, out)?;
    writeln!(
        io::stdout(),
        "{} as {format} in {}: {} training, {} test examples",
        set.title(),
        out.display(),
        grouped(set.train.len() as u64),
        grouped(set.test.len() as u64)
    )?;
    Ok(())
}
