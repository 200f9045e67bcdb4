//! `trainer data convert`, `trainer data split` and `trainer data generate`: data sets written.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use dataset::Dataset;
use dataset::formats::{self, Format};
use dataset::glyphs;
use trainer::format::grouped;

use super::args::{ConvertArgs, GenerateArgs, SplitArgs};
use super::{data, pipe};

pub fn run(args: ConvertArgs) -> Result<()> {
    let set = data::open(&args.data)?;
    write(&set, args.to, &args.out)
}

pub fn split(args: SplitArgs) -> Result<()> {
    let set = data::open_silently(&args.data)?.resplit(args.test, args.seed)?;
    write(&set, args.to, &args.out)
}

pub fn generate(args: GenerateArgs) -> Result<()> {
    glyphs::write_many(&args.out, args.train.into(), args.test.into(), args.seed)?;
    writeln!(
        pipe::stdout(),
        "synthetic digits in {}: {} training, {} test examples",
        args.out.display(),
        grouped(args.train.into()),
        grouped(args.test.into())
    )?;
    Ok(())
}

fn write(set: &Dataset, format: Format, out: &Path) -> Result<()> {
    formats::write(set, format, out)?;
    writeln!(
        pipe::stdout(),
        "{} as {format} in {}: {} training, {} test examples",
        set.title(),
        out.display(),
        grouped(set.train.len() as u64),
        grouped(set.test.len() as u64)
    )?;
    Ok(())
}
